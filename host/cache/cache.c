/* host/cache/cache.c - making caches and letting them go, and what can be asked of them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "host/cache/cache_internal.h"
#include "host/cache/paged.h"
#include "host/core/struct_size.h"

/* ---- Options ---- */

static const char *kind_name(mo_cache_kind_t kind) {
  static const char *const names[] = {"?", "dynamic", "static", "sliding", "static sliding", "quantised", "paged"};
  return kind >= MO_CACHE_DYNAMIC && kind <= MO_CACHE_PAGED ? names[kind] : names[0];
}

/* Layers of one cache are of one family: growing ones, static ones. */
static mo_status_t check_mix(mo_cache_kind_t kind, mo_cache_kind_t layer, int64_t index) {
  const bool growing =
      (kind == MO_CACHE_DYNAMIC || kind == MO_CACHE_SLIDING) && (layer == MO_CACHE_DYNAMIC || layer == MO_CACHE_SLIDING);
  const bool fixed = mo_cache_kind_is_static(kind) && mo_cache_kind_is_static(layer);
  MO_CHECK(kind == layer || growing || fixed, MO_STATUS_INVALID_ARGUMENT,
           "cache: layer %" PRId64 " is %s in a %s cache; dynamic and sliding may be mixed, static and static sliding too",
           index, kind_name(layer), kind_name(kind));
  return MO_STATUS_OK;
}

static mo_status_t check_layer(const mo_cache_layer *layer) {
  const mo_cache_extents *extents = &layer->extents;
  MO_CHECK(!mo_cache_kind_is_sliding(layer->kind) || layer->window > 0, MO_STATUS_INVALID_ARGUMENT,
           "cache: window %" PRId64 ", a %s layer needs at least 1", layer->window, kind_name(layer->kind));
  MO_CHECK(extents->heads >= 0 && extents->key_size >= 0 && extents->value_size >= 0, MO_STATUS_INVALID_ARGUMENT,
           "cache: %" PRId64 " key/value heads of %" PRId64 " and %" PRId64 " elements, an extent is negative", extents->heads,
           extents->key_size, extents->value_size);
  MO_CHECK(extents->dtype == MO_DTYPE_NONE || mo_dtype_is_float(extents->dtype), MO_STATUS_INVALID_ARGUMENT,
           "cache: dtype %s, keys and values are float32, float16 or bfloat16", mo_dtype_name(extents->dtype));
  return mo_cache_check_groups(extents);
}

mo_status_t mo_cache_check_groups(const mo_cache_extents *extents) {
  const int64_t size = extents->group_size;
  MO_CHECK(size >= 0, MO_STATUS_INVALID_ARGUMENT, "cache: group_size %" PRId64 " is negative", size);
  MO_CHECK(size == 0 || (extents->key_size % size == 0 && extents->value_size % size == 0), MO_STATUS_INVALID_ARGUMENT,
           "cache: group_size %" PRId64 " does not divide heads of %" PRId64 " and %" PRId64 " elements", size,
           extents->key_size, extents->value_size);
  return MO_STATUS_OK;
}

static mo_status_t check_storage(mo_dtype_t storage, mo_cache_kind_t kind) {
  MO_CHECK(storage == MO_DTYPE_NONE || kind == MO_CACHE_QUANTIZED, MO_STATUS_INVALID_ARGUMENT,
           "cache: storage_dtype %s for a %s cache, only quantised caches (and page pools) have one", mo_dtype_name(storage),
           kind_name(kind));
  MO_CHECK(storage == MO_DTYPE_NONE || storage == MO_DTYPE_INT8 || storage == MO_DTYPE_FLOAT8_E4M3, MO_STATUS_INVALID_ARGUMENT,
           "cache: storage_dtype %s, it is int8 or float8 e4m3", mo_dtype_name(storage));
  return MO_STATUS_OK;
}

static mo_status_t check_options(const mo_cache_options *options) {
  const mo_cache_kind_t kind = options->kind;
  const bool is_static = mo_cache_kind_is_static(kind), paged = kind == MO_CACHE_PAGED;
  MO_CHECK(kind >= MO_CACHE_DYNAMIC && kind <= MO_CACHE_PAGED, MO_STATUS_INVALID_ARGUMENT, "cache: kind %d is unknown",
           (int)kind);
  MO_CHECK(options->layer_count >= 0 && options->layer_count <= MO_CACHE_LAYER_LIMIT, MO_STATUS_INVALID_ARGUMENT,
           "cache: %" PRId64 " layers, there may be 0 to %" PRId64, options->layer_count, MO_CACHE_LAYER_LIMIT);
  MO_CHECK(!is_static || options->layer_count > 0, MO_STATUS_INVALID_ARGUMENT,
           "cache: layer_count is 0, a static cache needs it");
  MO_CHECK(!is_static || options->max_length > 0, MO_STATUS_INVALID_ARGUMENT,
           "cache: max_length %" PRId64 ", a static cache needs at least 1", options->max_length);
  MO_CHECK(options->max_length == 0 || is_static || (paged && options->max_length > 0), MO_STATUS_INVALID_ARGUMENT,
           "cache: max_length %" PRId64 " for a %s cache, static and paged ones have one", options->max_length,
           kind_name(kind));
  MO_CHECK(options->batch_size >= 0, MO_STATUS_INVALID_ARGUMENT, "cache: batch_size %" PRId64 " is negative",
           options->batch_size);
  MO_CHECK((options->page_pool != NULL) == paged, MO_STATUS_INVALID_ARGUMENT, "cache: a %s cache %s page_pool", kind_name(kind),
           paged ? "needs a" : "has no");
  MO_CHECK(options->layers == NULL || (options->layer_count > 0 && !paged), MO_STATUS_INVALID_ARGUMENT,
           "cache: layers are given, %s", paged ? "those of a paged cache are its pool's" : "layer_count is 0");
  return check_storage(options->storage_dtype, kind);
}

/* ---- Life ---- */

mo_status_t mo_cache_allocate(mo_context_t *context, mo_cache_t **cache) {
  mo_cache_t *made = mo_host_allocate(context, sizeof *made);
  if (made == NULL) return MO_STATUS_OUT_OF_MEMORY;
  atomic_init(&made->references, 1);
  made->context = mo_context_retain(context);
  made->batch = -1;
  *cache = made;
  return MO_STATUS_OK;
}

static void free_layer(mo_cache_t *cache, mo_cache_layer *layer) {
  if (layer == NULL) return;
  mo_cache_layer_clear(layer);
  mo_host_free(cache->context, layer, sizeof *layer);
}

void mo_cache_drop_layers(mo_cache_t *cache, int64_t count) {
  while (cache->layer_count > count) free_layer(cache, cache->layers[--cache->layer_count]);
}

mo_status_t mo_cache_grow_layers(mo_cache_t *cache, int64_t count) {
  const int64_t before = cache->layer_count;
  if (count > cache->layer_capacity) {
    const int64_t capacity = count < 8 ? 8 : 2 * count;
    mo_cache_layer **grown = mo_host_allocate(cache->context, (size_t)capacity * sizeof *grown);
    if (grown == NULL) return MO_STATUS_OUT_OF_MEMORY;
    if (before > 0) memcpy(grown, cache->layers, (size_t)before * sizeof *grown);
    mo_host_free(cache->context, cache->layers, (size_t)cache->layer_capacity * sizeof *grown);
    cache->layers = grown;
    cache->layer_capacity = capacity;
  }
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

static void free_cache(mo_cache_t *cache) {
  mo_context_t *context = cache->context;
  mo_paged_rows_destroy(cache);
  mo_cache_drop_layers(cache, 0);
  mo_host_free(context, cache->layers, (size_t)cache->layer_capacity * sizeof *cache->layers);
  mo_host_free(context, cache->updated, (size_t)cache->updated_count);
  mo_cache_release(cache->self);
  mo_cache_release(cache->cross);
  mo_context_release(context, cache->zeros);
  mo_context_release(context, cache->lengths);
  mo_host_free(context, cache, sizeof *cache);
  mo_context_release_reference(context);
}

mo_cache_t *mo_cache_retain(mo_cache_t *cache) {
  if (cache != NULL) atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
  return cache;
}

void mo_cache_release(mo_cache_t *cache) {
  if (cache != NULL && atomic_fetch_sub_explicit(&cache->references, 1, memory_order_acq_rel) == 1) free_cache(cache);
}

/* What the options say of each layer. */
static mo_status_t set_layers(mo_cache_t *cache, const mo_cache_options *options) {
  mo_cache_layer *defaults = &cache->defaults;
  defaults->kind = options->kind;
  defaults->window = options->window;
  defaults->extents = (mo_cache_extents){.heads = options->num_key_value_heads,
                                         .key_size = options->head_dim,
                                         .value_size = options->value_head_dim,
                                         .dtype = options->dtype,
                                         .storage = options->storage_dtype,
                                         .group_size = options->group_size};
  if (options->kind == MO_CACHE_QUANTIZED && options->storage_dtype == MO_DTYPE_NONE) defaults->extents.storage = MO_DTYPE_INT8;
  MO_CHECK(options->group_size == 0 || options->kind == MO_CACHE_QUANTIZED, MO_STATUS_INVALID_ARGUMENT,
           "cache: group_size %" PRId64 " for a %s cache, only quantised caches (and page pools) have one", options->group_size,
           kind_name(options->kind));
  MO_TRY(mo_cache_grow_layers(cache, options->layer_count));
  for (int64_t i = 0; i < options->layer_count; i++) {
    mo_cache_layer *layer = cache->layers[i];
    if (options->layers != NULL) {
      const mo_cache_layer_options *own = &options->layers[i];
      if (own->kind != 0) layer->kind = own->kind;
      if (own->window != 0) layer->window = own->window;
      if (own->num_key_value_heads != 0) layer->extents.heads = own->num_key_value_heads;
      if (own->head_dim != 0) layer->extents.key_size = own->head_dim;
      if (own->value_head_dim != 0) layer->extents.value_size = own->value_head_dim;
      else if (own->head_dim != 0) layer->extents.value_size = 0;
    }
    if (layer->extents.value_size == 0) layer->extents.value_size = layer->extents.key_size;
    MO_TRY(check_mix(cache->kind, layer->kind, i));
    MO_TRY(check_layer(layer));
  }
  return check_layer(defaults);
}

static mo_status_t create(mo_context_t *context, const mo_cache_options *given, mo_cache_t **result) {
  mo_cache_t *cache = NULL;
  mo_cache_options taken = MO_CACHE_OPTIONS_INIT;
  MO_TRY(MO_TAKE("cache", MO_CACHE_OPTIONS_INIT, given, MO_SIZE_TO(mo_cache_options, keeps_addresses), &taken));
  const mo_cache_options *options = &taken;
  MO_TRY(check_options(options));
  MO_TRY(mo_cache_allocate(context, &cache));
  cache->kind = options->kind;
  cache->keeps_addresses = options->keeps_addresses;
  cache->grows = options->layer_count == 0 && options->kind != MO_CACHE_PAGED;
  cache->batch = options->batch_size > 0 ? options->batch_size : -1;
  cache->batch_given = options->batch_size > 0;
  cache->max_length = options->max_length;
  const mo_status_t status =
      options->kind == MO_CACHE_PAGED ? mo_paged_rows_create(cache, options) : set_layers(cache, options);
  if (status != MO_STATUS_OK) {
    mo_cache_release(cache);
    return status;
  }
  *result = cache;
  return MO_STATUS_OK;
}

mo_status_t mo_cache_create(mo_context_t *context, const mo_cache_options *options, mo_cache_t **cache) {
  MO_CHECK(context != NULL && cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache: an argument is NULL");
  return mo_context_note(context, create(context, options, cache));
}

/* ---- Asking ---- */

/* The self cache of a pair; NULL, which has no layers, for NULL. */
static const mo_cache_t *answering(const mo_cache_t *cache) {
  return cache != NULL && cache->self != NULL ? cache->self : cache;
}

mo_status_t mo_cache_check_single(const char *op, const mo_cache_t *cache) {
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: the cache is NULL", op);
  if (cache->self == NULL) return MO_STATUS_OK;
  return mo_context_note(
      cache->context,
      mo_fail(MO_STATUS_INVALID_ARGUMENT,
              "%s: an encoder-decoder cache has no layers of its own, ask mo_cache_self or mo_cache_cross", op));
}

mo_cache_layer *mo_cache_find_layer(const mo_cache_t *cache, int64_t layer) {
  return cache != NULL && layer >= 0 && layer < cache->layer_count ? cache->layers[layer] : NULL;
}

bool mo_cache_is_capturing(const mo_cache_t *cache) {
  return mo_context_stream_is_capturing(cache->context, mo_context_stream(cache->context));
}

mo_context_t *mo_cache_context(const mo_cache_t *cache) { return cache != NULL ? cache->context : NULL; }
mo_cache_kind_t mo_cache_kind(const mo_cache_t *cache) {
  return cache != NULL ? answering(cache)->kind : (mo_cache_kind_t)0;
}
int64_t mo_cache_layer_count(const mo_cache_t *cache) { return cache != NULL ? answering(cache)->layer_count : 0; }
int64_t mo_cache_batch_size(const mo_cache_t *cache) { return cache != NULL ? answering(cache)->batch : -1; }

int64_t mo_cache_length(const mo_cache_t *cache, int64_t layer) {
  const mo_cache_layer *found = mo_cache_find_layer(answering(cache), layer);
  return found == NULL ? 0 : found->seen;
}

int64_t mo_cache_stored_length(const mo_cache_t *cache, int64_t layer) {
  const mo_cache_layer *found = mo_cache_find_layer(answering(cache), layer);
  return found == NULL ? 0 : found->stored;
}

void mo_cache_mask_sizes(const mo_cache_t *cache, int64_t query_length, int64_t layer, int64_t *kv_length, int64_t *kv_offset) {
  if (kv_length == NULL || kv_offset == NULL) return;
  const mo_cache_t *asked = answering(cache);
  const mo_cache_layer *found = mo_cache_find_layer(asked, layer);
  *kv_length = query_length;
  *kv_offset = 0;
  if (found == NULL) return;
  const int64_t seen = found->seen, window = found->window;
  switch (found->kind) {
    case MO_CACHE_STATIC:
      *kv_length = asked->max_length;
      return;
    case MO_CACHE_SLIDING:
      *kv_offset = seen >= window ? seen - window + 1 : 0;
      *kv_length = seen - *kv_offset + query_length;
      return;
    case MO_CACHE_STATIC_SLIDING: {
      const int64_t slots = window < asked->max_length ? window : asked->max_length;
      *kv_offset = seen >= slots ? seen - slots + 1 : 0;
      *kv_length = seen + query_length <= slots ? slots : seen - *kv_offset + query_length;
      return;
    }
    default:
      *kv_length = seen + query_length;
  }
}

int64_t mo_cache_max_length(const mo_cache_t *cache, int64_t layer) {
  const mo_cache_t *asked = answering(cache);
  const mo_cache_layer *found = mo_cache_find_layer(asked, layer);
  if (found == NULL) return -1;
  if (asked->paged != NULL) return mo_paged_max_length(asked);
  if (found->kind == MO_CACHE_SLIDING) return found->window;
  if (found->kind == MO_CACHE_STATIC_SLIDING) return found->window < asked->max_length ? found->window : asked->max_length;
  return found->kind == MO_CACHE_STATIC ? asked->max_length : -1;
}

bool mo_cache_is_initialized(const mo_cache_t *cache) {
  const mo_cache_t *asked = answering(cache);
  if (asked == NULL) return false;
  if (asked->paged != NULL) return asked->batch >= 0;
  for (int64_t i = 0; i < asked->layer_count; i++) {
    if (asked->layers[i]->block == NULL) return false;
  }
  return asked->layer_count > 0;
}

bool mo_cache_is_compileable(const mo_cache_t *cache) { return mo_cache_kind_is_static(mo_cache_kind(cache)); }

bool mo_cache_is_sliding(const mo_cache_t *cache, int64_t layer) {
  const mo_cache_layer *found = mo_cache_find_layer(answering(cache), layer);
  return found != NULL && mo_cache_kind_is_sliding(found->kind);
}

static uint64_t bytes_of(const mo_cache_t *cache, int64_t layer) {
  uint64_t bytes = 0;
  if (cache->self != NULL) return bytes_of(cache->self, layer) + bytes_of(cache->cross, layer);
  if (cache->paged != NULL) return mo_paged_bytes(cache, layer);
  for (int64_t i = 0; i < cache->layer_count; i++) {
    const mo_cache_layer *held = cache->layers[i];
    if (layer != -1 && layer != i) continue;
    if (held->block != NULL) bytes += held->block->bytes;
    if (held->staging != NULL) bytes += held->staging->bytes;
  }
  return bytes;
}

uint64_t mo_cache_bytes(const mo_cache_t *cache, int64_t layer) { return cache != NULL ? bytes_of(cache, layer) : 0; }
