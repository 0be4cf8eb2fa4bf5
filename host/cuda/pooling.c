/* host/cuda/pooling.c - pooling on the card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/pooling.h"

#include "host/cuda/cuda_ops.h"

mo_status_t mo_cuda_pooling(mo_context_t *context, const mo_pooling_params *params) {
  const mo_tensor *output = params->output, *input = params->input, *mask = params->mask;
  const mo_cuda_state *state = mo_cuda_state_of(context);
  mo_pooling_kernel_args args = {
      .mode = params->mode,
      .dtype = input->dtype,
      .batch = input->shape[0],
      .length = input->shape[1],
      .channels = input->shape[2],
      .width = output->shape[1],
      .output = output->data,
      .input = input->data,
      .l2_normalize = params->l2_normalize,
  };
  for (int i = 0; i < 2; ++i) {
    args.output_strides[i] = output->strides[i];
    args.input_strides[i] = input->strides[i];
  }
  if (mask != NULL) {
    args.mask = mask->data;
    args.mask_dtype = mask->dtype;
    for (int i = 0; i < 2; ++i) args.mask_strides[i] = mask->strides[i];
  }
  if (params->weight != NULL) {
    args.dense = true;
    args.weight = params->weight->data;
    for (int i = 0; i < 2; ++i) args.weight_strides[i] = params->weight->strides[i];
  }
  if (params->bias != NULL) {
    args.bias = params->bias->data;
    args.bias_stride = params->bias->strides[0];
  }
  /* A block has at least 32 values of the output, or one sequence. */
  MO_CHECK(args.batch <= INT32_MAX / 256 && args.width <= INT32_MAX / 256 && args.batch * args.width <= (int64_t)INT32_MAX * 16,
           MO_STATUS_UNSUPPORTED, "pooling: output (%lld, %lld), the CUDA kernels take %lld elements and extents of %d",
           (long long)args.batch, (long long)args.width, (long long)INT32_MAX * 16, INT32_MAX / 256);
  const size_t scratch_bytes = mo_plan_pooling(&args, state->multiprocessor_count);
  void *scratch = NULL;
  MO_CUDA_ENTER(state);
  if (scratch_bytes > 0) MO_TRY(mo_context_scratch(context, scratch_bytes, &scratch));
  args.scratch = scratch;
  return mo_cuda_status(mo_launch_pooling(&args, mo_cuda_stream_of(context)), "pooling");
}
