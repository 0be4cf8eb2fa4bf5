/* host/cache/field_view.c - a cache as the `past_key_values` of a framework: views of its blocks.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "host/cache/block_tokens.h"
#include "host/output/field_owner.h"

static void release_cache(void *cache) { mo_cache_release(cache); }

/* Key and value as mo_cache_read gives them, but of a layer without memory of no extent at all. */
static void layer_tensors(const mo_cache_t *cache, mo_cache_layer *layer, mo_tensor tensors[2]) {
  mo_tensor whole[5];
  if (layer == NULL || layer->block == NULL) {
    tensors[0] = tensors[1] =
        (mo_tensor){.dtype = layer == NULL || layer->extents.dtype == MO_DTYPE_NONE ? MO_DTYPE_FLOAT32 : layer->extents.dtype,
                    .device = mo_context_device(cache->context),
                    .rank = 4,
                    .strides = {1, 1, 1, 1}};
    return;
  }
  const int64_t length = mo_cache_kind_is_static(layer->kind) ? layer->capacity : layer->stored;
  mo_block_tokens(cache, layer, layer->start, length, whole);
  tensors[0] = whole[0];
  tensors[1] = whole[1];
}

/* Fields keep the block, not the layer: the layer may move on to another. */
static mo_status_t make_tensor(const mo_cache_t *cache, const mo_cache_layer *layer, const mo_tensor *tensor,
                               mo_field **field) {
  mo_cache_block *block = layer == NULL ? NULL : mo_cache_block_retain(layer->block);
  const mo_status_t status = mo_field_create_tensor(cache->context, tensor, mo_cache_block_release, block, field);
  if (status != MO_STATUS_OK) mo_cache_block_release(block);
  return status;
}

static void release_fields(mo_context_t *context, mo_field **fields, int64_t count) {
  for (int64_t i = 0; fields != NULL && i < count; i++) mo_field_release(fields[i]);
  mo_host_free(context, fields, (size_t)(count + 1) * sizeof *fields);
}

/* ---- Layer by layer ---- */

/* fields[layer * each + i] as `each` tensors of a layer, in tuples. */
static mo_status_t make_tuples(mo_context_t *context, mo_field *const *fields, int64_t layers, int32_t each, mo_field **field) {
  mo_field **tuples = mo_host_allocate(context, (size_t)(layers + 1) * sizeof *tuples);
  mo_status_t status = tuples != NULL ? MO_STATUS_OK : MO_STATUS_OUT_OF_MEMORY;
  for (int64_t i = 0; i < layers && status == MO_STATUS_OK; i++)
    status = mo_field_create_tuple(context, fields + i * each, each, &tuples[i]);
  if (status == MO_STATUS_OK) status = mo_field_create_tuple(context, tuples, layers, field);
  release_fields(context, tuples, layers);
  return status;
}

static mo_status_t layer_form(mo_cache_t *cache, bool as_tuples, mo_field **field) {
  mo_cache_t *const parts[2] = {mo_cache_self(cache), cache->cross};
  const int32_t each = cache->cross != NULL ? 4 : 2;
  int64_t layers = parts[0]->layer_count;
  if (cache->cross != NULL && cache->cross->layer_count > layers) layers = cache->cross->layer_count;
  mo_field **fields = mo_host_allocate(cache->context, (size_t)(layers * each + 1) * sizeof *fields);
  mo_status_t status = fields != NULL ? MO_STATUS_OK : MO_STATUS_OUT_OF_MEMORY;
  for (int64_t i = 0; i < layers * each && status == MO_STATUS_OK; i++) {
    const mo_cache_t *part = parts[i % each / 2];
    mo_cache_layer *layer = mo_cache_find_layer(part, i / each);
    mo_tensor tensors[2];
    layer_tensors(part, layer, tensors);
    status = make_tensor(part, layer, &tensors[i % 2], &fields[i]);
  }
  if (status == MO_STATUS_OK)
    status = as_tuples ? make_tuples(cache->context, fields, layers, each, field)
                       : mo_field_create_cache(cache->context, fields, layers, each, field);
  release_fields(cache->context, fields, layers * each);
  return status;
}

/* ---- A tensor per layer ---- */

static mo_status_t stacked(const mo_cache_t *cache, mo_cache_layer *layer, mo_field **field) {
  mo_tensor tensors[2], pair;
  layer_tensors(cache, layer, tensors);
  MO_CHECK(tensors[0].shape[3] == tensors[1].shape[3], MO_STATUS_UNSUPPORTED,
           "cache field: keys of %" PRId64 " and values of %" PRId64 " elements make no tensor (2, batch, heads, length, size)",
           tensors[0].shape[3], tensors[1].shape[3]);
  pair = tensors[0];
  pair.rank = 5;
  for (int d = 0; d < 4; d++) pair.shape[d + 1] = tensors[0].shape[d], pair.strides[d + 1] = tensors[0].strides[d];
  pair.shape[0] = 2;
  pair.strides[0] = ((char *)tensors[1].data - (char *)tensors[0].data) / (int64_t)mo_dtype_bytes(pair.dtype);
  return make_tensor(cache, layer, &pair, field);
}

static mo_status_t stacked_form(mo_cache_t *cache, mo_field **field) {
  const int64_t layers = cache->layer_count;
  mo_field **fields = mo_host_allocate(cache->context, (size_t)(layers + 1) * sizeof *fields);
  mo_status_t status = fields != NULL ? MO_STATUS_OK : MO_STATUS_OUT_OF_MEMORY;
  for (int64_t i = 0; i < layers && status == MO_STATUS_OK; i++) status = stacked(cache, cache->layers[i], &fields[i]);
  if (status == MO_STATUS_OK) status = mo_field_create_tuple(cache->context, fields, layers, field);
  release_fields(cache->context, fields, layers);
  return status;
}

/* ---- A dict ---- */

#define DICT_KEY_BYTES 320

/* (B, H, L, D) seen as (B, L, H, D). */
static void swap_heads_and_tokens(mo_tensor *tensor) {
  const int64_t shape = tensor->shape[1], stride = tensor->strides[1];
  tensor->shape[1] = tensor->shape[2], tensor->strides[1] = tensor->strides[2];
  tensor->shape[2] = shape, tensor->strides[2] = stride;
}

static mo_status_t dict_layer(const mo_cache_t *cache, mo_cache_layer *layer, mo_field **fields) {
  mo_tensor tensors[2];
  layer_tensors(cache, layer, tensors);
  for (int i = 0; i < 2; i++) {
    swap_heads_and_tokens(&tensors[i]);
    MO_TRY(make_tensor(cache, layer, &tensors[i], &fields[i]));
  }
  return mo_field_create_integer(cache->context, layer->seen, &fields[2]);
}

static mo_status_t dict_form(mo_cache_t *cache, const char *prefix, const char *suffix, mo_field **field) {
  static const char *const names[3] = {"cached_key", "cached_value", "cache_index"};
  const int64_t count = 3 * cache->layer_count;
  const size_t text_bytes = (size_t)(count + 1) * DICT_KEY_BYTES, key_bytes = (size_t)(count + 1) * sizeof(char *);
  mo_field **fields = mo_host_allocate(cache->context, (size_t)(count + 1) * sizeof *fields);
  char *text = mo_host_allocate(cache->context, text_bytes);
  const char **keys = mo_host_allocate(cache->context, key_bytes);
  mo_status_t status = fields != NULL && text != NULL && keys != NULL ? MO_STATUS_OK : MO_STATUS_OUT_OF_MEMORY;
  for (int64_t i = 0; i < count && status == MO_STATUS_OK; i++) {
    keys[i] = text + i * DICT_KEY_BYTES;
    snprintf(text + i * DICT_KEY_BYTES, DICT_KEY_BYTES, "%.128s%" PRId64 "%.128s.%s", prefix, i / 3, suffix, names[i % 3]);
    if (i % 3 == 0) status = dict_layer(cache, cache->layers[i / 3], &fields[i]);
  }
  if (status == MO_STATUS_OK) status = mo_field_create_dict(cache->context, keys, fields, count, field);
  mo_host_free(cache->context, (void *)keys, key_bytes);
  mo_host_free(cache->context, text, text_bytes);
  release_fields(cache->context, fields, count);
  return status;
}

/* ---- Entry ---- */

static mo_status_t check_plain(const mo_cache_t *cache) {
  MO_CHECK(cache == NULL || (cache->kind != MO_CACHE_QUANTIZED && cache->kind != MO_CACHE_PAGED), MO_STATUS_UNSUPPORTED,
           "cache field: a %s cache has no plain tensors to show (mo_kv_gather makes some)",
           cache->kind == MO_CACHE_PAGED ? "paged" : "quantised");
  return MO_STATUS_OK;
}

static mo_status_t make_form(mo_cache_t *cache, mo_cache_form_t form, mo_field **field) {
  switch (form) {
    case MO_CACHE_FORM_CACHE:
    case MO_CACHE_FORM_TUPLES:
      return layer_form(cache, form == MO_CACHE_FORM_TUPLES, field);
    case MO_CACHE_FORM_STACKED:
      return stacked_form(mo_cache_self(cache), field);
    case MO_CACHE_FORM_DICT:
      return dict_form(mo_cache_self(cache), "", "", field);
  }
  return mo_fail(MO_STATUS_INVALID_ARGUMENT, "cache field: form %d is not one of mo_cache_form_t", (int)form);
}

static mo_status_t make_field(mo_cache_t *cache, mo_cache_form_t form, mo_field **field) {
  MO_CHECK(field != NULL, MO_STATUS_INVALID_ARGUMENT, "cache field: field is NULL, it receives the result");
  MO_TRY(check_plain(mo_cache_self(cache)));
  MO_TRY(check_plain(cache->cross));
  MO_TRY(make_form(cache, form, field));
  mo_field_set_owner(*field, mo_cache_retain(cache), release_cache);
  return MO_STATUS_OK;
}

mo_status_t mo_cache_field_as(mo_cache_t *cache, mo_cache_form_t form, mo_field **field) {
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache field: the cache is NULL");
  return mo_context_note(cache->context, make_field(cache, form, field));
}

static mo_status_t make_dict(mo_cache_t *cache, const char *prefix, const char *suffix, mo_field **field) {
  MO_CHECK(field != NULL && prefix != NULL && suffix != NULL, MO_STATUS_INVALID_ARGUMENT, "cache field: an argument is NULL");
  MO_TRY(check_plain(mo_cache_self(cache)));
  MO_TRY(dict_form(mo_cache_self(cache), prefix, suffix, field));
  mo_field_set_owner(*field, mo_cache_retain(cache), release_cache);
  return MO_STATUS_OK;
}

mo_status_t mo_cache_field_dict(mo_cache_t *cache, const char *prefix, const char *suffix, mo_field **field) {
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache field: the cache is NULL");
  return mo_context_note(cache->context, make_dict(cache, prefix, suffix, field));
}

mo_status_t mo_cache_field(mo_cache_t *cache, mo_framework_t framework, mo_field **field) {
  static const mo_cache_form_t forms[] = {[MO_FRAMEWORK_PT] = MO_CACHE_FORM_CACHE,
                                          [MO_FRAMEWORK_TF] = MO_CACHE_FORM_STACKED,
                                          [MO_FRAMEWORK_FLAX] = MO_CACHE_FORM_DICT};
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache field: the cache is NULL");
  if (framework < MO_FRAMEWORK_PT || framework > MO_FRAMEWORK_FLAX)
    return mo_context_note(cache->context, mo_fail(MO_STATUS_INVALID_ARGUMENT,
                                                   "cache field: framework %d has no form of a cache", (int)framework));
  return mo_cache_field_as(cache, forms[framework], field);
}

mo_cache_t *mo_field_cache(const mo_field *field) { return mo_field_owner(field, release_cache); }
