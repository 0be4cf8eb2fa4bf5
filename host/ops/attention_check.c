/* host/ops/attention_check.c - what the front doors of attention and of decode attention check alike.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/ops/attention_check.h"

#include <inttypes.h>
#include <math.h>

mo_status_t mo_check_score_rules(const char *op, const mo_context_t *context, const mo_score_extents *extents,
                                 mo_dtype_t query_dtype, const mo_tensor *mask, const mo_tensor *bias, int64_t sliding_window,
                                 float scale, float soft_cap) {
  const int64_t scores[4] = {extents->batch, extents->heads, extents->rows, extents->keys};
  if (mask != NULL) {
    MO_TRY(mo_check_tensor(op, "mask", context, mask, MO_DTYPES_MASK, 4, 4));
    MO_TRY(mo_check_broadcast(op, "mask", mask, 4, scores));
  }
  if (bias != NULL) {
    MO_TRY(mo_check_tensor(op, "bias", context, bias, MO_DTYPE_BIT(MO_DTYPE_FLOAT32) | MO_DTYPE_BIT(query_dtype), 4, 4));
    MO_TRY(mo_check_broadcast(op, "bias", bias, 4, scores));
  }
  MO_CHECK(sliding_window >= 0, MO_STATUS_INVALID_ARGUMENT, "%s: sliding window %" PRId64 " is below 0", op, sliding_window);
  MO_CHECK(isfinite(scale), MO_STATUS_INVALID_ARGUMENT, "%s: scale %g is not finite", op, (double)scale);
  MO_CHECK(isfinite(soft_cap) && soft_cap >= 0.0f, MO_STATUS_INVALID_ARGUMENT,
           "%s: soft cap %g is neither 0 nor a positive number", op, (double)soft_cap);
  return MO_STATUS_OK;
}

mo_status_t mo_check_weights(const char *op, const mo_context_t *context, const mo_score_extents *extents,
                             const mo_tensor *weights, mo_weights_reduction_t reduction, mo_index_list heads,
                             int64_t last_rows) {
  MO_CHECK(reduction == MO_WEIGHTS_REDUCTION_NONE || reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN ||
               reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM,
           MO_STATUS_INVALID_ARGUMENT, "%s: weights reduction %d is not a known one", op, (int)reduction);
  MO_TRY(mo_check_index_list(op, "weight_heads", heads, extents->heads, NULL));
  MO_CHECK(last_rows >= 0 && last_rows <= extents->rows, MO_STATUS_INVALID_ARGUMENT,
           "%s: the last %" PRId64 " rows of %" PRId64 " are asked for", op, last_rows, extents->rows);
  const int64_t selected_heads = heads.count > 0 ? heads.count : extents->heads;
  const int64_t selected_rows = last_rows > 0 ? last_rows : extents->rows;
  const int64_t shape[4] = {extents->batch, reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN ? 1 : selected_heads,
                            reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM ? 1 : selected_rows, extents->keys};
  MO_TRY(mo_check_tensor(op, "weights", context, weights, MO_DTYPES_FLOAT, 4, 4));
  MO_TRY(mo_check_shape(op, "weights", weights, 4, shape));
  MO_TRY(mo_check_last_stride(op, "weights", weights));
  return mo_check_destination(op, "weights", weights);
}

mo_status_t mo_check_log_sum_exp(const char *op, const mo_context_t *context, const mo_tensor *log_sum_exp,
                                 const mo_tensor *query) {
  if (log_sum_exp == NULL) return MO_STATUS_OK;
  MO_TRY(mo_check_tensor(op, "log_sum_exp", context, log_sum_exp, MO_DTYPE_BIT(MO_DTYPE_FLOAT32), 3, 3));
  MO_TRY(mo_check_shape(op, "log_sum_exp", log_sum_exp, 3, query->shape));
  return mo_check_destination(op, "log_sum_exp", log_sum_exp);
}
