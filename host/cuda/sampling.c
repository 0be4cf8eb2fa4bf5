/* host/cuda/sampling.c - sampling on the card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/sampling.h"

#include <math.h>

#include "host/cuda/cuda_ops.h"

static mo_sampling_column column_of(const mo_tensor *tensor) {
  mo_sampling_column column = {NULL, 0};
  if (tensor == NULL) return column;
  column.data = tensor->data;
  column.stride = tensor->strides[0];
  return column;
}

mo_status_t mo_cuda_sample(mo_context_t *context, const mo_sampling_params *params) {
  const mo_tensor *logits = params->logits;
  const int64_t count = logits->shape[1];
  mo_sampling_kernel_args args = {
      .rows = logits->shape[0],
      .count = count,
      .logits = logits->data,
      .logits_stride = logits->strides[0],
      .dtype = logits->dtype,
      .tokens = column_of(params->tokens),
      .token_dtype = params->tokens->dtype,
      .log_probabilities = column_of(params->log_probabilities),
      .step_counts = column_of(params->step_counts),
      .row_numbers = column_of(params->row_numbers),
      .finished = column_of(params->finished),
      .lengths = column_of(params->lengths),
      .positions = column_of(params->positions),
      .end_tokens = column_of(params->end_tokens),
      .suppressed_tokens = column_of(params->suppressed_tokens),
      .log_softmax = params->log_softmax,
      .marks_no_choice = params->marks_no_choice,
      .pad_token = params->pad_token,
      .temperature = params->temperature,
      .top_k = params->top_k < count ? params->top_k : 0,
      .min_p = params->min_p > 0.0f,
      .log_min_p = params->min_p > 0.0f ? logf(params->min_p) : 0.0f,
      .seed = params->seed,
      .step = params->step,
  };
  if (params->scores != NULL) {
    args.scores = params->scores->data;
    args.scores_stride = params->scores->strides[0];
  }
  if (params->end_tokens != NULL) {
    args.end_token_dtype = params->end_tokens->dtype;
    args.end_token_count = params->end_tokens->shape[0];
  }
  if (params->suppressed_tokens != NULL) {
    args.suppressed_dtype = params->suppressed_tokens->dtype;
    args.suppressed_count = params->suppressed_tokens->shape[0];
  }
  if (params->top_p > 0.0f && params->top_p < 1.0f) {
    const double removed = (1.0 - (double)params->top_p) * 0x1p64;
    args.removed_fraction = removed < 0x1p64 ? (uint64_t)removed : UINT64_MAX; /* a top_p below 2^-53 */
  }
  MO_CHECK(args.rows <= INT32_MAX, MO_STATUS_UNSUPPORTED, "sampling: %lld rows, the CUDA kernel takes %d", (long long)args.rows,
           INT32_MAX);
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  return mo_cuda_status(mo_launch_sampling(&args, mo_cuda_stream_of(context)), "sampling");
}
