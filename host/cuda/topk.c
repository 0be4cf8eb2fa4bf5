/* host/cuda/topk.c - top-k on the card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/topk.h"

#include "host/core/checked_math.h"
#include "host/cuda/cuda_ops.h"

mo_status_t mo_cuda_topk(mo_context_t *context, const mo_topk_params *params) {
  const mo_tensor *input = params->input;
  const mo_cuda_state *state = mo_cuda_state_of(context);
  const int32_t last = input->rank - 1;
  mo_topk_kernel_args args = {
      .count = input->shape[last],
      .stride = input->strides[last],
      .k = params->values->shape[last],
      .input = input->data,
      .dtype = input->dtype,
      .values = params->values->data,
      .indices = params->indices->data,
  };
  args.rows = mo_tensor_count(params->values) / args.k;
  for (int32_t i = 0; i < MO_MAX_DIMS - 1; ++i) {
    const int32_t dim = i - (MO_MAX_DIMS - 1 - last);
    args.extents[i] = dim >= 0 ? input->shape[dim] : 1;
    args.strides[i] = dim >= 0 ? input->strides[dim] : 0;
  }
  MO_CHECK(args.count < UINT32_MAX, MO_STATUS_UNSUPPORTED, "topk: rows of %lld elements, the CUDA kernels take fewer than %lld",
           (long long)args.count, (long long)UINT32_MAX);
  int64_t elements; /* stride 0 makes any extent a legal tensor */
  MO_CHECK(mo_checked_mul(args.rows, args.count / 4096 + 1, &elements) && elements <= INT32_MAX, MO_STATUS_UNSUPPORTED,
           "topk: %lld rows of %lld elements are more blocks than a launch can have", (long long)args.rows,
           (long long)args.count);
  const size_t scratch_bytes = mo_plan_topk(&args, state->multiprocessor_count);
  void *scratch = NULL;
  MO_CUDA_ENTER(state);
  if (scratch_bytes > 0) MO_TRY(mo_context_scratch(context, scratch_bytes, &scratch));
  args.scratch = scratch;
  return mo_cuda_status(mo_launch_topk(&args, mo_cuda_stream_of(context)), "topk");
}
