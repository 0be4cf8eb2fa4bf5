/* kernels/kv/view.h - a cache's view as kernels take it: addresses, strides, table.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_KV_VIEW_H
#define MO_KERNELS_KV_VIEW_H

#include "modelout/kv_update.h"

/* A tensor of heads: element (i, h, t, d) lies at i, h, t times the strides, plus d. */
typedef struct mo_kv_heads {
  void *data; /* NULL: not there (scales) */
  int64_t strides[3];
} mo_kv_heads;

/* Keys or values, and their scales. */
typedef struct mo_kv_store {
  mo_kv_heads stored, scale;
  int32_t size, groups;
} mo_kv_store;

typedef struct mo_kv_table {
  const int32_t *entries; /* NULL: contiguous */
  int64_t stride;
  int32_t page_size, page_shift, page_count; /* page_size = 1 << page_shift */
} mo_kv_table;

/* Rotary embedding of a head by its position. */
typedef struct mo_kv_turn {
  const float *cosine, *sine; /* (position_count, pairs); NULL: heads are not turned */
  int64_t position_count;
  int32_t pairs;
  mo_dtype_t position_dtype;
  const void *position_ids; /* NULL: the slot */
  int64_t position_strides[2];
  bool interleaved;
} mo_kv_turn;

#endif
