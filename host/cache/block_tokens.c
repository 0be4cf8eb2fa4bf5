/* host/cache/block_tokens.c - tokens of layers in blocks: where they lie, moving them, and zeros for empty slots.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/block_tokens.h"

#include <string.h>

void mo_block_tokens(const mo_cache_t *cache, const mo_cache_layer *layer, int64_t first, int64_t count, mo_tensor tensors[5]) {
  mo_cache_block_tensors(&layer->extents, cache->context, layer->block, layer->batch, layer->capacity, first, count, tensors);
  memset(&tensors[4], 0, sizeof tensors[4]);
}

mo_status_t mo_block_move_tokens(mo_cache_t *cache, const mo_tensor source[5], const mo_tensor destination[5],
                                 const mo_tensor *rows) {
  if (mo_tensor_count(&destination[0]) == 0 && mo_tensor_count(&destination[1]) == 0) return MO_STATUS_OK;
  mo_kv_gather_params params = MO_KV_GATHER_PARAMS_INIT;
  params.source = mo_cache_view_of(source);
  params.destination = mo_cache_view_of(destination);
  params.rows = rows;
  return mo_kv_gather(cache->context, &params);
}

/* ---- Zeros ---- */

static size_t zero_bytes(const mo_cache_layer *layer) {
  return (size_t)mo_larger(layer->extents.key_size, layer->extents.value_size) * mo_dtype_bytes(layer->extents.dtype);
}

mo_status_t mo_block_need_zeros(mo_cache_t *cache, const mo_cache_layer *layer) {
  const size_t bytes = zero_bytes(layer);
  if (bytes <= cache->zero_bytes) return MO_STATUS_OK;
  MO_TRY(mo_cache_check_not_captured(cache->context, "memory is needed"));
  void *host = mo_host_allocate(cache->context, bytes), *device = NULL;
  if (host == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_status_t status = mo_context_allocate(cache->context, bytes, &device);
  if (status == MO_STATUS_OK) status = mo_cache_upload(cache->context, device, host, bytes);
  mo_host_free(cache->context, host, bytes);
  if (status != MO_STATUS_OK) {
    mo_context_release(cache->context, device);
    return status;
  }
  mo_context_release(cache->context, cache->zeros);
  cache->zeros = device;
  cache->zero_bytes = bytes;
  return MO_STATUS_OK;
}

mo_status_t mo_block_need_scratch(mo_cache_t *cache) {
  int64_t size = 0;
  if (mo_cache_is_capturing(cache)) return MO_STATUS_OK;
  for (int64_t i = 0; i < cache->layer_count; i++) {
    const mo_cache_extents *extents = &cache->layers[i]->extents;
    size = mo_larger(size, mo_larger(extents->key_size, extents->value_size));
  }
  return mo_context_reserve(cache->context, (size_t)size * sizeof(float) * (size_t)mo_context_thread_count(cache->context));
}

/* One head of zeros, written to every head of every token. */
mo_status_t mo_block_fill_zeros(mo_cache_t *cache, const mo_cache_layer *layer, const mo_cache_block *block, int64_t batch,
                                int64_t first, int64_t count) {
  mo_tensor tensors[5] = {{.data = NULL}}, zeros[2];
  if (count == 0) return MO_STATUS_OK;
  MO_TRY(mo_block_need_zeros(cache, layer));
  mo_cache_block_tensors(&layer->extents, cache->context, block, batch, layer->capacity, first, count, tensors);
  for (int i = 0; i < 2; i++) {
    zeros[i] = tensors[i];
    zeros[i].data = cache->zeros;
    for (int d = 0; d < 3; d++) zeros[i].strides[d] = 0;
  }
  const mo_kv_update_layer update = {.cache = mo_cache_view_of(tensors), .key = &zeros[0], .value = &zeros[1]};
  mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
  params.layers = &update;
  params.layer_count = 1;
  return mo_kv_update(cache->context, &params);
}
