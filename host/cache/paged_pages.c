/* host/cache/paged_pages.c - pages for tokens to come, copy on write, sharing between rows.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "host/cache/paged_rows.h"

static int32_t *page_at(const mo_cache_t *cache, int64_t row, int64_t index) {
  return &cache->paged->lists.table[row * cache->paged->max_pages + index];
}

/* Page indexes of a row that its next `count` tokens touch. */
static void touched(const mo_cache_t *cache, int64_t layer, int64_t row, int64_t count, int64_t *first, int64_t *end) {
  const int64_t length = mo_paged_length(cache, layer, row);
  *first = count == 0 ? 0 : length / cache->paged->pool->page_size;
  *end = count == 0 ? 0 : mo_paged_pages_for(cache, length + count);
}

/* Walks over the shared pages that would be written to. Each one met counts as let go, as it will be: where two rows share a
 * page and nobody else does, one of them may keep it. `forks` NULL only counts. */
static int64_t find_forks(const mo_cache_t *cache, int64_t layer, int64_t count, mo_paged_fork *forks) {
  mo_page_pool_t *pool = cache->paged->pool;
  int64_t found = 0;
  for (int64_t b = 0; b < cache->paged->lists.batch; b++) {
    int64_t first, end;
    touched(cache, layer, b, count, &first, &end);
    for (int64_t i = first; i < end && i < cache->paged->lists.page_counts[b]; i++) {
      const int32_t page = *page_at(cache, b, i);
      if (pool->page_references[page] <= 1) continue;
      if (forks != NULL) {
        forks[found] = (mo_paged_fork){.row = b, .index = i, .old_page = page};
        pool->page_references[page]--;
      }
      found++;
    }
  }
  return found;
}

/* References that find_forks took come back. */
static void undo_forks(mo_page_pool_t *pool, const mo_paged_fork *forks, int64_t count) {
  for (int64_t i = 0; i < count; i++) pool->page_references[forks[i].old_page]++;
}

static mo_status_t check_room(const mo_cache_t *cache, int64_t layer, int64_t count, int64_t *fresh) {
  const int64_t limit = mo_paged_max_length(cache);
  *fresh = 0;
  for (int64_t b = 0; b < cache->paged->lists.batch; b++) {
    const int64_t length = mo_paged_length(cache, layer, b);
    MO_CHECK(count <= limit - length, MO_STATUS_INDEX_ERROR,
             "cache update: %" PRId64 " tokens behind %" PRId64 " (row %" PRId64 "), a row of this cache may have %" PRId64,
             count, length, b, limit);
    const int64_t pages = mo_paged_pages_for(cache, length + count), held = cache->paged->lists.page_counts[b];
    if (pages > held) *fresh += pages - held;
  }
  return MO_STATUS_OK;
}

static mo_status_t copy_forks(mo_page_pool_t *pool, mo_paged_fork *forks, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    forks[i].new_page = mo_page_pool_take_page(pool);
    const mo_status_t status = mo_page_pool_copy_page(pool, forks[i].old_page, forks[i].new_page);
    if (status == MO_STATUS_OK) continue;
    for (int64_t k = 0; k <= i; k++) mo_page_pool_release_page(pool, forks[k].new_page);
    return status;
  }
  return MO_STATUS_OK;
}

static mo_status_t take_pages(mo_cache_t *cache, int64_t layer, int64_t count, int64_t fresh, mo_paged_fork *forks,
                              int64_t fork_count) {
  mo_paged_lists *lists = &cache->paged->lists;
  mo_page_pool_t *pool = cache->paged->pool;
  MO_CHECK(fresh + fork_count <= pool->free_count, MO_STATUS_OUT_OF_MEMORY,
           "cache update: %" PRId64 " pages are needed (%" PRId64 " of them copies of shared ones), the pool has %" PRId64
           " free",
           fresh + fork_count, fork_count, pool->free_count);
  MO_TRY(copy_forks(pool, forks, fork_count));
  for (int64_t i = 0; i < fork_count; i++) {
    *page_at(cache, forks[i].row, forks[i].index) = forks[i].new_page;
    mo_paged_mark_row(cache, forks[i].row);
  }
  for (int64_t b = 0; b < lists->batch; b++) {
    const int64_t pages = mo_paged_pages_for(cache, mo_paged_length(cache, layer, b) + count);
    while (lists->page_counts[b] < pages) {
      *page_at(cache, b, lists->page_counts[b]++) = mo_page_pool_take_page(pool);
      mo_paged_mark_row(cache, b);
    }
  }
  return MO_STATUS_OK;
}

mo_status_t mo_paged_make_room(mo_cache_t *cache, int64_t layer, int64_t count) {
  mo_paged_lists *lists = &cache->paged->lists;
  int64_t fresh;
  MO_TRY(check_room(cache, layer, count, &fresh));
  const int64_t most_forks = find_forks(cache, layer, count, NULL);
  MO_CHECK(fresh + most_forks == 0 || !mo_cache_is_capturing(cache), MO_STATUS_WRONG_STATE,
           "cache update: pages are needed while the stream is captured (mo_cache_reserve before takes them)");
  mo_paged_forget_forks(cache);
  memcpy(lists->page_counts_before, lists->page_counts, (size_t)lists->batch * sizeof *lists->page_counts);
  if (fresh + most_forks == 0) return MO_STATUS_OK;
  const size_t bytes = (size_t)(most_forks + 1) * sizeof(mo_paged_fork);
  mo_paged_fork *forks = mo_host_allocate(cache->context, bytes);
  if (forks == NULL) return MO_STATUS_OUT_OF_MEMORY;
  const int64_t fork_count = find_forks(cache, layer, count, forks);
  const mo_status_t status = take_pages(cache, layer, count, fresh, forks, fork_count);
  if (status != MO_STATUS_OK) {
    undo_forks(cache->paged->pool, forks, fork_count);
    mo_host_free(cache->context, forks, bytes);
    return status;
  }
  cache->paged->forks = forks;
  cache->paged->fork_count = fork_count;
  cache->paged->fork_bytes = bytes;
  return MO_STATUS_OK;
}

void mo_paged_forget_forks(mo_cache_t *cache) {
  mo_host_free(cache->context, cache->paged->forks, cache->paged->fork_bytes);
  cache->paged->forks = NULL;
  cache->paged->fork_count = 0;
}

/* The old pages of forks are still held by those who shared them. */
void mo_paged_cancel(mo_cache_t *cache) {
  mo_paged_rows *rows = cache->paged;
  for (int64_t b = 0; b < rows->lists.batch; b++) mo_paged_shrink_row(cache, b, rows->lists.page_counts_before[b]);
  for (int64_t i = 0; i < rows->fork_count; i++) {
    const mo_paged_fork *fork = &rows->forks[i];
    mo_page_pool_retain_page(rows->pool, fork->old_page);
    mo_page_pool_release_page(rows->pool, fork->new_page);
    *page_at(cache, fork->row, fork->index) = fork->old_page;
    mo_paged_mark_row(cache, fork->row);
  }
  mo_paged_forget_forks(cache);
}

void mo_paged_shrink_row(mo_cache_t *cache, int64_t row, int64_t pages) {
  mo_paged_lists *lists = &cache->paged->lists;
  if (lists->page_counts[row] <= pages) return;
  while (lists->page_counts[row] > pages) {
    int32_t *page = page_at(cache, row, --lists->page_counts[row]);
    mo_page_pool_release_page(cache->paged->pool, *page);
    *page = -1;
  }
  mo_paged_mark_row(cache, row);
}

/* ---- Crop ---- */

void mo_paged_crop(mo_cache_t *cache, int64_t count) {
  mo_paged_lists *lists = &cache->paged->lists;
  if (!mo_paged_is_allocated(cache) || count == 0) return;
  for (int64_t i = 0; i < cache->layer_count * lists->batch; i++)
    lists->lengths[i] = count < lists->lengths[i] ? lists->lengths[i] - count : 0;
  for (int64_t b = 0; b < lists->batch; b++)
    mo_paged_shrink_row(cache, b, mo_paged_pages_for(cache, mo_paged_longest(cache, b)));
  mo_paged_count(cache);
}

/* ---- Rows ---- */

struct mo_paged_change {
  mo_paged_lists lists;
  mo_paged_mirror mirror; /* batch 0: the present one stays */
  int64_t *rows;
};

/* Row `to` of `lists` shares what row `from` of the cache's rows holds. */
static void share_row(const mo_cache_t *cache, int64_t from, mo_paged_lists *lists, int64_t to) {
  const mo_paged_lists *source = &cache->paged->lists;
  const int64_t pages = mo_paged_pages_for(cache, mo_paged_longest(cache, from));
  for (int64_t i = 0; i < pages; i++) {
    const int32_t page = *page_at(cache, from, i);
    mo_page_pool_retain_page(cache->paged->pool, page);
    lists->table[to * cache->paged->max_pages + i] = page;
  }
  lists->page_counts[to] = lists->page_counts_before[to] = pages;
  for (int64_t l = 0; l < cache->layer_count; l++)
    lists->lengths[l * lists->batch + to] = source->lengths[l * source->batch + from];
  lists->changed[to] = 1;
}

mo_status_t mo_paged_rows_begin(mo_cache_t *cache, const int64_t *rows, int64_t count, mo_paged_change **change) {
  const size_t bytes = (size_t)count * sizeof *rows;
  mo_paged_change *made = mo_host_allocate(cache->context, sizeof *made);
  if (made == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_status_t status = mo_paged_lists_create(cache, count, &made->lists);
  if (status == MO_STATUS_OK && count != cache->batch) status = mo_paged_mirror_create(cache, count, &made->mirror);
  made->rows = mo_host_allocate(cache->context, bytes);
  if (made->rows == NULL) status = MO_STATUS_OUT_OF_MEMORY;
  else memcpy(made->rows, rows, bytes);
  if (status != MO_STATUS_OK) {
    mo_host_free(cache->context, made->rows, bytes);
    mo_paged_lists_free(cache, &made->lists);
    mo_paged_mirror_free(cache, &made->mirror);
    mo_host_free(cache->context, made, sizeof *made);
    return status;
  }
  *change = made;
  return MO_STATUS_OK;
}

void mo_paged_rows_cancel(mo_cache_t *cache, mo_paged_change *change) {
  mo_host_free(cache->context, change->rows, (size_t)change->lists.batch * sizeof *change->rows);
  mo_paged_lists_free(cache, &change->lists);
  mo_paged_mirror_free(cache, &change->mirror);
  mo_host_free(cache->context, change, sizeof *change);
}

void mo_paged_rows_end(mo_cache_t *cache, mo_paged_change *change) {
  mo_paged_rows *paged = cache->paged;
  const int64_t batch = change->lists.batch;
  for (int64_t b = 0; b < batch; b++) share_row(cache, change->rows[b], &change->lists, b);
  mo_paged_lists_free(cache, &paged->lists);
  paged->lists = change->lists;
  if (change->mirror.batch != 0) {
    mo_paged_mirror_free(cache, &paged->mirror);
    paged->mirror = change->mirror;
  }
  mo_host_free(cache->context, change->rows, (size_t)batch * sizeof *change->rows);
  mo_host_free(cache->context, change, sizeof *change);
  cache->batch = batch;
  mo_paged_count(cache);
}

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

/* ---- Rows by hand ---- */

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
  MO_CHECK(length >= 0 && length <= mo_paged_max_length(cache), MO_STATUS_INDEX_ERROR,
           "%s: %" PRId64 " tokens, a row of this cache may have %" PRId64, op, length, mo_paged_max_length(cache));
  for (int64_t l = 0; l < source->layer_count; l++) {
    const int64_t held = mo_paged_is_allocated(source) ? mo_paged_length(source, l, source_row) : 0;
    MO_CHECK(length <= held, MO_STATUS_INDEX_ERROR,
             "%s: %" PRId64 " tokens, row %" PRId64 " holds %" PRId64 " in layer %" PRId64, op, length, source_row, held, l);
  }
  if (!mo_paged_is_allocated(cache)) MO_TRY(mo_paged_allocate(cache));
  const int64_t pages = mo_paged_pages_for(cache, length);
  for (int64_t i = 0; i < pages; i++) mo_page_pool_retain_page(cache->paged->pool, *page_at(source, source_row, i));
  if (cache != source || row != source_row) {
    mo_paged_shrink_row(cache, row, 0);
    for (int64_t i = 0; i < pages; i++) *page_at(cache, row, i) = *page_at(source, source_row, i);
  } else {
    for (int64_t i = 0; i < pages; i++) mo_page_pool_release_page(cache->paged->pool, *page_at(cache, row, i));
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
  return mo_paged_row_length(cache, row);
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
