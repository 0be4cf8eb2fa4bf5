/* host/cache/cache.c - making caches and letting them go, and what can be asked of them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/block_storage.h"
#include "host/cache/layers.h"
#include "host/cache/paged_storage.h"
#include "host/core/checked_math.h"
#include "host/core/struct_size.h"

/* ---- Options ---- */

static mo_status_t check_storage(mo_dtype_t storage, mo_cache_kind_t kind) {
  MO_CHECK(storage == MO_DTYPE_NONE || kind == MO_CACHE_QUANTIZED, MO_STATUS_INVALID_ARGUMENT,
           "cache: storage_dtype %s for a %s cache, only quantised caches (and page pools) have one", mo_dtype_name(storage),
           mo_cache_kind_name(kind));
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
           mo_cache_kind_name(kind));
  MO_CHECK(options->batch_size >= 0, MO_STATUS_INVALID_ARGUMENT, "cache: batch_size %" PRId64 " is negative",
           options->batch_size);
  MO_CHECK((options->page_pool != NULL) == paged, MO_STATUS_INVALID_ARGUMENT, "cache: a %s cache %s page_pool",
           mo_cache_kind_name(kind), paged ? "needs a" : "has no");
  MO_CHECK(options->layers == NULL || (options->layer_count > 0 && !paged), MO_STATUS_INVALID_ARGUMENT,
           "cache: layers are given, %s", paged ? "those of a paged cache are its pool's" : "layer_count is 0");
  return check_storage(options->storage_dtype, kind);
}

/* ---- Life ---- */

static void free_cache(mo_cache_t *cache) {
  mo_context_t *context = cache->context;
  mo_cache_drop_layers(cache, 0);
  if (cache->storage != NULL) cache->storage->destroy(cache);
  mo_host_free(context, cache->layers, (size_t)cache->layer_capacity * sizeof *cache->layers);
  mo_host_free(context, cache->updated, (size_t)cache->updated_count);
  mo_cache_release(cache->self);
  mo_cache_release(cache->cross);
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
  cache->storage = options->kind == MO_CACHE_PAGED ? &mo_paged_storage : &mo_block_storage;
  const mo_status_t status = cache->storage->create(cache, options);
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

mo_context_t *mo_cache_context(const mo_cache_t *cache) { return cache != NULL ? cache->context : NULL; }
mo_cache_kind_t mo_cache_kind(const mo_cache_t *cache) { return cache != NULL ? answering(cache)->kind : (mo_cache_kind_t)0; }
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

/* How many tokens `held` and those of a query are; INT64_MAX instead of an overflow. */
static int64_t with_query(int64_t held, int64_t query_length) {
  int64_t sum;
  return mo_checked_add(held, query_length, &sum) ? sum : INT64_MAX;
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
      *kv_length = with_query(seen - *kv_offset, query_length);
      return;
    case MO_CACHE_STATIC_SLIDING: {
      const int64_t slots = window < asked->max_length ? window : asked->max_length;
      *kv_offset = seen >= slots ? seen - slots + 1 : 0;
      *kv_length = with_query(seen, query_length) <= slots ? slots : with_query(seen - *kv_offset, query_length);
      return;
    }
    default:
      *kv_length = with_query(seen, query_length);
  }
}

int64_t mo_cache_max_length(const mo_cache_t *cache, int64_t layer) {
  const mo_cache_t *asked = answering(cache);
  return mo_cache_find_layer(asked, layer) != NULL ? asked->storage->max_length(asked, layer) : -1;
}

bool mo_cache_is_initialized(const mo_cache_t *cache) {
  const mo_cache_t *asked = answering(cache);
  return asked != NULL && asked->storage->is_initialized(asked);
}

bool mo_cache_is_compileable(const mo_cache_t *cache) { return mo_cache_kind_is_static(mo_cache_kind(cache)); }

bool mo_cache_is_sliding(const mo_cache_t *cache, int64_t layer) {
  const mo_cache_layer *found = mo_cache_find_layer(answering(cache), layer);
  return found != NULL && mo_cache_kind_is_sliding(found->kind);
}

uint64_t mo_cache_bytes(const mo_cache_t *cache, int64_t layer) {
  if (cache == NULL) return 0;
  if (cache->self != NULL) return mo_cache_bytes(cache->self, layer) + mo_cache_bytes(cache->cross, layer);
  return cache->storage->bytes(cache, layer);
}
