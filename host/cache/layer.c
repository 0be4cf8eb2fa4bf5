/* host/cache/layer.c - layers that lie in one block: room for tokens, entries, counting.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "host/cache/cache_internal.h"
#include "host/cache/paged.h"

#define CAPACITY_STEP 16 /* slots; a first token should not be followed by an allocation at the second */

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

void mo_cache_layer_tensors(const mo_cache_t *cache, const mo_cache_layer *layer, int64_t first, int64_t count,
                            mo_tensor tensors[5]) {
  mo_cache_block_tensors(&layer->extents, cache->context, layer->block, layer->batch, layer->capacity, first, count, tensors);
  memset(&tensors[4], 0, sizeof tensors[4]);
}

mo_status_t mo_cache_move(mo_cache_t *cache, const mo_tensor source[5], const mo_tensor destination[5], const mo_tensor *rows) {
  if (mo_tensor_count(&destination[0]) == 0 && mo_tensor_count(&destination[1]) == 0) return MO_STATUS_OK;
  mo_kv_gather_params params = MO_KV_GATHER_PARAMS_INIT;
  params.source = mo_cache_view_of(source);
  params.destination = mo_cache_view_of(destination);
  params.rows = rows;
  return mo_kv_gather(cache->context, &params);
}

/* ---- Zeros ---- */

static size_t zero_bytes(const mo_cache_layer *layer) {
  return (size_t)larger(layer->extents.key_size, layer->extents.value_size) * mo_dtype_bytes(layer->extents.dtype);
}

mo_status_t mo_cache_need_zeros(mo_cache_t *cache, const mo_cache_layer *layer) {
  const size_t bytes = zero_bytes(layer);
  if (bytes <= cache->zero_bytes) return MO_STATUS_OK;
  MO_TRY(mo_cache_check_not_captured(cache->context, "memory is needed"));
  void *host = mo_host_allocate(cache->context, bytes), *device = NULL;
  if (host == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_status_t status = mo_context_allocate(cache->context, bytes, &device);
  if (status == MO_STATUS_OK) status = mo_cache_upload(cache->context, device, host, bytes);
  mo_host_free(cache->context, host, bytes);
  if (status != MO_STATUS_OK) {
    mo_context_release(cache->context, device);
    return status;
  }
  mo_context_release(cache->context, cache->zeros);
  cache->zeros = device;
  cache->zero_bytes = bytes;
  return MO_STATUS_OK;
}

mo_status_t mo_cache_need_scratch(mo_cache_t *cache) {
  int64_t size = 0;
  if (mo_cache_is_capturing(cache)) return MO_STATUS_OK;
  for (int64_t i = 0; i < cache->layer_count; i++) {
    const mo_cache_extents *extents = &cache->layers[i]->extents;
    size = larger(size, larger(extents->key_size, extents->value_size));
  }
  return mo_context_reserve(cache->context, (size_t)size * sizeof(float) * (size_t)mo_context_thread_count(cache->context));
}

/* One head of zeros, written to every head of every token. */
mo_status_t mo_cache_fill_zeros(mo_cache_t *cache, const mo_cache_layer *layer, const mo_cache_block *block, int64_t batch,
                                int64_t first, int64_t count) {
  mo_tensor tensors[5] = {{.data = NULL}}, zeros[2];
  if (count == 0) return MO_STATUS_OK;
  MO_TRY(mo_cache_need_zeros(cache, layer));
  mo_cache_block_tensors(&layer->extents, cache->context, block, batch, layer->capacity, first, count, tensors);
  for (int i = 0; i < 2; i++) {
    zeros[i] = tensors[i];
    zeros[i].data = cache->zeros;
    for (int d = 0; d < 3; d++) zeros[i].strides[d] = 0;
  }
  const mo_kv_update_layer update = {.cache = mo_cache_view_of(tensors), .key = &zeros[0], .value = &zeros[1]};
  mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
  params.layers = &update;
  params.layer_count = 1;
  return mo_kv_update(cache->context, &params);
}

/* ---- Memory ---- */

mo_status_t mo_cache_layer_allocate(mo_cache_t *cache, mo_cache_layer *layer, int64_t tokens) {
  const bool is_static = mo_cache_kind_is_static(layer->kind);
  mo_cache_block *block = NULL;
  size_t bytes;
  int64_t capacity = larger(tokens, cache->reserve);
  capacity = capacity <= INT64_MAX - CAPACITY_STEP ? (capacity + CAPACITY_STEP - 1) / CAPACITY_STEP * CAPACITY_STEP : capacity;
  if (layer->kind == MO_CACHE_STATIC) capacity = cache->max_length;
  if (layer->kind == MO_CACHE_STATIC_SLIDING) capacity = layer->window < cache->max_length ? layer->window : cache->max_length;
  MO_TRY(mo_cache_block_bytes(&layer->extents, cache->batch, capacity, &bytes));
  MO_TRY(mo_cache_block_create(cache->context, bytes, &block));
  layer->capacity = capacity;
  if (is_static) {
    const mo_status_t status = mo_cache_fill_zeros(cache, layer, block, cache->batch, 0, capacity);
    if (status != MO_STATUS_OK) {
      mo_cache_block_release(block);
      return status;
    }
  }
  layer->block = block;
  layer->batch = cache->batch;
  layer->start = layer->stored = layer->seen = 0;
  return MO_STATUS_OK;
}

void mo_cache_layer_clear(mo_cache_layer *layer) {
  mo_cache_block_release(layer->block);
  mo_cache_block_release(layer->staging);
  layer->block = layer->staging = NULL;
  layer->capacity = layer->start = layer->stored = layer->seen = 0;
  layer->staging_capacity = layer->staged = layer->prepared = layer->reserved = 0;
}

void mo_cache_abandon(mo_cache_t *cache) {
  for (int64_t i = 0; i < cache->layer_count; i++) mo_cache_layer_clear(cache->layers[i]);
  if (cache->paged != NULL) mo_paged_free(cache);
  if (!cache->batch_given) cache->batch = -1;
  cache->batch_taken = false;
}

/* A block of `capacity` slots with the layer's tokens from slot 0 on takes the place of the present one. */
static mo_status_t move_to_new_block(mo_cache_t *cache, mo_cache_layer *layer, int64_t capacity) {
  mo_cache_layer next = *layer;
  mo_tensor from[5], to[5];
  size_t bytes;
  MO_TRY(mo_cache_block_bytes(&layer->extents, layer->batch, capacity, &bytes));
  MO_TRY(mo_cache_block_create(cache->context, bytes, &next.block));
  next.capacity = capacity;
  next.start = 0;
  mo_cache_layer_tensors(cache, layer, layer->start, layer->stored, from);
  mo_cache_layer_tensors(cache, &next, 0, layer->stored, to);
  const mo_status_t status = mo_cache_move(cache, from, to, NULL);
  if (status != MO_STATUS_OK) {
    mo_cache_block_release(next.block);
    return status;
  }
  next.block->written = layer->stored;
  mo_cache_block_release(layer->block);
  *layer = next;
  return MO_STATUS_OK;
}

/* Tokens to the front of their own block; where they are and where they go do not meet. */
static mo_status_t move_to_front(mo_cache_t *cache, mo_cache_layer *layer) {
  mo_tensor from[5], to[5];
  mo_cache_layer_tensors(cache, layer, layer->start, layer->stored, from);
  mo_cache_layer_tensors(cache, layer, 0, layer->stored, to);
  MO_TRY(mo_cache_move(cache, from, to, NULL));
  layer->start = 0;
  layer->block->written = layer->stored;
  return MO_STATUS_OK;
}

mo_status_t mo_cache_layer_make_room(mo_cache_t *cache, mo_cache_layer *layer, int64_t count) {
  const bool sliding = layer->kind == MO_CACHE_SLIDING, shared = mo_cache_block_is_shared(layer->block);
  const int64_t end = layer->start + layer->stored;
  int64_t needed, ample = INT64_MAX / 2;
  MO_CHECK(mo_checked_add(layer->stored, count, &needed) && needed <= INT64_MAX / 4, MO_STATUS_OUT_OF_MEMORY,
           "cache: %" PRId64 " tokens behind %" PRId64 " are too many", count, layer->stored);
  /* What a sliding layer works with: it then moves its tokens once per window. After a long prompt it comes back to that. */
  if (sliding && layer->window < INT64_MAX / 8) ample = larger(2 * layer->window + count, layer->reserved);
  const bool oversized = layer->capacity / 2 > ample + CAPACITY_STEP;
  const bool writable = !shared || end >= layer->block->written;
  if (count <= layer->capacity - end && writable && !oversized) return MO_STATUS_OK;
  if (needed <= layer->capacity && !shared && layer->start >= layer->stored && !oversized) return move_to_front(cache, layer);
  int64_t capacity = oversized ? ample : layer->capacity;
  const bool too_small = needed > layer->capacity || (writable && !oversized);
  if (too_small) capacity = larger(needed, layer->capacity + layer->capacity / 2);
  return move_to_new_block(cache, layer, (capacity + CAPACITY_STEP - 1) / CAPACITY_STEP * CAPACITY_STEP);
}

mo_status_t mo_cache_layer_reserve(mo_cache_t *cache, mo_cache_layer *layer, int64_t count) {
  switch (layer->kind) {
    case MO_CACHE_STATIC:
      MO_CHECK(count <= layer->capacity - layer->stored, MO_STATUS_INDEX_ERROR,
               "cache reserve: %" PRId64 " tokens behind %" PRId64 ", a static layer has %" PRId64 " slots", count,
               layer->stored, layer->capacity);
      return MO_STATUS_OK;
    case MO_CACHE_STATIC_SLIDING:
      if (count <= layer->capacity - layer->stored) return MO_STATUS_OK;
      MO_CHECK(count <= INT64_MAX / 4, MO_STATUS_OUT_OF_MEMORY, "cache reserve: %" PRId64 " tokens are too many", count);
      MO_TRY(mo_cache_staging_reserve(cache, layer, layer->capacity + count));
      layer->reserved = layer->staging_capacity;
      return MO_STATUS_OK;
    default:
      MO_TRY(mo_cache_layer_make_room(cache, layer, count));
      layer->reserved = layer->capacity;
      return MO_STATUS_OK;
  }
}

/* ---- Entries ---- */

static void narrow(mo_tensor *tensor, const mo_tensor *whole, int64_t length) {
  *tensor = *whole;
  if (mo_dtype_is_float(whole->dtype)) tensor->shape[2] = length;
  else tensor->dtype = MO_DTYPE_NONE; /* codes mean nothing without their scales */
}

/* The entry for `count` tokens held in the layer's block, over `tensors` of the layer. */
static void fill_entry(const mo_cache_t *cache, const mo_cache_layer *layer, int64_t count, mo_tensor tensors[5],
                       mo_cache_entry *entry) {
  mo_cache_layer_tensors(cache, layer, layer->start, layer->capacity - layer->start, tensors);
  *entry = (mo_cache_entry){.view = mo_cache_view_of(tensors), .token_count = count};
  entry->length = mo_cache_kind_is_static(layer->kind) ? layer->capacity : count;
  narrow(&entry->key, &tensors[0], entry->length);
  narrow(&entry->value, &tensors[1], entry->length);
}

void mo_cache_layer_read(const mo_cache_t *cache, mo_cache_layer *layer, mo_cache_entry *entry) {
  if (layer->block != NULL) fill_entry(cache, layer, layer->stored, layer->read_tensors, entry);
  else *entry = (mo_cache_entry){.length = 0};
}

/* ---- Prepare and commit ---- */

mo_status_t mo_cache_layer_prepare(mo_cache_t *cache, mo_cache_layer *layer, int64_t count, mo_cache_entry *entry,
                                   int64_t *slot) {
  if (mo_cache_kind_is_static(layer->kind)) {
    const bool fits = count <= layer->capacity - layer->stored;
    MO_CHECK(fits || layer->kind == MO_CACHE_STATIC_SLIDING, MO_STATUS_INDEX_ERROR,
             "cache update: %" PRId64 " tokens behind %" PRId64 ", a static layer has %" PRId64 " slots", count, layer->stored,
             layer->capacity);
    if (!fits) return mo_cache_staged_prepare(cache, layer, count, entry, slot);
  } else {
    MO_TRY(mo_cache_layer_make_room(cache, layer, count));
  }
  fill_entry(cache, layer, layer->stored + count, layer->prepared_tensors, entry);
  *slot = layer->stored;
  layer->prepared = count;
  layer->staged = 0;
  layer->block->written = larger(layer->block->written, layer->start + layer->stored + count);
  return MO_STATUS_OK;
}

mo_status_t mo_cache_layer_check_commit(const mo_cache_t *cache, const mo_cache_layer *layer, int64_t count) {
  (void)cache;
  const bool fits = count <= layer->capacity - layer->start - layer->stored;
  if (layer->staged > 0 || (!fits && layer->kind == MO_CACHE_STATIC_SLIDING)) {
    const bool counts_replays = layer->staged == 0 && layer->stored == layer->capacity;
    MO_CHECK(count == layer->prepared || counts_replays, MO_STATUS_WRONG_STATE,
             "cache commit: %" PRId64 " tokens past the end of a static sliding layer, %" PRId64 " were prepared", count,
             layer->prepared);
    return MO_STATUS_OK;
  }
  MO_CHECK(fits, MO_STATUS_WRONG_STATE, "cache commit: %" PRId64 " tokens, there is room for %" PRId64, count,
           layer->capacity - layer->start - layer->stored);
  return MO_STATUS_OK;
}

mo_status_t mo_cache_layer_commit(mo_cache_t *cache, mo_cache_layer *layer, int64_t count) {
  if (layer->staged > 0) MO_TRY(mo_cache_staged_commit(cache, layer));
  if (layer->staged > 0 || count > layer->capacity - layer->stored) layer->stored = layer->capacity;
  else layer->stored += count;
  layer->seen += count;
  layer->prepared = layer->staged = 0;
  layer->block->written = larger(layer->block->written, layer->start + layer->stored);
  if (layer->kind == MO_CACHE_SLIDING && layer->stored > layer->window - 1) {
    layer->start += layer->stored - (layer->window - 1);
    layer->stored = layer->window - 1;
  }
  return MO_STATUS_OK;
}
