/* host/cpu/score_edit.c - changing scores of single tokens, on the CPU.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "host/cpu/cpu_ops.h"
#include "host/cpu/strided.h"

static void copy_row(const mo_tensor *logits, int64_t row, float *scores) {
  const int64_t count = logits->shape[1];
  const void *source = mo_element_address(logits, row * logits->strides[0]);
  if (source == (const void *)scores) return; /* in place */
  if (logits->dtype == MO_DTYPE_FLOAT32) {
    memcpy(scores, source, (size_t)count * sizeof *scores);
    return;
  }
  for (int64_t i = 0; i < count; i++) scores[i] = mo_read_float(source, logits->dtype, i);
}

static void edit_one(mo_score_edit_kind_t kind, float value, float *score) {
  if (kind == MO_SCORE_EDIT_ADD) *score += value;
  else if (kind == MO_SCORE_EDIT_PENALISE) *score = *score < 0.0f ? *score * value : *score / value;
  else *score = value;
}

static void edit_stage(const mo_score_stage *stage, const int32_t *tokens, const float *values, int64_t vocabulary,
                       float *scores) {
  bool any = false;
  for (int64_t i = stage->first; i < stage->first + stage->count; i++) any |= tokens[i] >= 0 && tokens[i] < vocabulary;
  if (any && stage->kind == MO_SCORE_EDIT_ONLY)
    for (int64_t i = 0; i < vocabulary; i++) scores[i] = -INFINITY;
  for (int64_t i = stage->first; any && i < stage->first + stage->count; i++)
    if (tokens[i] >= 0 && tokens[i] < vocabulary) edit_one(stage->kind, values[i], &scores[tokens[i]]);
}

mo_status_t mo_cpu_edit_scores(mo_context_t *context, const mo_score_edit_params *params) {
  (void)context;
  for (int64_t row = 0; row < params->logits->shape[0]; row++) {
    float *scores = mo_element_address(params->scores, row * params->scores->strides[0]);
    const int32_t *tokens = mo_element_address(params->tokens, row * params->tokens->strides[0]);
    const float *values = mo_element_address(params->values, row * params->values->strides[0]);
    copy_row(params->logits, row, scores);
    for (int32_t i = 0; i < params->stage_count; i++)
      edit_stage(&params->stages[i], tokens, values, params->logits->shape[1], scores);
  }
  return MO_STATUS_OK;
}
