/* host/cache/sliding.h - steps of a static sliding layer that pass its end.
 *
 * The layer's block keeps its address for good, so it cannot be shifted before the new tokens are written: a write that fails
 * would have lost the oldest ones. Such a step is put together in a second block, the staging block:
 *
 *   prepare   the old tokens that the new ones still attend to are copied to the front of the staging block; the entry leads
 *             there. `staged` is the number of tokens it will hold, old and new
 *   write     the new tokens go after them, in the staging block
 *   commit    the last `capacity` tokens of the staging block are copied to the layer's own block. `staged` is 0 again
 *
 * Until commit the layer's block holds what it held. The staging block is kept for the next step.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_SLIDING_H
#define MO_CACHE_SLIDING_H

#include "host/cache/cache_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

mo_status_t mo_sliding_prepare(mo_cache_t *cache, mo_cache_layer *layer, int64_t count, mo_cache_entry *entry, int64_t *slot);
mo_status_t mo_sliding_commit(mo_cache_t *cache, mo_cache_layer *layer);
/* A staging block for `tokens` tokens. */
mo_status_t mo_sliding_reserve(mo_cache_t *cache, mo_cache_layer *layer, int64_t tokens);

#ifdef __cplusplus
}
#endif
#endif
