/* host/ops/rotary.c - front door of the rotary embedding: every rule of the header is checked here, then the backend runs.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/rotary.h"

#include <inttypes.h>
#include <string.h>

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

#define OP "rotary embedding"

/* One pair of source and destination. The key has the query's batch, length, head size and dtype, and its own heads. */
static mo_status_t check_side(const mo_context_t *context, const mo_rotary_params *params, const char *output_name,
                              const mo_tensor *output, const char *name, const mo_tensor *input) {
  const mo_tensor *query = params->query;
  MO_TRY(mo_check_tensor(OP, name, context, input, MO_DTYPES_FLOAT, 4, 4));
  MO_TRY(mo_check_last_stride(OP, name, input));
  MO_CHECK(input->dtype == query->dtype, MO_STATUS_INVALID_ARGUMENT, OP ": %s is %s, query is %s", name,
           mo_dtype_name(input->dtype), mo_dtype_name(query->dtype));
  const int64_t shape[4] = {query->shape[0], input->shape[1], query->shape[2], query->shape[3]};
  MO_TRY(mo_check_shape(OP, name, input, 4, shape));
  MO_TRY(mo_check_tensor(OP, output_name, context, output, MO_DTYPE_BIT(input->dtype), 4, 4));
  MO_TRY(mo_check_shape(OP, output_name, output, 4, shape));
  MO_TRY(mo_check_last_stride(OP, output_name, output));
  MO_TRY(mo_check_destination(OP, output_name, output));
  const struct {
    const char *name;
    const mo_tensor *tensor;
  } sources[] = {{"query", params->query},
                 {"key", params->key},
                 {"cosine", params->rotary.cosine},
                 {"sine", params->rotary.sine},
                 {"position_ids", params->position_ids}};
  for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
    MO_TRY(
        mo_check_no_overlap(OP, output_name, output, sources[i].name, sources[i].tensor, strcmp(sources[i].name, name) == 0));
  return MO_STATUS_OK;
}

static mo_status_t check_positions(const mo_context_t *context, const mo_rotary_params *params) {
  const mo_tensor *ids = params->position_ids;
  const int64_t length = params->query->shape[2], count = params->rotary.cosine->shape[0];
  if (ids == NULL) {
    const int64_t first = params->position_offset;
    MO_CHECK(length == 0 || (first >= 0 && first <= count && length <= count - first), MO_STATUS_INVALID_ARGUMENT,
             OP ": %" PRId64 " positions from %" PRId64 " on, the tables have %" PRId64, length, first, count);
    return MO_STATUS_OK;
  }
  MO_TRY(mo_check_tensor(OP, "position_ids", context, ids, MO_DTYPES_INDEX, 2, 2));
  const int64_t shape[2] = {ids->shape[0] == 1 ? 1 : params->query->shape[0], length};
  return mo_check_shape(OP, "position_ids", ids, 2, shape);
}

static mo_status_t rotary_embedding(mo_context_t *context, const mo_rotary_params *given) {
  mo_rotary_params taken = MO_ROTARY_PARAMS_INIT;
  MO_TRY(MO_TAKE_PARAMS(OP, context, MO_ROTARY_PARAMS_INIT, given, MO_SIZE_TO(mo_rotary_params, position_offset), &taken));
  const mo_rotary_params *params = &taken;
  MO_TRY(mo_check_tensor(OP, "query", context, params->query, MO_DTYPES_FLOAT, 4, 4));
  MO_TRY(mo_check_rotary(OP, context, &params->rotary, params->query->shape[3]));
  MO_TRY(check_side(context, params, "query_output", params->query_output, "query", params->query));
  MO_CHECK((params->key == NULL) == (params->key_output == NULL), MO_STATUS_INVALID_ARGUMENT, OP ": %s without %s",
           params->key == NULL ? "key_output" : "key", params->key == NULL ? "key" : "key_output");
  if (params->key != NULL) {
    MO_TRY(check_side(context, params, "key_output", params->key_output, "key", params->key));
    MO_TRY(mo_check_no_overlap(OP, "key_output", params->key_output, "query_output", params->query_output, false));
  }
  MO_TRY(check_positions(context, params));
  if (mo_is_empty(params->query_output) && mo_is_empty(params->key_output)) return MO_STATUS_OK;
  const mo_backend *backend = mo_context_backend(context);
  if (backend->rotary_embedding == NULL) return mo_unsupported_op(OP, context);
  return backend->rotary_embedding(context, params);
}

mo_status_t mo_rotary_embedding(mo_context_t *context, const mo_rotary_params *params) {
  MO_RANGE(context, "mo_rotary_embedding", params, params->query, params->key, params->rotary.cosine);
  const mo_status_t status = rotary_embedding(context, params);
  return context == NULL ? status : mo_context_note(context, status);
}
