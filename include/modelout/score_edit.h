/* modelout/score_edit.h - changing scores of single tokens before one is chosen: what repetition penalties, forced, banned and
 * biased tokens come down to.
 *
 *   scores[b, :] = logits[b, :] as float32; then stage by stage, for each token t = tokens[b, i] of the stage's columns,
 *   with v = values[b, i]:
 *     ADD       scores[b, t] += v
 *     PENALISE  scores[b, t] = scores[b, t] < 0 ? scores[b, t] * v : scores[b, t] / v
 *     SET       scores[b, t] = v
 *     ONLY      if the row has any such token: all of its scores become -inf, then scores[b, t] = v
 *
 * as Transformers' processors do it (RepetitionPenaltyLogitsProcessor, SuppressTokensLogitsProcessor, ...).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_SCORE_EDIT_H
#define MODELOUT_SCORE_EDIT_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mo_score_edit_kind_t {
  MO_SCORE_EDIT_ADD = 0,
  MO_SCORE_EDIT_PENALISE = 1,
  MO_SCORE_EDIT_SET = 2,
  MO_SCORE_EDIT_ONLY = 3,
} mo_score_edit_kind_t;

/* Columns first..first + count - 1 of `tokens` and `values`. No token stands twice in a stage of a row, except with SET and
 * ONLY, if its values are the same. */
typedef struct mo_score_stage {
  mo_score_edit_kind_t kind;
  int64_t first, count;
} mo_score_stage;

#define MO_SCORE_STAGES_MAX 8

typedef struct mo_score_edit_params {
  size_t struct_size;
  const mo_tensor *scores; /* (B, V) float32, last stride 1; may be `logits` itself */
  const mo_tensor *logits; /* (B, V) float32, float16 or bfloat16, last stride 1 */
  const mo_tensor *tokens; /* (B, N) int32, last stride 1, on the device; a token outside 0..V-1 (-1) changes nothing */
  const mo_tensor *values; /* (B, N) float32, last stride 1 */
  mo_score_stage stages[MO_SCORE_STAGES_MAX];
  int32_t stage_count;
} mo_score_edit_params;

#define MO_SCORE_EDIT_PARAMS_INIT MO_STRUCT_INIT(mo_score_edit_params)

/* One launch on a GPU, asynchronous; reads tokens and values when it runs, so that a captured graph edits anew at each replay.
 * INVALID_ARGUMENT, DEVICE_ERROR. */
MO_API mo_status_t mo_edit_scores(mo_context_t *context, const mo_score_edit_params *params);

#ifdef __cplusplus
}
#endif
#endif
