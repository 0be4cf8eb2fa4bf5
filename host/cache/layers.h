/* host/cache/layers.h - the list of a cache's layers, and checks that every file here needs.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_LAYERS_H
#define MO_CACHE_LAYERS_H

#include "host/cache/cache_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An empty cache with one reference, without a storage. */
mo_status_t mo_cache_allocate(mo_context_t *context, mo_cache_t **cache);

/* Layers 0 .. count - 1 exist. */
mo_status_t mo_cache_grow_layers(mo_cache_t *cache, int64_t count);
/* Layers from `count` on exist no more. */
void mo_cache_drop_layers(mo_cache_t *cache, int64_t count);
/* The layer, or NULL. */
mo_cache_layer *mo_cache_find_layer(const mo_cache_t *cache, int64_t layer);

/* A change of several layers stopped in the middle: the cache is empty afterwards, and good for use. */
void mo_cache_abandon(mo_cache_t *cache);

/* No pair, no NULL. */
mo_status_t mo_cache_check_single(const char *op, const mo_cache_t *cache);
bool mo_cache_is_capturing(const mo_cache_t *cache);
const char *mo_cache_kind_name(mo_cache_kind_t kind);

#ifdef __cplusplus
}
#endif
#endif
