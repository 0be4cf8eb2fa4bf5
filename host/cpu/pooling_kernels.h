/* host/cpu/pooling_kernels.h - the vectorised inner loops of pooling.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_POOLING_KERNELS_H
#define MO_CPU_POOLING_KERNELS_H

#include <stdint.h>

#include "host/cpu/isa.h"
#include "modelout/dtype.h"

typedef enum mo_pool_reduction_t {
  MO_POOL_REDUCTION_MEAN = 0,
  MO_POOL_REDUCTION_MAX = 1,
  MO_POOL_REDUCTION_MEAN_STD = 2,
} mo_pool_reduction_t;

/* The positions of one sequence that are pooled: row positions[i], or row i where positions is NULL. */
typedef struct mo_pool_rows {
  const void *data; /* first row */
  mo_dtype_t dtype;
  int64_t stride; /* elements from row to row */
  const int64_t *positions;
  int64_t count; /* at least 1 */
} mo_pool_rows;

/* Columns begin..end - 1 into mean_or_max[begin..], MEAN_STD also into std[begin..]. */
MO_CPU_DECLARE(void, mo_pool_columns,
               (mo_pool_reduction_t reduction, const mo_pool_rows *rows, int64_t begin, int64_t end, float *mean_or_max,
                float *std));

/* out[v * out_stride] = x[v * x_stride ..] . weight for `count` vectors of `width` float32 values; weight is contiguous. */
MO_CPU_DECLARE(void, mo_pool_dots,
               (const float *x, int64_t x_stride, int64_t count, const void *weight, mo_dtype_t weight_dtype, int64_t width,
                float *out, int64_t out_stride));

/* row = tanh(row + bias), bias NULL for none. */
MO_CPU_DECLARE(void, mo_pool_bias_tanh, (float *row, const float *bias, int64_t width));

#endif
