/* host/cpu/softmax_rows.h - the row steps that softmax and attention share: masks to an additive row, maximum, exponential,
 * sum.
 *
 * A row lives in a float32 buffer of whole vectors; the lanes past its end hold -infinity before the exponential and 0 after
 * it. Included by kernel files only (host/cpu/simd.h): everything is static.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_SOFTMAX_ROWS_H
#define MO_CPU_SOFTMAX_ROWS_H

#include <float.h>

#include "host/cpu/simd_math.h"

/* e^x for x <= 0 (a score less its row's maximum): 0 below -104, NaN stays NaN. The product with log2(e) is taken apart with a
 * fused multiply-add, so that the fraction is not that of a rounded product. */
static inline mo_vf mo_row_exp_(mo_vf x) {
  const mo_vf log2e = mo_vf_set1(1.44269504088896341f);
  const mo_vf clamped = mo_vf_max(mo_vf_set1(-104.5f), x);
  const mo_vf n = mo_vf_round(mo_vf_mul(clamped, log2e));
  const mo_vf r = mo_vf_fma(clamped, log2e, mo_vf_sub(mo_vf_zero(), n));
  return mo_vf_scale2(mo_vf_exp2_fraction_(r), n);
}

/* Mask and bias of one row; either data pointer may be NULL. Strides are those of the key dimension, in elements. */
typedef struct mo_row_masks {
  const void *mask;
  mo_dtype_t mask_dtype;
  int64_t mask_stride;
  const void *bias;
  mo_dtype_t bias_dtype;
  int64_t bias_stride;
} mo_row_masks;

static inline void mo_row_hide_(float *additive, const mo_row_masks *masks, int64_t first, int64_t count) {
  const int64_t stride = masks->mask_stride;
#define MO_ROW_HIDE(type)                                                                                                      \
  do {                                                                                                                         \
    const type *visible = (const type *)masks->mask + first * stride;                                                          \
    if (stride == 1) {                                                                                                         \
      for (int64_t j = 0; j < count; ++j) {                                                                                    \
        const float kept = additive[j];                                                                                        \
        additive[j] = visible[j] != 0 ? kept : -INFINITY;                                                                      \
      }                                                                                                                        \
    } else {                                                                                                                   \
      for (int64_t j = 0; j < count; ++j)                                                                                      \
        if (visible[j * stride] == 0) additive[j] = -INFINITY;                                                                 \
    }                                                                                                                          \
  } while (0)
  switch (masks->mask_dtype) {
    case MO_DTYPE_INT32:
      MO_ROW_HIDE(int32_t);
      break;
    case MO_DTYPE_INT64:
      MO_ROW_HIDE(int64_t);
      break;
    default:
      MO_ROW_HIDE(uint8_t);
      break; /* bool, uint8, int8: a byte that is 0 or is not */
  }
#undef MO_ROW_HIDE
}

/* What is to be added to the scores [first, first + count) of the row: its bias, -infinity where its mask hides the entry. The
 * bias itself where it can be read in place, else written to `buffer`. */
static inline const float *mo_row_additive_(const mo_row_masks *masks, int64_t first, int64_t count, float *buffer) {
  const int64_t stride = masks->bias_stride;
  if (masks->bias == NULL) {
    memset(buffer, 0, (size_t)count * sizeof *buffer);
  } else if (masks->bias_dtype == MO_DTYPE_FLOAT32) {
    const float *bias = (const float *)masks->bias + first * stride;
    if (stride == 1 && masks->mask == NULL) return bias;
    for (int64_t j = 0; j < count; ++j) buffer[j] = bias[j * stride];
  } else if (stride == 1) {
    for (int64_t j = 0; j < count; j += MO_VL) {
      const int n = count - j < MO_VL ? (int)(count - j) : MO_VL;
      const mo_vf bias = mo_vf_load_any(masks->bias, masks->bias_dtype, first + j, n);
      mo_vf_store_partial(buffer + j, bias, n);
    }
  } else {
    for (int64_t j = 0; j < count; ++j) {
      mo_vf_store_partial(buffer + j, mo_vf_load_any(masks->bias, masks->bias_dtype, (first + j) * stride, 1), 1);
    }
  }
  if (masks->mask != NULL) mo_row_hide_(buffer, masks, first, count);
  return buffer;
}

/* Cap and additive row applied in place to `count` scores; the maximum of all, -infinity if nothing is visible. -infinity in
 * `additive` replaces the score, whatever it is: NaN behind a mask stays hidden. The padding and the first `lead` lanes (fewer
 * than a vector) hold -infinity and keep it. */
static inline float mo_row_finish_scores_(float *scores, int64_t count, int lead, const float *additive, float soft_cap) {
  mo_vf highest = mo_vf_set1(-INFINITY);
  if (additive == NULL && soft_cap <= 0.0f) {
    mo_vf second = highest;
    int64_t j = 0;
    for (; j + MO_VL < count; j += 2 * MO_VL) {
      highest = mo_vf_max(mo_vf_load(scores + j), highest);
      second = mo_vf_max(mo_vf_load(scores + j + MO_VL), second);
    }
    if (j < count) highest = mo_vf_max(mo_vf_load(scores + j), highest);
    return mo_vf_hmax(mo_vf_max(highest, second));
  }
  const mo_vf cap = mo_vf_set1(soft_cap);
  const mo_vf lowest = mo_vf_set1(-FLT_MAX);
  const mo_vf hidden = mo_vf_set1(-INFINITY);
  for (int64_t j = 0; j < count; j += MO_VL) {
    const int n = count - j < MO_VL ? (int)(count - j) : MO_VL;
    mo_vf s = mo_vf_load(scores + j);
    if (soft_cap > 0.0f) s = mo_vf_mul(cap, mo_vf_tanh(mo_vf_div(s, cap)));
    if (additive != NULL) {
      const mo_vf a = n == MO_VL ? mo_vf_load(additive + j) : mo_vf_load_partial(additive + j, n);
      s = mo_vf_select_lt(a, lowest, hidden, mo_vf_add(s, a));
    }
    mo_vf_store_partial(scores + j, s, n);
    if (n < MO_VL || (j == 0 && lead > 0)) {
      for (int lane = 0; j == 0 && lane < lead; ++lane) scores[lane] = -INFINITY;
      s = mo_vf_load(scores + j);
    }
    highest = mo_vf_max(s, highest);
  }
  return mo_vf_hmax(highest);
}

/* exp(score - maximum) in place over whole vectors; returns the sum. */
static inline float mo_row_exp_sum_(float *scores, int64_t count, float maximum) {
  const mo_vf m = mo_vf_set1(maximum);
  mo_vf sum = mo_vf_zero(), second = mo_vf_zero();
  int64_t j = 0;
  for (; j + MO_VL < count; j += 2 * MO_VL) {
    const mo_vf a = mo_row_exp_(mo_vf_sub(mo_vf_load(scores + j), m));
    const mo_vf b = mo_row_exp_(mo_vf_sub(mo_vf_load(scores + j + MO_VL), m));
    mo_vf_store(scores + j, a);
    mo_vf_store(scores + j + MO_VL, b);
    sum = mo_vf_add(sum, a);
    second = mo_vf_add(second, b);
  }
  if (j < count) {
    const mo_vf a = mo_row_exp_(mo_vf_sub(mo_vf_load(scores + j), m));
    mo_vf_store(scores + j, a);
    sum = mo_vf_add(sum, a);
  }
  return mo_vf_hsum(mo_vf_add(sum, second));
}

/* -infinity into the lanes past `count` of the last vector. */
static inline void mo_row_pad_(float *scores, int64_t count) {
  for (int64_t j = count; j % MO_VL != 0; ++j) scores[j] = -INFINITY;
}

/* A maximum of -infinity means "nothing visible", unless the row holds a NaN, which a maximum does not see. */
static inline bool mo_row_has_nan_(const float *scores, int64_t count) {
  for (int64_t j = 0; j < count; ++j)
    if (scores[j] != scores[j]) return true;
  return false;
}

static inline int64_t mo_round_up_vector_(int64_t count) { return (count + MO_VL - 1) / MO_VL * MO_VL; }

#endif
