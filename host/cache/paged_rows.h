/* host/cache/paged_rows.h - the rows of a paged cache: lists of pages on the host, and the copies that the device has of them.
 *
 * The host's lists are what counts. The device's block table is brought up to date, row by row, before an entry is handed out.
 * The rows' lengths go to the device only where they differ, and only when they have changed: once per step, not once per
 * layer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_PAGED_ROWS_H
#define MO_CACHE_PAGED_ROWS_H

#include "host/cache/cache_internal.h"
#include "host/cache/page_pool.h"

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
  int64_t *changed;            /* 1: the device's row of the table is out of date */
  int64_t *lengths;            /* (layers, batch): a step goes layer by layer */
  size_t count_bytes;
} mo_paged_lists;

/* Two device buffers of lengths, so that reading a layer leaves the lengths of a prepared entry as they are. */
typedef enum mo_paged_lengths_of {
  MO_PAGED_OLD_TOKENS = 0, /* for prepare: without the new tokens */
  MO_PAGED_ALL_TOKENS = 1, /* for written and read */
} mo_paged_lengths_of;

/* On the device; of fixed address while the batch size stays. */
typedef struct mo_paged_mirror {
  int64_t batch;
  mo_cache_block *table;
  mo_cache_block *lengths[2]; /* by mo_paged_lengths_of */
  int32_t *lengths_host[2];   /* what they hold */
  bool lengths_sent[2];
} mo_paged_mirror;

/* A shared page of a row, and the copy that takes its slot in the row's list. */
typedef struct mo_paged_fork {
  int64_t row, index;
  int32_t old_page, new_page;
} mo_paged_fork;

struct mo_paged_rows {
  mo_page_pool_t *pool;
  int64_t max_pages; /* of a row */
  mo_paged_lists lists;
  mo_paged_mirror mirror;
  mo_paged_fork *forks; /* of the last prepare, until its tokens are counted; see paged_pages.h */
  int64_t fork_count;
  size_t fork_bytes;
};

/* ---- Memory ---- */

/* Rows for cache->batch sequences, all empty. Free gives their pages back; not allocated is fine. */
mo_status_t mo_paged_allocate(mo_cache_t *cache);
bool mo_paged_is_allocated(const mo_cache_t *cache);
void mo_paged_free(mo_cache_t *cache);

/* Lists without pages. Freeing gives the pages back. */
mo_status_t mo_paged_lists_create(const mo_cache_t *cache, int64_t batch, mo_paged_lists *lists);
void mo_paged_lists_free(const mo_cache_t *cache, mo_paged_lists *lists);
mo_status_t mo_paged_mirror_create(const mo_cache_t *cache, int64_t batch, mo_paged_mirror *mirror);
void mo_paged_mirror_free(const mo_cache_t *cache, mo_paged_mirror *mirror);

/* ---- Counts ---- */

int64_t mo_paged_length(const mo_cache_t *cache, int64_t layer, int64_t row);
/* Of all layers: what the row's pages must hold. */
int64_t mo_paged_longest(const mo_cache_t *cache, int64_t row);
/* Brings the counts of one layer, or of all, in line with the lengths of the rows. */
void mo_paged_count_layer(mo_cache_t *cache, int64_t layer);
void mo_paged_count(mo_cache_t *cache);
/* Tokens that a row may have. */
int64_t mo_paged_row_limit(const mo_cache_t *cache);

static inline int64_t mo_paged_pages_for(int64_t page_size, int64_t tokens) {
  return tokens / page_size + (tokens % page_size != 0);
}

/* ---- The block table ---- */

int32_t *mo_paged_page_at(const mo_cache_t *cache, int64_t row, int64_t index);
/* The device's row of the table is out of date. */
void mo_paged_mark_row(mo_cache_t *cache, int64_t row);
/* The device's table, brought up to date. */
mo_status_t mo_paged_table(mo_cache_t *cache, mo_tensor *table);
/* The lengths of a layer's rows and `more` in one of the two buffers; dtype NONE if all rows are alike. */
mo_status_t mo_paged_send_lengths(mo_cache_t *cache, int64_t layer, mo_paged_lengths_of which, int64_t more, mo_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
