/* host/ops/sampling.c - front door of sampling.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/sampling.h"

#include <math.h>

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

#define MAX_VOCABULARY ((int64_t)1 << 22)
#define OP "sampling"

/* A tensor of one element per row. */
static mo_status_t check_per_row(const mo_context_t *context, const char *name, const mo_tensor *tensor, uint32_t dtypes,
                                 int64_t rows, bool written) {
  if (tensor == NULL) return MO_STATUS_OK;
  MO_TRY(mo_check_tensor(OP, name, context, tensor, dtypes, 1, 1));
  MO_TRY(mo_check_shape(OP, name, tensor, 1, &rows));
  return written ? mo_check_destination(OP, name, tensor) : MO_STATUS_OK;
}

static mo_status_t check_numbers(const mo_sampling_params *params) {
  MO_CHECK(params->temperature >= 0.0f && isfinite(params->temperature), MO_STATUS_INVALID_ARGUMENT,
           "%s: temperature %g is not a number from 0 up", OP, (double)params->temperature);
  MO_CHECK(params->top_k >= 0, MO_STATUS_INVALID_ARGUMENT, "%s: top_k %lld is below 0", OP, (long long)params->top_k);
  MO_CHECK(params->top_p >= 0.0f && params->top_p <= 1.0f, MO_STATUS_INVALID_ARGUMENT, "%s: top_p %g is not in 0..1", OP,
           (double)params->top_p);
  MO_CHECK(params->min_p >= 0.0f && params->min_p <= 1.0f, MO_STATUS_INVALID_ARGUMENT, "%s: min_p %g is not in 0..1", OP,
           (double)params->min_p);
  return MO_STATUS_OK;
}

static mo_status_t check_sampling(const mo_context_t *context, const mo_sampling_params *params) {
  const uint32_t float32 = MO_DTYPE_BIT(MO_DTYPE_FLOAT32), int32 = MO_DTYPE_BIT(MO_DTYPE_INT32);
  const uint32_t int64 = MO_DTYPE_BIT(MO_DTYPE_INT64);
  const mo_tensor *logits = params->logits;
  MO_TRY(mo_check_tensor(OP, "logits", context, logits, MO_DTYPES_FLOAT, 2, 2));
  MO_TRY(mo_check_last_stride(OP, "logits", logits));
  const int64_t rows = logits->shape[0], vocabulary = logits->shape[1];
  MO_CHECK(vocabulary >= 1 && vocabulary <= MAX_VOCABULARY, MO_STATUS_INVALID_ARGUMENT,
           "%s: a vocabulary of %lld tokens, not 1..%lld", OP, (long long)vocabulary, (long long)MAX_VOCABULARY);
  MO_CHECK(params->tokens != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: tokens is NULL", OP);
  MO_TRY(check_per_row(context, "tokens", params->tokens, MO_DTYPES_INDEX, rows, true));
  MO_TRY(check_per_row(context, "log_probabilities", params->log_probabilities, float32, rows, true));
  MO_TRY(check_per_row(context, "step_counts", params->step_counts, int64, rows, true));
  MO_TRY(check_per_row(context, "row_numbers", params->row_numbers, int64, rows, false));
  MO_TRY(check_per_row(context, "finished", params->finished, MO_DTYPE_BIT(MO_DTYPE_BOOL), rows, true));
  MO_TRY(check_per_row(context, "lengths", params->lengths, int32, rows, true));
  MO_TRY(check_per_row(context, "positions", params->positions, int32, rows, true));
  if (params->end_tokens != NULL) {
    MO_TRY(mo_check_tensor(OP, "end_tokens", context, params->end_tokens, MO_DTYPES_INDEX, 1, 1));
    MO_CHECK(params->finished != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: end_tokens without finished", OP);
  }
  if (params->suppressed_tokens != NULL)
    MO_TRY(mo_check_tensor(OP, "suppressed_tokens", context, params->suppressed_tokens, MO_DTYPES_INDEX, 1, 1));
  MO_CHECK(!params->log_softmax || (params->temperature == 0.0f && params->scores != NULL), MO_STATUS_INVALID_ARGUMENT,
           "%s: log_softmax is for greedy choices with scores", OP);
  if (params->scores != NULL) {
    MO_TRY(mo_check_tensor(OP, "scores", context, params->scores, float32, 2, 2));
    MO_TRY(mo_check_shape(OP, "scores", params->scores, 2, logits->shape));
    MO_TRY(mo_check_last_stride(OP, "scores", params->scores));
    MO_TRY(mo_check_destination(OP, "scores", params->scores));
    MO_TRY(mo_check_no_overlap(OP, "scores", params->scores, "logits", logits, true));
  }
  MO_TRY(check_numbers(params));

  const struct {
    const char *name;
    const mo_tensor *tensor;
  } written[] = {{"tokens", params->tokens},
                 {"scores", params->scores},
                 {"log_probabilities", params->log_probabilities},
                 {"step_counts", params->step_counts},
                 {"finished", params->finished},
                 {"lengths", params->lengths},
                 {"positions", params->positions}},
    read[] = {{"logits", logits},
              {"row_numbers", params->row_numbers},
              {"end_tokens", params->end_tokens},
              {"suppressed_tokens", params->suppressed_tokens}};
  const size_t written_count = sizeof written / sizeof written[0], read_count = sizeof read / sizeof read[0];
  for (size_t i = 0; i < written_count; i++) {
    for (size_t j = i + 1; j < written_count; j++) {
      MO_TRY(mo_check_no_overlap(OP, written[i].name, written[i].tensor, written[j].name, written[j].tensor, false));
    }
    for (size_t j = 0; j < read_count; j++) {
      const bool in_place = written[i].tensor == params->scores && read[j].tensor == logits; /* looked at above */
      if (!in_place) MO_TRY(mo_check_no_overlap(OP, written[i].name, written[i].tensor, read[j].name, read[j].tensor, false));
    }
  }
  return MO_STATUS_OK;
}

mo_status_t mo_sample(mo_context_t *context, const mo_sampling_params *given) {
  MO_RANGE(context, "mo_sample", given, given->tokens, given->scores, given->logits);
  mo_sampling_params taken = MO_SAMPLING_PARAMS_INIT;
  const mo_sampling_params *params = &taken;
  mo_status_t status =
      MO_TAKE_PARAMS(OP, context, MO_SAMPLING_PARAMS_INIT, given, MO_SIZE_TO(mo_sampling_params, positions), &taken);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_sampling(context, params);
  if (status == MO_STATUS_OK && params->logits->shape[0] > 0) {
    const mo_backend *backend = mo_context_backend(context);
    status = backend->sample != NULL ? backend->sample(context, params) : mo_unsupported_op(OP, context);
  }
  return mo_context_note(context, status);
}
