/* host/ops/embedding.c - the front door of the embeddings. Whether each index lies in its table needs the data: the backend
 * looks.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/checked_math.h"
#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

static const char op[] = "embedding";

static mo_status_t check_table(const mo_context_t *context, const char *name, const mo_tensor *table, const mo_tensor *output) {
  MO_TRY(mo_check_tensor(op, name, context, table, MO_DTYPE_BIT(output->dtype), 2, 2));
  MO_CHECK(table->shape[1] == output->shape[2], MO_STATUS_INVALID_ARGUMENT, "%s: %s has %lld columns, output %lld", op, name,
           (long long)table->shape[1], (long long)output->shape[2]);
  MO_TRY(mo_check_last_stride(op, name, table));
  return mo_check_no_overlap(op, "output", output, name, table, false);
}

/* `broadcasts`: the batch extent may be 1. */
static mo_status_t check_ids(const mo_context_t *context, const char *name, const mo_tensor *ids, const mo_tensor *output,
                             bool broadcasts) {
  MO_TRY(mo_check_tensor(op, name, context, ids, MO_DTYPES_INDEX, 2, 2));
  const int64_t shape[2] = {broadcasts && ids->shape[0] == 1 ? 1 : output->shape[0], output->shape[1]};
  MO_TRY(mo_check_shape(op, name, ids, 2, shape));
  return mo_check_no_overlap(op, "output", output, name, ids, false);
}

static mo_status_t check_norm(const mo_context_t *context, const mo_embedding_params *p) {
  const int64_t count = p->output->shape[2];
  const uint32_t dtypes = MO_DTYPE_BIT(p->output->dtype) | MO_DTYPE_BIT(MO_DTYPE_FLOAT32);
  if (p->norm_weight == NULL) {
    MO_CHECK(p->norm_bias == NULL, MO_STATUS_INVALID_ARGUMENT, "%s: norm_bias without norm_weight", op);
    return MO_STATUS_OK;
  }
  MO_TRY(mo_check_tensor(op, "norm_weight", context, p->norm_weight, dtypes, 1, 1));
  MO_TRY(mo_check_shape(op, "norm_weight", p->norm_weight, 1, &count));
  MO_TRY(mo_check_last_stride(op, "norm_weight", p->norm_weight));
  MO_TRY(mo_check_no_overlap(op, "output", p->output, "norm_weight", p->norm_weight, false));
  if (p->norm_bias != NULL) {
    MO_TRY(mo_check_tensor(op, "norm_bias", context, p->norm_bias, MO_DTYPE_BIT(p->norm_weight->dtype), 1, 1));
    MO_TRY(mo_check_shape(op, "norm_bias", p->norm_bias, 1, &count));
    MO_TRY(mo_check_last_stride(op, "norm_bias", p->norm_bias));
    MO_TRY(mo_check_no_overlap(op, "output", p->output, "norm_bias", p->norm_bias, false));
  }
  MO_CHECK(p->word_scale - p->word_scale == 0.0f, MO_STATUS_INVALID_ARGUMENT, "%s: word_scale %g is not finite", op,
           (double)p->word_scale);
  MO_CHECK(p->epsilon >= 0.0f, MO_STATUS_INVALID_ARGUMENT, "%s: epsilon %g is not 0 or more", op, (double)p->epsilon);
  return MO_STATUS_OK;
}

static mo_status_t check_positions(const mo_context_t *context, const mo_embedding_params *p) {
  if (p->position == NULL) {
    MO_CHECK(p->position_ids == NULL, MO_STATUS_INVALID_ARGUMENT, "%s: position_ids without a position table", op);
    return MO_STATUS_OK;
  }
  MO_TRY(check_table(context, "position", p->position, p->output));
  if (p->position_ids != NULL) return check_ids(context, "position_ids", p->position_ids, p->output, true);
  int64_t last;
  if (p->position_skips_padding) {
    MO_CHECK(p->ids != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: position_skips_padding needs ids", op);
    MO_CHECK(p->padding_id >= 0 && mo_checked_add(p->padding_id, p->output->shape[1], &last), MO_STATUS_INVALID_ARGUMENT,
             "%s: padding_id %lld is not a position", op, (long long)p->padding_id);
  } else {
    MO_CHECK(p->position_offset >= 0 && mo_checked_add(p->position_offset, p->output->shape[1], &last),
             MO_STATUS_INVALID_ARGUMENT, "%s: position_offset %lld is not a position", op, (long long)p->position_offset);
  }
  return MO_STATUS_OK;
}

static mo_status_t check_embedding(const mo_context_t *context, const mo_embedding_params *p) {
  MO_TRY(mo_check_tensor(op, "output", context, p->output, MO_DTYPES_FLOAT, 3, 3));
  MO_TRY(mo_check_last_stride(op, "output", p->output));
  MO_TRY(mo_check_destination(op, "output", p->output));
  MO_CHECK((p->ids != NULL) != (p->embeds != NULL), MO_STATUS_INVALID_ARGUMENT, "%s: %s ids and embeds, exactly one is needed",
           op, p->ids != NULL ? "both" : "neither");
  if (p->ids != NULL) {
    MO_TRY(check_ids(context, "ids", p->ids, p->output, false));
    MO_TRY(check_table(context, "word", p->word, p->output));
  } else {
    MO_CHECK(p->word == NULL, MO_STATUS_INVALID_ARGUMENT, "%s: a word table beside embeds", op);
    MO_TRY(mo_check_tensor(op, "embeds", context, p->embeds, MO_DTYPE_BIT(p->output->dtype), 3, 3));
    MO_TRY(mo_check_shape(op, "embeds", p->embeds, 3, p->output->shape));
    MO_TRY(mo_check_last_stride(op, "embeds", p->embeds));
    MO_TRY(mo_check_no_overlap(op, "output", p->output, "embeds", p->embeds, false));
  }
  MO_TRY(check_positions(context, p));
  if (p->type != NULL) {
    MO_TRY(check_table(context, "type", p->type, p->output));
    if (p->token_type_ids != NULL) MO_TRY(check_ids(context, "token_type_ids", p->token_type_ids, p->output, true));
  } else {
    MO_CHECK(p->token_type_ids == NULL, MO_STATUS_INVALID_ARGUMENT, "%s: token_type_ids without a type table", op);
  }
  return check_norm(context, p);
}

mo_status_t mo_embedding(mo_context_t *context, const mo_embedding_params *given) {
  MO_RANGE(context, "mo_embedding", given, given->output, given->ids, given->word);
  mo_embedding_params taken = MO_EMBEDDING_PARAMS_INIT;
  const mo_embedding_params *params = &taken;
  mo_status_t status =
      MO_TAKE_PARAMS(op, context, MO_EMBEDDING_PARAMS_INIT, given, MO_SIZE_TO(mo_embedding_params, word_scale), &taken);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_embedding(context, params);
  if (status != MO_STATUS_OK || mo_is_empty(params->output)) return mo_context_note(context, status);
  const mo_backend *backend = mo_context_backend(context);
  status = backend->embedding != NULL ? backend->embedding(context, params) : mo_unsupported_op(op, context);
  return mo_context_note(context, status);
}
