/* host/cache/paged_change.c - changes of all rows of a paged cache: crop, copy, rows.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/paged_change.h"

#include <string.h>

#include "host/cache/paged_pages.h"

static int64_t pages_of_row(const mo_cache_t *cache, int64_t row) {
  return mo_paged_pages_for(cache->paged->pool->page_size, mo_paged_longest(cache, row));
}

/* ---- Crop ---- */

mo_status_t mo_paged_crop(mo_cache_t *cache, int64_t count) {
  mo_paged_lists *lists = &cache->paged->lists;
  if (!mo_paged_is_allocated(cache) || count == 0) return MO_STATUS_OK;
  for (int64_t i = 0; i < cache->layer_count * lists->batch; i++)
    lists->lengths[i] = count < lists->lengths[i] ? lists->lengths[i] - count : 0;
  for (int64_t b = 0; b < lists->batch; b++) mo_paged_shrink_row(cache, b, pages_of_row(cache, b));
  mo_paged_count(cache);
  return MO_STATUS_OK;
}

/* ---- Rows ---- */

typedef struct rows_change {
  mo_paged_lists lists;
  mo_paged_mirror mirror; /* batch 0: the present one stays */
  int64_t *rows;
  int64_t count;
} rows_change;

/* Row `to` of `lists` shares what row `from` of the cache's rows holds. */
static void share_row(const mo_cache_t *cache, int64_t from, mo_paged_lists *lists, int64_t to) {
  const mo_paged_lists *source = &cache->paged->lists;
  const int64_t pages = pages_of_row(cache, from);
  for (int64_t i = 0; i < pages; i++) {
    const int32_t page = *mo_paged_page_at(cache, from, i);
    mo_page_pool_retain_page(cache->paged->pool, page);
    lists->table[to * cache->paged->max_pages + i] = page;
  }
  lists->page_counts[to] = lists->page_counts_before[to] = pages;
  for (int64_t l = 0; l < cache->layer_count; l++)
    lists->lengths[l * lists->batch + to] = source->lengths[l * source->batch + from];
  lists->changed[to] = 1;
}

void mo_paged_drop_rows(mo_cache_t *cache, void *given) {
  rows_change *change = given;
  mo_host_free(cache->context, change->rows, (size_t)change->count * sizeof *change->rows);
  mo_paged_lists_free(cache, &change->lists);
  mo_paged_mirror_free(cache, &change->mirror);
  mo_host_free(cache->context, change, sizeof *change);
}

mo_status_t mo_paged_begin_rows(mo_cache_t *cache, const int64_t *rows, int64_t count, void **change) {
  const size_t bytes = (size_t)count * sizeof *rows;
  rows_change *made = mo_host_allocate(cache->context, sizeof *made);
  if (made == NULL) return MO_STATUS_OUT_OF_MEMORY;
  *made = (rows_change){.count = count};
  mo_status_t status = mo_paged_lists_create(cache, count, &made->lists);
  if (status == MO_STATUS_OK && count != cache->batch) status = mo_paged_mirror_create(cache, count, &made->mirror);
  made->rows = mo_host_allocate(cache->context, bytes);
  if (made->rows == NULL) status = MO_STATUS_OUT_OF_MEMORY;
  else memcpy(made->rows, rows, bytes);
  if (status == MO_STATUS_OK) *change = made;
  else mo_paged_drop_rows(cache, made);
  return status;
}

mo_status_t mo_paged_end_rows(mo_cache_t *cache, void *given) {
  mo_paged_rows *paged = cache->paged;
  rows_change *change = given;
  for (int64_t b = 0; b < change->count; b++) share_row(cache, change->rows[b], &change->lists, b);
  mo_paged_lists_free(cache, &paged->lists);
  paged->lists = change->lists;
  change->lists = (mo_paged_lists){.batch = 0};
  if (change->mirror.batch != 0) {
    mo_paged_mirror_free(cache, &paged->mirror);
    paged->mirror = change->mirror;
    change->mirror = (mo_paged_mirror){.batch = 0};
  }
  cache->batch = change->count;
  mo_paged_count(cache);
  return MO_STATUS_OK;
}

/* ---- Copy ---- */

mo_status_t mo_paged_copy(const mo_cache_t *cache, mo_cache_t *copy) {
  const mo_paged_rows *source = cache->paged;
  copy->paged = mo_host_allocate(copy->context, sizeof *copy->paged);
  if (copy->paged == NULL) return MO_STATUS_OUT_OF_MEMORY;
  copy->paged->pool = mo_page_pool_retain(source->pool);
  copy->paged->max_pages = source->max_pages;
  if (!mo_paged_is_allocated(cache)) return MO_STATUS_OK;
  MO_TRY(mo_paged_allocate(copy));
  for (int64_t b = 0; b < cache->batch; b++) share_row(cache, b, &copy->paged->lists, b);
  mo_paged_count(copy);
  return MO_STATUS_OK;
}
