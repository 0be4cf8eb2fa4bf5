/* host/cpu/loss_kernels.c - inner loops of the losses, one copy per instruction set.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/loss_kernels.h"

#include "host/cpu/simd.h"

/* A row is taken in blocks that stay in the first-level cache: the maximum of the block, then the exponentials against the
 * maximum so far. Memory is read once, the running sum is rescaled once a block instead of once a vector, and every float32
 * partial sum is short (the blocks are added in double). */
#define BLOCK ((int64_t)2048)
#define ACCUMULATORS 4

/* So that the dtype, a constant in the outermost call, is one in the loops. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* n < MO_VL values, the lanes behind them -infinity: neutral for the maximum and for the sum. */
ALWAYS_INLINE mo_vf load_tail(const void *row, mo_dtype_t dtype, int64_t index, int n) {
  float lanes[MO_VL];
  mo_vf_store(lanes, mo_vf_set1(-INFINITY));
  mo_vf_store_partial(lanes, mo_vf_load_any(row, dtype, index, n), n);
  return mo_vf_load(lanes);
}

/* NaN never wins: mo_vf_max gives its second operand then. The sum finds it. */
ALWAYS_INLINE float block_maximum(const void *row, mo_dtype_t dtype, int64_t begin, int64_t end) {
  mo_vf best[ACCUMULATORS];
  for (int a = 0; a < ACCUMULATORS; ++a) best[a] = mo_vf_set1(-INFINITY);
  int64_t i = begin;
  for (; i + ACCUMULATORS * MO_VL <= end; i += ACCUMULATORS * MO_VL) {
    for (int a = 0; a < ACCUMULATORS; ++a) best[a] = mo_vf_max(mo_vf_load_any(row, dtype, i + a * MO_VL, MO_VL), best[a]);
  }
  for (; i + MO_VL <= end; i += MO_VL) best[0] = mo_vf_max(mo_vf_load_any(row, dtype, i, MO_VL), best[0]);
  if (i < end) best[1] = mo_vf_max(load_tail(row, dtype, i, (int)(end - i)), best[1]);
  return mo_vf_hmax(mo_vf_max(mo_vf_max(best[0], best[1]), mo_vf_max(best[2], best[3])));
}

ALWAYS_INLINE float block_exp_sum(const void *row, mo_dtype_t dtype, int64_t begin, int64_t end, float base) {
  const mo_vf shift = mo_vf_set1(base);
  mo_vf sum[ACCUMULATORS];
  for (int a = 0; a < ACCUMULATORS; ++a) sum[a] = mo_vf_zero();
  int64_t i = begin;
  for (; i + ACCUMULATORS * MO_VL <= end; i += ACCUMULATORS * MO_VL) {
    for (int a = 0; a < ACCUMULATORS; ++a) {
      const mo_vf x = mo_vf_load_any(row, dtype, i + a * MO_VL, MO_VL);
      sum[a] = mo_vf_add(sum[a], mo_vf_exp(mo_vf_sub(x, shift)));
    }
  }
  for (; i + MO_VL <= end; i += MO_VL) {
    sum[0] = mo_vf_add(sum[0], mo_vf_exp(mo_vf_sub(mo_vf_load_any(row, dtype, i, MO_VL), shift)));
  }
  if (i < end) sum[1] = mo_vf_add(sum[1], mo_vf_exp(mo_vf_sub(load_tail(row, dtype, i, (int)(end - i)), shift)));
  return mo_vf_hsum(mo_vf_add(mo_vf_add(sum[0], sum[1]), mo_vf_add(sum[2], sum[3])));
}

ALWAYS_INLINE void exp_sum_row(const void *row, mo_dtype_t dtype, int64_t count, mo_exp_sum *result) {
  float maximum = -INFINITY;
  float base = 0.0f; /* an infinite maximum must not be subtracted: infinity minus itself is NaN */
  double sum = 0.0;
  for (int64_t begin = 0; begin < count; begin += BLOCK) {
    const int64_t end = begin + BLOCK < count ? begin + BLOCK : count;
    const float found = block_maximum(row, dtype, begin, end);
    if (found > maximum) {
      const float new_base = isinf(found) ? 0.0f : found;
      /* Nothing but zeros (or NaN) was summed while the maximum was -infinity. */
      if (!isinf(maximum) && !isinf(found)) sum *= exp((double)base - (double)new_base);
      maximum = found;
      base = new_base;
    }
    sum += (double)block_exp_sum(row, dtype, begin, end, base);
  }
  *result = (mo_exp_sum){.sum = sum, .base = base, .maximum = maximum};
}

void MO_SIMD(mo_exp_sum_row)(const void *row, mo_dtype_t dtype, int64_t count, mo_exp_sum *result) {
  switch (dtype) {
    case MO_DTYPE_FLOAT16:
      exp_sum_row(row, MO_DTYPE_FLOAT16, count, result);
      break;
    case MO_DTYPE_BFLOAT16:
      exp_sum_row(row, MO_DTYPE_BFLOAT16, count, result);
      break;
    default:
      exp_sum_row(row, MO_DTYPE_FLOAT32, count, result);
      break;
  }
}

/* log(1 + y) for 0 <= y <= 1, as 2 atanh(t) with t = y / (2 + y) <= 1/3. The series in t^2 <= 1/9 is cut after t^15, which is
 * off by less than 2e-9 relative, for tiny y too. */
static inline mo_vf log1p_unit(mo_vf y) {
  const mo_vf t = mo_vf_div(y, mo_vf_add(y, mo_vf_set1(2.0f)));
  const mo_vf s = mo_vf_mul(t, t);
  mo_vf p = mo_vf_set1(1.0f / 15.0f);
  p = mo_vf_fma(p, s, mo_vf_set1(1.0f / 13.0f));
  p = mo_vf_fma(p, s, mo_vf_set1(1.0f / 11.0f));
  p = mo_vf_fma(p, s, mo_vf_set1(1.0f / 9.0f));
  p = mo_vf_fma(p, s, mo_vf_set1(1.0f / 7.0f));
  p = mo_vf_fma(p, s, mo_vf_set1(1.0f / 5.0f));
  p = mo_vf_fma(p, s, mo_vf_set1(1.0f / 3.0f));
  const mo_vf twice = mo_vf_add(t, t);
  return mo_vf_fma(mo_vf_mul(twice, s), p, twice);
}

/* max(x, 0) - x z + log(1 + e^-|x|): nothing overflows, nothing cancels for large |x|. NaN stays NaN. */
static inline mo_vf bce(mo_vf x, mo_vf z) {
  const mo_vf tail = log1p_unit(mo_vf_exp(mo_vf_sub(mo_vf_zero(), mo_vf_abs(x))));
  return mo_vf_add(mo_vf_sub(mo_vf_max(mo_vf_zero(), x), mo_vf_mul(x, z)), tail);
}

ALWAYS_INLINE double elementwise_block(mo_elementwise_kind_t kind, const void *logits, mo_dtype_t logits_dtype,
                                       const void *labels, mo_dtype_t labels_dtype, int64_t count, float *losses) {
  mo_vf sum = mo_vf_zero();
  float tail[MO_VL] = {0};
  for (int64_t i = 0; i < count; i += MO_VL) {
    const int n = count - i < MO_VL ? (int)(count - i) : MO_VL;
    const mo_vf x = mo_vf_load_any(logits, logits_dtype, i, n);
    const mo_vf z = mo_vf_load_any(labels, labels_dtype, i, n);
    const mo_vf difference = mo_vf_sub(x, z);
    const mo_vf loss = kind == MO_ELEMENTWISE_BCE ? bce(x, z) : mo_vf_mul(difference, difference);
    if (losses != NULL) mo_vf_store_any(losses, MO_DTYPE_FLOAT32, i, loss, n);
    if (n == MO_VL) sum = mo_vf_add(sum, loss);
    else mo_vf_store_partial(tail, loss, n); /* the loss of the lanes behind the end is not 0 */
  }
  return (double)mo_vf_hsum(mo_vf_add(sum, mo_vf_load(tail)));
}

double MO_SIMD(mo_elementwise_loss_block)(mo_elementwise_kind_t kind, const void *logits, mo_dtype_t logits_dtype,
                                          const void *labels, mo_dtype_t labels_dtype, int64_t count, float *losses) {
  if (kind == MO_ELEMENTWISE_MSE)
    return elementwise_block(MO_ELEMENTWISE_MSE, logits, logits_dtype, labels, labels_dtype, count, losses);
  return elementwise_block(MO_ELEMENTWISE_BCE, logits, logits_dtype, labels, labels_dtype, count, losses);
}
