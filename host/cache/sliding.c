/* host/cache/sliding.c - steps of a static sliding layer that pass its end.
 *
 * The step is put together in a second block: the old tokens that the new ones still see, then the new ones. Committing brings
 * the last ones back to the layer's own block, whose address never changes. Until then the layer holds what it held, so a write
 * that fails has changed nothing.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "host/cache/cache_internal.h"

mo_status_t mo_cache_staging_reserve(mo_cache_t *cache, mo_cache_layer *layer, int64_t tokens) {
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

mo_status_t mo_cache_staged_prepare(mo_cache_t *cache, mo_cache_layer *layer, int64_t count, mo_cache_entry *entry,
                                    int64_t *slot) {
  const int64_t kept = layer->stored == layer->capacity ? layer->capacity - 1 : layer->stored;
  mo_tensor from[5], to[5];
  MO_CHECK(count <= INT64_MAX / 4, MO_STATUS_OUT_OF_MEMORY, "cache update: %" PRId64 " tokens are too many", count);
  MO_TRY(mo_cache_staging_reserve(cache, layer, kept + count));
  mo_cache_layer_tensors(cache, layer, layer->stored - kept, kept, from);
  staging_tensors(cache, layer, 0, kept, to);
  MO_TRY(mo_cache_move(cache, from, to, NULL));
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

mo_status_t mo_cache_staged_commit(mo_cache_t *cache, mo_cache_layer *layer) {
  mo_tensor from[5], to[5];
  staging_tensors(cache, layer, layer->staged - layer->capacity, layer->capacity, from);
  mo_cache_layer_tensors(cache, layer, 0, layer->capacity, to);
  return mo_cache_move(cache, from, to, NULL);
}
