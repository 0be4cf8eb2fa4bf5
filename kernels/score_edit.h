/* kernels/score_edit.h - the launcher of the kernel that edits scores.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_SCORE_EDIT_H
#define MO_KERNELS_SCORE_EDIT_H

#include <cuda_runtime_api.h>

#include "modelout/score_edit.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_score_edit_kernel_args {
  int64_t rows, count; /* count: the vocabulary */
  const void *logits;
  mo_dtype_t dtype;
  float *scores;
  const int32_t *tokens;
  const float *values;
  int64_t logits_stride, scores_stride, tokens_stride, values_stride; /* of rows, elements */
  mo_score_stage stages[MO_SCORE_STAGES_MAX];
  int32_t stage_count;
} mo_score_edit_kernel_args;

cudaError_t mo_launch_score_edit(const mo_score_edit_kernel_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
