/* host/ops/attention_check.h - what the front doors of attention and of decode attention check alike.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_OPS_ATTENTION_CHECK_H
#define MO_OPS_ATTENTION_CHECK_H

#include "host/ops/check.h"
#include "modelout/request.h"

/* Extents of the scores: batch entries (or sequences), query heads, query rows, keys. */
typedef struct mo_score_extents {
  int64_t batch, heads, rows, keys;
} mo_score_extents;

/* mask and bias (each may be NULL), and the numbers of a call. */
mo_status_t mo_check_score_rules(const char *op, const mo_context_t *context, const mo_score_extents *extents,
                                 mo_dtype_t query_dtype, const mo_tensor *mask, const mo_tensor *bias, int64_t sliding_window,
                                 float scale, float soft_cap);

/* The tensor that takes the weights, and which of them. */
mo_status_t mo_check_weights(const char *op, const mo_context_t *context, const mo_score_extents *extents,
                             const mo_tensor *weights, mo_weights_reduction_t reduction, mo_index_list heads,
                             int64_t last_rows);

/* log_sum_exp, which may be NULL, has the leading three extents of query. */
mo_status_t mo_check_log_sum_exp(const char *op, const mo_context_t *context, const mo_tensor *log_sum_exp,
                                 const mo_tensor *query);

#endif
