/* host/cache/change.c - crop, reset and copy.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "host/cache/cache_internal.h"
#include "host/cache/paged.h"

/* ---- Crop ---- */

static bool has_dropped(const mo_cache_layer *layer) { return layer->seen > layer->stored; }

static mo_status_t check_crop(mo_cache_t *cache, int64_t count) {
  MO_CHECK(count >= 0, MO_STATUS_INVALID_ARGUMENT, "cache crop: %" PRId64 " tokens, give the number to remove", count);
  for (int64_t i = 0; i < cache->layer_count; i++) {
    const mo_cache_layer *layer = cache->layers[i];
    MO_CHECK(!has_dropped(layer) || count == 0 || count >= layer->seen, MO_STATUS_WRONG_STATE,
             "cache crop: layer %" PRId64 " has dropped tokens that a sequence %" PRId64 " shorter would need (%" PRId64
             " seen, the last %" PRId64 " held)",
             i, count, layer->seen, layer->stored);
    if (layer->block != NULL && mo_cache_kind_is_static(layer->kind)) MO_TRY(mo_cache_need_zeros(cache, layer));
  }
  return mo_cache_kind_is_static(cache->kind) ? mo_cache_need_scratch(cache) : MO_STATUS_OK;
}

static mo_status_t crop_layer(mo_cache_t *cache, mo_cache_layer *layer, int64_t count) {
  const int64_t kept = count < layer->seen ? layer->stored - count : 0, removed = layer->stored - kept;
  if (layer->block == NULL || count == 0) return MO_STATUS_OK;
  if (mo_cache_kind_is_static(layer->kind))
    MO_TRY(mo_cache_fill_zeros(cache, layer, layer->block, layer->batch, kept, removed));
  layer->seen = kept;
  layer->stored = kept;
  layer->prepared = layer->staged = 0;
  if (kept == 0 && !mo_cache_block_is_shared(layer->block)) layer->start = 0;
  return MO_STATUS_OK;
}

/* Of a checked cache. */
static mo_status_t crop_layers(mo_cache_t *cache, int64_t count) {
  mo_status_t status = MO_STATUS_OK;
  if (cache->paged != NULL) mo_paged_crop(cache, count);
  else
    for (int64_t i = 0; i < cache->layer_count && status == MO_STATUS_OK; i++)
      status = crop_layer(cache, cache->layers[i], count);
  if (status != MO_STATUS_OK) mo_cache_abandon(cache);
  return status;
}

static mo_status_t crop(mo_cache_t *cache, int64_t count) {
  MO_TRY(check_crop(cache, count));
  return crop_layers(cache, count);
}

mo_status_t mo_cache_crop(mo_cache_t *cache, int64_t count) {
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache crop: the cache is NULL");
  return mo_context_note(cache->context, crop(mo_cache_self(cache), count));
}

/* ---- Reset ---- */

/* Crops everything; unlike after a crop the next tokens may be of another number of rows. */
static mo_status_t reset_layers(mo_cache_t *cache) {
  MO_TRY(crop_layers(cache, INT64_MAX));
  cache->batch_taken = false;
  return MO_STATUS_OK;
}

static mo_status_t reset(mo_cache_t *cache) {
  if (cache->self == NULL) {
    MO_TRY(check_crop(cache, INT64_MAX));
    return reset_layers(cache);
  }
  MO_TRY(check_crop(cache->self, INT64_MAX));
  MO_TRY(check_crop(cache->cross, INT64_MAX));
  MO_TRY(reset_layers(cache->self));
  MO_TRY(reset_layers(cache->cross));
  if (cache->updated != NULL) memset(cache->updated, 0, (size_t)cache->updated_count);
  return MO_STATUS_OK;
}

mo_status_t mo_cache_reset(mo_cache_t *cache) {
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache reset: the cache is NULL");
  return mo_context_note(cache->context, reset(cache));
}

/* ---- Copy ---- */

static mo_status_t copy_static_block(mo_cache_t *cache, mo_cache_layer *layer) {
  mo_cache_block *block = NULL;
  mo_cache_layer source = *layer;
  mo_tensor from[5], to[5];
  MO_TRY(mo_cache_block_create(cache->context, source.block->bytes, &block));
  mo_cache_layer_tensors(cache, &source, 0, source.capacity, from);
  source.block = block;
  mo_cache_layer_tensors(cache, &source, 0, source.capacity, to);
  const mo_status_t status = mo_cache_move(cache, from, to, NULL);
  if (status == MO_STATUS_OK) layer->block = block;
  else mo_cache_block_release(block);
  return status;
}

/* The layer as a copy has it: the same block, or a static layer's content in one of its own. */
static mo_status_t copy_layer(mo_cache_t *copy, const mo_cache_layer *source, mo_cache_layer *layer) {
  *layer = *source;
  layer->staging = NULL;
  layer->staging_capacity = layer->staged = layer->prepared = 0;
  if (source->block == NULL) return MO_STATUS_OK;
  if (!mo_cache_kind_is_static(source->kind)) {
    mo_cache_block_retain(layer->block);
    return MO_STATUS_OK;
  }
  const mo_status_t status = copy_static_block(copy, layer);
  if (status != MO_STATUS_OK) {
    layer->block = NULL;
    layer->capacity = layer->start = layer->stored = layer->seen = 0;
  }
  return status;
}

static mo_status_t copy_single(const mo_cache_t *cache, mo_cache_t **result) {
  mo_cache_t *copy = NULL;
  MO_TRY(mo_cache_allocate(cache->context, &copy));
  copy->kind = cache->kind;
  copy->defaults = cache->defaults;
  copy->grows = cache->grows;
  copy->keeps_addresses = cache->keeps_addresses;
  copy->batch = cache->batch;
  copy->batch_given = cache->batch_given;
  copy->batch_taken = cache->batch_taken;
  copy->max_length = cache->max_length;
  copy->reserve = cache->reserve;
  mo_status_t status = mo_cache_grow_layers(copy, cache->layer_count);
  for (int64_t i = 0; i < cache->layer_count && status == MO_STATUS_OK; i++)
    status = copy_layer(copy, cache->layers[i], copy->layers[i]);
  if (status == MO_STATUS_OK && cache->paged != NULL) status = mo_paged_copy(cache, copy);
  if (status != MO_STATUS_OK) {
    mo_cache_release(copy);
    return status;
  }
  *result = copy;
  return MO_STATUS_OK;
}

static mo_status_t copy_pair(const mo_cache_t *cache, mo_cache_t **result) {
  mo_cache_t *self = NULL, *cross = NULL, *pair = NULL;
  mo_status_t status = copy_single(cache->self, &self);
  if (status == MO_STATUS_OK) status = copy_single(cache->cross, &cross);
  if (status == MO_STATUS_OK) status = mo_cache_create_encoder_decoder(self, cross, &pair);
  mo_cache_release(self);
  mo_cache_release(cross);
  for (int64_t i = 0; i < cache->updated_count && status == MO_STATUS_OK; i++)
    status = mo_cache_set_updated(pair, i, cache->updated[i]);
  if (status != MO_STATUS_OK) {
    mo_cache_release(pair);
    return status;
  }
  *result = pair;
  return MO_STATUS_OK;
}

mo_status_t mo_cache_copy(const mo_cache_t *cache, mo_cache_t **copy) {
  MO_CHECK(cache != NULL && copy != NULL, MO_STATUS_INVALID_ARGUMENT, "cache copy: an argument is NULL");
  return mo_context_note(cache->context, cache->self != NULL ? copy_pair(cache, copy) : copy_single(cache, copy));
}
