/* host/cpu/pooling_kernels.c - inner loops of pooling, one copy per instruction set.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/pooling_kernels.h"

#include "host/cpu/simd.h"
#include "host/cpu/simd_math.h"

/* Vectors of one row that are reduced side by side: enough loads in flight, and the sums stay in registers. */
#define STRIP 8
/* Rows that are summed before the sum goes to the total: keeps the float32 error from growing with the length. */
#define RUN ((int64_t)32)
/* Vectors that share one read of the weight row. */
#define SHARED 4

/* So that dtype and reduction, constants in the outermost calls, are constants in the loops. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE int64_t row_offset(const mo_pool_rows *rows, int64_t i) {
  return (rows->positions != NULL ? rows->positions[i] : i) * rows->stride;
}

/* `vectors` vectors from `column` on, the last of them with `lanes` lanes. */
ALWAYS_INLINE void load_strip(const mo_pool_rows *rows, mo_dtype_t dtype, int64_t offset, int vectors, int lanes, mo_vf *x) {
  for (int v = 0; v < vectors; ++v)
    x[v] = mo_vf_load_any(rows->data, dtype, offset + v * MO_VL, v + 1 < vectors ? MO_VL : lanes);
}

/* Sum over the rows of x, or of (x - centre)^2. */
ALWAYS_INLINE void sum_strip(const mo_pool_rows *rows, mo_dtype_t dtype, int64_t column, int vectors, int lanes,
                             const mo_vf *centre, mo_vf *total) {
  for (int v = 0; v < vectors; ++v) total[v] = mo_vf_zero();
  for (int64_t begin = 0; begin < rows->count; begin += RUN) {
    const int64_t end = begin + RUN < rows->count ? begin + RUN : rows->count;
    mo_vf sum[STRIP], x[STRIP];
    for (int v = 0; v < vectors; ++v) sum[v] = mo_vf_zero();
    for (int64_t i = begin; i < end; ++i) {
      load_strip(rows, dtype, row_offset(rows, i) + column, vectors, lanes, x);
      for (int v = 0; v < vectors; ++v) {
        if (centre == NULL) {
          sum[v] = mo_vf_add(sum[v], x[v]);
        } else {
          const mo_vf difference = mo_vf_sub(x[v], centre[v]);
          sum[v] = mo_vf_fma(difference, difference, sum[v]);
        }
      }
    }
    for (int v = 0; v < vectors; ++v) total[v] = mo_vf_add(total[v], sum[v]);
  }
}

/* The larger of the two; NaN if either is, as torch.max. A comparison with NaN is false, so the first choice keeps a NaN in
 * `best`; a value that is neither below infinity nor above -infinity is NaN or +infinity, and both win. */
ALWAYS_INLINE mo_vf larger_or_nan(mo_vf best, mo_vf x) {
  const mo_vf larger = mo_vf_select_lt(best, x, x, best);
  const mo_vf infinity = mo_vf_set1(INFINITY);
  const mo_vf nan_or_larger = mo_vf_select_lt(mo_vf_set1(-INFINITY), x, larger, x);
  return mo_vf_select_lt(x, infinity, larger, nan_or_larger);
}

ALWAYS_INLINE void max_strip(const mo_pool_rows *rows, mo_dtype_t dtype, int64_t column, int vectors, int lanes, mo_vf *best) {
  mo_vf x[STRIP];
  load_strip(rows, dtype, row_offset(rows, 0) + column, vectors, lanes, best);
  for (int64_t i = 1; i < rows->count; ++i) {
    load_strip(rows, dtype, row_offset(rows, i) + column, vectors, lanes, x);
    for (int v = 0; v < vectors; ++v) best[v] = larger_or_nan(best[v], x[v]);
  }
}

ALWAYS_INLINE void store_strip(float *destination, const mo_vf *values, int vectors, int lanes) {
  for (int v = 0; v < vectors; ++v)
    mo_vf_store_any(destination + v * MO_VL, MO_DTYPE_FLOAT32, 0, values[v], v + 1 < vectors ? MO_VL : lanes);
}

ALWAYS_INLINE void pool_strip(mo_pool_reduction_t reduction, const mo_pool_rows *rows, mo_dtype_t dtype, int64_t column,
                              int vectors, int lanes, float *mean_or_max, float *std) {
  mo_vf result[STRIP], squares[STRIP];
  if (reduction == MO_POOL_REDUCTION_MAX) {
    max_strip(rows, dtype, column, vectors, lanes, result);
  } else {
    sum_strip(rows, dtype, column, vectors, lanes, NULL, result);
    const mo_vf count = mo_vf_set1((float)rows->count);
    for (int v = 0; v < vectors; ++v) result[v] = mo_vf_div(result[v], count);
  }
  store_strip(mean_or_max + column, result, vectors, lanes);
  if (reduction != MO_POOL_REDUCTION_MEAN_STD) return;
  /* A second pass around the mean (from the cache): sum of squares minus square of the sum would cancel. */
  sum_strip(rows, dtype, column, vectors, lanes, result, squares);
  const mo_vf freedom = mo_vf_set1((float)(rows->count - 1)); /* 0 / 0 is the NaN that torch.std gives for one value */
  for (int v = 0; v < vectors; ++v) squares[v] = mo_vf_sqrt(mo_vf_div(squares[v], freedom));
  store_strip(std + column, squares, vectors, lanes);
}

ALWAYS_INLINE void pool_columns(mo_pool_reduction_t reduction, const mo_pool_rows *rows, mo_dtype_t dtype, int64_t begin,
                                int64_t end, float *mean_or_max, float *std) {
  int64_t column = begin;
  for (; column + STRIP * MO_VL <= end; column += STRIP * MO_VL)
    pool_strip(reduction, rows, dtype, column, STRIP, MO_VL, mean_or_max, std);
  for (; column < end; column += MO_VL)
    pool_strip(reduction, rows, dtype, column, 1, end - column < MO_VL ? (int)(end - column) : MO_VL, mean_or_max, std);
}

ALWAYS_INLINE void pool_dtype(mo_pool_reduction_t reduction, const mo_pool_rows *rows, int64_t begin, int64_t end,
                              float *mean_or_max, float *std) {
  switch (rows->dtype) {
    case MO_DTYPE_FLOAT16:
      pool_columns(reduction, rows, MO_DTYPE_FLOAT16, begin, end, mean_or_max, std);
      break;
    case MO_DTYPE_BFLOAT16:
      pool_columns(reduction, rows, MO_DTYPE_BFLOAT16, begin, end, mean_or_max, std);
      break;
    default:
      pool_columns(reduction, rows, MO_DTYPE_FLOAT32, begin, end, mean_or_max, std);
      break;
  }
}

void MO_SIMD(mo_pool_columns)(mo_pool_reduction_t reduction, const mo_pool_rows *rows, int64_t begin, int64_t end,
                              float *mean_or_max, float *std) {
  switch (reduction) {
    case MO_POOL_REDUCTION_MAX:
      pool_dtype(MO_POOL_REDUCTION_MAX, rows, begin, end, mean_or_max, std);
      break;
    case MO_POOL_REDUCTION_MEAN_STD:
      pool_dtype(MO_POOL_REDUCTION_MEAN_STD, rows, begin, end, mean_or_max, std);
      break;
    default:
      pool_dtype(MO_POOL_REDUCTION_MEAN, rows, begin, end, mean_or_max, std);
      break;
  }
}

/* `count` (1 or SHARED) dot products with one weight row; two sums each hide the latency of the addition. */
ALWAYS_INLINE void dots(const float *x, int64_t x_stride, int count, const void *weight, mo_dtype_t dtype, int64_t width,
                        float *out, int64_t out_stride) {
  mo_vf sum[SHARED][2];
  for (int v = 0; v < count; ++v) sum[v][0] = sum[v][1] = mo_vf_zero();
  int64_t i = 0;
  for (; i + 2 * MO_VL <= width; i += 2 * MO_VL) {
    const mo_vf w0 = mo_vf_load_any(weight, dtype, i, MO_VL);
    const mo_vf w1 = mo_vf_load_any(weight, dtype, i + MO_VL, MO_VL);
    for (int v = 0; v < count; ++v) {
      sum[v][0] = mo_vf_fma(mo_vf_load(x + v * x_stride + i), w0, sum[v][0]);
      sum[v][1] = mo_vf_fma(mo_vf_load(x + v * x_stride + i + MO_VL), w1, sum[v][1]);
    }
  }
  for (; i < width; i += MO_VL) {
    const int n = width - i < MO_VL ? (int)(width - i) : MO_VL;
    const mo_vf w = mo_vf_load_any(weight, dtype, i, n);
    for (int v = 0; v < count; ++v)
      sum[v][0] = mo_vf_fma(mo_vf_load_any(x + v * x_stride, MO_DTYPE_FLOAT32, i, n), w, sum[v][0]);
  }
  for (int v = 0; v < count; ++v) out[v * out_stride] = mo_vf_hsum(mo_vf_add(sum[v][0], sum[v][1]));
}

ALWAYS_INLINE void dots_dtype(const float *x, int64_t x_stride, int64_t count, const void *weight, mo_dtype_t dtype,
                              int64_t width, float *out, int64_t out_stride) {
  int64_t v = 0;
  for (; v + SHARED <= count; v += SHARED)
    dots(x + v * x_stride, x_stride, SHARED, weight, dtype, width, out + v * out_stride, out_stride);
  for (; v < count; ++v) dots(x + v * x_stride, x_stride, 1, weight, dtype, width, out + v * out_stride, out_stride);
}

void MO_SIMD(mo_pool_dots)(const float *x, int64_t x_stride, int64_t count, const void *weight, mo_dtype_t weight_dtype,
                           int64_t width, float *out, int64_t out_stride) {
  switch (weight_dtype) {
    case MO_DTYPE_FLOAT16:
      dots_dtype(x, x_stride, count, weight, MO_DTYPE_FLOAT16, width, out, out_stride);
      break;
    case MO_DTYPE_BFLOAT16:
      dots_dtype(x, x_stride, count, weight, MO_DTYPE_BFLOAT16, width, out, out_stride);
      break;
    default:
      dots_dtype(x, x_stride, count, weight, MO_DTYPE_FLOAT32, width, out, out_stride);
      break;
  }
}

void MO_SIMD(mo_pool_bias_tanh)(float *row, const float *bias, int64_t width) {
  for (int64_t i = 0; i < width; i += MO_VL) {
    const int n = width - i < MO_VL ? (int)(width - i) : MO_VL;
    mo_vf x = mo_vf_load_any(row, MO_DTYPE_FLOAT32, i, n);
    if (bias != NULL) x = mo_vf_add(x, mo_vf_load_any(bias, MO_DTYPE_FLOAT32, i, n));
    mo_vf_store_any(row, MO_DTYPE_FLOAT32, i, mo_vf_tanh(x), n);
  }
}
