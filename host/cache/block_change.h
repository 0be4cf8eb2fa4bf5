/* host/cache/block_change.h - changes of all layers in blocks: crop, copy, rows. The functions are those of mo_cache_storage.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_BLOCK_CHANGE_H
#define MO_CACHE_BLOCK_CHANGE_H

#include "host/cache/cache_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

mo_status_t mo_block_begin_crop(mo_cache_t *cache, int64_t count);
mo_status_t mo_block_crop(mo_cache_t *cache, int64_t count);
mo_status_t mo_block_copy(const mo_cache_t *cache, mo_cache_t *copy);

mo_status_t mo_block_begin_rows(mo_cache_t *cache, const int64_t *rows, int64_t count, void **change);
mo_status_t mo_block_end_rows(mo_cache_t *cache, void *change);
void mo_block_drop_rows(mo_cache_t *cache, void *change);

#ifdef __cplusplus
}
#endif
#endif
