/* host/cache/block_storage.c - the storage of caches whose layers lie in one block each: layers from options, questions, and
 * the table.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/block_storage.h"

#include "host/cache/block_change.h"
#include "host/cache/block_layer.h"
#include "host/cache/layers.h"

/* ---- Layers from options ---- */

/* Layers of one cache are of one family: growing ones, static ones. */
static mo_status_t check_mix(mo_cache_kind_t kind, mo_cache_kind_t layer, int64_t index) {
  const bool growing =
      (kind == MO_CACHE_DYNAMIC || kind == MO_CACHE_SLIDING) && (layer == MO_CACHE_DYNAMIC || layer == MO_CACHE_SLIDING);
  const bool fixed = mo_cache_kind_is_static(kind) && mo_cache_kind_is_static(layer);
  MO_CHECK(kind == layer || growing || fixed, MO_STATUS_INVALID_ARGUMENT,
           "cache: layer %" PRId64 " is %s in a %s cache; dynamic and sliding may be mixed, static and static sliding too",
           index, mo_cache_kind_name(layer), mo_cache_kind_name(kind));
  return MO_STATUS_OK;
}

static mo_status_t check_layer(const mo_cache_layer *layer) {
  const mo_cache_extents *extents = &layer->extents;
  MO_CHECK(!mo_cache_kind_is_sliding(layer->kind) || layer->window > 0, MO_STATUS_INVALID_ARGUMENT,
           "cache: window %" PRId64 ", a %s layer needs at least 1", layer->window, mo_cache_kind_name(layer->kind));
  MO_CHECK(extents->heads >= 0 && extents->key_size >= 0 && extents->value_size >= 0, MO_STATUS_INVALID_ARGUMENT,
           "cache: %" PRId64 " key/value heads of %" PRId64 " and %" PRId64 " elements, an extent is negative", extents->heads,
           extents->key_size, extents->value_size);
  MO_CHECK(extents->dtype == MO_DTYPE_NONE || mo_dtype_is_float(extents->dtype), MO_STATUS_INVALID_ARGUMENT,
           "cache: dtype %s, keys and values are float32, float16 or bfloat16", mo_dtype_name(extents->dtype));
  return mo_cache_check_groups(extents);
}

/* What the options say of one layer; 0 keeps what the layer has. */
static void override(mo_cache_layer *layer, const mo_cache_layer_options *own) {
  if (own->kind != 0) layer->kind = own->kind;
  if (own->window != 0) layer->window = own->window;
  if (own->num_key_value_heads != 0) layer->extents.heads = own->num_key_value_heads;
  if (own->head_dim != 0) layer->extents.key_size = own->head_dim;
  if (own->value_head_dim != 0) layer->extents.value_size = own->value_head_dim;
  else if (own->head_dim != 0) layer->extents.value_size = 0;
}

static mo_status_t create(mo_cache_t *cache, const mo_cache_options *options) {
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
           mo_cache_kind_name(options->kind));
  MO_TRY(mo_cache_grow_layers(cache, options->layer_count));
  for (int64_t i = 0; i < options->layer_count; i++) {
    mo_cache_layer *layer = cache->layers[i];
    if (options->layers != NULL) override(layer, &options->layers[i]);
    if (layer->extents.value_size == 0) layer->extents.value_size = layer->extents.key_size;
    MO_TRY(check_mix(cache->kind, layer->kind, i));
    MO_TRY(check_layer(layer));
  }
  return check_layer(defaults);
}

static void destroy(mo_cache_t *cache) {
  mo_context_release(cache->context, cache->zeros);
  cache->zeros = NULL;
}

/* Rows have one length, which the host knows. */
static mo_status_t written(mo_cache_t *cache, int64_t index, int64_t count, mo_cache_entry *entry) {
  (void)cache, (void)index, (void)count, (void)entry;
  return MO_STATUS_OK;
}

/* ---- Questions ---- */

static int64_t row_length(const mo_cache_t *cache, int64_t row) {
  (void)row;
  return cache->layer_count > 0 ? cache->layers[0]->stored : 0;
}

static int64_t max_length(const mo_cache_t *cache, int64_t index) {
  const mo_cache_layer *layer = cache->layers[index];
  if (layer->kind == MO_CACHE_SLIDING) return layer->window;
  if (layer->kind == MO_CACHE_STATIC_SLIDING) return layer->window < cache->max_length ? layer->window : cache->max_length;
  return layer->kind == MO_CACHE_STATIC ? cache->max_length : -1;
}

static bool is_initialized(const mo_cache_t *cache) {
  for (int64_t i = 0; i < cache->layer_count; i++) {
    if (cache->layers[i]->block == NULL) return false;
  }
  return cache->layer_count > 0;
}

static uint64_t bytes_of(const mo_cache_t *cache, int64_t index) {
  uint64_t bytes = 0;
  for (int64_t i = 0; i < cache->layer_count; i++) {
    const mo_cache_layer *layer = cache->layers[i];
    if (index != -1 && index != i) continue;
    if (layer->block != NULL) bytes += layer->block->bytes;
    if (layer->staging != NULL) bytes += layer->staging->bytes;
  }
  return bytes;
}

/* ---- The table ---- */

const mo_cache_storage mo_block_storage = {
    .create = create,
    .destroy = destroy,
    .is_allocated = mo_block_is_allocated,
    .allocate = mo_block_allocate,
    .release = mo_block_release,
    .reserve = mo_block_reserve,
    .prepare = mo_block_prepare,
    .written = written,
    .cancel = mo_block_cancel,
    .check_commit = mo_block_check_commit,
    .commit = mo_block_commit,
    .read = mo_block_read,
    .begin_crop = mo_block_begin_crop,
    .crop = mo_block_crop,
    .begin_rows = mo_block_begin_rows,
    .end_rows = mo_block_end_rows,
    .drop_rows = mo_block_drop_rows,
    .copy = mo_block_copy,
    .row_length = row_length,
    .max_length = max_length,
    .is_initialized = is_initialized,
    .bytes = bytes_of,
};
