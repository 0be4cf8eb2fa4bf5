/* host/cache/paged_rows.c - the rows of a paged cache: lists of pages on the host, and the copies that the device has of them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/paged_rows.h"

#include <string.h>

#define TABLE_COPY_BYTES ((int64_t)1 << 18) /* up to here one copy of a rectangle is quicker than one per row */

/* ---- Memory ---- */

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

/* ---- Counting ---- */

int64_t mo_paged_length(const mo_cache_t *cache, int64_t layer, int64_t row) {
  return cache->paged->lists.lengths[layer * cache->paged->lists.batch + row];
}

int64_t mo_paged_longest(const mo_cache_t *cache, int64_t row) {
  int64_t longest = 0;
  for (int64_t l = 0; l < cache->layer_count; l++) {
    const int64_t length = mo_paged_length(cache, l, row);
    if (length > longest) longest = length;
  }
  return longest;
}

void mo_paged_count_layer(mo_cache_t *cache, int64_t layer) {
  int64_t longest = 0;
  for (int64_t b = 0; b < cache->paged->lists.batch; b++) {
    const int64_t length = mo_paged_length(cache, layer, b);
    if (length > longest) longest = length;
  }
  cache->layers[layer]->seen = cache->layers[layer]->stored = longest;
}

void mo_paged_count(mo_cache_t *cache) {
  for (int64_t l = 0; l < cache->layer_count; l++) mo_paged_count_layer(cache, l);
}

int64_t mo_paged_row_limit(const mo_cache_t *cache) {
  const int64_t slots = cache->paged->max_pages * cache->paged->pool->page_size;
  return cache->max_length > 0 && cache->max_length < slots ? cache->max_length : slots;
}

/* ---- The device's copies ---- */

int32_t *mo_paged_page_at(const mo_cache_t *cache, int64_t row, int64_t index) {
  return &cache->paged->lists.table[row * cache->paged->max_pages + index];
}

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

mo_status_t mo_paged_send_lengths(mo_cache_t *cache, int64_t layer, mo_paged_lengths_of which, int64_t more,
                                  mo_tensor *tensor) {
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
