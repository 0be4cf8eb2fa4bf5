/* host/ops/attention.c - front door of attention: every rule of the header is checked here, then the backend runs.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/attention.h"

#include <inttypes.h>
#include <stddef.h>

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/attention_check.h"
#include "host/ops/kv_view.h"
#include "host/rules/attention_shape.h"

#define OP "attention"

/* What callers compiled before variable lengths and caches were added pass. */
#define FIRST_STRUCT_SIZE offsetof(mo_attention_params, cumulative_query_lengths)

static mo_status_t check_key_and_value(const mo_context_t *context, const mo_attention_params *params) {
  const mo_tensor *query = params->query, *key = params->key, *value = params->value;
  MO_TRY(mo_check_tensor(OP, "key", context, key, MO_DTYPES_FLOAT, 4, 4));
  MO_TRY(mo_check_tensor(OP, "value", context, value, MO_DTYPES_FLOAT, 4, 4));
  MO_CHECK(key->dtype == query->dtype && value->dtype == query->dtype, MO_STATUS_INVALID_ARGUMENT,
           OP ": query, key and value have dtypes %s, %s and %s, not one", mo_dtype_name(query->dtype),
           mo_dtype_name(key->dtype), mo_dtype_name(value->dtype));
  MO_TRY(mo_check_last_stride(OP, "key", key));
  return mo_check_last_stride(OP, "value", value);
}

static mo_status_t check_cache(const mo_context_t *context, const mo_attention_params *params) {
  mo_kv_shape stored;
  MO_CHECK(params->key == NULL && params->value == NULL, MO_STATUS_INVALID_ARGUMENT,
           OP ": key or value was given along with a cache");
  MO_CHECK(params->cumulative_key_lengths == NULL, MO_STATUS_INVALID_ARGUMENT,
           OP ": cumulative_key_lengths was given along with a cache, whose rows have key_lengths");
  MO_TRY(mo_check_kv_view(OP, context, params->cache, &stored));
  MO_CHECK(stored.dtype == params->query->dtype || stored.quantised, MO_STATUS_INVALID_ARGUMENT,
           OP ": the cache is stored as %s, query has dtype %s", mo_dtype_name(stored.dtype),
           mo_dtype_name(params->query->dtype));
  return MO_STATUS_OK;
}

/* `count` int32 next to each other, if they were given. */
static mo_status_t check_per_sequence(const mo_context_t *context, const char *name, const mo_tensor *tensor, int64_t count) {
  if (tensor == NULL) return MO_STATUS_OK;
  MO_TRY(mo_check_tensor(OP, name, context, tensor, MO_DTYPE_BIT(MO_DTYPE_INT32), 1, 1));
  MO_TRY(mo_check_last_stride(OP, name, tensor));
  return mo_check_shape(OP, name, tensor, 1, &count);
}

/* Cumulative lengths and bounds, before a shape can be made of them. */
static mo_status_t check_lengths(const mo_context_t *context, const mo_attention_params *params) {
  const mo_tensor *const cumulative[2] = {params->cumulative_query_lengths, params->cumulative_key_lengths};
  const char *const names[2] = {"cumulative_query_lengths", "cumulative_key_lengths"};
  for (int i = 0; i < 2; ++i) {
    if (cumulative[i] == NULL) continue;
    MO_TRY(check_per_sequence(context, names[i], cumulative[i], cumulative[i]->shape[0]));
    MO_CHECK(cumulative[i]->shape[0] > 0, MO_STATUS_INVALID_ARGUMENT, OP ": %s is empty, even no sequence has one number",
             names[i]);
    const mo_tensor *packed = i == 0 ? params->query : params->key;
    MO_CHECK(packed->shape[0] == 1, MO_STATUS_INVALID_ARGUMENT, OP ": %s was given, and %s has batch %" PRId64 ", not 1",
             names[i], i == 0 ? "query" : "key", packed->shape[0]);
    MO_CHECK(packed->shape[2] <= INT32_MAX, MO_STATUS_INVALID_ARGUMENT, OP ": %" PRId64 " packed tokens, past what %s can say",
             packed->shape[2], names[i]);
  }
  MO_CHECK(params->max_query_length >= 0 && params->max_key_length >= 0, MO_STATUS_INVALID_ARGUMENT,
           OP ": max_query_length %" PRId64 " or max_key_length %" PRId64 " is below 0", params->max_query_length,
           params->max_key_length);
  return MO_STATUS_OK;
}

/* A bound may be above what is there where tokens are packed (one bound for calls of different sizes), never above what a
 * cache can hold, and has nothing to say where all sequences are alike. */
static mo_status_t check_bounds(const mo_attention_params *params, const mo_attention_shape *shape) {
  const int64_t tokens = params->query->shape[2], slots = shape->key->shape[2];
  const mo_tensor *table = params->cache == NULL ? NULL : params->cache->block_table;
  const int64_t capacity = table == NULL ? slots : table->shape[1] * slots;
  const bool packed_queries = params->cumulative_query_lengths != NULL, packed_keys = params->cumulative_key_lengths != NULL;
  const int64_t query_limit = packed_queries ? INT32_MAX : tokens, key_limit = packed_keys ? INT32_MAX : capacity;
  MO_CHECK(
      shape->rows <= query_limit && (packed_queries || params->max_query_length == 0 || params->max_query_length == tokens),
      MO_STATUS_INVALID_ARGUMENT, OP ": max_query_length %" PRId64 " of %" PRId64 " queries", params->max_query_length, tokens);
  const bool varies = packed_keys || params->cache != NULL;
  MO_CHECK(shape->keys <= key_limit && (varies || params->max_key_length == 0 || params->max_key_length == capacity),
           MO_STATUS_INVALID_ARGUMENT, OP ": max_key_length %" PRId64 " of %" PRId64 " keys", params->max_key_length, capacity);
  return MO_STATUS_OK;
}

static mo_status_t check_sources(const mo_context_t *context, const mo_attention_params *params, mo_attention_shape *shape) {
  const mo_tensor *query = params->query;
  MO_TRY(mo_check_tensor(OP, "query", context, query, MO_DTYPES_FLOAT, 4, 4));
  MO_TRY(mo_check_last_stride(OP, "query", query));
  MO_TRY(params->cache != NULL ? check_cache(context, params) : check_key_and_value(context, params));
  MO_TRY(check_lengths(context, params));
  *shape = mo_attention_shape_of(params);
  const int64_t heads = shape->heads, kv_heads = shape->key_value_heads;
  MO_CHECK(kv_heads > 0 ? heads % kv_heads == 0 : heads == 0, MO_STATUS_INVALID_ARGUMENT,
           OP ": %lld query heads are not a multiple of %lld key/value heads", (long long)heads, (long long)kv_heads);
  MO_CHECK(shape->head_dim > 0, MO_STATUS_INVALID_ARGUMENT, OP ": head dim 0, at least 1 is needed");
  const mo_tensor *key = shape->key, *value = shape->value;
  const bool paged = params->cache != NULL && params->cache->block_table != NULL;
  const int64_t key_batch = params->cumulative_key_lengths != NULL ? 1 : paged ? key->shape[0] : shape->sequences;
  MO_TRY(mo_check_shape(OP, "key", key, 4, (int64_t[]){key_batch, kv_heads, key->shape[2], shape->head_dim}));
  MO_TRY(mo_check_shape(OP, "value", value, 4, (int64_t[]){key_batch, kv_heads, key->shape[2], shape->value_dim}));
  if (paged) {
    const int64_t table[2] = {shape->sequences, params->cache->block_table->shape[1]};
    MO_TRY(mo_check_shape(OP, "block_table", params->cache->block_table, 2, table));
  }
  MO_TRY(check_bounds(params, shape));
  if (params->cumulative_key_lengths != NULL)
    MO_TRY(check_per_sequence(context, "cumulative_key_lengths", params->cumulative_key_lengths, shape->sequences + 1));
  return check_per_sequence(context, "causal_offsets", params->causal_offsets, shape->sequences);
}

static mo_status_t check_scores(const mo_context_t *context, const mo_attention_params *params,
                                const mo_attention_shape *shape) {
  const mo_score_extents extents = {shape->sequences, shape->heads, shape->rows, shape->keys};
  MO_TRY(mo_check_score_rules(OP, context, &extents, params->query->dtype, params->mask, params->bias, params->sliding_window,
                              params->scale, params->soft_cap));
  if (params->key_lengths != NULL) {
    MO_TRY(mo_check_tensor(OP, "key_lengths", context, params->key_lengths, MO_DTYPES_INDEX, 1, 1));
    MO_TRY(mo_check_shape(OP, "key_lengths", params->key_lengths, 1, &shape->sequences));
  }
  if (params->weights == NULL) return MO_STATUS_OK;
  return mo_check_weights(OP, context, &extents, params->weights, params->weights_reduction, params->weight_heads,
                          params->weight_last_rows);
}

static mo_status_t check_output(const mo_context_t *context, const mo_attention_params *params,
                                const mo_attention_shape *call) {
  const mo_tensor *query = params->query;
  const int64_t shape[4] = {query->shape[0], query->shape[1], query->shape[2], call->value_dim};
  MO_TRY(mo_check_tensor(OP, "output", context, params->output, MO_DTYPES_FLOAT, 4, 4));
  MO_CHECK(params->output->dtype == query->dtype, MO_STATUS_INVALID_ARGUMENT, OP ": output has dtype %s, query %s",
           mo_dtype_name(params->output->dtype), mo_dtype_name(query->dtype));
  MO_TRY(mo_check_shape(OP, "output", params->output, 4, shape));
  MO_TRY(mo_check_last_stride(OP, "output", params->output));
  MO_TRY(mo_check_destination(OP, "output", params->output));
  return mo_check_log_sum_exp(OP, context, params->log_sum_exp, query);
}

static mo_status_t check_overlaps(const mo_attention_params *params) {
  const mo_kv_view no_cache = {.key = NULL}, *cache = params->cache == NULL ? &no_cache : params->cache;
  const struct {
    const char *name;
    const mo_tensor *tensor;
  } tensors[] = {{"output", params->output},
                 {"weights", params->weights},
                 {"log_sum_exp", params->log_sum_exp},
                 {"query", params->query},
                 {"key", params->key},
                 {"value", params->value},
                 {"mask", params->mask},
                 {"bias", params->bias},
                 {"key_lengths", params->key_lengths},
                 {"cumulative_query_lengths", params->cumulative_query_lengths},
                 {"cumulative_key_lengths", params->cumulative_key_lengths},
                 {"causal_offsets", params->causal_offsets},
                 {"cache key", cache->key},
                 {"cache value", cache->value},
                 {"key_scale", cache->key_scale},
                 {"value_scale", cache->value_scale},
                 {"block_table", cache->block_table}};
  const int destinations = 3, count = (int)(sizeof tensors / sizeof *tensors);
  for (int i = 0; i < destinations; ++i) {
    for (int j = i + 1; j < count; ++j) {
      MO_TRY(mo_check_no_overlap(OP, tensors[i].name, tensors[i].tensor, tensors[j].name, tensors[j].tensor, false));
    }
  }
  return MO_STATUS_OK;
}

static mo_status_t attention(mo_context_t *context, const mo_attention_params *given) {
  mo_attention_params taken = MO_ATTENTION_PARAMS_INIT;
  MO_TRY(MO_TAKE_PARAMS(OP, context, MO_ATTENTION_PARAMS_INIT, given, FIRST_STRUCT_SIZE, &taken));
  const mo_attention_params *params = &taken;
  mo_attention_shape shape;
  MO_TRY(check_sources(context, params, &shape));
  MO_TRY(check_output(context, params, &shape));
  MO_TRY(check_scores(context, params, &shape));
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
