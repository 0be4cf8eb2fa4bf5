/* host/cache/change.c - crop, reset and copy.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "host/cache/layers.h"

/* ---- Crop ---- */

static mo_status_t begin_crop(mo_cache_t *cache, int64_t count) {
  MO_CHECK(count >= 0, MO_STATUS_INVALID_ARGUMENT, "cache crop: %" PRId64 " tokens, give the number to remove", count);
  return cache->storage->begin_crop(cache, count);
}

/* Of a crop that has begun. */
static mo_status_t end_crop(mo_cache_t *cache, int64_t count) {
  const mo_status_t status = cache->storage->crop(cache, count);
  if (status != MO_STATUS_OK) mo_cache_abandon(cache);
  return status;
}

static mo_status_t crop(mo_cache_t *cache, int64_t count) {
  MO_TRY(begin_crop(cache, count));
  return end_crop(cache, count);
}

mo_status_t mo_cache_crop(mo_cache_t *cache, int64_t count) {
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache crop: the cache is NULL");
  return mo_context_note(cache->context, crop(mo_cache_self(cache), count));
}

/* ---- Reset ---- */

/* Crops everything; unlike after a crop, the next update may have another number of rows. */
static mo_status_t reset_layers(mo_cache_t *cache) {
  MO_TRY(end_crop(cache, INT64_MAX));
  cache->batch_taken = false;
  return MO_STATUS_OK;
}

static mo_status_t reset(mo_cache_t *cache) {
  if (cache->self == NULL) {
    MO_TRY(begin_crop(cache, INT64_MAX));
    return reset_layers(cache);
  }
  MO_TRY(begin_crop(cache->self, INT64_MAX));
  MO_TRY(begin_crop(cache->cross, INT64_MAX));
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

static mo_status_t copy_single(const mo_cache_t *cache, mo_cache_t **result) {
  mo_cache_t *copy = NULL;
  MO_TRY(mo_cache_allocate(cache->context, &copy));
  copy->kind = cache->kind;
  copy->storage = cache->storage;
  copy->defaults = cache->defaults;
  copy->grows = cache->grows;
  copy->keeps_addresses = cache->keeps_addresses;
  copy->batch = cache->batch;
  copy->batch_given = cache->batch_given;
  copy->batch_taken = cache->batch_taken;
  copy->max_length = cache->max_length;
  mo_status_t status = mo_cache_grow_layers(copy, cache->layer_count);
  if (status == MO_STATUS_OK) status = cache->storage->copy(cache, copy);
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
