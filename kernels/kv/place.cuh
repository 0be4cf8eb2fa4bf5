/* kernels/kv/place.cuh - where a token of a cache's row lies.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_KV_PLACE_CUH
#define MO_KERNELS_KV_PLACE_CUH

#include <cstdint>

#include <cuda_runtime.h>

#include "kernels/kv/view.h"

/* The index of its block along the first dimension, and the slot in it; is_there is false where the table's entry is no page.
 */
struct mo_kv_place {
  int64_t block, slot;
  bool is_there;
};

__device__ __forceinline__ mo_kv_place mo_kv_find_place(const mo_kv_table &table, int64_t row, int64_t token) {
  if (table.entries == nullptr) return {row, token, true};
  const int64_t page = table.entries[row * table.stride + (token >> table.page_shift)];
  return {page, token & (table.page_size - 1), page >= 0 && page < table.page_count};
}

__device__ __forceinline__ int64_t mo_kv_offset(const mo_kv_heads &heads, int64_t block, int64_t head, int64_t slot) {
  return block * heads.strides[0] + head * heads.strides[1] + slot * heads.strides[2];
}

#endif
