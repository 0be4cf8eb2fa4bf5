/* host/cache/block_layer.c - a layer that lies in one block: room for tokens, entries, counting.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/block_layer.h"

#include "host/cache/block_tokens.h"
#include "host/cache/sliding.h"

#define CAPACITY_STEP 16 /* slots; a first token should not be followed by an allocation at the second */

static int64_t round_up(int64_t slots) { return (slots + CAPACITY_STEP - 1) / CAPACITY_STEP * CAPACITY_STEP; }

/* ---- Memory ---- */

bool mo_block_is_allocated(const mo_cache_t *cache, int64_t index) { return cache->layers[index]->block != NULL; }

mo_status_t mo_block_allocate(mo_cache_t *cache, int64_t index, int64_t tokens) {
  mo_cache_layer *layer = cache->layers[index];
  const bool is_static = mo_cache_kind_is_static(layer->kind);
  mo_cache_block *block = NULL;
  size_t bytes;
  int64_t capacity = mo_larger(tokens, cache->reserve);
  if (capacity <= INT64_MAX - CAPACITY_STEP) capacity = round_up(capacity);
  if (layer->kind == MO_CACHE_STATIC) capacity = cache->max_length;
  if (layer->kind == MO_CACHE_STATIC_SLIDING) capacity = layer->window < cache->max_length ? layer->window : cache->max_length;
  MO_TRY(mo_cache_block_bytes(&layer->extents, cache->batch, capacity, &bytes));
  MO_TRY(mo_cache_block_create(cache->context, bytes, &block));
  layer->capacity = capacity;
  if (is_static) {
    const mo_status_t status = mo_block_fill_zeros(cache, layer, block, cache->batch, 0, capacity);
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

void mo_block_release(mo_cache_t *cache, int64_t index) {
  mo_cache_layer *layer = cache->layers[index];
  mo_cache_block_release(layer->block);
  mo_cache_block_release(layer->staging);
  layer->block = layer->staging = NULL;
  layer->capacity = layer->start = layer->stored = layer->seen = 0;
  layer->staging_capacity = layer->staged = layer->prepared = layer->reserved = 0;
}

/* Replaces the block by one of `capacity` slots, with the layer's tokens from slot 0 on. */
static mo_status_t move_to_new_block(mo_cache_t *cache, mo_cache_layer *layer, int64_t capacity) {
  mo_cache_layer next = *layer;
  mo_tensor from[5], to[5];
  size_t bytes;
  MO_TRY(mo_cache_block_bytes(&layer->extents, layer->batch, capacity, &bytes));
  MO_TRY(mo_cache_block_create(cache->context, bytes, &next.block));
  next.capacity = capacity;
  next.start = 0;
  mo_block_tokens(cache, layer, layer->start, layer->stored, from);
  mo_block_tokens(cache, &next, 0, layer->stored, to);
  const mo_status_t status = mo_block_move_tokens(cache, from, to, NULL);
  if (status != MO_STATUS_OK) {
    mo_cache_block_release(next.block);
    return status;
  }
  next.block->written = layer->stored;
  mo_cache_block_release(layer->block);
  *layer = next;
  return MO_STATUS_OK;
}

/* Moves the tokens to the front of their own block; the two ranges of slots do not overlap. */
static mo_status_t move_to_front(mo_cache_t *cache, mo_cache_layer *layer) {
  mo_tensor from[5], to[5];
  mo_block_tokens(cache, layer, layer->start, layer->stored, from);
  mo_block_tokens(cache, layer, 0, layer->stored, to);
  MO_TRY(mo_block_move_tokens(cache, from, to, NULL));
  layer->start = 0;
  layer->block->written = layer->stored;
  return MO_STATUS_OK;
}

/* Room for `count` tokens after those held; the layer holds what it held. */
static mo_status_t make_room(mo_cache_t *cache, mo_cache_layer *layer, int64_t count) {
  const bool sliding = layer->kind == MO_CACHE_SLIDING, shared = mo_cache_block_is_shared(layer->block);
  const int64_t end = layer->start + layer->stored;
  int64_t needed, ample = INT64_MAX / 2;
  MO_CHECK(mo_checked_add(layer->stored, count, &needed) && needed <= INT64_MAX / 4, MO_STATUS_OUT_OF_MEMORY,
           "cache: %" PRId64 " tokens after %" PRId64 " are too many", count, layer->stored);
  /* Two windows are enough for a sliding layer: it then moves its tokens once per window. After a long prompt its block shrinks
   * to that again. */
  if (sliding && layer->window < INT64_MAX / 8) ample = mo_larger(2 * layer->window + count, layer->reserved);
  const bool oversized = layer->capacity / 2 > ample + CAPACITY_STEP;
  const bool writable = !shared || end >= layer->block->written;
  if (count <= layer->capacity - end && writable && !oversized) return MO_STATUS_OK;
  if (needed <= layer->capacity && !shared && layer->start >= layer->stored && !oversized) return move_to_front(cache, layer);
  int64_t capacity = oversized ? ample : layer->capacity;
  const bool too_small = needed > layer->capacity || (writable && !oversized);
  if (too_small) capacity = mo_larger(needed, layer->capacity + layer->capacity / 2);
  return move_to_new_block(cache, layer, round_up(capacity));
}

static mo_status_t reserve_layer(mo_cache_t *cache, mo_cache_layer *layer, int64_t count) {
  switch (layer->kind) {
    case MO_CACHE_STATIC:
      MO_CHECK(count <= layer->capacity - layer->stored, MO_STATUS_INDEX_ERROR,
               "cache reserve: %" PRId64 " tokens after %" PRId64 ", a static layer has %" PRId64 " slots", count,
               layer->stored, layer->capacity);
      return MO_STATUS_OK;
    case MO_CACHE_STATIC_SLIDING:
      if (count <= layer->capacity - layer->stored) return MO_STATUS_OK;
      MO_CHECK(count <= INT64_MAX / 4, MO_STATUS_OUT_OF_MEMORY, "cache reserve: %" PRId64 " tokens are too many", count);
      MO_TRY(mo_sliding_reserve(cache, layer, layer->capacity + count));
      layer->reserved = layer->staging_capacity;
      return MO_STATUS_OK;
    default:
      MO_TRY(make_room(cache, layer, count));
      layer->reserved = layer->capacity;
      return MO_STATUS_OK;
  }
}

mo_status_t mo_block_reserve(mo_cache_t *cache, int64_t count) {
  MO_CHECK(cache->kind != MO_CACHE_STATIC || count <= cache->max_length, MO_STATUS_INDEX_ERROR,
           "cache reserve: %" PRId64 " tokens, a static cache has %" PRId64 " slots", count, cache->max_length);
  for (int64_t i = 0; i < cache->layer_count; i++) {
    mo_cache_layer *layer = cache->layers[i];
    if (layer->block == NULL) {
      if (cache->batch < 0 || !mo_cache_extents_known(&layer->extents)) continue;
      MO_TRY(mo_block_allocate(cache, i, count));
    }
    MO_TRY(reserve_layer(cache, layer, count));
  }
  if (count > cache->reserve) cache->reserve = count;
  return MO_STATUS_OK;
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
  mo_block_tokens(cache, layer, layer->start, layer->capacity - layer->start, tensors);
  *entry = (mo_cache_entry){.view = mo_cache_view_of(tensors), .token_count = count};
  entry->length = mo_cache_kind_is_static(layer->kind) ? layer->capacity : count;
  narrow(&entry->key, &tensors[0], entry->length);
  narrow(&entry->value, &tensors[1], entry->length);
}

mo_status_t mo_block_read(mo_cache_t *cache, int64_t index, mo_cache_entry *entry) {
  mo_cache_layer *layer = cache->layers[index];
  if (layer->block != NULL) fill_entry(cache, layer, layer->stored, layer->read_tensors, entry);
  else *entry = (mo_cache_entry){.length = 0};
  return MO_STATUS_OK;
}

/* ---- Prepare and commit ---- */

mo_status_t mo_block_prepare(mo_cache_t *cache, int64_t index, int64_t count, mo_cache_entry *entry, int64_t *slot) {
  mo_cache_layer *layer = cache->layers[index];
  if (mo_cache_kind_is_static(layer->kind)) {
    const bool fits = count <= layer->capacity - layer->stored;
    MO_CHECK(fits || layer->kind == MO_CACHE_STATIC_SLIDING, MO_STATUS_INDEX_ERROR,
             "cache update: %" PRId64 " tokens after %" PRId64 ", a static layer has %" PRId64 " slots", count, layer->stored,
             layer->capacity);
    if (!fits) return mo_sliding_prepare(cache, layer, count, entry, slot);
  } else {
    MO_TRY(make_room(cache, layer, count));
  }
  fill_entry(cache, layer, layer->stored + count, layer->prepared_tensors, entry);
  *slot = layer->stored;
  layer->prepared = count;
  layer->staged = 0;
  layer->block->written = mo_larger(layer->block->written, layer->start + layer->stored + count);
  return MO_STATUS_OK;
}

void mo_block_cancel(mo_cache_t *cache, int64_t index) { cache->layers[index]->prepared = cache->layers[index]->staged = 0; }

mo_status_t mo_block_check_commit(const mo_cache_t *cache, int64_t index, int64_t count) {
  const mo_cache_layer *layer = cache->layers[index];
  const int64_t room = layer->capacity - layer->start - layer->stored;
  if (layer->staged > 0 || (count > room && layer->kind == MO_CACHE_STATIC_SLIDING)) {
    const bool counts_replays = layer->staged == 0 && layer->stored == layer->capacity;
    MO_CHECK(count == layer->prepared || counts_replays, MO_STATUS_WRONG_STATE,
             "cache commit: %" PRId64 " tokens past the end of a static sliding layer, %" PRId64 " were prepared", count,
             layer->prepared);
    return MO_STATUS_OK;
  }
  MO_CHECK(count <= room, MO_STATUS_WRONG_STATE, "cache commit: %" PRId64 " tokens, there is room for %" PRId64, count, room);
  return MO_STATUS_OK;
}

/* A sliding layer keeps the last window - 1 tokens: the next one makes the window full. */
static void drop_old_tokens(mo_cache_layer *layer) {
  if (layer->kind != MO_CACHE_SLIDING || layer->stored <= layer->window - 1) return;
  layer->start += layer->stored - (layer->window - 1);
  layer->stored = layer->window - 1;
}

mo_status_t mo_block_commit(mo_cache_t *cache, int64_t index, int64_t count, mo_cache_entry *entry) {
  mo_cache_layer *layer = cache->layers[index];
  const bool back_in_place = layer->staged == layer->capacity; /* all that the entry shows is in the block afterwards */
  if (layer->staged > 0) MO_TRY(mo_sliding_commit(cache, layer));
  if (layer->staged > 0 || count > layer->capacity - layer->stored) layer->stored = layer->capacity;
  else layer->stored += count;
  layer->seen += count;
  layer->prepared = layer->staged = 0;
  layer->block->written = mo_larger(layer->block->written, layer->start + layer->stored);
  drop_old_tokens(layer);
  return entry != NULL && back_in_place ? mo_block_read(cache, index, entry) : MO_STATUS_OK;
}
