/* host/ops/decode_attention.c - front door of decode attention: every rule of the header is checked here, then the backend
 * runs.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/decode_attention.h"

#include <inttypes.h>

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/attention_check.h"
#include "host/ops/kv_view.h"
#include "host/rules/decode_call.h"

#define OP "decode attention"

static mo_status_t check_heads(const char *name, const mo_context_t *context, const mo_tensor *tensor, uint32_t dtypes) {
  MO_TRY(mo_check_tensor(OP, name, context, tensor, dtypes, 4, 4));
  return mo_check_last_stride(OP, name, tensor);
}

static mo_status_t check_sources(const mo_context_t *context, const mo_decode_attention_params *params,
                                 const mo_kv_shape *cache) {
  const mo_tensor *query = params->query, *key = params->key, *value = params->value;
  MO_TRY(check_heads("query", context, query, MO_DTYPES_FLOAT));
  MO_CHECK(cache->quantised || cache->dtype == query->dtype, MO_STATUS_INVALID_ARGUMENT,
           OP ": the cache holds %s, query has dtype %s", mo_dtype_name(cache->dtype), mo_dtype_name(query->dtype));
  const int64_t batch = query->shape[0], heads = query->shape[1], tokens = query->shape[2], head_dim = query->shape[3];
  MO_CHECK(tokens <= MO_DECODE_ATTENTION_MAX_TOKENS, MO_STATUS_UNSUPPORTED,
           OP ": %" PRId64 " new tokens, 1 to %d are supported", tokens, MO_DECODE_ATTENTION_MAX_TOKENS);
  MO_CHECK(batch == cache->batch, MO_STATUS_INVALID_ARGUMENT, OP ": query has %" PRId64 " rows, the cache %" PRId64, batch,
           cache->batch);
  MO_CHECK(cache->heads > 0 ? heads % cache->heads == 0 : heads == 0, MO_STATUS_INVALID_ARGUMENT,
           OP ": %" PRId64 " query heads are not a multiple of %" PRId64 " key/value heads", heads, cache->heads);
  MO_CHECK(head_dim > 0, MO_STATUS_INVALID_ARGUMENT, OP ": head dim 0, at least 1 is needed");
  MO_CHECK(head_dim == cache->key_size, MO_STATUS_INVALID_ARGUMENT,
           OP ": query has head dim %" PRId64 ", the keys of the cache %" PRId64, head_dim, cache->key_size);
  MO_CHECK((key == NULL) == (value == NULL), MO_STATUS_INVALID_ARGUMENT, OP ": %s without %s", key == NULL ? "value" : "key",
           key == NULL ? "key" : "value");
  if (key == NULL) return MO_STATUS_OK;
  MO_TRY(check_heads("key", context, key, MO_DTYPE_BIT(query->dtype)));
  MO_TRY(check_heads("value", context, value, MO_DTYPE_BIT(query->dtype)));
  MO_TRY(mo_check_shape(OP, "key", key, 4, (const int64_t[]){batch, cache->heads, tokens, cache->key_size}));
  return mo_check_shape(OP, "value", value, 4, (const int64_t[]){batch, cache->heads, tokens, cache->value_size});
}

/* One int32 per row. */
static mo_status_t check_per_row(const mo_context_t *context, const char *name, const mo_tensor *tensor, int64_t batch) {
  if (tensor == NULL) return MO_STATUS_OK;
  MO_TRY(mo_check_tensor(OP, name, context, tensor, MO_DTYPE_BIT(MO_DTYPE_INT32), 1, 1));
  return mo_check_shape(OP, name, tensor, 1, &batch);
}

static mo_status_t check_lengths(const mo_context_t *context, const mo_decode_attention_params *params,
                                 const mo_kv_shape *cache) {
  const int64_t appended = params->key != NULL ? params->query->shape[2] : 0;
  MO_TRY(check_per_row(context, "lengths", params->lengths, cache->batch));
  MO_TRY(check_per_row(context, "key_starts", params->key_starts, cache->batch));
  MO_CHECK(params->max_key_length >= 0 && params->max_key_length <= cache->capacity, MO_STATUS_INVALID_ARGUMENT,
           OP ": max_key_length is %" PRId64 ", the cache has %" PRId64 " slots", params->max_key_length, cache->capacity);
  if (params->lengths != NULL) return MO_STATUS_OK;
  MO_CHECK(params->length >= 0 && params->length <= cache->capacity - appended, MO_STATUS_INVALID_ARGUMENT,
           OP ": %" PRId64 " new tokens after %" PRId64 ", the cache has %" PRId64 " slots", appended, params->length,
           cache->capacity);
  MO_CHECK(params->max_key_length == 0 || params->length + appended <= params->max_key_length, MO_STATUS_INVALID_ARGUMENT,
           OP ": %" PRId64 " new tokens after %" PRId64 ", max_key_length is %" PRId64, appended, params->length,
           params->max_key_length);
  return MO_STATUS_OK;
}

/* Positions are looked at with or without rotary tables: what is written must not lie in them. */
static mo_status_t check_rotary(const mo_context_t *context, const mo_decode_attention_params *params) {
  const mo_rotary *rotary = params->rotary;
  const mo_tensor *ids = params->position_ids;
  const int64_t batch = params->query->shape[0], tokens = params->query->shape[2];
  if (rotary != NULL) MO_TRY(mo_check_rotary(OP, context, rotary, params->query->shape[3]));
  if (ids != NULL) {
    MO_TRY(mo_check_tensor(OP, "position_ids", context, ids, MO_DTYPES_INDEX, 2, 2));
    return mo_check_shape(OP, "position_ids", ids, 2, (const int64_t[]){ids->shape[0] == 1 ? 1 : batch, tokens});
  }
  if (rotary == NULL) return MO_STATUS_OK;
  MO_CHECK(params->key != NULL, MO_STATUS_INVALID_ARGUMENT,
           OP ": rotary without new keys needs position_ids, no slot says where the queries stand");
  MO_CHECK(params->lengths != NULL || tokens == 0 || params->length + tokens <= rotary->cosine->shape[0],
           MO_STATUS_INVALID_ARGUMENT,
           OP ": %" PRId64 " tokens from slot %" PRId64 " on, the tables have %" PRId64 " positions", tokens, params->length,
           rotary->cosine->shape[0]);
  return MO_STATUS_OK;
}

static mo_status_t check_scores(const mo_context_t *context, const mo_decode_attention_params *params) {
  const mo_tensor *query = params->query;
  const mo_score_extents extents = {query->shape[0], query->shape[1], query->shape[2], mo_decode_key_limit(params)};
  MO_TRY(mo_check_score_rules(OP, context, &extents, query->dtype, params->mask, params->bias, params->sliding_window,
                              params->scale, params->soft_cap));
  if (params->weights == NULL) return MO_STATUS_OK;
  return mo_check_weights(OP, context, &extents, params->weights, params->weights_reduction, params->weight_heads,
                          params->weight_last_rows);
}

static mo_status_t check_output(const mo_context_t *context, const mo_decode_attention_params *params,
                                const mo_kv_shape *cache) {
  const mo_tensor *query = params->query;
  const int64_t shape[4] = {query->shape[0], query->shape[1], query->shape[2], cache->value_size};
  MO_TRY(check_heads("output", context, params->output, MO_DTYPE_BIT(query->dtype)));
  MO_TRY(mo_check_shape(OP, "output", params->output, 4, shape));
  MO_TRY(mo_check_destination(OP, "output", params->output));
  return mo_check_log_sum_exp(OP, context, params->log_sum_exp, query);
}

/* Nothing that is written shares memory with anything else; the cache is written if tokens are appended. */
static mo_status_t check_overlaps(const mo_decode_attention_params *params) {
  const mo_kv_view *cache = &params->cache;
  const mo_tensor *cosine = params->rotary != NULL ? params->rotary->cosine : NULL;
  const mo_tensor *sine = params->rotary != NULL ? params->rotary->sine : NULL;
  const struct {
    const char *name;
    const mo_tensor *tensor;
  } tensors[] = {{"output", params->output},
                 {"weights", params->weights},
                 {"log_sum_exp", params->log_sum_exp},
                 {"query", params->query},
                 {"key", params->key},
                 {"value", params->value},
                 {"position_ids", params->position_ids},
                 {"lengths", params->lengths},
                 {"key_starts", params->key_starts},
                 {"mask", params->mask},
                 {"bias", params->bias},
                 {"cosine", cosine},
                 {"sine", sine}};
  const int destinations = 3, count = (int)(sizeof tensors / sizeof *tensors);
  for (int i = 0; i < destinations; ++i) {
    for (int j = i + 1; j < count; ++j) {
      MO_TRY(mo_check_no_overlap(OP, tensors[i].name, tensors[i].tensor, tensors[j].name, tensors[j].tensor, false));
    }
    for (int j = 0; j < 5; ++j) {
      MO_TRY(
          mo_check_no_overlap(OP, tensors[i].name, tensors[i].tensor, mo_kv_view_names[j], mo_kv_view_tensor(cache, j), false));
    }
  }
  for (int j = destinations; params->key != NULL && j < count; ++j) {
    MO_TRY(mo_check_kv_written(OP, cache, tensors[j].name, tensors[j].tensor));
  }
  return MO_STATUS_OK;
}

static mo_status_t decode_attention(mo_context_t *context, const mo_decode_attention_params *given) {
  mo_kv_shape cache;
  mo_decode_attention_params taken = MO_DECODE_ATTENTION_PARAMS_INIT;
  MO_TRY(MO_TAKE_PARAMS(OP, context, MO_DECODE_ATTENTION_PARAMS_INIT, given,
                        MO_SIZE_TO(mo_decode_attention_params, weight_last_rows), &taken));
  const mo_decode_attention_params *params = &taken;
  MO_TRY(mo_check_kv_view(OP, context, &params->cache, &cache));
  MO_TRY(check_sources(context, params, &cache));
  MO_TRY(check_output(context, params, &cache));
  MO_TRY(check_lengths(context, params, &cache));
  MO_TRY(check_rotary(context, params));
  MO_TRY(check_scores(context, params));
  MO_TRY(check_overlaps(params));
  const mo_backend *backend = mo_context_backend(context);
  if (backend->decode_attention == NULL) return mo_unsupported_op(OP, context);
  return backend->decode_attention(context, params);
}

mo_status_t mo_decode_attention(mo_context_t *context, const mo_decode_attention_params *params) {
  MO_RANGE(context, "mo_decode_attention", params, params->query, params->cache.key, params->weights);
  const mo_status_t status = decode_attention(context, params);
  return context == NULL ? status : mo_context_note(context, status);
}
