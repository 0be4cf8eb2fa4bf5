/* host/ops/attention.c - front door of attention: every rule of the header is checked here, then the backend runs.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/attention.h"

#include <math.h>

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

#define OP "attention"

static mo_status_t check_sources(const mo_context_t *context, const mo_attention_params *params) {
  const mo_tensor *query = params->query, *key = params->key, *value = params->value;
  MO_TRY(mo_check_tensor(OP, "query", context, query, MO_DTYPES_FLOAT, 4, 4));
  MO_TRY(mo_check_tensor(OP, "key", context, key, MO_DTYPES_FLOAT, 4, 4));
  MO_TRY(mo_check_tensor(OP, "value", context, value, MO_DTYPES_FLOAT, 4, 4));
  MO_CHECK(key->dtype == query->dtype && value->dtype == query->dtype, MO_STATUS_INVALID_ARGUMENT,
           OP ": query, key and value have dtypes %s, %s and %s, not one", mo_dtype_name(query->dtype),
           mo_dtype_name(key->dtype), mo_dtype_name(value->dtype));
  const int64_t heads = query->shape[1], kv_heads = key->shape[1], head_dim = query->shape[3];
  MO_CHECK(kv_heads > 0 ? heads % kv_heads == 0 : heads == 0, MO_STATUS_INVALID_ARGUMENT,
           OP ": %lld query heads are not a multiple of %lld key/value heads", (long long)heads, (long long)kv_heads);
  MO_CHECK(head_dim > 0, MO_STATUS_INVALID_ARGUMENT, OP ": head dim 0, at least 1 is needed");
  MO_TRY(mo_check_shape(OP, "key", key, 4, (int64_t[]){query->shape[0], kv_heads, key->shape[2], head_dim}));
  MO_TRY(mo_check_shape(OP, "value", value, 4, (int64_t[]){query->shape[0], kv_heads, key->shape[2], value->shape[3]}));
  MO_TRY(mo_check_last_stride(OP, "query", query));
  MO_TRY(mo_check_last_stride(OP, "key", key));
  return mo_check_last_stride(OP, "value", value);
}

static mo_status_t check_masks(const mo_context_t *context, const mo_attention_params *params) {
  const mo_tensor *query = params->query;
  const int64_t scores[4] = {query->shape[0], query->shape[1], query->shape[2], params->key->shape[2]};
  if (params->mask != NULL) {
    MO_TRY(mo_check_tensor(OP, "mask", context, params->mask, MO_DTYPES_MASK, 4, 4));
    MO_TRY(mo_check_broadcast(OP, "mask", params->mask, 4, scores));
  }
  if (params->bias != NULL) {
    const uint32_t dtypes = MO_DTYPE_BIT(MO_DTYPE_FLOAT32) | MO_DTYPE_BIT(query->dtype);
    MO_TRY(mo_check_tensor(OP, "bias", context, params->bias, dtypes, 4, 4));
    MO_TRY(mo_check_broadcast(OP, "bias", params->bias, 4, scores));
  }
  if (params->key_lengths != NULL) {
    MO_TRY(mo_check_tensor(OP, "key_lengths", context, params->key_lengths, MO_DTYPES_INDEX, 1, 1));
    MO_TRY(mo_check_shape(OP, "key_lengths", params->key_lengths, 1, scores));
  }
  MO_CHECK(params->sliding_window >= 0, MO_STATUS_INVALID_ARGUMENT, OP ": sliding window %lld is below 0",
           (long long)params->sliding_window);
  MO_CHECK(isfinite(params->scale), MO_STATUS_INVALID_ARGUMENT, OP ": scale %g is not finite", (double)params->scale);
  MO_CHECK(isfinite(params->soft_cap) && params->soft_cap >= 0.0f, MO_STATUS_INVALID_ARGUMENT,
           OP ": soft cap %g is neither 0 nor a positive number", (double)params->soft_cap);
  return MO_STATUS_OK;
}

static mo_status_t check_weights(const mo_context_t *context, const mo_attention_params *params) {
  const int64_t batch = params->query->shape[0], heads = params->query->shape[1], rows = params->query->shape[2];
  const mo_weights_reduction_t reduction = params->weights_reduction;
  MO_CHECK(reduction == MO_WEIGHTS_REDUCTION_NONE || reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN ||
               reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM,
           MO_STATUS_INVALID_ARGUMENT, OP ": weights reduction %d is not a known one", (int)reduction);
  MO_TRY(mo_check_index_list(OP, "weight_heads", params->weight_heads, heads, NULL));
  MO_CHECK(params->weight_last_rows >= 0 && params->weight_last_rows <= rows, MO_STATUS_INVALID_ARGUMENT,
           OP ": the last %lld rows of %lld are asked for", (long long)params->weight_last_rows, (long long)rows);
  const int64_t selected_heads = params->weight_heads.count > 0 ? params->weight_heads.count : heads;
  const int64_t selected_rows = params->weight_last_rows > 0 ? params->weight_last_rows : rows;
  const int64_t shape[4] = {batch, reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN ? 1 : selected_heads,
                            reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM ? 1 : selected_rows, params->key->shape[2]};
  MO_TRY(mo_check_tensor(OP, "weights", context, params->weights, MO_DTYPES_FLOAT, 4, 4));
  MO_TRY(mo_check_shape(OP, "weights", params->weights, 4, shape));
  MO_TRY(mo_check_last_stride(OP, "weights", params->weights));
  return mo_check_destination(OP, "weights", params->weights);
}

static mo_status_t check_output(const mo_context_t *context, const mo_attention_params *params) {
  const mo_tensor *query = params->query;
  const int64_t shape[4] = {query->shape[0], query->shape[1], query->shape[2], params->value->shape[3]};
  MO_TRY(mo_check_tensor(OP, "output", context, params->output, MO_DTYPES_FLOAT, 4, 4));
  MO_CHECK(params->output->dtype == query->dtype, MO_STATUS_INVALID_ARGUMENT, OP ": output has dtype %s, query %s",
           mo_dtype_name(params->output->dtype), mo_dtype_name(query->dtype));
  MO_TRY(mo_check_shape(OP, "output", params->output, 4, shape));
  MO_TRY(mo_check_last_stride(OP, "output", params->output));
  MO_TRY(mo_check_destination(OP, "output", params->output));
  if (params->log_sum_exp == NULL) return MO_STATUS_OK;
  MO_TRY(mo_check_tensor(OP, "log_sum_exp", context, params->log_sum_exp, MO_DTYPE_BIT(MO_DTYPE_FLOAT32), 3, 3));
  MO_TRY(mo_check_shape(OP, "log_sum_exp", params->log_sum_exp, 3, shape));
  return mo_check_destination(OP, "log_sum_exp", params->log_sum_exp);
}

static mo_status_t check_overlaps(const mo_attention_params *params) {
  const struct {
    const char *name;
    const mo_tensor *tensor;
  } tensors[] = {{"output", params->output}, {"weights", params->weights}, {"log_sum_exp", params->log_sum_exp},
                 {"query", params->query},   {"key", params->key},         {"value", params->value},
                 {"mask", params->mask},     {"bias", params->bias},       {"key_lengths", params->key_lengths}};
  const int destinations = 3, count = (int)(sizeof tensors / sizeof *tensors);
  for (int i = 0; i < destinations; ++i) {
    for (int j = i + 1; j < count; ++j) {
      MO_TRY(mo_check_no_overlap(OP, tensors[i].name, tensors[i].tensor, tensors[j].name, tensors[j].tensor, false));
    }
  }
  return MO_STATUS_OK;
}

static mo_status_t attention(mo_context_t *context, const mo_attention_params *params) {
  MO_TRY(mo_check_params(OP, context, params, params == NULL ? 0 : params->struct_size, sizeof *params));
  MO_TRY(check_sources(context, params));
  MO_TRY(check_output(context, params));
  MO_TRY(check_masks(context, params));
  if (params->weights != NULL) MO_TRY(check_weights(context, params));
  MO_TRY(check_overlaps(params));
  const mo_backend *backend = mo_context_backend(context);
  if (backend->attention == NULL) return mo_unsupported_op(OP, context);
  return backend->attention(context, params);
}

mo_status_t mo_attention(mo_context_t *context, const mo_attention_params *params) {
  MO_RANGE(context, "mo_attention", params, params->query, params->key, params->value, params->weights);
  const mo_status_t status = attention(context, params);
  return context == NULL ? status : mo_context_note(context, status);
}
