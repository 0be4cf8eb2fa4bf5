/* host/cache/block_tokens.h - tokens of layers in blocks: where they lie, moving them, and zeros for empty slots.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_BLOCK_TOKENS_H
#define MO_CACHE_BLOCK_TOKENS_H

#include "host/cache/layers.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline int64_t mo_larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Tensors of tokens first .. first + count - 1, counted from slot 0. */
void mo_block_tokens(const mo_cache_t *cache, const mo_cache_layer *layer, int64_t first, int64_t count, mo_tensor tensors[5]);

/* destination = tokens of source, plain copy of rows (rows NULL: the same ones). */
mo_status_t mo_block_move_tokens(mo_cache_t *cache, const mo_tensor source[5], const mo_tensor destination[5],
                                 const mo_tensor *rows);

/* Puts zeros into slots first .. first + count - 1 of a block. */
mo_status_t mo_block_fill_zeros(mo_cache_t *cache, const mo_cache_layer *layer, const mo_cache_block *block, int64_t batch,
                                int64_t first, int64_t count);
/* Makes sure that mo_block_fill_zeros will need no memory. */
mo_status_t mo_block_need_zeros(mo_cache_t *cache, const mo_cache_layer *layer);

/* The CPU's gather works in scratch memory: makes sure that a change which has begun needs none. */
mo_status_t mo_block_need_scratch(mo_cache_t *cache);

#ifdef __cplusplus
}
#endif
#endif
