/* host/cache/paged_pages.c - pages for the tokens of a step, and copies of shared pages that would be written to.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/paged_pages.h"

#include <string.h>

#include "host/cache/layers.h"

static int64_t pages_for(const mo_cache_t *cache, int64_t tokens) {
  return mo_paged_pages_for(cache->paged->pool->page_size, tokens);
}

/* Page indexes of a row that its next `count` tokens touch. */
static void touched(const mo_cache_t *cache, int64_t layer, int64_t row, int64_t count, int64_t *first, int64_t *end) {
  const int64_t length = mo_paged_length(cache, layer, row);
  *first = count == 0 ? 0 : length / cache->paged->pool->page_size;
  *end = count == 0 ? 0 : pages_for(cache, length + count);
}

/* The shared pages that would be written to. With `forks` each is entered there and its reference count goes down by one at
 * once: of two rows that share a page with nobody else, the first gets a copy, and the second then finds the page its own and
 * keeps it. Without (NULL) nothing changes, and the result is the most there can be. */
static int64_t find_forks(const mo_cache_t *cache, int64_t layer, int64_t count, mo_paged_fork *forks) {
  mo_page_pool_t *pool = cache->paged->pool;
  int64_t found = 0;
  for (int64_t b = 0; b < cache->paged->lists.batch; b++) {
    int64_t first, end;
    touched(cache, layer, b, count, &first, &end);
    for (int64_t i = first; i < end && i < cache->paged->lists.page_counts[b]; i++) {
      const int32_t page = *mo_paged_page_at(cache, b, i);
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
  const int64_t limit = mo_paged_row_limit(cache);
  *fresh = 0;
  for (int64_t b = 0; b < cache->paged->lists.batch; b++) {
    const int64_t length = mo_paged_length(cache, layer, b);
    MO_CHECK(count <= limit - length, MO_STATUS_INDEX_ERROR,
             "cache update: %" PRId64 " tokens after %" PRId64 " (row %" PRId64 "), a row of this cache may have %" PRId64,
             count, length, b, limit);
    const int64_t pages = pages_for(cache, length + count), held = cache->paged->lists.page_counts[b];
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
    *mo_paged_page_at(cache, forks[i].row, forks[i].index) = forks[i].new_page;
    mo_paged_mark_row(cache, forks[i].row);
  }
  for (int64_t b = 0; b < lists->batch; b++) {
    const int64_t pages = pages_for(cache, mo_paged_length(cache, layer, b) + count);
    while (lists->page_counts[b] < pages) {
      *mo_paged_page_at(cache, b, lists->page_counts[b]++) = mo_page_pool_take_page(pool);
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
void mo_paged_cancel(mo_cache_t *cache, int64_t layer) {
  (void)layer;
  mo_paged_rows *rows = cache->paged;
  for (int64_t b = 0; b < rows->lists.batch; b++) mo_paged_shrink_row(cache, b, rows->lists.page_counts_before[b]);
  for (int64_t i = 0; i < rows->fork_count; i++) {
    const mo_paged_fork *fork = &rows->forks[i];
    mo_page_pool_retain_page(rows->pool, fork->old_page);
    mo_page_pool_release_page(rows->pool, fork->new_page);
    *mo_paged_page_at(cache, fork->row, fork->index) = fork->old_page;
    mo_paged_mark_row(cache, fork->row);
  }
  mo_paged_forget_forks(cache);
}

void mo_paged_shrink_row(mo_cache_t *cache, int64_t row, int64_t pages) {
  mo_paged_lists *lists = &cache->paged->lists;
  if (lists->page_counts[row] <= pages) return;
  while (lists->page_counts[row] > pages) {
    int32_t *page = mo_paged_page_at(cache, row, --lists->page_counts[row]);
    mo_page_pool_release_page(cache->paged->pool, *page);
    *page = -1;
  }
  mo_paged_mark_row(cache, row);
}
