/* host/ops/position_bias.c - front door of the position biases, and ALiBi's slopes.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/position_bias.h"

#include <inttypes.h>
#include <math.h>

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"
#include "host/rules/relative_buckets.h"

#define OP "position bias"

static mo_status_t check_alibi(const mo_context_t *context, const mo_position_bias_params *params) {
  MO_CHECK(params->table == NULL, MO_STATUS_INVALID_ARGUMENT, OP ": a table was given, ALiBi has slopes");
  MO_TRY(mo_check_tensor(OP, "slopes", context, params->slopes, MO_DTYPE_BIT(MO_DTYPE_FLOAT32), 1, 1));
  MO_TRY(mo_check_shape(OP, "slopes", params->slopes, 1, &params->output->shape[1]));
  return mo_check_no_overlap(OP, "output", params->output, "slopes", params->slopes, false);
}

static mo_status_t check_t5(const mo_context_t *context, const mo_position_bias_params *params) {
  const mo_tensor *table = params->table;
  const uint32_t dtypes = MO_DTYPE_BIT(MO_DTYPE_FLOAT32) | MO_DTYPE_BIT(params->output->dtype);
  MO_CHECK(params->slopes == NULL, MO_STATUS_INVALID_ARGUMENT, OP ": slopes were given, T5 has a table");
  MO_TRY(mo_check_tensor(OP, "table", context, table, dtypes, 2, 2));
  const int64_t shape[2] = {table->shape[0], params->output->shape[1]};
  MO_TRY(mo_check_shape(OP, "table", table, 2, shape));
  MO_TRY(mo_check_no_overlap(OP, "output", params->output, "table", table, false));
  const int64_t sides = params->bidirectional ? 2 : 1, least = 2 * sides;
  MO_CHECK(table->shape[0] >= least && table->shape[0] <= MO_MAX_RELATIVE_BUCKETS && table->shape[0] % sides == 0,
           MO_STATUS_INVALID_ARGUMENT, OP ": %" PRId64 " buckets, %d to %d%s are possible", table->shape[0], (int)least,
           MO_MAX_RELATIVE_BUCKETS, params->bidirectional ? ", an even number," : "");
  const int64_t exact = table->shape[0] / least;
  const int64_t max_distance = params->max_distance == 0 ? 128 : params->max_distance;
  MO_CHECK(max_distance > exact && max_distance <= INT32_MAX, MO_STATUS_INVALID_ARGUMENT,
           OP ": max_distance %" PRId64 ", it must be above %" PRId64 " with this table, and fit in 31 bits", max_distance,
           exact);
  return MO_STATUS_OK;
}

static mo_status_t position_bias(mo_context_t *context, const mo_position_bias_params *given) {
  mo_position_bias_params taken = MO_POSITION_BIAS_PARAMS_INIT;
  MO_TRY(MO_TAKE_PARAMS(OP, context, MO_POSITION_BIAS_PARAMS_INIT, given, MO_SIZE_TO(mo_position_bias_params, query_offsets),
                        &taken));
  const mo_position_bias_params *params = &taken;
  const mo_tensor *output = params->output, *offsets = params->query_offsets;
  MO_TRY(mo_check_tensor(OP, "output", context, output, MO_DTYPES_FLOAT, 4, 4));
  MO_CHECK(output->shape[0] == 1, MO_STATUS_INVALID_ARGUMENT,
           OP ": output has %" PRId64 " rows, positions give one for the whole batch", output->shape[0]);
  MO_TRY(mo_check_last_stride(OP, "output", output));
  MO_TRY(mo_check_destination(OP, "output", output));
  MO_CHECK(output->shape[2] <= INT32_MAX / 4 && output->shape[3] <= INT32_MAX / 4, MO_STATUS_UNSUPPORTED,
           OP ": %" PRId64 " queries and %" PRId64 " keys, at most 2^29 - 1 of each", output->shape[2], output->shape[3]);
  MO_CHECK(params->query_offset >= 0 && params->query_offset <= INT32_MAX / 4, MO_STATUS_INVALID_ARGUMENT,
           OP ": query_offset %" PRId64 ", 0 to 2^29 - 1 are possible", params->query_offset);
  switch (params->kind) {
    case MO_POSITION_BIAS_ALIBI:
      MO_TRY(check_alibi(context, params));
      break;
    case MO_POSITION_BIAS_T5:
      MO_TRY(check_t5(context, params));
      break;
    default:
      return mo_fail(MO_STATUS_INVALID_ARGUMENT, OP ": kind %d is neither ALiBi nor T5", (int)params->kind);
  }
  if (offsets != NULL) {
    MO_TRY(mo_check_tensor(OP, "query_offsets", context, offsets, MO_DTYPES_INDEX, 1, 1));
    MO_TRY(mo_check_shape(OP, "query_offsets", offsets, 1, (const int64_t[]){1}));
    MO_TRY(mo_check_no_overlap(OP, "output", output, "query_offsets", offsets, false));
  }
  const mo_backend *backend = mo_context_backend(context);
  if (backend->position_bias == NULL) return mo_unsupported_op(OP, context);
  return backend->position_bias(context, params);
}

mo_status_t mo_position_bias(mo_context_t *context, const mo_position_bias_params *params) {
  MO_RANGE(context, "mo_position_bias", params, params->output, params->table, params->slopes);
  const mo_status_t status = position_bias(context, params);
  return context == NULL ? status : mo_context_note(context, status);
}

/* The series 2^(-8/n), 2^(-16/n), ... of n heads, n a power of two. */
static float slope_of(int64_t power, int64_t index) { return (float)exp2(-8.0 * (double)(index + 1) / (double)power); }

mo_status_t mo_alibi_slopes(int64_t head_count, float *slopes) {
  MO_CHECK(head_count >= 0 && head_count <= INT32_MAX && (slopes != NULL || head_count == 0), MO_STATUS_INVALID_ARGUMENT,
           "alibi slopes: %" PRId64 " heads, or no place for their slopes", head_count);
  int64_t power = 1;
  while (2 * power <= head_count) power *= 2;
  for (int64_t i = 0; i < head_count; i++) slopes[i] = i < power ? slope_of(power, i) : slope_of(2 * power, 2 * (i - power));
  return MO_STATUS_OK;
}
