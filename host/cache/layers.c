/* host/cache/layers.c - the list of a cache's layers.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/layers.h"

#include <string.h>

mo_status_t mo_cache_allocate(mo_context_t *context, mo_cache_t **cache) {
  mo_cache_t *made = mo_host_allocate(context, sizeof *made);
  if (made == NULL) return MO_STATUS_OUT_OF_MEMORY;
  atomic_init(&made->references, 1);
  made->context = mo_context_retain(context);
  made->batch = -1;
  *cache = made;
  return MO_STATUS_OK;
}

/* ---- The list ---- */

void mo_cache_drop_layers(mo_cache_t *cache, int64_t count) {
  while (cache->layer_count > count) {
    cache->storage->release(cache, cache->layer_count - 1);
    mo_host_free(cache->context, cache->layers[--cache->layer_count], sizeof(mo_cache_layer));
  }
}

static mo_status_t make_list(mo_cache_t *cache, int64_t count) {
  const int64_t capacity = count < 8 ? 8 : 2 * count;
  if (count <= cache->layer_capacity) return MO_STATUS_OK;
  mo_cache_layer **grown = mo_host_allocate(cache->context, (size_t)capacity * sizeof *grown);
  if (grown == NULL) return MO_STATUS_OUT_OF_MEMORY;
  if (cache->layer_count > 0) memcpy(grown, cache->layers, (size_t)cache->layer_count * sizeof *grown);
  mo_host_free(cache->context, cache->layers, (size_t)cache->layer_capacity * sizeof *grown);
  cache->layers = grown;
  cache->layer_capacity = capacity;
  return MO_STATUS_OK;
}

mo_status_t mo_cache_grow_layers(mo_cache_t *cache, int64_t count) {
  const int64_t before = cache->layer_count;
  MO_TRY(make_list(cache, count));
  while (cache->layer_count < count) {
    mo_cache_layer *layer = mo_host_allocate(cache->context, sizeof *layer);
    if (layer == NULL) {
      mo_cache_drop_layers(cache, before);
      return MO_STATUS_OUT_OF_MEMORY;
    }
    *layer = cache->defaults;
    cache->layers[cache->layer_count++] = layer;
  }
  return MO_STATUS_OK;
}

mo_cache_layer *mo_cache_find_layer(const mo_cache_t *cache, int64_t layer) {
  return cache != NULL && layer >= 0 && layer < cache->layer_count ? cache->layers[layer] : NULL;
}

void mo_cache_abandon(mo_cache_t *cache) {
  for (int64_t i = 0; i < cache->layer_count; i++) cache->storage->release(cache, i);
  if (!cache->batch_given) cache->batch = -1;
  cache->batch_taken = false;
}

/* ---- Checks ---- */

mo_status_t mo_cache_check_single(const char *op, const mo_cache_t *cache) {
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: the cache is NULL", op);
  if (cache->self == NULL) return MO_STATUS_OK;
  return mo_context_note(
      cache->context,
      mo_fail(MO_STATUS_INVALID_ARGUMENT,
              "%s: an encoder-decoder cache has no layers of its own, ask mo_cache_self or mo_cache_cross", op));
}

bool mo_cache_is_capturing(const mo_cache_t *cache) {
  return mo_context_stream_is_capturing(cache->context, mo_context_stream(cache->context));
}

const char *mo_cache_kind_name(mo_cache_kind_t kind) {
  static const char *const names[] = {"?", "dynamic", "static", "sliding", "static sliding", "quantised", "paged"};
  return kind >= MO_CACHE_DYNAMIC && kind <= MO_CACHE_PAGED ? names[kind] : names[0];
}
