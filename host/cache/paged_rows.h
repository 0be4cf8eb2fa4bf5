/* host/cache/paged_rows.h - the lists behind a paged cache.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_PAGED_ROWS_H
#define MO_CACHE_PAGED_ROWS_H

#include "host/cache/page_pool.h"
#include "host/cache/paged.h"

#ifdef __cplusplus
extern "C" {
#endif

/* On the host. One allocation holds all counts. */
typedef struct mo_paged_lists {
  int64_t batch;
  int32_t *table; /* (batch, max_pages), -1 past a row's pages; NULL: no rows yet */
  size_t table_bytes;
  int64_t *page_counts;
  int64_t *page_counts_before; /* before the last prepare */
  int64_t *changed;            /* 1: the device's row of the table is another */
  int64_t *lengths;            /* (layers, batch): a step goes layer by layer */
  size_t count_bytes;
} mo_paged_lists;

/* On the device; of fixed address while the batch size stays. */
typedef struct mo_paged_mirror {
  int64_t batch;
  mo_cache_block *table;
  mo_cache_block *lengths[2]; /* before new tokens, with them */
  int32_t *lengths_host[2];   /* what they hold */
  bool lengths_sent[2];
} mo_paged_mirror;

/* A shared page of a row that was copied to be written to. */
typedef struct mo_paged_fork {
  int64_t row, index;
  int32_t old_page, new_page;
} mo_paged_fork;

struct mo_paged_rows {
  mo_page_pool_t *pool;
  int64_t max_pages; /* of a row */
  mo_paged_lists lists;
  mo_paged_mirror mirror;
  mo_paged_fork *forks; /* of the last prepare, until its tokens are counted */
  int64_t fork_count;
  size_t fork_bytes;
};

/* Lists without pages. Freeing gives the pages back. */
mo_status_t mo_paged_lists_create(const mo_cache_t *cache, int64_t batch, mo_paged_lists *lists);
void mo_paged_lists_free(const mo_cache_t *cache, mo_paged_lists *lists);
mo_status_t mo_paged_mirror_create(const mo_cache_t *cache, int64_t batch, mo_paged_mirror *mirror);
void mo_paged_mirror_free(const mo_cache_t *cache, mo_paged_mirror *mirror);

int64_t mo_paged_length(const mo_cache_t *cache, int64_t layer, int64_t row);
int64_t mo_paged_longest(const mo_cache_t *cache, int64_t row);
/* Brings the layers' counts in line with the lengths. */
void mo_paged_count(mo_cache_t *cache);
void mo_paged_mark_row(mo_cache_t *cache, int64_t row);
/* The block table, brought up to date. */
mo_status_t mo_paged_table(mo_cache_t *cache, mo_tensor *table);

/* ---- paged_pages.c ---- */

/* Pages of its own for the next `count` tokens of every row: new ones, and copies of shared ones that would be written to.
 * OUT_OF_MEMORY, INDEX_ERROR and WRONG_STATE (captured) leave all as it was. */
mo_status_t mo_paged_make_room(mo_cache_t *cache, int64_t layer, int64_t count);
void mo_paged_forget_forks(mo_cache_t *cache);
/* Gives back the pages after the first `pages`. */
void mo_paged_shrink_row(mo_cache_t *cache, int64_t row, int64_t pages);

static inline int64_t mo_paged_pages_for(const mo_cache_t *cache, int64_t tokens) {
  const int64_t size = cache->paged->pool->page_size;
  return tokens / size + (tokens % size != 0);
}

#ifdef __cplusplus
}
#endif
#endif
