/* host/cache/block_layer.h - a layer that lies in one block: room for tokens, entries, counting.
 *
 * The functions are those of mo_cache_storage (cache_internal.h), but where a comment stands.
 *
 * Tokens lie in slots start .. start + stored - 1. Room for more is made by the first of these that serves:
 *
 *   in place    there are slots after the last token, and the block may be written to from there on (block.h)
 *   to front    the first `stored` slots are free of tokens: the tokens move there. Sliding layers come here once per window
 *   new block   half as large again, or as large as needed; a block that a long prompt made far too large shrinks here
 *
 * A dynamic layer has start 0 but after a crop of a shared block. A sliding layer drops tokens by raising `start`. A static
 * layer has start 0 and one block for good; its empty slots are zeros.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_BLOCK_LAYER_H
#define MO_CACHE_BLOCK_LAYER_H

#include "host/cache/cache_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

bool mo_block_is_allocated(const mo_cache_t *cache, int64_t index);
mo_status_t mo_block_allocate(mo_cache_t *cache, int64_t index, int64_t tokens);
void mo_block_release(mo_cache_t *cache, int64_t index);
mo_status_t mo_block_reserve(mo_cache_t *cache, int64_t count);

mo_status_t mo_block_prepare(mo_cache_t *cache, int64_t index, int64_t count, mo_cache_entry *entry, int64_t *slot);
void mo_block_cancel(mo_cache_t *cache, int64_t index);
mo_status_t mo_block_check_commit(const mo_cache_t *cache, int64_t index, int64_t count);
mo_status_t mo_block_commit(mo_cache_t *cache, int64_t index, int64_t count, mo_cache_entry *entry);
mo_status_t mo_block_read(mo_cache_t *cache, int64_t index, mo_cache_entry *entry);

#ifdef __cplusplus
}
#endif
#endif
