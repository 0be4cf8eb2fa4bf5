/* host/cuda/score_edit.c - changing scores of single tokens, on the card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/score_edit.h"

#include <string.h>

#include "host/cuda/cuda_ops.h"

mo_status_t mo_cuda_edit_scores(mo_context_t *context, const mo_score_edit_params *params) {
  mo_score_edit_kernel_args args = {.rows = params->logits->shape[0],
                                    .count = params->logits->shape[1],
                                    .logits = params->logits->data,
                                    .dtype = params->logits->dtype,
                                    .scores = params->scores->data,
                                    .tokens = params->tokens->data,
                                    .values = params->values->data,
                                    .logits_stride = params->logits->strides[0],
                                    .scores_stride = params->scores->strides[0],
                                    .tokens_stride = params->tokens->strides[0],
                                    .values_stride = params->values->strides[0],
                                    .stage_count = params->stage_count};
  memcpy(args.stages, params->stages, sizeof args.stages);
  MO_CHECK(args.rows <= INT32_MAX, MO_STATUS_UNSUPPORTED, "score edit: %lld rows, the CUDA kernel takes %d",
           (long long)args.rows, INT32_MAX);
  MO_TRY(mo_cuda_enter(mo_cuda_state_of(context)));
  return mo_cuda_status(mo_launch_score_edit(&args, mo_cuda_stream_of(context)), "score edit");
}
