/* host/cuda/kv_view.h - a cache's view as kernels take it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CUDA_KV_VIEW_H
#define MO_CUDA_KV_VIEW_H

#include "host/rules/broadcast.h"
#include "kernels/kv/view.h"

/* Strides of 0 where the extent is 1. */
static inline mo_kv_heads mo_cuda_kv_heads(const mo_tensor *tensor) {
  mo_kv_heads heads = {.data = NULL};
  if (tensor == NULL) return heads;
  heads.data = tensor->data;
  mo_broadcast_strides(tensor, 3, heads.strides);
  return heads;
}

static inline mo_kv_store mo_cuda_kv_store(const mo_tensor *stored, const mo_tensor *scale) {
  return (mo_kv_store){.stored = mo_cuda_kv_heads(stored),
                       .scale = mo_cuda_kv_heads(scale),
                       .size = (int32_t)stored->shape[3],
                       .groups = scale == NULL ? 0 : (int32_t)scale->shape[3]};
}

static inline mo_kv_table mo_cuda_kv_table(const mo_kv_view *view) {
  mo_kv_table table = {.entries = NULL};
  if (view->block_table == NULL) return table;
  table.entries = view->block_table->data;
  table.stride = view->block_table->strides[0];
  table.page_size = (int32_t)view->key->shape[2];
  while (table.page_size >> table.page_shift > 1) table.page_shift++;
  table.page_count = (int32_t)view->key->shape[0];
  return table;
}

/* Either may be NULL. */
static inline mo_kv_turn mo_cuda_kv_turn(const mo_rotary *rotary, const mo_tensor *position_ids) {
  mo_kv_turn turn = {.cosine = NULL};
  if (rotary == NULL) return turn;
  turn.cosine = rotary->cosine->data;
  turn.sine = rotary->sine->data;
  turn.position_count = rotary->cosine->shape[0];
  turn.pairs = (int32_t)rotary->cosine->shape[1];
  turn.interleaved = rotary->pairing == MO_ROTARY_INTERLEAVED;
  if (position_ids == NULL) return turn;
  turn.position_ids = position_ids->data;
  turn.position_dtype = position_ids->dtype;
  turn.position_strides[0] = mo_broadcast_stride(position_ids, 0);
  turn.position_strides[1] = position_ids->strides[1];
  return turn;
}

#endif
