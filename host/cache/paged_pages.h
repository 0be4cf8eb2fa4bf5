/* host/cache/paged_pages.h - pages for the tokens of a step, and copies of shared pages that would be written to.
 *
 * COPY ON WRITE. A page may be in the lists of several rows, of several caches; the pool counts how many. Only a page that is
 * in one list is written to. Where the next token of a row belongs into a shared page, the row gets a copy of it, a fork:
 *
 *   make room   new pages are added to the rows' lists (page_counts_before keeps how many there were), forks replace the shared
 *               pages. Both are kept until the step ends:
 *   cancel      the new pages go back to the pool, and the shared pages return to the lists
 *   forget      the tokens were counted, or the next step begins: what was taken stays
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_PAGED_PAGES_H
#define MO_CACHE_PAGED_PAGES_H

#include "host/cache/paged_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pages of its own for the next `count` tokens of every row: new ones, and copies of shared ones that would be written to.
 * OUT_OF_MEMORY, INDEX_ERROR and WRONG_STATE (captured) leave all as it was. */
mo_status_t mo_paged_make_room(mo_cache_t *cache, int64_t layer, int64_t count);
void mo_paged_cancel(mo_cache_t *cache, int64_t layer);
void mo_paged_forget_forks(mo_cache_t *cache);

/* Gives back the pages after the first `pages`. */
void mo_paged_shrink_row(mo_cache_t *cache, int64_t row, int64_t pages);

#ifdef __cplusplus
}
#endif
#endif
