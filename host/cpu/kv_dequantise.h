/* host/cpu/kv_dequantise.h - vectors of quantised cache elements as float32. Included by kernel files only (host/cpu/simd.h).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_KV_DEQUANTISE_H
#define MO_CPU_KV_DEQUANTISE_H

#include "host/cpu/simd_codes.h"

/* One head: `groups` groups of `width` codes, each times its scale, to `dtype` at element `index` of `to`. */
static inline void mo_dequantise_head(void *to, mo_dtype_t dtype, int64_t index, const uint8_t *codes, const float *scales,
                                      int64_t groups, int64_t width, int is_int8) {
  for (int64_t group = 0; group < groups; ++group) {
    const mo_vf scale = mo_vf_set1(scales[group]);
    for (int64_t i = 0; i < width; i += MO_VL) {
      const int n = width - i < MO_VL ? (int)(width - i) : MO_VL;
      const mo_vf value = mo_vf_load_stored(codes, is_int8 ? MO_DTYPE_INT8 : MO_DTYPE_FLOAT8_E4M3, group * width + i, n);
      mo_vf_store_any(to, dtype, index + group * width + i, mo_vf_mul(value, scale), n);
    }
  }
}

#endif
