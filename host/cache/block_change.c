/* host/cache/block_change.c - changes of all layers in blocks: crop, copy, rows.
 *
 * A CHANGE OF ROWS. Begin allocates all that is needed, end only moves tokens, so that a full device leaves the cache as it
 * was. A layer gathers its new rows into a spare block and then either
 *
 *   keeps its address   (static, or keeps_addresses, and the number of rows stays): the rows are copied back, and the spare
 *                       block is spare again
 *   takes the block     its old block is the next layer's spare one, if it is large enough and nobody else holds it
 *
 * so that where the number of rows stays one spare block serves all layers.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/block_change.h"

#include "host/cache/block_tokens.h"

/* ---- Crop ---- */

static bool has_dropped(const mo_cache_layer *layer) { return layer->seen > layer->stored; }

mo_status_t mo_block_begin_crop(mo_cache_t *cache, int64_t count) {
  for (int64_t i = 0; i < cache->layer_count; i++) {
    const mo_cache_layer *layer = cache->layers[i];
    MO_CHECK(!has_dropped(layer) || count == 0 || count >= layer->seen, MO_STATUS_WRONG_STATE,
             "cache crop: layer %" PRId64 " has dropped tokens that a sequence %" PRId64 " shorter would need (%" PRId64
             " seen, the last %" PRId64 " held)",
             i, count, layer->seen, layer->stored);
    if (layer->block != NULL && mo_cache_kind_is_static(layer->kind)) MO_TRY(mo_block_need_zeros(cache, layer));
  }
  return mo_cache_kind_is_static(cache->kind) ? mo_block_need_scratch(cache) : MO_STATUS_OK;
}

static mo_status_t crop_layer(mo_cache_t *cache, mo_cache_layer *layer, int64_t count) {
  const int64_t kept = count < layer->seen ? layer->stored - count : 0, removed = layer->stored - kept;
  if (layer->block == NULL || count == 0) return MO_STATUS_OK;
  if (mo_cache_kind_is_static(layer->kind))
    MO_TRY(mo_block_fill_zeros(cache, layer, layer->block, layer->batch, kept, removed));
  layer->seen = kept;
  layer->stored = kept;
  layer->prepared = layer->staged = 0;
  if (kept == 0 && !mo_cache_block_is_shared(layer->block)) layer->start = 0;
  return MO_STATUS_OK;
}

mo_status_t mo_block_crop(mo_cache_t *cache, int64_t count) {
  for (int64_t i = 0; i < cache->layer_count; i++) MO_TRY(crop_layer(cache, cache->layers[i], count));
  return MO_STATUS_OK;
}

/* ---- Copy ---- */

static mo_status_t copy_static_block(mo_cache_t *cache, mo_cache_layer *layer) {
  mo_cache_block *block = NULL;
  mo_cache_layer source = *layer;
  mo_tensor from[5], to[5];
  MO_TRY(mo_cache_block_create(cache->context, source.block->bytes, &block));
  mo_block_tokens(cache, &source, 0, source.capacity, from);
  source.block = block;
  mo_block_tokens(cache, &source, 0, source.capacity, to);
  const mo_status_t status = mo_block_move_tokens(cache, from, to, NULL);
  if (status == MO_STATUS_OK) layer->block = block;
  else mo_cache_block_release(block);
  return status;
}

/* The layer as a copy has it: the same block, or a static layer's content in one of its own. */
static mo_status_t copy_layer(mo_cache_t *copy, const mo_cache_layer *source, mo_cache_layer *layer) {
  *layer = *source;
  layer->staging = NULL;
  layer->staging_capacity = layer->staged = layer->prepared = 0;
  if (source->block == NULL) return MO_STATUS_OK;
  if (!mo_cache_kind_is_static(source->kind)) {
    mo_cache_block_retain(layer->block);
    return MO_STATUS_OK;
  }
  const mo_status_t status = copy_static_block(copy, layer);
  if (status != MO_STATUS_OK) {
    layer->block = NULL;
    layer->capacity = layer->start = layer->stored = layer->seen = 0;
  }
  return status;
}

mo_status_t mo_block_copy(const mo_cache_t *cache, mo_cache_t *copy) {
  copy->reserve = cache->reserve;
  for (int64_t i = 0; i < cache->layer_count; i++) MO_TRY(copy_layer(copy, cache->layers[i], copy->layers[i]));
  return MO_STATUS_OK;
}

/* ---- Rows ---- */

typedef struct rows_change {
  mo_cache_t *cache;
  int64_t count;           /* rows afterwards */
  mo_tensor rows;          /* (count) int32 on the device */
  mo_cache_block **blocks; /* spare ones */
  int64_t block_count, block_capacity;
  size_t block_bytes; /* what a spare one has at least */
} rows_change;

void mo_block_drop_rows(mo_cache_t *cache, void *given) {
  mo_context_t *context = cache->context;
  rows_change *change = given;
  while (change->block_count > 0) mo_cache_block_release(change->blocks[--change->block_count]);
  mo_host_free(context, change->blocks, (size_t)change->block_capacity * sizeof *change->blocks);
  mo_context_release(context, change->rows.data);
  mo_host_free(context, change, sizeof *change);
}

static mo_status_t upload_rows(rows_change *change, const int64_t *rows) {
  mo_context_t *context = change->cache->context;
  const size_t bytes = (size_t)change->count * sizeof(int32_t);
  void *device = NULL;
  int32_t *host = mo_host_allocate(context, bytes);
  if (host == NULL) return MO_STATUS_OUT_OF_MEMORY;
  for (int64_t i = 0; i < change->count; i++) host[i] = (int32_t)rows[i];
  mo_status_t status = mo_context_allocate(context, bytes, &device);
  if (status == MO_STATUS_OK) status = mo_cache_upload(context, device, host, bytes);
  mo_host_free(context, host, bytes);
  change->rows = (mo_tensor){.data = device};
  MO_TRY(status);
  return mo_tensor_init(&change->rows, device, MO_DTYPE_INT32, mo_context_device(context), 1, &change->count);
}

static bool is_in_place(const rows_change *change, const mo_cache_layer *layer) {
  const bool keeps = change->cache->keeps_addresses && !mo_cache_block_is_shared(layer->block);
  return (mo_cache_kind_is_static(layer->kind) || keeps) && layer->batch == change->count;
}

/* True if the layer's present block can serve the layers after it, once it was gathered from. */
static bool leaves_spare(const rows_change *change, const mo_cache_layer *layer) {
  return is_in_place(change, layer) || (!mo_cache_block_is_shared(layer->block) && layer->block->bytes >= change->block_bytes);
}

static mo_status_t allocate_blocks(rows_change *change) {
  mo_cache_t *cache = change->cache;
  int64_t needed = 0;
  bool spare = false;
  for (int64_t i = 0; i < cache->layer_count; i++) {
    const mo_cache_layer *layer = cache->layers[i];
    size_t bytes;
    if (layer->block == NULL) continue;
    MO_TRY(mo_cache_block_bytes(&layer->extents, change->count, layer->capacity, &bytes));
    if (bytes > change->block_bytes) change->block_bytes = bytes;
    if (mo_cache_kind_is_static(layer->kind)) MO_TRY(mo_block_need_zeros(cache, layer));
  }
  for (int64_t i = 0; i < cache->layer_count; i++) {
    if (cache->layers[i]->block == NULL) continue;
    if (!spare) needed++;
    spare = leaves_spare(change, cache->layers[i]);
  }
  change->block_capacity = needed + 1;
  change->blocks = mo_host_allocate(cache->context, (size_t)change->block_capacity * sizeof *change->blocks);
  if (change->blocks == NULL) return MO_STATUS_OUT_OF_MEMORY;
  for (int64_t i = 0; i < needed; i++) {
    MO_TRY(mo_cache_block_create(cache->context, change->block_bytes, &change->blocks[i]));
    change->block_count++;
  }
  return MO_STATUS_OK;
}

mo_status_t mo_block_begin_rows(mo_cache_t *cache, const int64_t *rows, int64_t count, void **change) {
  MO_TRY(mo_cache_check_not_captured(cache->context, "rows are changed"));
  MO_TRY(mo_block_need_scratch(cache));
  rows_change *made = mo_host_allocate(cache->context, sizeof *made);
  if (made == NULL) return MO_STATUS_OUT_OF_MEMORY;
  *made = (rows_change){.cache = cache, .count = count};
  mo_status_t status = upload_rows(made, rows);
  if (status == MO_STATUS_OK) status = allocate_blocks(made);
  if (status == MO_STATUS_OK) *change = made;
  else mo_block_drop_rows(cache, made);
  return status;
}

/* The layer's tokens go to a spare block; a layer that stays in its memory takes them back. */
static mo_status_t change_layer(rows_change *change, mo_cache_layer *layer) {
  mo_cache_t *cache = change->cache;
  mo_cache_layer next = *layer;
  mo_tensor from[5], to[5];
  next.block = change->blocks[--change->block_count];
  next.batch = change->count;
  next.start = 0;
  mo_block_tokens(cache, layer, layer->start, layer->stored, from);
  mo_block_tokens(cache, &next, 0, layer->stored, to);
  mo_status_t status = mo_block_move_tokens(cache, from, to, &change->rows);
  if (is_in_place(change, layer)) {
    if (status == MO_STATUS_OK) status = mo_block_move_tokens(cache, to, from, NULL);
    change->blocks[change->block_count++] = next.block;
    return status;
  }
  if (status == MO_STATUS_OK && mo_cache_kind_is_static(layer->kind))
    status = mo_block_fill_zeros(cache, layer, next.block, change->count, layer->stored, layer->capacity - layer->stored);
  if (status != MO_STATUS_OK) {
    change->blocks[change->block_count++] = next.block;
    return status;
  }
  next.block->written = next.stored;
  next.prepared = next.staged = 0;
  if (next.batch != layer->batch) {
    mo_cache_block_release(layer->staging);
    next.staging = NULL;
    next.staging_capacity = 0;
  }
  if (leaves_spare(change, layer)) change->blocks[change->block_count++] = layer->block;
  else mo_cache_block_release(layer->block);
  *layer = next;
  return MO_STATUS_OK;
}

mo_status_t mo_block_end_rows(mo_cache_t *cache, void *change) {
  rows_change *begun = change;
  for (int64_t i = 0; i < cache->layer_count; i++) {
    if (cache->layers[i]->block != NULL) MO_TRY(change_layer(begun, cache->layers[i]));
  }
  cache->batch = begun->count;
  return MO_STATUS_OK;
}
