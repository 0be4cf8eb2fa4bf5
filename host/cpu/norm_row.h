/* host/cpu/norm_row.h - statistics and normalisation of one row that lies in the cache; for norm and embedding kernels.
 *
 * The row holds unrounded float32 sums and is read three times (mean, squared distances from it, output): memory sees it once.
 * The variance is that of two passes, so a large mean costs no digits. Four accumulators hide the latency of the addition.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_NORM_ROW_H
#define MO_CPU_NORM_ROW_H

#include "host/cpu/norm_affine.h"
#include "host/cpu/simd.h"

#define MO_ROW_INLINE static inline __attribute__((always_inline))

MO_ROW_INLINE float mo_row_sum_four_(const mo_vf *sums) {
  return mo_vf_hsum(mo_vf_add(mo_vf_add(sums[0], sums[1]), mo_vf_add(sums[2], sums[3])));
}

MO_ROW_INLINE float mo_row_sum(const float *row, int64_t count) {
  mo_vf sums[4] = {mo_vf_zero(), mo_vf_zero(), mo_vf_zero(), mo_vf_zero()};
  int64_t i = 0;
  for (; i + 4 * MO_VL <= count; i += 4 * MO_VL) {
    for (int s = 0; s < 4; ++s) sums[s] = mo_vf_add(sums[s], mo_vf_load(row + i + s * MO_VL));
  }
  for (; i + MO_VL <= count; i += MO_VL) sums[0] = mo_vf_add(sums[0], mo_vf_load(row + i));
  if (i < count) sums[1] = mo_vf_add(sums[1], mo_vf_load_partial(row + i, (int)(count - i)));
  return mo_row_sum_four_(sums);
}

/* Sum of (row - center)^2. */
MO_ROW_INLINE float mo_row_sum_of_squares(const float *row, int64_t count, float center) {
  mo_vf sums[4] = {mo_vf_zero(), mo_vf_zero(), mo_vf_zero(), mo_vf_zero()};
  const mo_vf c = mo_vf_set1(center);
  int64_t i = 0;
  for (; i + 4 * MO_VL <= count; i += 4 * MO_VL) {
    for (int s = 0; s < 4; ++s) {
      const mo_vf d = mo_vf_sub(mo_vf_load(row + i + s * MO_VL), c);
      sums[s] = mo_vf_fma(d, d, sums[s]);
    }
  }
  for (; i + MO_VL <= count; i += MO_VL) {
    const mo_vf d = mo_vf_sub(mo_vf_load(row + i), c);
    sums[0] = mo_vf_fma(d, d, sums[0]);
  }
  float rest = 0.0f; /* lanes past the end would each add center^2 */
  for (; i < count; ++i) rest += (row[i] - center) * (row[i] - center);
  return mo_row_sum_four_(sums) + rest;
}

/* output[0..count) at `offset`; row may be the output itself. */
MO_ROW_INLINE void mo_row_normalize(const mo_norm_affine *a, mo_dtype_t weight_dtype, const float *row, void *output,
                                    mo_dtype_t output_dtype, int64_t offset) {
  const float count = (float)a->count;
  const float mean = a->rms ? 0.0f : mo_row_sum(row, a->count) / count;
  const float scale = 1.0f / sqrtf(mo_row_sum_of_squares(row, a->count, mean) / count + a->epsilon);
  const mo_vf center = mo_vf_set1(mean), s = mo_vf_set1(scale), weight_offset = mo_vf_set1(a->weight_offset);
  for (int64_t i = 0; i < a->count; i += MO_VL) {
    const int n = a->count - i < MO_VL ? (int)(a->count - i) : MO_VL;
    mo_vf v = mo_vf_load_any(row, MO_DTYPE_FLOAT32, i, n);
    v = mo_vf_mul(mo_vf_sub(v, center), s);
    if (a->weight != NULL) v = mo_vf_mul(v, mo_vf_add(mo_vf_load_any(a->weight, weight_dtype, i, n), weight_offset));
    if (a->bias != NULL) v = mo_vf_add(v, mo_vf_load_any(a->bias, weight_dtype, i, n));
    mo_vf_store_any(output, output_dtype, offset + i, v, n);
  }
}

#endif
