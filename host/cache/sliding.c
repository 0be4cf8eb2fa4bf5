/* host/cache/sliding.c - steps of a static sliding layer that pass its end, put together in a staging block.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/sliding.h"

#include <string.h>

#include "host/cache/block_tokens.h"

mo_status_t mo_sliding_reserve(mo_cache_t *cache, mo_cache_layer *layer, int64_t tokens) {
  mo_cache_block *block = NULL;
  size_t bytes;
  /* What a long prompt needed is not kept for single tokens. */
  const bool oversized = layer->staging_capacity / 2 > tokens && layer->staging_capacity > layer->reserved;
  if (tokens <= layer->staging_capacity && (!oversized || mo_cache_is_capturing(cache))) return MO_STATUS_OK;
  MO_TRY(mo_cache_block_bytes(&layer->extents, layer->batch, tokens, &bytes));
  MO_TRY(mo_cache_block_create(cache->context, bytes, &block));
  mo_cache_block_release(layer->staging);
  layer->staging = block;
  layer->staging_capacity = tokens;
  return MO_STATUS_OK;
}

static void staging_tensors(const mo_cache_t *cache, const mo_cache_layer *layer, int64_t first, int64_t count,
                            mo_tensor tensors[5]) {
  mo_cache_block_tensors(&layer->extents, cache->context, layer->staging, layer->batch, layer->staging_capacity, first, count,
                         tensors);
  memset(&tensors[4], 0, sizeof tensors[4]);
}

mo_status_t mo_sliding_prepare(mo_cache_t *cache, mo_cache_layer *layer, int64_t count, mo_cache_entry *entry, int64_t *slot) {
  const int64_t kept = layer->stored == layer->capacity ? layer->capacity - 1 : layer->stored;
  mo_tensor from[5], to[5];
  MO_CHECK(count <= INT64_MAX / 4, MO_STATUS_OUT_OF_MEMORY, "cache update: %" PRId64 " tokens are too many", count);
  MO_TRY(mo_sliding_reserve(cache, layer, kept + count));
  mo_block_tokens(cache, layer, layer->stored - kept, kept, from);
  staging_tensors(cache, layer, 0, kept, to);
  MO_TRY(mo_block_move_tokens(cache, from, to, NULL));
  staging_tensors(cache, layer, 0, layer->staging_capacity, layer->prepared_tensors);
  *entry = (mo_cache_entry){.key = layer->prepared_tensors[0],
                            .value = layer->prepared_tensors[1],
                            .view = mo_cache_view_of(layer->prepared_tensors),
                            .length = kept + count,
                            .token_count = kept + count};
  entry->key.shape[2] = entry->value.shape[2] = kept + count;
  *slot = kept;
  layer->prepared = count;
  layer->staged = kept + count;
  return MO_STATUS_OK;
}

mo_status_t mo_sliding_commit(mo_cache_t *cache, mo_cache_layer *layer) {
  mo_tensor from[5], to[5];
  staging_tensors(cache, layer, layer->staged - layer->capacity, layer->capacity, from);
  mo_block_tokens(cache, layer, 0, layer->capacity, to);
  return mo_block_move_tokens(cache, from, to, NULL);
}
