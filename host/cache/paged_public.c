/* host/cache/paged_public.c - the public functions that only paged caches have: rows by hand, the block table.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/layers.h"
#include "host/cache/paged_pages.h"

static mo_status_t check_row(const char *op, const mo_cache_t *cache, int64_t row) {
  MO_TRY(mo_cache_check_single(op, cache));
  MO_CHECK(cache->paged != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: the cache is not paged, its rows are of one length", op);
  MO_CHECK(cache->batch >= 0, MO_STATUS_WRONG_STATE, "%s: the number of rows is not known yet", op);
  MO_CHECK(row >= 0 && row < cache->batch, MO_STATUS_INDEX_ERROR, "%s: row %" PRId64 ", the cache has %" PRId64 " rows", op,
           row, cache->batch);
  return MO_STATUS_OK;
}

static mo_status_t share_prefix(mo_cache_t *cache, int64_t row, const mo_cache_t *source, int64_t source_row, int64_t length) {
  static const char op[] = "cache share_prefix";
  MO_TRY(check_row(op, cache, row));
  MO_TRY(check_row(op, source, source_row));
  MO_CHECK(cache->paged->pool == source->paged->pool, MO_STATUS_INVALID_ARGUMENT, "%s: the caches have different page pools",
           op);
  MO_CHECK(length >= 0 && length <= mo_paged_row_limit(cache), MO_STATUS_INDEX_ERROR,
           "%s: %" PRId64 " tokens, a row of this cache may have %" PRId64, op, length, mo_paged_row_limit(cache));
  for (int64_t l = 0; l < source->layer_count; l++) {
    const int64_t held = mo_paged_is_allocated(source) ? mo_paged_length(source, l, source_row) : 0;
    MO_CHECK(length <= held, MO_STATUS_INDEX_ERROR,
             "%s: %" PRId64 " tokens, row %" PRId64 " holds %" PRId64 " in layer %" PRId64, op, length, source_row, held, l);
  }
  if (!mo_paged_is_allocated(cache)) MO_TRY(mo_paged_allocate(cache));
  const int64_t pages = mo_paged_pages_for(cache->paged->pool->page_size, length);
  for (int64_t i = 0; i < pages; i++) mo_page_pool_retain_page(cache->paged->pool, *mo_paged_page_at(source, source_row, i));
  if (cache != source || row != source_row) {
    mo_paged_shrink_row(cache, row, 0);
    for (int64_t i = 0; i < pages; i++) *mo_paged_page_at(cache, row, i) = *mo_paged_page_at(source, source_row, i);
  } else {
    for (int64_t i = 0; i < pages; i++) mo_page_pool_release_page(cache->paged->pool, *mo_paged_page_at(cache, row, i));
    mo_paged_shrink_row(cache, row, pages);
  }
  mo_paged_lists *lists = &cache->paged->lists;
  lists->page_counts[row] = lists->page_counts_before[row] = pages;
  for (int64_t l = 0; l < cache->layer_count; l++) lists->lengths[l * lists->batch + row] = length;
  mo_paged_mark_row(cache, row);
  mo_paged_count(cache);
  return MO_STATUS_OK;
}

mo_status_t mo_cache_share_prefix(mo_cache_t *cache, int64_t row, const mo_cache_t *source, int64_t source_row,
                                  int64_t length) {
  MO_CHECK(cache != NULL && source != NULL, MO_STATUS_INVALID_ARGUMENT, "cache share_prefix: a cache is NULL");
  return mo_context_note(cache->context, share_prefix(cache, row, source, source_row, length));
}

static mo_status_t reset_row(mo_cache_t *cache, int64_t row) {
  MO_TRY(check_row("cache reset_row", cache, row));
  if (!mo_paged_is_allocated(cache)) return MO_STATUS_OK;
  mo_paged_lists *lists = &cache->paged->lists;
  mo_paged_shrink_row(cache, row, 0);
  for (int64_t l = 0; l < cache->layer_count; l++) lists->lengths[l * lists->batch + row] = 0;
  mo_paged_count(cache);
  return MO_STATUS_OK;
}

mo_status_t mo_cache_reset_row(mo_cache_t *cache, int64_t row) {
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache reset_row: the cache is NULL");
  return mo_context_note(cache->context, reset_row(cache, row));
}

int64_t mo_cache_row_length(const mo_cache_t *cache, int64_t row) {
  if (cache == NULL || cache->paged == NULL || row < 0 || row >= cache->batch) return -1;
  return cache->storage->row_length(cache, row);
}

static mo_status_t block_table(mo_cache_t *cache, mo_tensor *table, mo_tensor *lengths) {
  MO_TRY(check_row("cache block_table", cache, 0));
  MO_CHECK(table != NULL && lengths != NULL, MO_STATUS_INVALID_ARGUMENT, "cache block_table: a tensor is NULL");
  if (!mo_paged_is_allocated(cache)) MO_TRY(mo_paged_allocate(cache));
  MO_TRY(mo_paged_table(cache, table));
  return mo_cache_lengths(cache, lengths);
}

mo_status_t mo_cache_block_table(mo_cache_t *cache, mo_tensor *table, mo_tensor *lengths) {
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache block_table: the cache is NULL");
  return mo_context_note(cache->context, block_table(cache, table, lengths));
}
