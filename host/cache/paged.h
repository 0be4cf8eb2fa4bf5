/* host/cache/paged.h - the rows of a paged cache: lists of pages, and what the device knows of them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_PAGED_H
#define MO_CACHE_PAGED_H

#include "host/cache/cache_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* From checked options; layers and extents come from the pool. */
mo_status_t mo_paged_rows_create(mo_cache_t *cache, const mo_cache_options *options);
void mo_paged_rows_destroy(mo_cache_t *cache); /* not paged is fine */

/* Rows for cache->batch sequences, all empty; free gives them up again. */
mo_status_t mo_paged_allocate(mo_cache_t *cache);
bool mo_paged_is_allocated(const mo_cache_t *cache);
void mo_paged_free(mo_cache_t *cache);

mo_status_t mo_paged_prepare(mo_cache_t *cache, int64_t layer, int64_t count, mo_cache_entry *entry, int64_t *slot);
/* The new tokens of mo_paged_prepare go to the slots after each row's tokens: NULL if *slot holds for all rows. */
const mo_tensor *mo_paged_offsets(const mo_cache_entry *entry);
/* The tokens of a prepared entry are written: its lengths count them from here on. Before the commit, as it may fail. */
mo_status_t mo_paged_written(mo_cache_t *cache, int64_t layer, int64_t count, mo_cache_entry *entry);
/* The write failed: pages that mo_paged_prepare took go back to the pool. */
void mo_paged_cancel(mo_cache_t *cache);
mo_status_t mo_paged_check_commit(const mo_cache_t *cache, int64_t layer, int64_t count);
void mo_paged_commit(mo_cache_t *cache, int64_t layer, int64_t count);
mo_status_t mo_paged_read(mo_cache_t *cache, int64_t layer, mo_cache_entry *entry);
mo_status_t mo_paged_reserve(mo_cache_t *cache, int64_t count);

/* Tokens of a row in layer 0. */
int64_t mo_paged_row_length(const mo_cache_t *cache, int64_t row);
int64_t mo_paged_max_length(const mo_cache_t *cache);
uint64_t mo_paged_bytes(const mo_cache_t *cache, int64_t layer);

void mo_paged_crop(mo_cache_t *cache, int64_t count);
/* Begin allocates what end needs; end cannot fail; cancel drops what begin made. */
typedef struct mo_paged_change mo_paged_change;
mo_status_t mo_paged_rows_begin(mo_cache_t *cache, const int64_t *rows, int64_t count, mo_paged_change **change);
void mo_paged_rows_end(mo_cache_t *cache, mo_paged_change *change);
void mo_paged_rows_cancel(mo_cache_t *cache, mo_paged_change *change);
mo_status_t mo_paged_copy(const mo_cache_t *cache, mo_cache_t *copy);

#ifdef __cplusplus
}
#endif
#endif
