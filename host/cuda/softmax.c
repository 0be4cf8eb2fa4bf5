/* host/cuda/softmax.c - softmax on the card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/softmax.h"

#include "host/cuda/cuda_ops.h"
#include "host/rules/broadcast.h"

static int64_t column_stride(const mo_tensor *tensor) { return mo_broadcast_stride(tensor, tensor->rank - 1); }

mo_status_t mo_cuda_softmax(mo_context_t *context, const mo_softmax_params *params) {
  const mo_tensor *input = params->input, *output = params->output, *mask = params->mask, *bias = params->bias;
  const mo_cuda_state *state = mo_cuda_state_of(context);
  mo_softmax_kernel_args args = {
      .shape = mo_row_shape_of(input),
      .columns = input->shape[input->rank - 1],
      .output = output->data,
      .input = input->data,
      .dtype = input->dtype,
      .output_dtype = output->dtype,
      .output_rows = mo_row_strides_of(output),
      .input_rows = mo_row_strides_of(input),
      .scale = params->scale != 0.0f ? params->scale : 1.0f,
      .causal = params->causal,
  };
  if (mask != NULL) {
    args.mask = mask->data;
    args.mask_dtype = mask->dtype;
    args.mask_rows = mo_row_strides_of(mask);
    args.mask_stride = column_stride(mask);
  }
  if (bias != NULL) {
    args.bias = bias->data;
    args.bias_dtype = bias->dtype;
    args.bias_rows = mo_row_strides_of(bias);
    args.bias_stride = column_stride(bias);
  }
  MO_CHECK(mo_row_count(args.shape) <= INT32_MAX, MO_STATUS_UNSUPPORTED, "softmax: %lld rows, the CUDA kernels take %d",
           (long long)mo_row_count(args.shape), INT32_MAX);
  MO_CUDA_ENTER(state);
  return mo_cuda_status(mo_launch_softmax(&args, state->shared_bytes_limit, mo_cuda_stream_of(context)), "softmax");
}
