/* host/cuda/position_bias.c - ALiBi and T5 biases on the card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/position_bias.h"

#include "host/cuda/cuda_ops.h"

mo_status_t mo_cuda_position_bias(mo_context_t *context, const mo_position_bias_params *params) {
  const mo_tensor *output = params->output, *slopes = params->slopes, *table = params->table, *offsets = params->query_offsets;
  const int64_t heads = output->shape[1], queries = output->shape[2];
  MO_CHECK(queries == 0 || heads <= INT32_MAX / queries, MO_STATUS_UNSUPPORTED,
           "position bias: %lld heads of %lld queries, the CUDA kernels take 2^31 - 1 rows", (long long)heads,
           (long long)queries);
  mo_position_bias_kernel_args args = {
      .output = output->data,
      .dtype = output->dtype,
      .head_stride = heads == 1 ? 0 : output->strides[1],
      .row_stride = queries == 1 ? 0 : output->strides[2],
      .heads = (int32_t)heads,
      .queries = (int32_t)queries,
      .keys = (int32_t)output->shape[3],
      .query_offset = params->query_offset,
  };
  if (offsets != NULL) {
    args.query_offsets = offsets->data;
    args.offset_dtype = offsets->dtype;
  }
  if (params->kind == MO_POSITION_BIAS_ALIBI) {
    args.slopes = slopes->data;
    args.slope_stride = slopes->strides[0];
  } else {
    args.table = table->data;
    args.table_dtype = table->dtype;
    args.table_strides[0] = table->strides[0];
    args.table_strides[1] = table->strides[1];
    args.buckets = mo_relative_buckets_of((int32_t)table->shape[0], params->max_distance == 0 ? 128 : params->max_distance,
                                          params->bidirectional);
  }
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  return mo_cuda_status(mo_launch_position_bias(&args, mo_cuda_stream_of(context)), "position bias");
}
