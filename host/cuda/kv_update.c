/* host/cuda/kv_update.c - cache update and cache gather on the card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/kv_update.h"

#include "host/cuda/cuda_ops.h"
#include "host/cuda/kv_view.h"

#define HEAD_SIZE_LIMIT 2048 /* floats of four heads in the shared memory that every card has */

static mo_status_t check_extents(const char *op, const mo_tensor *key, const mo_tensor *value, int64_t layers) {
  const int64_t heads = key->shape[0] <= INT32_MAX && key->shape[1] <= INT32_MAX ? key->shape[0] * key->shape[1] : INT64_MAX;
  MO_CHECK(key->shape[2] <= INT32_MAX && (key->shape[2] == 0 || heads <= INT32_MAX / layers / key->shape[2]),
           MO_STATUS_UNSUPPORTED, "%s: more than 2^31 - 1 heads of tokens, which is what the CUDA kernels take", op);
  MO_CHECK(key->shape[3] <= HEAD_SIZE_LIMIT && value->shape[3] <= HEAD_SIZE_LIMIT, MO_STATUS_UNSUPPORTED,
           "%s: heads of %lld and %lld elements, the CUDA kernels take %d", op, (long long)key->shape[3],
           (long long)value->shape[3], HEAD_SIZE_LIMIT);
  return MO_STATUS_OK;
}

mo_status_t mo_cuda_kv_update(mo_context_t *context, const mo_kv_update_params *params) {
  const mo_kv_update_layer *first = &params->layers[0];
  const mo_tensor *key = first->key;
  const int32_t most = params->layer_count < MO_KV_LAYERS_PER_LAUNCH ? params->layer_count : MO_KV_LAYERS_PER_LAUNCH;
  MO_TRY(check_extents("cache update", key, first->value, most));
  mo_kv_update_kernel_args args = {
      .batch = (int32_t)key->shape[0],
      .heads = (int32_t)key->shape[1],
      .length = (int32_t)key->shape[2],
      .source_dtype = key->dtype,
      .stored_dtype = first->cache.key->dtype,
      .offset = params->offset,
  };
  args.capacity = first->cache.key->shape[2] * (first->cache.block_table == NULL ? 1 : first->cache.block_table->shape[1]);
  if (params->offsets != NULL) {
    args.offsets = params->offsets->data;
    args.offset_stride = params->offsets->strides[0];
  }
  if (params->cumulative_lengths != NULL) {
    args.cumulative = params->cumulative_lengths->data;
    args.rows = (int32_t)(params->cumulative_lengths->shape[0] - 1);
  }
  if (params->counts != NULL) {
    args.counts = params->counts->data;
    args.count_stride = params->counts->strides[0];
  }
  args.turn = mo_cuda_kv_turn(params->rotary, params->position_ids);
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  mo_kv_update_kernel_layer layers[MO_KV_LAYERS_PER_LAUNCH];
  int32_t count = 0;
  for (int32_t i = 0; i < params->layer_count; i++) {
    const mo_kv_update_layer *layer = &params->layers[i];
    const mo_kv_view *cache = &layer->cache;
    layers[count++] = (mo_kv_update_kernel_layer){
        .sides = {{.source = mo_cuda_kv_heads(layer->key), .cache = mo_cuda_kv_store(cache->key, cache->key_scale)},
                  {.source = mo_cuda_kv_heads(layer->value), .cache = mo_cuda_kv_store(cache->value, cache->value_scale)}},
        .table = mo_cuda_kv_table(cache),
    };
    if (count < MO_KV_LAYERS_PER_LAUNCH && i + 1 < params->layer_count) continue;
    MO_TRY(mo_cuda_status(mo_launch_kv_update(&args, layers, count, mo_cuda_stream_of(context)), "cache update"));
    count = 0;
  }
  return MO_STATUS_OK;
}

mo_status_t mo_cuda_kv_gather(mo_context_t *context, const mo_kv_gather_params *params) {
  const mo_kv_view *from = &params->source, *to = &params->destination;
  MO_TRY(check_extents("cache gather", to->key, to->value, 2));
  mo_kv_gather_kernel_args args = {
      .source = {mo_cuda_kv_store(from->key, from->key_scale), mo_cuda_kv_store(from->value, from->value_scale)},
      .destination = {mo_cuda_kv_store(to->key, to->key_scale), mo_cuda_kv_store(to->value, to->value_scale)},
      .table = mo_cuda_kv_table(from),
      .start = params->start,
      .batch = (int32_t)to->key->shape[0],
      .heads = (int32_t)to->key->shape[1],
      .length = (int32_t)to->key->shape[2],
      .source_rows = (int32_t)(from->block_table == NULL ? from->key->shape[0] : from->block_table->shape[0]),
      .source_dtype = from->key->dtype,
      .destination_dtype = to->key->dtype,
  };
  if (params->rows != NULL) {
    args.rows = params->rows->data;
    args.row_stride = params->rows->strides[0];
  }
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  return mo_cuda_status(mo_launch_kv_gather(&args, mo_cuda_stream_of(context)), "cache gather");
}
