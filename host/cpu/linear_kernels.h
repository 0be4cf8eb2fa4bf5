/* host/cpu/linear_kernels.h - what host/cpu/linear.c needs of an instruction set: one table per copy of linear_kernels.c.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_LINEAR_KERNELS_H
#define MO_CPU_LINEAR_KERNELS_H

#include "host/cpu/rows.h"
#include "modelout/linear.h"

/* No instruction set has a larger register tile. */
#define MO_LINEAR_TILE_ROWS_MAX 12
#define MO_LINEAR_PANEL_COLUMNS_MAX 32
#define MO_LINEAR_DOT_ROWS 4

/* What becomes of the float32 products: output = activation(product + bias) + residual, rounded once. With residual_first the
 * residual is added before the activation. */
typedef struct mo_linear_epilogue {
  void *output;
  mo_dtype_t output_dtype;
  mo_rows output_rows;
  const void *residual; /* dtype of output, or NULL */
  mo_rows residual_rows;
  const void *bias; /* or NULL */
  mo_dtype_t bias_dtype;
  mo_activation_t activation;
  bool residual_first;
} mo_linear_epilogue;

/* PANELS. A weight (N, K) is packed into panels of `panel_columns` output columns: element (k, n) of a panel lies at
 * k * panel_columns + n, so that a tile reads it as one stream. Columns past N are 0. The dtype stays that of the weight:
 * 16-bit panels are widened in the tile, for half the traffic, where the processor has instructions for it. */
typedef struct mo_linear_kernels {
  int32_t panel_columns;
  int32_t tile_rows;
  bool wide_panels; /* panels are float32 whatever the weight is */

  /* One panel from `row_count` rows of the weight (at most panel_columns), k_count elements each. */
  void (*pack_panel)(void *panel, mo_dtype_t dtype, const void *const *rows, int32_t row_count, int64_t k_count);

  /* product (rows, panel_columns) = or += input (rows, k_count) * panel; 1 <= rows <= tile_rows. */
  void (*tile)(int32_t rows, const float *input, int64_t input_stride, const void *panel, mo_dtype_t dtype, int64_t k_count,
               float *product, int64_t product_stride, bool accumulate);

  /* product (rows, columns) = input (rows, k_count) * weight (columns, k_count)^T, the weight as the caller has it;
   * 1 <= rows <= MO_LINEAR_DOT_ROWS. */
  void (*dot)(int32_t rows, const float *input, int64_t input_stride, const void *weight, mo_dtype_t dtype,
              int64_t weight_stride, int32_t columns, int64_t k_count, float *product, int64_t product_stride);

  /* product holds (rows, columns) at (first_row, first_column) of the output; its rows are readable up to a multiple of 16. */
  void (*epilogue)(const mo_linear_epilogue *epilogue, const float *product, int64_t product_stride, int64_t first_row,
                   int64_t rows, int64_t first_column, int64_t columns);

  void (*widen)(float *destination, const void *source, mo_dtype_t dtype, int64_t count);
} mo_linear_kernels;

/* Those of the instruction set that is in use (linear.c). */
const mo_linear_kernels *mo_cpu_linear_kernels(void);

extern const mo_linear_kernels mo_linear_kernels_generic;
#if defined(__x86_64__)
extern const mo_linear_kernels mo_linear_kernels_avx2;
extern const mo_linear_kernels mo_linear_kernels_avx512;
#endif

#endif
