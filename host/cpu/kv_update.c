/* host/cpu/kv_update.c - cache update and cache gather, one head of one token at a time.
 *
 * A head that is neither turned nor quantised is copied as it is.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/core/checked_math.h"
#include "host/core/parallel.h"
#include "host/cpu/cpu_ops.h"
#include "host/cpu/kv_head.h"
#include "host/cpu/rotary.h"

/* A token of a decode step is copied in less time than threads take to meet. */
#define PARALLEL_ELEMENTS 16384

static int32_t thread_count(const mo_context_t *context, int64_t rows, int64_t size) {
  return rows < PARALLEL_ELEMENTS && rows * size < PARALLEL_ELEMENTS ? 1 : mo_context_thread_count(context);
}

/* Elements of the larger head. */
static int64_t head_size(const mo_kv_view *view) {
  return view->key->shape[3] > view->value->shape[3] ? view->key->shape[3] : view->value->shape[3];
}

/* A row of floats per thread. */
static mo_status_t reserve_rows(mo_context_t *context, int64_t size, float **rows) {
  void *memory = NULL;
  int64_t bytes;
  MO_CHECK(mo_checked_mul(size, (int64_t)sizeof(float) * mo_context_thread_count(context), &bytes), MO_STATUS_OUT_OF_MEMORY,
           "cache update: heads of %" PRId64 " elements need more scratch memory than can be addressed", size);
  MO_TRY(mo_context_scratch(context, (size_t)bytes, &memory));
  *rows = memory;
  return MO_STATUS_OK;
}

/* ---- Update ---- */

/* What is written: a new token `token` of the sources becomes token `slot` of `row`. */
typedef struct new_token {
  int64_t row, slot, position;
  bool is_written;
} new_token;

static int64_t first_slot(const mo_kv_update_params *params, int64_t row) {
  const mo_tensor *offsets = params->offsets;
  return offsets == NULL ? params->offset : ((const int32_t *)offsets->data)[row * offsets->strides[0]];
}

/* New tokens of a row, and the first of them along the token dimension of the sources. */
static int64_t token_count(const mo_kv_update_params *params, int64_t row, int64_t *first) {
  const mo_tensor *counts = params->counts, *cumulative = params->cumulative_lengths;
  *first = 0;
  if (cumulative != NULL) {
    const int32_t *ends = cumulative->data;
    *first = ends[row];
    return (int64_t)ends[row + 1] - ends[row];
  }
  return counts == NULL ? params->layers[0].key->shape[2] : ((const int32_t *)counts->data)[row * counts->strides[0]];
}

static int64_t position_of(const mo_kv_update_params *params, int64_t row, int64_t token, int64_t slot) {
  const mo_tensor *ids = params->position_ids;
  return ids == NULL ? slot : mo_position_id(ids, row, token);
}

/* `source_row` and `token` count along the sources' first and third dimension. */
static new_token find_token(const mo_kv_update_params *params, int64_t rows, int64_t source_row, int64_t token) {
  new_token found = {.row = source_row};
  if (params->cumulative_lengths != NULL) { /* the last row that begins at or before the token */
    const int32_t *ends = params->cumulative_lengths->data;
    int64_t low = 0, high = rows;
    while (high - low > 1) {
      const int64_t middle = low + (high - low) / 2;
      if (ends[middle] <= token) low = middle;
      else high = middle;
    }
    found.row = low;
    if (rows == 0) return found;
  }
  int64_t first = 0;
  const int64_t count = token_count(params, found.row, &first);
  found.is_written = token >= first && token < first + count;
  found.slot = first_slot(params, found.row) + token - first;
  found.position = params->rotary != NULL && found.is_written ? position_of(params, found.row, token, found.slot) : 0;
  return found;
}

static int64_t row_count(const mo_kv_view *view) {
  return view->block_table == NULL ? view->key->shape[0] : view->block_table->shape[0];
}

/* The pages that tokens `first` .. `end` - 1 of a row go to. Layers mostly share one table, which is looked at once. */
static mo_status_t check_pages(const mo_kv_update_params *params, int64_t row, int64_t first, int64_t end) {
  const mo_tensor *seen = NULL;
  for (int32_t i = 0; i < params->layer_count; i++) {
    const mo_kv_view *cache = &params->layers[i].cache;
    const mo_tensor *table = cache->block_table;
    if (table == NULL || (seen != NULL && table->data == seen->data && table->strides[0] == seen->strides[0])) continue;
    MO_TRY(mo_kv_check_pages("cache update", cache, row, first, end));
    seen = table;
  }
  return MO_STATUS_OK;
}

static mo_kv_row_use use_of_row(const void *params, int64_t row) {
  int64_t begin;
  const int64_t count = token_count(params, row, &begin), first = first_slot(params, row);
  return (mo_kv_row_use){.first = first, .end = first + count};
}

/* Of rows whose pages are good. */
static mo_status_t check_pages_apart(const mo_kv_update_params *params) {
  const mo_tensor *seen = NULL;
  for (int32_t i = 0; i < params->layer_count; i++) {
    const mo_kv_view *cache = &params->layers[i].cache;
    const mo_tensor *table = cache->block_table;
    if (table == NULL || (seen != NULL && table->data == seen->data && table->strides[0] == seen->strides[0])) continue;
    MO_TRY(mo_kv_check_written_once("cache update", cache, use_of_row, params));
    seen = table;
  }
  return MO_STATUS_OK;
}

static mo_status_t check_rows(const mo_kv_update_params *params) {
  const mo_tensor *key = params->layers[0].key;
  const int64_t capacity = mo_kv_capacity(&params->layers[0].cache), length = key->shape[2];
  for (int64_t row = 0; row < row_count(&params->layers[0].cache); row++) {
    int64_t begin = 0;
    const int64_t count = token_count(params, row, &begin), first = first_slot(params, row);
    MO_CHECK(params->cumulative_lengths == NULL || (begin >= 0 && count >= 0 && count <= length - begin),
             MO_STATUS_INVALID_ARGUMENT,
             "cache update: cumulative_lengths goes from %" PRId64 " to %" PRId64 " (row %" PRId64
             "), it must not fall nor leave 0..%" PRId64,
             begin, begin + count, row, length);
    MO_CHECK(count >= 0 && count <= length, MO_STATUS_INVALID_ARGUMENT,
             "cache update: counts holds %" PRId64 " (row %" PRId64 "), there are %" PRId64 " new tokens", count, row, length);
    MO_CHECK(first >= 0 && first <= capacity && count <= capacity - first, MO_STATUS_INVALID_ARGUMENT,
             "cache update: %" PRId64 " tokens from slot %" PRId64 " on (row %" PRId64 "), the cache has %" PRId64 " slots",
             count, first, row, capacity);
    MO_TRY(check_pages(params, row, first, first + count));
    for (int64_t token = begin; params->rotary != NULL && token < begin + count; token++) {
      const int64_t position = position_of(params, row, token, first + token - begin);
      const int64_t positions = params->rotary->cosine->shape[0];
      MO_CHECK(position >= 0 && position < positions, MO_STATUS_INVALID_ARGUMENT,
               "cache update: position %" PRId64 " (row %" PRId64 ", token %" PRId64 "), outside the tables' range 0..%" PRId64,
               position, row, token - begin, positions - 1);
    }
  }
  return MO_STATUS_OK;
}

typedef struct update_job {
  const mo_kv_update_params *params;
  float *scratch; /* a head per thread */
  int64_t size;   /* of that head */
} update_job;

/* `index` counts layers, source rows, heads and tokens, the last ones fastest. */
static void write_heads(const void *argument, int64_t begin, int64_t end, int32_t slot) {
  const update_job *job = argument;
  const mo_kv_update_params *params = job->params;
  const mo_tensor *shape = params->layers[0].key;
  const int64_t batch = shape->shape[0], heads = shape->shape[1], length = shape->shape[2];
  float *const wide = job->scratch + slot * job->size;
  for (int64_t index = begin; index < end; index++) {
    const int64_t token = index % length, head = index / length % heads, source_row = index / length / heads % batch;
    const mo_kv_update_layer *layer = &params->layers[index / length / heads / batch];
    const new_token new = find_token(params, row_count(&layer->cache), source_row, token);
    if (!new.is_written) continue;
    const mo_kv_place to = mo_kv_find_place(&layer->cache, new.row, new.slot);
    if (!to.is_there) continue;
    mo_kv_write_head(layer->key, layer->cache.key, layer->cache.key_scale, params->rotary, new.position,
                     mo_kv_address(layer->key, source_row, head, token), to, head, wide);
    mo_kv_write_head(layer->value, layer->cache.value, layer->cache.value_scale, NULL, 0,
                     mo_kv_address(layer->value, source_row, head, token), to, head, wide);
  }
}

mo_status_t mo_cpu_kv_update(mo_context_t *context, const mo_kv_update_params *params) {
  const mo_tensor *shape = params->layers[0].key;
  const int64_t rows = params->layer_count * shape->shape[0] * shape->shape[1] * shape->shape[2];
  const int64_t size = head_size(&params->layers[0].cache);
  float *scratch;
  MO_TRY(check_rows(params));
  MO_TRY(check_pages_apart(params));
  MO_TRY(reserve_rows(context, size, &scratch));
  mo_parallel_for(thread_count(context, rows, size), rows, 0, write_heads,
                  &(update_job){.params = params, .scratch = scratch, .size = size});
  return MO_STATUS_OK;
}

/* ---- Gather ---- */

static void read_head(const mo_tensor *stored, const mo_tensor *scale, mo_kv_place from, int64_t head,
                      const mo_tensor *destination, const mo_tensor *destination_scale, int64_t row, int64_t token) {
  const int64_t size = stored->shape[3];
  if (size == 0) return;
  char *to = mo_kv_address(destination, row, head, token);
  const size_t bytes = (size_t)size * mo_dtype_bytes(destination->dtype);
  const size_t scale_bytes = destination_scale == NULL ? 0 : (size_t)destination_scale->shape[3] * sizeof(float);
  if (!from.is_there) {
    memset(to, 0, bytes);
    if (destination_scale != NULL) memset(mo_kv_address(destination_scale, row, head, token), 0, scale_bytes);
    return;
  }
  const char *source = mo_kv_address(stored, from.block, head, from.slot);
  if (destination->dtype == stored->dtype) {
    memcpy(to, source, bytes);
    if (destination_scale != NULL)
      memcpy(mo_kv_address(destination_scale, row, head, token), mo_kv_address(scale, from.block, head, from.slot),
             scale_bytes);
    return;
  }
  const mo_kv_head_job job = {
      .size = size, .groups = scale->shape[3], .source_dtype = destination->dtype, .stored_dtype = stored->dtype};
  MO_CPU_SELECT(mo_kv_load_head)
  (&job, source, (const float *)(const void *)mo_kv_address(scale, from.block, head, from.slot), to);
}

static int64_t source_row(const mo_kv_gather_params *params, int64_t row) {
  return params->rows == NULL ? row : ((const int32_t *)params->rows->data)[row * params->rows->strides[0]];
}

static void gather_heads(const void *argument, int64_t begin, int64_t end, int32_t slot) {
  const mo_kv_gather_params *params = argument;
  const mo_kv_view *from = &params->source, *to = &params->destination;
  const int64_t heads = to->key->shape[1], length = to->key->shape[2];
  (void)slot;
  for (int64_t index = begin; index < end; index++) {
    const int64_t token = index % length, head = index / length % heads, row = index / length / heads;
    const mo_kv_place source = mo_kv_find_place(from, source_row(params, row), params->start + token);
    read_head(from->key, from->key_scale, source, head, to->key, to->key_scale, row, token);
    read_head(from->value, from->value_scale, source, head, to->value, to->value_scale, row, token);
  }
}

mo_status_t mo_cpu_kv_gather(mo_context_t *context, const mo_kv_gather_params *params) {
  const mo_kv_view *from = &params->source, *to = &params->destination;
  const int64_t batch = to->key->shape[0], length = to->key->shape[2], rows = batch * to->key->shape[1] * length;
  const int64_t source_rows = from->block_table == NULL ? from->key->shape[0] : from->block_table->shape[0];
  for (int64_t row = 0; row < batch; row++) {
    const int64_t source = source_row(params, row);
    MO_CHECK(source >= 0 && source < source_rows, MO_STATUS_INVALID_ARGUMENT,
             "cache gather: rows holds %" PRId64 " (entry %" PRId64 "), the source has %" PRId64 " rows", source, row,
             source_rows);
    MO_TRY(mo_kv_check_pages("cache gather", from, source, params->start, params->start + length));
  }
  mo_parallel_for(thread_count(context, rows, head_size(to)), rows, 0, gather_heads, params);
  return MO_STATUS_OK;
}
