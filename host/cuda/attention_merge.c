/* host/cuda/attention_merge.c - the merge of two partial attentions on the card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention_merge.h"

#include "host/cuda/cuda_ops.h"
#include "host/rules/broadcast.h"

/* Every dimension of a tensor of rank 3 is one of rows. */
static mo_row_strides sum_strides(const mo_tensor *tensor) {
  mo_row_strides rows;
  mo_broadcast_strides(tensor, 3, rows.strides);
  return rows;
}

mo_status_t mo_cuda_attention_merge(mo_context_t *context, const mo_attention_merge_params *params) {
  const mo_tensor *output = params->output;
  mo_attention_merge_kernel_args args = {
      .shape = mo_row_shape_of(output),
      .columns = output->shape[3],
      .dtype = output->dtype,
      .output = output->data,
      .a = params->output_a->data,
      .b = params->output_b->data,
      .log_sum_exp_a = params->log_sum_exp_a->data,
      .log_sum_exp_b = params->log_sum_exp_b->data,
      .output_rows = mo_row_strides_of(output),
      .a_rows = mo_row_strides_of(params->output_a),
      .b_rows = mo_row_strides_of(params->output_b),
      .sum_a_rows = sum_strides(params->log_sum_exp_a),
      .sum_b_rows = sum_strides(params->log_sum_exp_b),
  };
  if (params->log_sum_exp != NULL) {
    args.log_sum_exp = params->log_sum_exp->data;
    args.sum_rows = sum_strides(params->log_sum_exp);
  }
  MO_CHECK(mo_row_count(args.shape) <= INT32_MAX, MO_STATUS_UNSUPPORTED, "attention merge: %lld rows, the CUDA kernels take %d",
           (long long)mo_row_count(args.shape), INT32_MAX);
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  return mo_cuda_status(mo_launch_attention_merge(&args, mo_cuda_stream_of(context)), "attention merge");
}
