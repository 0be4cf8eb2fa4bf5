/* host/cache/paged_change.h - changes of all rows of a paged cache: crop, copy, rows. Pages are shared, never moved. The
 * functions are those of mo_cache_storage.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_PAGED_CHANGE_H
#define MO_CACHE_PAGED_CHANGE_H

#include "host/cache/cache_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

mo_status_t mo_paged_crop(mo_cache_t *cache, int64_t count);
mo_status_t mo_paged_copy(const mo_cache_t *cache, mo_cache_t *copy);

mo_status_t mo_paged_begin_rows(mo_cache_t *cache, const int64_t *rows, int64_t count, void **change);
mo_status_t mo_paged_end_rows(mo_cache_t *cache, void *change);
void mo_paged_drop_rows(mo_cache_t *cache, void *change);

#ifdef __cplusplus
}
#endif
#endif
