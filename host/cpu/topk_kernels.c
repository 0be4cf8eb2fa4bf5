/* host/cpu/topk_kernels.c - scan and key conversion of top-k, one copy per instruction set.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/topk_kernels.h"

#include "host/cpu/simd.h"
#include "host/cpu/topk_key.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* x < next(bound) is x <= bound for every x but NaN, which fails it, as a value above the bound does. */
ALWAYS_INLINE int64_t find_block(const void *row, mo_dtype_t dtype, int64_t begin, int64_t end, float bound) {
  const mo_vf limit = mo_vf_set1(nextafterf(bound, INFINITY));
  const mo_vf zero = mo_vf_zero(), one = mo_vf_set1(1.0f);
  int64_t block = begin;
  for (; block + MO_TOPK_BLOCK <= end; block += MO_TOPK_BLOCK) {
    mo_vf above = zero;
    for (int i = 0; i < MO_TOPK_BLOCK; i += MO_VL)
      above = mo_vf_max(mo_vf_select_lt(mo_vf_load_any(row, dtype, block + i, MO_VL), limit, zero, one), above);
    if (mo_vf_hmax(above) > 0.0f) return block;
  }
  return block; /* a last, shorter block is left to the caller */
}

int64_t MO_SIMD(mo_topk_find_block)(const void *row, mo_dtype_t dtype, int64_t begin, int64_t end, float bound) {
  switch (dtype) {
    case MO_DTYPE_FLOAT16:
      return find_block(row, MO_DTYPE_FLOAT16, begin, end, bound);
    case MO_DTYPE_BFLOAT16:
      return find_block(row, MO_DTYPE_BFLOAT16, begin, end, bound);
    default:
      return find_block(row, MO_DTYPE_FLOAT32, begin, end, bound);
  }
}

ALWAYS_INLINE void make_keys(const void *row, mo_dtype_t dtype, int64_t count, uint32_t *keys) {
  float values[MO_VL];
  for (int64_t i = 0; i < count; i += MO_VL) {
    const int n = count - i < MO_VL ? (int)(count - i) : MO_VL;
    mo_vf_store(values, mo_vf_load_any(row, dtype, i, n));
    for (int j = 0; j < n; ++j) keys[i + j] = mo_topk_key(values[j]);
  }
}

void MO_SIMD(mo_topk_keys)(const void *row, mo_dtype_t dtype, int64_t count, uint32_t *keys) {
  switch (dtype) {
    case MO_DTYPE_FLOAT16:
      make_keys(row, MO_DTYPE_FLOAT16, count, keys);
      break;
    case MO_DTYPE_BFLOAT16:
      make_keys(row, MO_DTYPE_BFLOAT16, count, keys);
      break;
    default:
      make_keys(row, MO_DTYPE_FLOAT32, count, keys);
      break;
  }
}
