/* host/cache/update.c - appending tokens: update, its two halves, room beforehand.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "host/cache/layers.h"
#include "host/core/range.h"

#define UPDATE "cache update"

/* ---- What new tokens must be ---- */

static mo_status_t check_extent(const char *name, int64_t given, int64_t known) {
  MO_CHECK(known <= 0 || given == known, MO_STATUS_INVALID_ARGUMENT, UPDATE ": %" PRId64 " %s, the cache has %" PRId64, given,
           name, known);
  return MO_STATUS_OK;
}

/* Caches that are not static may change their number of rows before the first tokens and after a reset. */
static bool may_change_batch(const mo_cache_t *cache) {
  if (mo_cache_kind_is_static(cache->kind) || cache->batch_given || cache->batch_taken) return false;
  for (int64_t i = 0; i < cache->layer_count; i++) {
    if (cache->layers[i]->seen > 0) return false;
  }
  return true;
}

/* What the layer's extents follow from; the front door of the write (mo_kv_update) checks the rest. */
static mo_status_t check_tokens(const mo_cache_t *cache, const mo_cache_extents *extents, const mo_tensor *key,
                                const mo_tensor *value) {
  MO_CHECK(key != NULL && value != NULL, MO_STATUS_INVALID_ARGUMENT, UPDATE ": %s is missing", key == NULL ? "key" : "value");
  MO_CHECK(key->rank == 4 && value->rank == 4, MO_STATUS_INVALID_ARGUMENT,
           UPDATE ": key has rank %d and value rank %d, both are (batch, heads, tokens, head_dim)", (int)key->rank,
           (int)value->rank);
  MO_CHECK(mo_dtype_is_float(key->dtype) && value->dtype == key->dtype, MO_STATUS_INVALID_ARGUMENT,
           UPDATE ": key is %s and value %s, both are float32, float16 or bfloat16", mo_dtype_name(key->dtype),
           mo_dtype_name(value->dtype));
  MO_CHECK(extents->dtype == MO_DTYPE_NONE || key->dtype == extents->dtype, MO_STATUS_INVALID_ARGUMENT,
           UPDATE ": key is %s, the cache holds %s", mo_dtype_name(key->dtype), mo_dtype_name(extents->dtype));
  const mo_device home = mo_context_device(cache->context);
  const mo_tensor *const both[2] = {key, value};
  for (int i = 0; i < 2; i++) {
    MO_CHECK(both[i]->device.kind == home.kind && both[i]->device.index == home.index, MO_STATUS_INVALID_ARGUMENT,
             UPDATE ": %s is not on the cache's device", i == 0 ? "key" : "value");
    for (int d = 0; d < 4; d++)
      MO_CHECK(both[i]->shape[d] >= (d == 2 ? 0 : 1), MO_STATUS_INVALID_ARGUMENT,
               UPDATE ": extent %d of %s is %" PRId64 ", too small", d, i == 0 ? "key" : "value", both[i]->shape[d]);
  }
  MO_TRY(check_extent("rows of keys", key->shape[0], may_change_batch(cache) ? -1 : cache->batch));
  MO_TRY(check_extent("rows of values", value->shape[0], key->shape[0]));
  MO_TRY(check_extent("heads of keys", key->shape[1], extents->heads));
  MO_TRY(check_extent("heads of values", value->shape[1], key->shape[1]));
  MO_CHECK(value->shape[2] == key->shape[2], MO_STATUS_INVALID_ARGUMENT,
           UPDATE ": %" PRId64 " tokens of keys and %" PRId64 " of values", key->shape[2], value->shape[2]);
  MO_TRY(check_extent("elements in a head of keys", key->shape[3], extents->key_size));
  return check_extent("elements in a head of values", value->shape[3], extents->value_size);
}

static mo_status_t check_layer_index(const char *op, const mo_cache_t *cache, int64_t layer, bool may_grow) {
  const int64_t count = may_grow && cache->grows ? MO_CACHE_LAYER_LIMIT : cache->layer_count;
  MO_CHECK(layer >= 0 && layer < count, MO_STATUS_INDEX_ERROR, "%s: layer %" PRId64 ", the cache has %" PRId64, op, layer,
           count);
  return MO_STATUS_OK;
}

/* ---- The first update of a layer, undone if it fails ----
 *
 * The first tokens of a layer fix its extents, and of a cache its batch size; the layer is allocated before they are written.
 * Whatever fails on the way (grow the list, allocate, prepare, write) ends in undo_layer, and the cache is as it was: layers
 * that were added are gone, the layer has no memory and its old extents, the batch size is the one before. */

/* What the layer and the cache were before make_layer, for undo_layer. */
typedef struct undo {
  mo_cache_extents extents;
  int64_t layer_count, batch;
  bool fresh; /* the layer had no memory (paged: the cache had no rows) */
} undo;

static mo_status_t make_layer(mo_cache_t *cache, int64_t index, const mo_tensor *key, const mo_tensor *value, undo *before) {
  *before = (undo){.layer_count = cache->layer_count, .batch = cache->batch};
  MO_TRY(mo_cache_grow_layers(cache, index < cache->layer_count ? cache->layer_count : index + 1));
  mo_cache_layer *layer = cache->layers[index];
  before->extents = layer->extents;
  if (cache->batch >= 0 && cache->batch != key->shape[0]) {
    for (int64_t i = 0; i < cache->layer_count; i++) cache->storage->release(cache, i);
    cache->batch = -1;
  }
  before->fresh = !cache->storage->is_allocated(cache, index);
  if (!before->fresh) return MO_STATUS_OK;
  layer->extents.heads = key->shape[1];
  layer->extents.key_size = key->shape[3];
  layer->extents.value_size = value->shape[3];
  layer->extents.dtype = key->dtype;
  if (cache->batch < 0) cache->batch = key->shape[0];
  MO_TRY(mo_cache_check_groups(&layer->extents));
  return cache->storage->allocate(cache, index, key->shape[2]);
}

static void undo_layer(mo_cache_t *cache, int64_t index, const undo *before) {
  if (before->fresh) {
    cache->storage->release(cache, index);
    cache->layers[index]->extents = before->extents;
  }
  mo_cache_drop_layers(cache, before->layer_count);
  cache->batch = before->batch;
}

/* ---- Update ---- */

/* Positions of new tokens where the caller gives none: the tokens seen before. That is the slot, but for sliding layers. */
static mo_status_t write_tokens(mo_cache_t *cache, const mo_cache_layer *layer, const mo_cache_entry *entry, int64_t slot,
                                const mo_tensor *key, const mo_tensor *value, const mo_rotary *rotary,
                                const mo_tensor *position_ids) {
  const mo_kv_update_layer update = {.cache = entry->view, .key = key, .value = value};
  mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
  mo_tensor cosine, sine;
  mo_rotary shifted;
  params.layers = &update;
  params.layer_count = 1;
  params.offset = slot;
  params.offsets = entry->lengths.dtype != MO_DTYPE_NONE ? &entry->lengths : NULL;
  params.rotary = rotary;
  params.position_ids = position_ids;
  const int64_t shift = layer->seen - slot;
  if (rotary != NULL && position_ids == NULL && shift > 0 && rotary->cosine != NULL && rotary->sine != NULL &&
      rotary->cosine->rank == 2 && rotary->sine->rank == 2) {
    const mo_slice from = {.start = shift, .stop = MO_SLICE_UNSET, .step = 1};
    MO_TRY(mo_tensor_slice(rotary->cosine, &from, 1, &cosine));
    MO_TRY(mo_tensor_slice(rotary->sine, &from, 1, &sine));
    shifted = (mo_rotary){.cosine = &cosine, .sine = &sine, .pairing = rotary->pairing};
    params.rotary = &shifted;
  }
  return mo_kv_update(cache->context, &params);
}

static mo_status_t update(mo_cache_t *cache, int64_t index, const mo_tensor *key, const mo_tensor *value,
                          const mo_rotary *rotary, const mo_tensor *position_ids, mo_cache_entry *entry) {
  mo_cache_entry made;
  int64_t slot = 0;
  undo before;
  MO_TRY(check_layer_index(UPDATE, cache, index, true));
  const mo_cache_layer *known = mo_cache_find_layer(cache, index);
  MO_TRY(check_tokens(cache, known != NULL ? &known->extents : &cache->defaults.extents, key, value));
  const int64_t count = key->shape[2];
  mo_status_t status = make_layer(cache, index, key, value, &before);
  if (status != MO_STATUS_OK) goto undo;
  status = cache->storage->prepare(cache, index, count, &made, &slot);
  if (status != MO_STATUS_OK) goto undo;
  status = write_tokens(cache, cache->layers[index], &made, slot, key, value, rotary, position_ids);
  if (status == MO_STATUS_OK) status = cache->storage->written(cache, index, count, &made);
  if (status != MO_STATUS_OK) {
    cache->storage->cancel(cache, index);
    goto undo;
  }
  MO_TRY(cache->storage->commit(cache, index, count, &made));
  cache->batch_taken = true;
  if (entry != NULL) *entry = made;
  return MO_STATUS_OK;

undo:
  undo_layer(cache, index, &before);
  return status;
}

mo_status_t mo_cache_update(mo_cache_t *cache, int64_t layer, const mo_tensor *key, const mo_tensor *value,
                            const mo_rotary *rotary, const mo_tensor *position_ids, mo_cache_entry *entry) {
  MO_RANGE_OF(cache != NULL ? cache->context : NULL, "mo_cache_update", "key, value", key, value);
  MO_TRY(mo_cache_check_single(UPDATE, cache));
  return mo_context_note(cache->context, update(cache, layer, key, value, rotary, position_ids, entry));
}

/* ---- Its two halves ---- */

/* Memory for a layer whose extents are known without tokens. */
static mo_status_t need_layer(mo_cache_t *cache, int64_t index, int64_t tokens, const char *op) {
  if (cache->storage->is_allocated(cache, index)) return MO_STATUS_OK;
  MO_CHECK(cache->batch >= 0 && mo_cache_extents_known(&cache->layers[index]->extents), MO_STATUS_WRONG_STATE,
           "%s: the extents of layer %" PRId64 " are not known yet (options, mo_cache_initialize or an update give them)", op,
           index);
  return cache->storage->allocate(cache, index, tokens);
}

static mo_status_t prepare_step(mo_cache_t *cache, int64_t index, int64_t count, mo_cache_entry *entry, int64_t *slot) {
  int64_t first = 0;
  MO_TRY(check_layer_index("cache prepare", cache, index, false));
  MO_CHECK(entry != NULL, MO_STATUS_INVALID_ARGUMENT, "cache prepare: entry is NULL");
  MO_CHECK(count >= 0, MO_STATUS_INVALID_ARGUMENT, "cache prepare: %" PRId64 " tokens", count);
  const bool fresh = !cache->storage->is_allocated(cache, index);
  MO_TRY(need_layer(cache, index, count, "cache prepare"));
  const mo_status_t status = cache->storage->prepare(cache, index, count, entry, slot != NULL ? slot : &first);
  if (status != MO_STATUS_OK && fresh) cache->storage->release(cache, index);
  return status;
}

mo_status_t mo_cache_prepare(mo_cache_t *cache, int64_t layer, int64_t count, mo_cache_entry *entry, int64_t *slot) {
  MO_TRY(mo_cache_check_single("cache prepare", cache));
  return mo_context_note(cache->context, prepare_step(cache, layer, count, entry, slot));
}

static mo_status_t written(mo_cache_t *cache, int64_t layer, int64_t count, mo_cache_entry *entry) {
  MO_TRY(check_layer_index("cache written", cache, layer, false));
  MO_CHECK(entry != NULL, MO_STATUS_INVALID_ARGUMENT, "cache written: entry is NULL");
  MO_CHECK(count >= 0, MO_STATUS_INVALID_ARGUMENT, "cache written: %" PRId64 " tokens", count);
  return entry->lengths.dtype != MO_DTYPE_NONE ? cache->storage->written(cache, layer, count, entry) : MO_STATUS_OK;
}

mo_status_t mo_cache_written(mo_cache_t *cache, int64_t layer, int64_t count, mo_cache_entry *entry) {
  MO_TRY(mo_cache_check_single("cache written", cache));
  return mo_context_note(cache->context, written(cache, layer, count, entry));
}

static mo_status_t commit_step(mo_cache_t *cache, int64_t layer, int64_t count) {
  if (layer != -1) MO_TRY(check_layer_index("cache commit", cache, layer, false));
  MO_CHECK(count >= 0, MO_STATUS_INVALID_ARGUMENT, "cache commit: %" PRId64 " tokens", count);
  const int64_t first = layer == -1 ? 0 : layer, end = layer == -1 ? cache->layer_count : layer + 1;
  for (int64_t i = first; i < end; i++) {
    MO_CHECK(layer == -1 || cache->storage->is_allocated(cache, i), MO_STATUS_WRONG_STATE,
             "cache commit: layer %" PRId64 " is not allocated, nothing can have been written to it", i);
    if (!cache->storage->is_allocated(cache, i)) continue;
    MO_TRY(cache->storage->check_commit(cache, i, count));
  }
  for (int64_t i = first; i < end; i++) {
    if (!cache->storage->is_allocated(cache, i)) continue;
    MO_TRY(cache->storage->commit(cache, i, count, NULL));
    cache->batch_taken = true;
  }
  return MO_STATUS_OK;
}

mo_status_t mo_cache_commit(mo_cache_t *cache, int64_t layer, int64_t count) {
  MO_TRY(mo_cache_check_single("cache commit", cache));
  return mo_context_note(cache->context, commit_step(cache, layer, count));
}

static mo_status_t read_layer(mo_cache_t *cache, int64_t layer, mo_cache_entry *entry) {
  MO_TRY(check_layer_index("cache read", cache, layer, false));
  MO_CHECK(entry != NULL, MO_STATUS_INVALID_ARGUMENT, "cache read: entry is NULL");
  return cache->storage->read(cache, layer, entry);
}

mo_status_t mo_cache_read(mo_cache_t *cache, int64_t layer, mo_cache_entry *entry) {
  MO_TRY(mo_cache_check_single("cache read", cache));
  return mo_context_note(cache->context, read_layer(cache, layer, entry));
}

/* ---- Room beforehand ---- */

static mo_status_t reserve(mo_cache_t *cache, int64_t count) {
  MO_CHECK(count >= 0, MO_STATUS_INVALID_ARGUMENT, "cache reserve: %" PRId64 " tokens", count);
  return cache->storage->reserve(cache, count);
}

mo_status_t mo_cache_reserve(mo_cache_t *cache, int64_t count) {
  MO_TRY(mo_cache_check_single("cache reserve", cache));
  return mo_context_note(cache->context, reserve(cache, count));
}

/* ---- Early initialisation ---- */

static mo_status_t settle(const char *name, int64_t given, int64_t *known) {
  MO_CHECK(given >= 0, MO_STATUS_INVALID_ARGUMENT, "cache initialize: %s %" PRId64 " is negative", name, given);
  MO_CHECK(given > 0 || *known > 0, MO_STATUS_INVALID_ARGUMENT, "cache initialize: %s is known nowhere", name);
  MO_CHECK(given == 0 || *known <= 0 || given == *known, MO_STATUS_INVALID_ARGUMENT,
           "cache initialize: %s %" PRId64 ", the cache has %" PRId64, name, given, *known);
  if (given > 0) *known = given;
  return MO_STATUS_OK;
}

static mo_status_t settle_layer(mo_cache_layer *layer, int64_t heads, int64_t head_dim, mo_dtype_t dtype) {
  mo_cache_extents extents = layer->extents;
  MO_TRY(settle("num_key_value_heads", heads, &extents.heads));
  MO_TRY(settle("head_dim", head_dim, &extents.key_size));
  if (extents.value_size == 0) extents.value_size = extents.key_size;
  MO_CHECK(dtype != MO_DTYPE_NONE || extents.dtype != MO_DTYPE_NONE, MO_STATUS_INVALID_ARGUMENT,
           "cache initialize: the dtype is known nowhere");
  MO_CHECK(dtype == MO_DTYPE_NONE || (mo_dtype_is_float(dtype) && (extents.dtype == MO_DTYPE_NONE || dtype == extents.dtype)),
           MO_STATUS_INVALID_ARGUMENT, "cache initialize: dtype %s, the cache has %s", mo_dtype_name(dtype),
           mo_dtype_name(extents.dtype));
  if (dtype != MO_DTYPE_NONE) extents.dtype = dtype;
  MO_TRY(mo_cache_check_groups(&extents));
  layer->extents = extents;
  return MO_STATUS_OK;
}

static mo_status_t initialize(mo_cache_t *cache, int64_t batch_size, int64_t heads, int64_t head_dim, mo_dtype_t dtype) {
  const int64_t batch_before = cache->batch;
  int64_t batch = cache->batch, i = 0;
  MO_TRY(settle("batch_size", batch_size, &batch));
  if (cache->layer_count == 0) return MO_STATUS_OK;
  const size_t bytes = (size_t)cache->layer_count * sizeof(mo_cache_extents);
  mo_cache_extents *before = mo_host_allocate(cache->context, bytes);
  bool *fresh = mo_host_allocate(cache->context, (size_t)cache->layer_count);
  mo_status_t status = before != NULL && fresh != NULL ? MO_STATUS_OK : MO_STATUS_OUT_OF_MEMORY;
  for (int64_t k = 0; k < cache->layer_count && status == MO_STATUS_OK; k++) before[k] = cache->layers[k]->extents;
  cache->batch = batch;
  for (i = 0; i < cache->layer_count && status == MO_STATUS_OK; i++) {
    mo_cache_layer *layer = cache->layers[i];
    fresh[i] = !cache->storage->is_allocated(cache, i);
    if (!fresh[i]) continue;
    /* A layer with extents of its own in the options keeps them. */
    status = settle_layer(layer, cache->defaults.extents.heads == layer->extents.heads ? heads : 0,
                          cache->defaults.extents.key_size == layer->extents.key_size ? head_dim : 0, dtype);
    if (status == MO_STATUS_OK) status = need_layer(cache, i, 0, "cache initialize");
  }
  if (status != MO_STATUS_OK && before != NULL && fresh != NULL) {
    for (int64_t k = 0; k < i; k++) {
      if (fresh[k]) cache->storage->release(cache, k);
      cache->layers[k]->extents = before[k];
    }
  }
  if (status != MO_STATUS_OK) cache->batch = batch_before;
  mo_host_free(cache->context, before, bytes);
  mo_host_free(cache->context, fresh, (size_t)cache->layer_count);
  return status;
}

mo_status_t mo_cache_initialize(mo_cache_t *cache, int64_t batch_size, int64_t num_key_value_heads, int64_t head_dim,
                                mo_dtype_t dtype) {
  MO_TRY(mo_cache_check_single("cache initialize", cache));
  return mo_context_note(cache->context, initialize(cache, batch_size, num_key_value_heads, head_dim, dtype));
}

/* ---- Counts on the device ---- */

static mo_status_t lengths_of_rows(mo_cache_t *cache, mo_tensor *lengths) {
  MO_CHECK(lengths != NULL, MO_STATUS_INVALID_ARGUMENT, "cache lengths: the tensor is NULL");
  MO_CHECK(cache->batch > 0, MO_STATUS_WRONG_STATE, "cache lengths: the batch size is not known yet");
  const size_t bytes = (size_t)cache->batch * sizeof(int32_t);
  const bool capturing = mo_cache_is_capturing(cache);
  MO_CHECK(!capturing || cache->lengths_count == cache->batch, MO_STATUS_WRONG_STATE,
           "cache lengths: first asked for while the stream is captured");
  if (!capturing) {
    int32_t *host = mo_host_allocate(cache->context, bytes);
    void *device = cache->lengths_count == cache->batch ? cache->lengths : NULL;
    mo_status_t status = host != NULL ? MO_STATUS_OK : MO_STATUS_OUT_OF_MEMORY;
    for (int64_t b = 0; b < cache->batch && status == MO_STATUS_OK; b++)
      host[b] = (int32_t)cache->storage->row_length(cache, b);
    if (status == MO_STATUS_OK && device == NULL) status = mo_context_allocate(cache->context, bytes, &device);
    if (status == MO_STATUS_OK) status = mo_cache_upload(cache->context, device, host, bytes);
    mo_host_free(cache->context, host, bytes);
    if (device != cache->lengths && status == MO_STATUS_OK) {
      mo_context_release(cache->context, cache->lengths);
      cache->lengths = device;
      cache->lengths_count = cache->batch;
    } else if (device != cache->lengths) {
      mo_context_release(cache->context, device);
    }
    MO_TRY(status);
  }
  return mo_tensor_init(lengths, cache->lengths, MO_DTYPE_INT32, mo_context_device(cache->context), 1, &cache->batch);
}

mo_status_t mo_cache_lengths(mo_cache_t *cache, mo_tensor *lengths) {
  MO_TRY(mo_cache_check_single("cache lengths", cache));
  return mo_context_note(cache->context, lengths_of_rows(cache, lengths));
}
