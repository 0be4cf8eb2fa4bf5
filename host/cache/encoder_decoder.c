/* host/cache/encoder_decoder.c - the pair of a self attention cache and a cross attention cache.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "host/cache/layers.h"

mo_cache_t *mo_cache_self(mo_cache_t *cache) { return cache == NULL || cache->self == NULL ? cache : cache->self; }
mo_cache_t *mo_cache_cross(mo_cache_t *cache) { return cache == NULL ? NULL : cache->cross; }

bool mo_cache_is_updated(const mo_cache_t *cache, int64_t layer) {
  return cache != NULL && layer >= 0 && layer < cache->updated_count && cache->updated[layer];
}

static mo_status_t set_updated(mo_cache_t *cache, int64_t layer, bool updated) {
  MO_CHECK(cache->self != NULL, MO_STATUS_INVALID_ARGUMENT, "cache set_updated: this is no encoder-decoder cache");
  MO_CHECK(layer >= 0 && layer < MO_CACHE_LAYER_LIMIT, MO_STATUS_INDEX_ERROR,
           "cache set_updated: layer %" PRId64 ", layers are 0 to %" PRId64, layer, MO_CACHE_LAYER_LIMIT - 1);
  if (layer >= cache->updated_count) {
    const int64_t count = layer < 8 ? 16 : 2 * layer;
    bool *grown = mo_host_allocate(cache->context, (size_t)count);
    if (grown == NULL) return MO_STATUS_OUT_OF_MEMORY;
    if (cache->updated != NULL) memcpy(grown, cache->updated, (size_t)cache->updated_count);
    mo_host_free(cache->context, cache->updated, (size_t)cache->updated_count);
    cache->updated = grown;
    cache->updated_count = count;
  }
  cache->updated[layer] = updated;
  return MO_STATUS_OK;
}

mo_status_t mo_cache_set_updated(mo_cache_t *cache, int64_t layer, bool updated) {
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache set_updated: the cache is NULL");
  return mo_context_note(cache->context, set_updated(cache, layer, updated));
}

static mo_status_t create_pair(mo_cache_t *self, mo_cache_t *cross, mo_cache_t **result) {
  mo_cache_t *cache = NULL;
  MO_CHECK(self->self == NULL && cross->self == NULL, MO_STATUS_INVALID_ARGUMENT,
           "cache: a part of an encoder-decoder cache is one itself");
  MO_CHECK(self != cross, MO_STATUS_INVALID_ARGUMENT, "cache: self and cross cache are the same");
  MO_CHECK(self->context == cross->context, MO_STATUS_INVALID_ARGUMENT,
           "cache: self and cross cache belong to different contexts");
  MO_TRY(mo_cache_allocate(self->context, &cache));
  cache->self = mo_cache_retain(self);
  cache->cross = mo_cache_retain(cross);
  cache->kind = self->kind;
  for (int64_t i = 0; i < cross->layer_count; i++) {
    if (cross->layers[i]->seen == 0) continue;
    const mo_status_t status = set_updated(cache, i, true);
    if (status != MO_STATUS_OK) {
      mo_cache_release(cache);
      return status;
    }
  }
  *result = cache;
  return MO_STATUS_OK;
}

mo_status_t mo_cache_create_encoder_decoder(mo_cache_t *self_cache, mo_cache_t *cross_cache, mo_cache_t **cache) {
  MO_CHECK(self_cache != NULL && cross_cache != NULL && cache != NULL, MO_STATUS_INVALID_ARGUMENT,
           "cache: an argument is NULL");
  return mo_context_note(self_cache->context, create_pair(self_cache, cross_cache, cache));
}
