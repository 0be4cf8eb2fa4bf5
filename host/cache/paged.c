/* host/cache/paged.c - rows as lists of pages: room, lengths, and the copies that the device has of both.
 *
 * The host's table is the truth; rows that differ from the device's are noted and sent before an entry is handed out. Lengths
 * go to the device only where rows differ, and only when they changed: once per step, not once per layer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/paged_rows.h"

#include <string.h>

#define TABLE_COPY_BYTES ((int64_t)1 << 18) /* up to here one copy of a rectangle is quicker than one per row */

/* ---- Making ---- */

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

mo_status_t mo_paged_rows_create(mo_cache_t *cache, const mo_cache_options *options) {
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

mo_status_t mo_paged_lists_create(const mo_cache_t *cache, int64_t batch, mo_paged_lists *lists) {
  const mo_paged_rows *rows = cache->paged;
  int64_t entries, counts;
  *lists = (mo_paged_lists){.batch = batch};
  MO_CHECK(mo_checked_mul(batch, rows->max_pages, &entries) && entries <= INT64_MAX / 8 &&
               mo_checked_mul(batch, cache->layer_count + 3, &counts) && counts <= INT64_MAX / 8,
           MO_STATUS_OUT_OF_MEMORY, "cache: a table of %" PRId64 " rows with %" PRId64 " pages cannot be addressed", batch,
           rows->max_pages);
  lists->table_bytes = (size_t)entries * sizeof(int32_t);
  lists->count_bytes = (size_t)counts * sizeof(int64_t);
  lists->table = mo_host_allocate(cache->context, lists->table_bytes);
  lists->page_counts = mo_host_allocate(cache->context, lists->count_bytes);
  if (lists->table == NULL || lists->page_counts == NULL) {
    mo_paged_lists_free(cache, lists);
    return MO_STATUS_OUT_OF_MEMORY;
  }
  lists->page_counts_before = lists->page_counts + batch;
  lists->changed = lists->page_counts + 2 * batch;
  lists->lengths = lists->page_counts + 3 * batch;
  memset(lists->table, 0xFF, lists->table_bytes);
  for (int64_t b = 0; b < batch; b++) lists->changed[b] = 1;
  return MO_STATUS_OK;
}

void mo_paged_lists_free(const mo_cache_t *cache, mo_paged_lists *lists) {
  for (int64_t b = 0; b < lists->batch && lists->table != NULL && lists->page_counts != NULL; b++) {
    for (int64_t i = 0; i < lists->page_counts[b]; i++)
      mo_page_pool_release_page(cache->paged->pool, lists->table[b * cache->paged->max_pages + i]);
  }
  mo_host_free(cache->context, lists->table, lists->table_bytes);
  mo_host_free(cache->context, lists->page_counts, lists->count_bytes);
  *lists = (mo_paged_lists){.batch = 0};
}

mo_status_t mo_paged_mirror_create(const mo_cache_t *cache, int64_t batch, mo_paged_mirror *mirror) {
  const size_t table_bytes = (size_t)(batch * cache->paged->max_pages) * sizeof(int32_t);
  const size_t bytes = (size_t)batch * sizeof(int32_t);
  *mirror = (mo_paged_mirror){.batch = batch};
  mo_status_t status = mo_cache_block_create(cache->context, table_bytes, &mirror->table);
  for (int i = 0; i < 2 && status == MO_STATUS_OK; i++) {
    status = mo_cache_block_create(cache->context, bytes, &mirror->lengths[i]);
    mirror->lengths_host[i] = mo_host_allocate(cache->context, bytes);
    if (mirror->lengths_host[i] == NULL) status = MO_STATUS_OUT_OF_MEMORY;
  }
  if (status != MO_STATUS_OK) mo_paged_mirror_free(cache, mirror);
  return status;
}

void mo_paged_mirror_free(const mo_cache_t *cache, mo_paged_mirror *mirror) {
  mo_cache_block_release(mirror->table);
  for (int i = 0; i < 2; i++) {
    mo_cache_block_release(mirror->lengths[i]);
    mo_host_free(cache->context, mirror->lengths_host[i], (size_t)mirror->batch * sizeof(int32_t));
  }
  *mirror = (mo_paged_mirror){.batch = 0};
}

bool mo_paged_is_allocated(const mo_cache_t *cache) { return cache->paged->lists.table != NULL; }

mo_status_t mo_paged_allocate(mo_cache_t *cache) {
  mo_paged_rows *rows = cache->paged;
  MO_TRY(mo_paged_mirror_create(cache, cache->batch, &rows->mirror));
  const mo_status_t status = mo_paged_lists_create(cache, cache->batch, &rows->lists);
  if (status != MO_STATUS_OK) mo_paged_mirror_free(cache, &rows->mirror);
  return status;
}

void mo_paged_free(mo_cache_t *cache) {
  mo_paged_lists_free(cache, &cache->paged->lists);
  mo_paged_mirror_free(cache, &cache->paged->mirror);
}

void mo_paged_rows_destroy(mo_cache_t *cache) {
  if (cache->paged == NULL) return;
  mo_paged_forget_forks(cache);
  mo_paged_free(cache);
  mo_page_pool_release(cache->paged->pool);
  mo_host_free(cache->context, cache->paged, sizeof *cache->paged);
}

/* ---- Counting ---- */

int64_t mo_paged_length(const mo_cache_t *cache, int64_t layer, int64_t row) {
  return cache->paged->lists.lengths[layer * cache->paged->lists.batch + row];
}

/* Of all layers: what the row's pages must hold. */
int64_t mo_paged_longest(const mo_cache_t *cache, int64_t row) {
  int64_t longest = 0;
  for (int64_t l = 0; l < cache->layer_count; l++) {
    const int64_t length = mo_paged_length(cache, l, row);
    if (length > longest) longest = length;
  }
  return longest;
}

static void count_layer(mo_cache_t *cache, int64_t layer) {
  int64_t longest = 0;
  for (int64_t b = 0; b < cache->paged->lists.batch; b++) {
    const int64_t length = mo_paged_length(cache, layer, b);
    if (length > longest) longest = length;
  }
  cache->layers[layer]->seen = cache->layers[layer]->stored = longest;
}

void mo_paged_count(mo_cache_t *cache) {
  for (int64_t l = 0; l < cache->layer_count; l++) count_layer(cache, l);
}

int64_t mo_paged_row_length(const mo_cache_t *cache, int64_t row) {
  return mo_paged_is_allocated(cache) && row >= 0 && row < cache->batch ? mo_paged_length(cache, 0, row) : 0;
}

int64_t mo_paged_max_length(const mo_cache_t *cache) {
  const int64_t slots = cache->paged->max_pages * cache->paged->pool->page_size;
  return cache->max_length > 0 && cache->max_length < slots ? cache->max_length : slots;
}

uint64_t mo_paged_bytes(const mo_cache_t *cache, int64_t layer) {
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

/* ---- The device's copies ---- */

void mo_paged_mark_row(mo_cache_t *cache, int64_t row) { cache->paged->lists.changed[row] = 1; }

/* Sends the rows that changed. */
static mo_status_t send_table(mo_cache_t *cache) {
  mo_paged_rows *rows = cache->paged;
  int64_t first = -1, last = -1, width = 0;
  for (int64_t b = 0; b < rows->lists.batch; b++) {
    if (rows->lists.changed[b] == 0) continue;
    if (first < 0) first = b;
    last = b;
  }
  if (first < 0) return MO_STATUS_OK;
  width = rows->max_pages * (int64_t)sizeof(int32_t);
  const bool at_once = (last - first + 1) * width <= TABLE_COPY_BYTES;
  for (int64_t b = first; b <= last; b = at_once ? last + 1 : b + 1) {
    if (!at_once && rows->lists.changed[b] == 0) continue;
    MO_TRY(mo_cache_upload(cache->context, (char *)rows->mirror.table->memory + b * width,
                           rows->lists.table + b * rows->max_pages, (size_t)((at_once ? last - first + 1 : 1) * width)));
  }
  for (int64_t b = first; b <= last; b++) rows->lists.changed[b] = 0;
  return MO_STATUS_OK;
}

static bool rows_differ(const mo_cache_t *cache, int64_t layer) {
  for (int64_t b = 1; b < cache->paged->lists.batch; b++) {
    if (mo_paged_length(cache, layer, b) != mo_paged_length(cache, layer, 0)) return true;
  }
  return false;
}

/* The lengths of a layer's rows and `more` in the buffer `which`; dtype NONE if all rows are alike. */
static mo_status_t send_lengths(mo_cache_t *cache, int64_t layer, int which, int64_t more, mo_tensor *tensor) {
  mo_paged_mirror *mirror = &cache->paged->mirror;
  int32_t *known = mirror->lengths_host[which];
  bool changed = !mirror->lengths_sent[which];
  *tensor = (mo_tensor){.dtype = MO_DTYPE_NONE};
  if (!rows_differ(cache, layer)) return MO_STATUS_OK;
  for (int64_t b = 0; b < mirror->batch; b++) {
    const int32_t length = (int32_t)(mo_paged_length(cache, layer, b) + more);
    changed |= known[b] != length;
    known[b] = length;
  }
  if (changed) {
    mirror->lengths_sent[which] = false;
    MO_TRY(mo_cache_upload(cache->context, mirror->lengths[which]->memory, known, (size_t)mirror->batch * sizeof *known));
    mirror->lengths_sent[which] = true;
  }
  return mo_tensor_init(tensor, mirror->lengths[which]->memory, MO_DTYPE_INT32, mo_context_device(cache->context), 1,
                        &mirror->batch);
}

mo_status_t mo_paged_table(mo_cache_t *cache, mo_tensor *table) {
  const int64_t shape[2] = {cache->paged->lists.batch, cache->paged->max_pages};
  MO_TRY(send_table(cache));
  return mo_tensor_init(table, cache->paged->mirror.table->memory, MO_DTYPE_INT32, mo_context_device(cache->context), 2, shape);
}

/* `which` 0: the lengths before new tokens, 1: of all tokens, so that asking for one leaves the other as it is. */
static mo_status_t fill_entry(mo_cache_t *cache, int64_t index, int which, int64_t count, mo_cache_entry *entry) {
  mo_cache_layer *layer = cache->layers[index];
  mo_tensor *tensors = which == 0 ? layer->prepared_tensors : layer->read_tensors;
  memcpy(tensors, cache->paged->pool->tensors[index], sizeof layer->read_tensors);
  MO_TRY(mo_paged_table(cache, &tensors[4]));
  *entry = (mo_cache_entry){.view = mo_cache_view_of(tensors), .length = layer->stored + count};
  entry->token_count = entry->length;
  return send_lengths(cache, index, which, 0, &entry->lengths);
}

mo_status_t mo_paged_read(mo_cache_t *cache, int64_t layer, mo_cache_entry *entry) {
  *entry = (mo_cache_entry){.length = 0};
  return mo_paged_is_allocated(cache) ? fill_entry(cache, layer, 1, 0, entry) : MO_STATUS_OK;
}

/* ---- Prepare and commit ---- */

mo_status_t mo_paged_written(mo_cache_t *cache, int64_t layer, int64_t count, mo_cache_entry *entry) {
  return send_lengths(cache, layer, 1, count, &entry->lengths);
}

mo_status_t mo_paged_prepare(mo_cache_t *cache, int64_t layer, int64_t count, mo_cache_entry *entry, int64_t *slot) {
  MO_TRY(mo_paged_make_room(cache, layer, count));
  const mo_status_t status = fill_entry(cache, layer, 0, count, entry);
  if (status != MO_STATUS_OK) mo_paged_cancel(cache);
  *slot = cache->layers[layer]->stored;
  return status;
}

const mo_tensor *mo_paged_offsets(const mo_cache_entry *entry) {
  return entry->lengths.dtype == MO_DTYPE_NONE ? NULL : &entry->lengths;
}

mo_status_t mo_paged_check_commit(const mo_cache_t *cache, int64_t layer, int64_t count) {
  const mo_paged_lists *lists = &cache->paged->lists;
  for (int64_t b = 0; b < lists->batch; b++) {
    const int64_t room = lists->page_counts[b] * cache->paged->pool->page_size - mo_paged_length(cache, layer, b);
    MO_CHECK(count <= room, MO_STATUS_WRONG_STATE, "cache commit: %" PRId64 " tokens, row %" PRId64 " has pages for %" PRId64,
             count, b, room);
  }
  return MO_STATUS_OK;
}

void mo_paged_commit(mo_cache_t *cache, int64_t layer, int64_t count) {
  mo_paged_lists *lists = &cache->paged->lists;
  for (int64_t b = 0; b < lists->batch; b++) {
    lists->lengths[layer * lists->batch + b] += count;
    lists->page_counts_before[b] = lists->page_counts[b];
  }
  mo_paged_forget_forks(cache);
  count_layer(cache, layer);
}

mo_status_t mo_paged_reserve(mo_cache_t *cache, int64_t count) {
  mo_tensor table;
  if (!mo_paged_is_allocated(cache)) return MO_STATUS_OK;
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
