/* host/cpu/kv_update.c - cache update and cache gather, one head of one token at a time.
 *
 * A head that is neither turned nor quantised is copied as it is.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <omp.h>
#include <string.h>

#include "host/core/checked_math.h"
#include "host/cpu/kv_head.h"

/* A row of floats per thread. */
static mo_status_t reserve_rows(mo_context_t *context, const mo_kv_view *view, int64_t *size, float **rows) {
  void *memory = NULL;
  int64_t bytes;
  *size = view->key->shape[3] > view->value->shape[3] ? view->key->shape[3] : view->value->shape[3];
  MO_CHECK(mo_checked_mul(*size, (int64_t)sizeof(float) * mo_context_thread_count(context), &bytes), MO_STATUS_OUT_OF_MEMORY,
           "cache update: heads of %" PRId64 " elements need more scratch memory than can be addressed", *size);
  MO_TRY(mo_context_scratch(context, (size_t)bytes, &memory));
  *rows = memory;
  return MO_STATUS_OK;
}

/* ---- Update ---- */

static int64_t first_slot(const mo_kv_update_params *params, int64_t row) {
  const mo_tensor *offsets = params->offsets;
  return offsets == NULL ? params->offset : ((const int32_t *)offsets->data)[row * offsets->strides[0]];
}

static int64_t token_count(const mo_kv_update_params *params, int64_t row) {
  const mo_tensor *counts = params->counts;
  return counts == NULL ? params->layers[0].key->shape[2] : ((const int32_t *)counts->data)[row * counts->strides[0]];
}

static int64_t position_of(const mo_kv_update_params *params, int64_t row, int64_t token) {
  const mo_tensor *ids = params->position_ids;
  if (ids == NULL) return first_slot(params, row) + token;
  const int64_t at = (ids->shape[0] == 1 ? 0 : row * ids->strides[0]) + token * ids->strides[1];
  return ids->dtype == MO_DTYPE_INT64 ? ((const int64_t *)ids->data)[at] : ((const int32_t *)ids->data)[at];
}

static mo_status_t check_rows(const mo_kv_update_params *params) {
  const mo_tensor *key = params->layers[0].key;
  const int64_t capacity = mo_kv_capacity(&params->layers[0].cache), length = key->shape[2];
  for (int64_t row = 0; row < key->shape[0]; row++) {
    const int64_t count = token_count(params, row), first = first_slot(params, row);
    MO_CHECK(count >= 0 && count <= length, MO_STATUS_INVALID_ARGUMENT,
             "cache update: counts holds %" PRId64 " (row %" PRId64 "), there are %" PRId64 " new tokens", count, row, length);
    MO_CHECK(first >= 0 && first <= capacity && count <= capacity - first, MO_STATUS_INVALID_ARGUMENT,
             "cache update: %" PRId64 " tokens from slot %" PRId64 " on (row %" PRId64 "), the cache has %" PRId64 " slots",
             count, first, row, capacity);
    for (int64_t token = 0; params->rotary != NULL && token < count; token++) {
      const int64_t position = position_of(params, row, token), positions = params->rotary->cosine->shape[0];
      MO_CHECK(position >= 0 && position < positions, MO_STATUS_INVALID_ARGUMENT,
               "cache update: position %" PRId64 " (row %" PRId64 ", token %" PRId64 "), outside the tables' range 0..%" PRId64,
               position, row, token, positions - 1);
    }
  }
  return MO_STATUS_OK;
}

mo_status_t mo_cpu_kv_update(mo_context_t *context, const mo_kv_update_params *params) {
  const mo_tensor *shape = params->layers[0].key;
  const int64_t batch = shape->shape[0], heads = shape->shape[1], length = shape->shape[2];
  const int64_t rows = params->layer_count * batch * heads * length;
  int64_t size;
  float *scratch;
  int failed = 0;
  MO_TRY(check_rows(params));
  MO_TRY(reserve_rows(context, &params->layers[0].cache, &size, &scratch));
#pragma omp parallel for num_threads(mo_context_thread_count(context)) schedule(static) reduction(| : failed)
  for (int64_t index = 0; index < rows; index++) {
    const int64_t token = index % length, head = index / length % heads, row = index / length / heads % batch;
    const mo_kv_update_layer *layer = &params->layers[index / length / heads / batch];
    if (token >= token_count(params, row)) continue;
    const mo_kv_place to = mo_kv_find_place(&layer->cache, row, first_slot(params, row) + token);
    if (!to.is_there) continue;
    float *const wide = scratch + omp_get_thread_num() * size;
    const int64_t position = params->rotary != NULL ? position_of(params, row, token) : 0;
    failed |= mo_kv_write_head(layer->key, layer->cache.key, layer->cache.key_scale, params->rotary, position,
                               mo_kv_address(layer->key, row, head, token), to, head, wide) != MO_STATUS_OK;
    failed |= mo_kv_write_head(layer->value, layer->cache.value, layer->cache.value_scale, NULL, 0,
                               mo_kv_address(layer->value, row, head, token), to, head, wide) != MO_STATUS_OK;
  }
  MO_CHECK(!failed, MO_STATUS_INTERNAL, "cache update: a head could not be converted from %s", mo_dtype_name(shape->dtype));
  return MO_STATUS_OK;
}

/* ---- Gather ---- */

static mo_status_t read_head(const mo_tensor *stored, const mo_tensor *scale, mo_kv_place from, int64_t head,
                             const mo_tensor *destination, const mo_tensor *destination_scale, int64_t row, int64_t token,
                             float *wide) {
  const int64_t size = stored->shape[3];
  char *to = mo_kv_address(destination, row, head, token);
  const size_t bytes = (size_t)size * mo_dtype_bytes(destination->dtype);
  const size_t scale_bytes = destination_scale == NULL ? 0 : (size_t)destination_scale->shape[3] * sizeof(float);
  if (!from.is_there) {
    memset(to, 0, bytes);
    if (destination_scale != NULL) memset(mo_kv_address(destination_scale, row, head, token), 0, scale_bytes);
    return MO_STATUS_OK;
  }
  const char *source = mo_kv_address(stored, from.block, head, from.slot);
  if (destination->dtype == stored->dtype) {
    memcpy(to, source, bytes);
    if (destination_scale != NULL)
      memcpy(mo_kv_address(destination_scale, row, head, token), mo_kv_address(scale, from.block, head, from.slot),
             scale_bytes);
    return MO_STATUS_OK;
  }
  mo_kv_dequantise(source, (const float *)mo_kv_address(scale, from.block, head, from.slot), size, scale->shape[3],
                   stored->dtype, wide);
  return mo_dtype_convert(to, destination->dtype, wide, MO_DTYPE_FLOAT32, size);
}

static int64_t source_row(const mo_kv_gather_params *params, int64_t row) {
  return params->rows == NULL ? row : ((const int32_t *)params->rows->data)[row * params->rows->strides[0]];
}

mo_status_t mo_cpu_kv_gather(mo_context_t *context, const mo_kv_gather_params *params) {
  const mo_kv_view *from = &params->source, *to = &params->destination;
  const int64_t batch = to->key->shape[0], heads = to->key->shape[1], length = to->key->shape[2];
  const int64_t source_rows = from->block_table == NULL ? from->key->shape[0] : from->block_table->shape[0];
  int64_t size;
  float *scratch;
  int failed = 0;
  for (int64_t row = 0; row < batch; row++) {
    const int64_t source = source_row(params, row);
    MO_CHECK(source >= 0 && source < source_rows, MO_STATUS_INVALID_ARGUMENT,
             "cache gather: rows holds %" PRId64 " (entry %" PRId64 "), the source has %" PRId64 " rows", source, row,
             source_rows);
  }
  MO_TRY(reserve_rows(context, to, &size, &scratch));
#pragma omp parallel for num_threads(mo_context_thread_count(context)) schedule(static) reduction(| : failed)
  for (int64_t index = 0; index < batch * heads * length; index++) {
    const int64_t token = index % length, head = index / length % heads, row = index / length / heads;
    const mo_kv_place source = mo_kv_find_place(from, source_row(params, row), params->start + token);
    float *const wide = scratch + omp_get_thread_num() * size;
    failed |= read_head(from->key, from->key_scale, source, head, to->key, to->key_scale, row, token, wide) != MO_STATUS_OK;
    failed |=
        read_head(from->value, from->value_scale, source, head, to->value, to->value_scale, row, token, wide) != MO_STATUS_OK;
  }
  MO_CHECK(!failed, MO_STATUS_INTERNAL, "cache gather: a head could not be converted to %s", mo_dtype_name(to->key->dtype));
  return MO_STATUS_OK;
}
