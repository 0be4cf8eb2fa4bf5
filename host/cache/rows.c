/* host/cache/rows.c - reordering, selecting and repeating rows.
 *
 * Begin allocates all that is needed, end only moves tokens, so that a full device leaves the cache as it was. Where the number
 * of rows stays, one spare block goes through the layers: each gathers into it and leaves its own as the next spare.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/cache_internal.h"
#include "host/cache/paged.h"
#include "host/core/range.h"

typedef struct rows_change {
  mo_cache_t *cache;
  int64_t count;           /* rows afterwards */
  mo_tensor rows;          /* (count) int32 on the device */
  mo_cache_block **blocks; /* spare ones */
  int64_t block_count, block_capacity;
  size_t block_bytes; /* what a spare one has at least */
  mo_paged_change *paged;
} rows_change;

static void cancel(rows_change *change) {
  mo_context_t *context = change->cache->context;
  if (change->paged != NULL) mo_paged_rows_cancel(change->cache, change->paged);
  while (change->block_count > 0) mo_cache_block_release(change->blocks[--change->block_count]);
  mo_host_free(context, change->blocks, (size_t)change->block_capacity * sizeof *change->blocks);
  mo_context_release(context, change->rows.data);
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
    if (mo_cache_kind_is_static(layer->kind)) MO_TRY(mo_cache_need_zeros(cache, layer));
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

static mo_status_t begin(rows_change *change, const int64_t *rows) {
  mo_cache_t *cache = change->cache;
  if (cache->paged != NULL) return mo_paged_rows_begin(cache, rows, change->count, &change->paged);
  MO_TRY(mo_cache_check_not_captured(cache->context, "rows are changed"));
  MO_TRY(mo_cache_need_scratch(cache));
  MO_TRY(upload_rows(change, rows));
  return allocate_blocks(change);
}

/* The layer's tokens go to a spare block; a layer that stays in its memory takes them back. */
static mo_status_t change_layer(rows_change *change, mo_cache_layer *layer) {
  mo_cache_t *cache = change->cache;
  mo_cache_layer next = *layer;
  mo_tensor from[5], to[5];
  next.block = change->blocks[--change->block_count];
  next.batch = change->count;
  next.start = 0;
  mo_cache_layer_tensors(cache, layer, layer->start, layer->stored, from);
  mo_cache_layer_tensors(cache, &next, 0, layer->stored, to);
  mo_status_t status = mo_cache_move(cache, from, to, &change->rows);
  if (is_in_place(change, layer)) {
    if (status == MO_STATUS_OK) status = mo_cache_move(cache, to, from, NULL);
    change->blocks[change->block_count++] = next.block;
    return status;
  }
  if (status == MO_STATUS_OK && mo_cache_kind_is_static(layer->kind))
    status = mo_cache_fill_zeros(cache, layer, next.block, change->count, layer->stored, layer->capacity - layer->stored);
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

static mo_status_t end(rows_change *change) {
  mo_cache_t *cache = change->cache;
  if (change->paged != NULL) {
    mo_paged_rows_end(cache, change->paged);
    change->paged = NULL;
    return MO_STATUS_OK;
  }
  for (int64_t i = 0; i < cache->layer_count; i++) {
    if (cache->layers[i]->block != NULL) MO_TRY(change_layer(change, cache->layers[i]));
  }
  cache->batch = change->count;
  return MO_STATUS_OK;
}

/* ---- Entry ---- */

/* Without tokens there are no rows to change. */
static bool has_rows(const mo_cache_t *cache) {
  for (int64_t i = 0; i < cache->layer_count; i++) {
    if (cache->layers[i]->seen > 0) return true;
  }
  return false;
}

static mo_status_t check_rows(const char *op, const mo_cache_t *cache, const int64_t *rows, int64_t count) {
  for (int64_t i = 0; i < count && has_rows(cache); i++)
    MO_CHECK(rows[i] >= 0 && rows[i] < cache->batch, MO_STATUS_INDEX_ERROR,
             "%s: row %" PRId64 " (entry %" PRId64 "), the cache has %" PRId64 " rows", op, rows[i], i, cache->batch);
  return MO_STATUS_OK;
}

/* Both caches of a pair or none. */
static mo_status_t change_rows(const char *op, mo_cache_t *const *caches, int32_t cache_count, const int64_t *const *rows,
                               const int64_t *counts) {
  rows_change changes[2] = {{.cache = caches[0], .count = counts[0]}, {.cache = caches[1], .count = counts[1]}};
  mo_status_t status = MO_STATUS_OK;
  for (int32_t i = 0; i < cache_count && status == MO_STATUS_OK; i++) status = check_rows(op, caches[i], rows[i], counts[i]);
  for (int32_t i = 0; i < cache_count && status == MO_STATUS_OK; i++) {
    if (has_rows(caches[i])) status = begin(&changes[i], rows[i]);
  }
  for (int32_t i = 0; i < cache_count && status == MO_STATUS_OK; i++) {
    if (!has_rows(caches[i])) continue;
    status = end(&changes[i]);
    for (int32_t k = 0; k < cache_count && status != MO_STATUS_OK; k++) mo_cache_abandon(caches[k]);
  }
  for (int32_t i = 0; i < cache_count; i++) cancel(&changes[i]);
  return status;
}

static mo_status_t reorder(const char *op, mo_cache_t *cache, const int64_t *rows, int64_t count) {
  mo_cache_t *const caches[2] = {mo_cache_self(cache), cache->self != NULL ? cache->cross : cache};
  const int64_t *const both[2] = {rows, rows}, counts[2] = {count, count};
  MO_CHECK(rows != NULL && count > 0, MO_STATUS_INVALID_ARGUMENT, "%s: no rows are given", op);
  MO_CHECK(count <= INT32_MAX, MO_STATUS_INVALID_ARGUMENT, "%s: %" PRId64 " rows are too many", op, count);
  return change_rows(op, caches, cache->self != NULL ? 2 : 1, both, counts);
}

mo_status_t mo_cache_reorder(mo_cache_t *cache, const int64_t *rows, int64_t count) {
  MO_RANGE_NAMED(cache != NULL ? cache->context : NULL, "mo_cache_reorder");
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache reorder: the cache is NULL");
  return mo_context_note(cache->context, reorder("cache reorder", cache, rows, count));
}

mo_status_t mo_cache_batch_select(mo_cache_t *cache, const int64_t *rows, int64_t count) {
  MO_RANGE_NAMED(cache != NULL ? cache->context : NULL, "mo_cache_batch_select");
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache batch_select: the cache is NULL");
  return mo_context_note(cache->context, reorder("cache batch_select", cache, rows, count));
}

/* Each cache of a pair has its own number of rows. */
static mo_status_t repeat(mo_cache_t *cache, int64_t count) {
  mo_cache_t *const caches[2] = {mo_cache_self(cache), cache->self != NULL ? cache->cross : cache};
  int64_t *rows[2] = {NULL, NULL}, counts[2] = {0, 0};
  mo_status_t status = MO_STATUS_OK;
  MO_CHECK(count > 0, MO_STATUS_INVALID_ARGUMENT, "cache batch_repeat: %" PRId64 " times, at least 1 is needed", count);
  const int32_t cache_count = cache->self != NULL ? 2 : 1;
  for (int32_t i = 0; i < cache_count && status == MO_STATUS_OK; i++) {
    if (!has_rows(caches[i])) continue;
    if (!mo_checked_mul(caches[i]->batch, count, &counts[i]) || counts[i] > INT32_MAX) {
      status = mo_fail(MO_STATUS_INVALID_ARGUMENT, "cache batch_repeat: %" PRId64 " times %" PRId64 " rows are too many", count,
                       caches[i]->batch);
      counts[i] = 0;
      break;
    }
    rows[i] = mo_host_allocate(cache->context, (size_t)counts[i] * sizeof(int64_t));
    if (rows[i] == NULL) status = MO_STATUS_OUT_OF_MEMORY;
    for (int64_t k = 0; k < counts[i] && rows[i] != NULL; k++) rows[i][k] = k / count;
  }
  if (status == MO_STATUS_OK)
    status = change_rows("cache batch_repeat", caches, cache_count, (const int64_t *const *)rows, counts);
  for (int32_t i = 0; i < 2; i++) mo_host_free(cache->context, rows[i], (size_t)counts[i] * sizeof(int64_t));
  return status;
}

mo_status_t mo_cache_batch_repeat(mo_cache_t *cache, int64_t count) {
  MO_RANGE_NAMED(cache != NULL ? cache->context : NULL, "mo_cache_batch_repeat");
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache batch_repeat: the cache is NULL");
  return mo_context_note(cache->context, repeat(cache, count));
}
