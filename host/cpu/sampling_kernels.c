/* host/cpu/sampling_kernels.c - the passes of sampling over a whole row, one copy per instruction set.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/sampling_kernels.h"

#include "host/cpu/simd.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE float make_scores(const void *logits, mo_dtype_t dtype, int64_t count, float temperature, float *scores,
                                float *block_maxima) {
  const mo_vf lowest = mo_vf_set1(-INFINITY), divisor = mo_vf_set1(temperature);
  float maximum = -INFINITY;
  for (int64_t block = 0; block < count; block += MO_SAMPLING_BLOCK) {
    const int64_t end = count - block < MO_SAMPLING_BLOCK ? count : block + MO_SAMPLING_BLOCK;
    mo_vf largest = lowest;
    int64_t i = block;
    for (; i + MO_VL <= end; i += MO_VL) {
      const mo_vf score = mo_vf_max(mo_vf_div(mo_vf_load_any(logits, dtype, i, MO_VL), divisor), lowest); /* not NaN */
      mo_vf_store(scores + i, score);
      largest = mo_vf_max(largest, score);
    }
    float block_maximum = mo_vf_hmax(largest);
    if (i < end) {
      const int n = (int)(end - i);
      mo_vf_store_partial(scores + i, mo_vf_max(mo_vf_div(mo_vf_load_any(logits, dtype, i, n), divisor), lowest), n);
      for (; i < end; i++) block_maximum = scores[i] > block_maximum ? scores[i] : block_maximum;
    }
    block_maxima[block / MO_SAMPLING_BLOCK] = block_maximum;
    maximum = block_maximum > maximum ? block_maximum : maximum;
  }
  return maximum;
}

/* The dtypes as constants, so that the loops hold no choice. */
float MO_SIMD(mo_sampling_scores)(const void *logits, mo_dtype_t dtype, int64_t count, float temperature, float *scores,
                                  float *block_maxima) {
  switch (dtype) {
    case MO_DTYPE_FLOAT16:
      return make_scores(logits, MO_DTYPE_FLOAT16, count, temperature, scores, block_maxima);
    case MO_DTYPE_BFLOAT16:
      return make_scores(logits, MO_DTYPE_BFLOAT16, count, temperature, scores, block_maxima);
    default:
      return make_scores(logits, MO_DTYPE_FLOAT32, count, temperature, scores, block_maxima);
  }
}

double MO_SIMD(mo_sampling_sums)(const float *scores, int64_t count, float maximum, float *block_sums) {
  const mo_vf shift = mo_vf_set1(maximum);
  double total = 0.0;
  for (int64_t block = 0; block < count; block += MO_SAMPLING_BLOCK) {
    const int64_t end = count - block < MO_SAMPLING_BLOCK ? count : block + MO_SAMPLING_BLOCK;
    mo_vf sum = mo_vf_zero();
    int64_t i = block;
    for (; i + MO_VL <= end; i += MO_VL) sum = mo_vf_add(sum, mo_vf_exp(mo_vf_sub(mo_vf_load(scores + i), shift)));
    float block_sum = mo_vf_hsum(sum);
    if (i < end) {
      float last[MO_VL];
      mo_vf_store(last, mo_vf_exp(mo_vf_sub(mo_vf_load_partial(scores + i, (int)(end - i)), shift)));
      for (int64_t j = 0; i + j < end; j++) block_sum += last[j];
    }
    block_sums[block / MO_SAMPLING_BLOCK] = block_sum;
    total += (double)block_sum;
  }
  return total;
}
