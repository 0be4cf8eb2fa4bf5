/* host/ops/score_edit.c - front door of the editing of scores.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/score_edit.h"

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

#define OP "score edit"

static mo_status_t check_stages(const mo_score_edit_params *params) {
  const int64_t columns = params->tokens->shape[1];
  MO_CHECK(params->stage_count >= 0 && params->stage_count <= MO_SCORE_STAGES_MAX, MO_STATUS_INVALID_ARGUMENT,
           "%s: %d stages, not 0..%d", OP, (int)params->stage_count, MO_SCORE_STAGES_MAX);
  for (int32_t i = 0; i < params->stage_count; i++) {
    const mo_score_stage *stage = &params->stages[i];
    MO_CHECK(stage->kind >= MO_SCORE_EDIT_ADD && stage->kind <= MO_SCORE_EDIT_ONLY, MO_STATUS_INVALID_ARGUMENT,
             "%s: stage %d is of the unknown kind %d", OP, (int)i, (int)stage->kind);
    MO_CHECK(stage->first >= 0 && stage->count >= 0 && stage->first <= columns && stage->count <= columns - stage->first,
             MO_STATUS_INVALID_ARGUMENT, "%s: stage %d takes %lld columns from %lld on, of %lld", OP, (int)i,
             (long long)stage->count, (long long)stage->first, (long long)columns);
  }
  return MO_STATUS_OK;
}

static mo_status_t check_score_edit(const mo_context_t *context, const mo_score_edit_params *params) {
  const uint32_t float32 = MO_DTYPE_BIT(MO_DTYPE_FLOAT32);
  MO_TRY(mo_check_tensor(OP, "logits", context, params->logits, MO_DTYPES_FLOAT, 2, 2));
  MO_TRY(mo_check_last_stride(OP, "logits", params->logits));
  MO_TRY(mo_check_tensor(OP, "scores", context, params->scores, float32, 2, 2));
  MO_TRY(mo_check_shape(OP, "scores", params->scores, 2, params->logits->shape));
  MO_TRY(mo_check_last_stride(OP, "scores", params->scores));
  MO_TRY(mo_check_destination(OP, "scores", params->scores));
  MO_TRY(mo_check_tensor(OP, "tokens", context, params->tokens, MO_DTYPE_BIT(MO_DTYPE_INT32), 2, 2));
  MO_TRY(mo_check_last_stride(OP, "tokens", params->tokens));
  MO_TRY(mo_check_shape(OP, "tokens", params->tokens, 2, (int64_t[]){params->logits->shape[0], params->tokens->shape[1]}));
  MO_TRY(mo_check_tensor(OP, "values", context, params->values, float32, 2, 2));
  MO_TRY(mo_check_shape(OP, "values", params->values, 2, params->tokens->shape));
  MO_TRY(mo_check_last_stride(OP, "values", params->values));
  MO_TRY(mo_check_no_overlap(OP, "scores", params->scores, "logits", params->logits, true));
  MO_TRY(mo_check_no_overlap(OP, "scores", params->scores, "tokens", params->tokens, false));
  MO_TRY(mo_check_no_overlap(OP, "scores", params->scores, "values", params->values, false));
  return check_stages(params);
}

mo_status_t mo_edit_scores(mo_context_t *context, const mo_score_edit_params *given) {
  MO_RANGE(context, "mo_edit_scores", given, given->scores, given->logits, given->tokens);
  mo_score_edit_params params = MO_SCORE_EDIT_PARAMS_INIT;
  mo_status_t status =
      MO_TAKE_PARAMS(OP, context, MO_SCORE_EDIT_PARAMS_INIT, given, MO_SIZE_TO(mo_score_edit_params, stage_count), &params);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_score_edit(context, &params);
  if (status == MO_STATUS_OK && !mo_is_empty(params.logits)) {
    const mo_backend *backend = mo_context_backend(context);
    status = backend->edit_scores != NULL ? backend->edit_scores(context, &params) : mo_unsupported_op(OP, context);
  }
  return mo_context_note(context, status);
}
