/* host/cache/paged_storage.c - the storage of caches whose rows are lists of pages: from a pool, steps, questions, and the
 * table.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/paged_storage.h"

#include <string.h>

#include "host/cache/layers.h"
#include "host/cache/paged_change.h"
#include "host/cache/paged_pages.h"

/* ---- Rows from options ---- */

static mo_status_t check_against_pool(const mo_cache_options *options, const mo_page_pool_t *pool) {
  const mo_cache_extents *extents = &pool->extents;
  const struct {
    const char *name;
    int64_t given, pools;
  } rules[] = {{"layer_count", options->layer_count, pool->layer_count},
               {"num_key_value_heads", options->num_key_value_heads, extents->heads},
               {"head_dim", options->head_dim, extents->key_size},
               {"value_head_dim", options->value_head_dim, extents->value_size},
               {"dtype", options->dtype, extents->dtype},
               {"group_size", options->group_size, extents->group_size}};
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
    MO_CHECK(rules[i].given == 0 || rules[i].given == rules[i].pools, MO_STATUS_INVALID_ARGUMENT,
             "cache: %s %" PRId64 ", the page pool has %" PRId64, rules[i].name, rules[i].given, rules[i].pools);
  return MO_STATUS_OK;
}

static mo_status_t create(mo_cache_t *cache, const mo_cache_options *options) {
  mo_page_pool_t *pool = options->page_pool;
  MO_CHECK(pool->context == cache->context, MO_STATUS_INVALID_ARGUMENT, "cache: the page pool belongs to another context");
  MO_TRY(check_against_pool(options, pool));
  const int64_t by_length = options->max_length / pool->page_size + (options->max_length % pool->page_size != 0);
  cache->paged = mo_host_allocate(cache->context, sizeof *cache->paged);
  if (cache->paged == NULL) return MO_STATUS_OUT_OF_MEMORY;
  cache->paged->pool = mo_page_pool_retain(pool);
  cache->paged->max_pages = by_length > 0 && by_length < pool->page_count ? by_length : pool->page_count;
  cache->defaults.kind = MO_CACHE_PAGED;
  cache->defaults.extents = pool->extents;
  return mo_cache_grow_layers(cache, pool->layer_count);
}

static void destroy(mo_cache_t *cache) {
  if (cache->paged == NULL) return;
  mo_page_pool_release(cache->paged->pool);
  mo_host_free(cache->context, cache->paged, sizeof *cache->paged);
  cache->paged = NULL;
}

/* ---- Memory ---- */

static bool is_allocated(const mo_cache_t *cache, int64_t index) {
  (void)index;
  return mo_paged_is_allocated(cache);
}

static mo_status_t allocate(mo_cache_t *cache, int64_t index, int64_t tokens) {
  (void)index, (void)tokens;
  return mo_paged_allocate(cache);
}

static void release(mo_cache_t *cache, int64_t index) {
  (void)index;
  if (cache->paged == NULL) return;
  mo_paged_forget_forks(cache);
  mo_paged_free(cache);
  for (int64_t l = 0; l < cache->layer_count; l++) cache->layers[l]->seen = cache->layers[l]->stored = 0;
}

static mo_status_t reserve(mo_cache_t *cache, int64_t count) {
  mo_tensor table;
  if (!mo_paged_is_allocated(cache)) {
    if (cache->batch < 0) return MO_STATUS_OK;
    MO_TRY(mo_paged_allocate(cache));
  }
  mo_paged_lists *lists = &cache->paged->lists;
  const size_t bytes = (size_t)lists->batch * sizeof(int64_t);
  int64_t *before = mo_host_allocate(cache->context, bytes);
  if (before == NULL) return MO_STATUS_OUT_OF_MEMORY;
  memcpy(before, lists->page_counts, bytes);
  mo_status_t status = MO_STATUS_OK;
  for (int64_t l = 0; l < cache->layer_count && status == MO_STATUS_OK; l++) status = mo_paged_make_room(cache, l, count);
  if (status == MO_STATUS_OK) status = mo_paged_table(cache, &table);
  for (int64_t b = 0; b < lists->batch; b++) {
    if (status != MO_STATUS_OK) mo_paged_shrink_row(cache, b, before[b]);
    lists->page_counts_before[b] = lists->page_counts[b];
  }
  mo_host_free(cache->context, before, bytes);
  return status;
}

/* ---- A step ---- */

/* The entry for `count` tokens more than are held, over `tensors` of the layer. */
static mo_status_t fill_entry(mo_cache_t *cache, int64_t index, mo_paged_lengths_of which, int64_t count, mo_tensor tensors[5],
                              mo_cache_entry *entry) {
  const mo_cache_layer *layer = cache->layers[index];
  memcpy(tensors, cache->paged->pool->tensors[index], sizeof layer->read_tensors);
  MO_TRY(mo_paged_table(cache, &tensors[4]));
  *entry = (mo_cache_entry){.view = mo_cache_view_of(tensors), .length = layer->stored + count};
  entry->token_count = entry->length;
  return mo_paged_send_lengths(cache, index, which, 0, &entry->lengths);
}

static mo_status_t read_layer(mo_cache_t *cache, int64_t index, mo_cache_entry *entry) {
  *entry = (mo_cache_entry){.length = 0};
  if (!mo_paged_is_allocated(cache)) return MO_STATUS_OK;
  return fill_entry(cache, index, MO_PAGED_ALL_TOKENS, 0, cache->layers[index]->read_tensors, entry);
}

static mo_status_t written(mo_cache_t *cache, int64_t index, int64_t count, mo_cache_entry *entry) {
  return mo_paged_send_lengths(cache, index, MO_PAGED_ALL_TOKENS, count, &entry->lengths);
}

static mo_status_t prepare(mo_cache_t *cache, int64_t index, int64_t count, mo_cache_entry *entry, int64_t *slot) {
  mo_cache_layer *layer = cache->layers[index];
  MO_TRY(mo_paged_make_room(cache, index, count));
  const mo_status_t status = fill_entry(cache, index, MO_PAGED_OLD_TOKENS, count, layer->prepared_tensors, entry);
  if (status != MO_STATUS_OK) mo_paged_cancel(cache, index);
  *slot = layer->stored;
  return status;
}

static mo_status_t check_commit(const mo_cache_t *cache, int64_t layer, int64_t count) {
  const mo_paged_lists *lists = &cache->paged->lists;
  for (int64_t b = 0; b < lists->batch; b++) {
    const int64_t room = lists->page_counts[b] * cache->paged->pool->page_size - mo_paged_length(cache, layer, b);
    MO_CHECK(count <= room, MO_STATUS_WRONG_STATE, "cache commit: %" PRId64 " tokens, row %" PRId64 " has pages for %" PRId64,
             count, b, room);
  }
  return MO_STATUS_OK;
}

static mo_status_t commit(mo_cache_t *cache, int64_t index, int64_t count, mo_cache_entry *entry) {
  mo_paged_lists *lists = &cache->paged->lists;
  (void)entry; /* shows the pages, where the tokens stay */
  for (int64_t b = 0; b < lists->batch; b++) {
    lists->lengths[index * lists->batch + b] += count;
    lists->page_counts_before[b] = lists->page_counts[b];
  }
  mo_paged_forget_forks(cache);
  mo_paged_count_layer(cache, index);
  return MO_STATUS_OK;
}

/* ---- Questions ---- */

static int64_t row_length(const mo_cache_t *cache, int64_t row) {
  return mo_paged_is_allocated(cache) && row >= 0 && row < cache->batch ? mo_paged_length(cache, 0, row) : 0;
}

static int64_t max_length(const mo_cache_t *cache, int64_t index) {
  (void)index;
  return mo_paged_row_limit(cache);
}

/* The memory is the pool's, which is there. */
static bool is_initialized(const mo_cache_t *cache) { return cache->batch >= 0; }

static uint64_t bytes_of(const mo_cache_t *cache, int64_t layer) {
  const mo_paged_lists *lists = &cache->paged->lists;
  mo_page_pool_t *pool = cache->paged->pool;
  uint64_t pages = 0;
  mo_page_pool_begin_count(pool);
  for (int64_t b = 0; b < lists->batch; b++) {
    for (int64_t i = 0; i < lists->page_counts[b]; i++)
      pages += mo_page_pool_count_once(pool, lists->table[b * cache->paged->max_pages + i]) ? 1 : 0;
  }
  if (layer < -1 || layer >= cache->layer_count) return 0;
  return pages * pool->page_bytes * (uint64_t)(layer == -1 ? cache->layer_count : 1);
}

/* ---- The table ---- */

/* A crop gives pages back and needs nothing. */
static mo_status_t begin_crop(mo_cache_t *cache, int64_t count) {
  (void)cache, (void)count;
  return MO_STATUS_OK;
}

const mo_cache_storage mo_paged_storage = {
    .create = create,
    .destroy = destroy,
    .is_allocated = is_allocated,
    .allocate = allocate,
    .release = release,
    .reserve = reserve,
    .prepare = prepare,
    .written = written,
    .cancel = mo_paged_cancel,
    .check_commit = check_commit,
    .commit = commit,
    .read = read_layer,
    .begin_crop = begin_crop,
    .crop = mo_paged_crop,
    .begin_rows = mo_paged_begin_rows,
    .end_rows = mo_paged_end_rows,
    .drop_rows = mo_paged_drop_rows,
    .copy = mo_paged_copy,
    .row_length = row_length,
    .max_length = max_length,
    .is_initialized = is_initialized,
    .bytes = bytes_of,
};
