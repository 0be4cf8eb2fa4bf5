/* host/cpu/linear_kernels.c - packing, register tiles and epilogue of the dense layer. Compiled once per instruction set.
 *
 * THE TILE. AVX-512: 12 x 32, AVX2: 6 x 16, any: 6 x 8. Per step of k it loads two vectors of the panel, broadcasts one value
 * per row and issues 24 (12) independent fused multiply-adds, which covers latency 4 on two ports with room to spare. With
 * AVX-512 every height measured from 6 to 14 came within 3 % of 280 GFLOP/s on a core (Zen 5), so the rows of a product are cut
 * into tiles of nearly equal height instead of full ones and a rest. Input rows are read where they are: packing them as well
 * gained nothing while a block of K fits the L1 cache. Tiles of 1 to 3 rows have too few accumulators and split k over two or
 * four sets.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/linear_kernels.h"

#include "host/cpu/simd_math.h"

#define INLINE static inline __attribute__((always_inline))

#define PANEL_VECTORS 2
#define PANEL_COLUMNS (PANEL_VECTORS * MO_VL)
#define WIDE_PANELS (MO_VL == 4) /* without instructions for it, widening costs more than the product */
#if MO_VL == 16
#define TILE_ROWS 12
#else
#define TILE_ROWS 6
#endif

/* ---- Register tiles ---- */

/* `rows`, `sets` and `dtype` are constants in every instance. */
INLINE void tile_body(int rows, int sets, mo_dtype_t dtype, const float *input, int64_t input_stride, const void *panel,
                      int64_t k_count, float *product, int64_t product_stride, bool accumulate) {
  mo_vf sums[TILE_ROWS * PANEL_VECTORS];
  for (int i = 0; i < rows * sets * PANEL_VECTORS; ++i) sums[i] = mo_vf_zero();
  if (accumulate) {
    for (int i = 0; i < rows; ++i) {
      for (int v = 0; v < PANEL_VECTORS; ++v) {
        sums[i * PANEL_VECTORS + v] = mo_vf_load(product + i * product_stride + v * MO_VL);
      }
    }
  }
  /* One pointer per three rows: the address modes reach row + 1 and row + 2 from it, and the registers suffice. */
  const float *groups[(TILE_ROWS + 2) / 3];
  for (int g = 0; g < (rows + 2) / 3; ++g) groups[g] = input + 3 * g * input_stride;

  int64_t k = 0;
  for (; k + sets <= k_count; k += sets) {
    for (int s = 0; s < sets; ++s) {
      mo_vf columns[PANEL_VECTORS];
      for (int v = 0; v < PANEL_VECTORS; ++v) {
        columns[v] = mo_vf_load_any(panel, dtype, (k + s) * PANEL_COLUMNS + v * MO_VL, MO_VL);
      }
      for (int i = 0; i < rows; ++i) {
        const mo_vf x = mo_vf_set1(groups[i / 3][i % 3 * input_stride + k + s]);
        for (int v = 0; v < PANEL_VECTORS; ++v) {
          mo_vf *sum = &sums[(s * rows + i) * PANEL_VECTORS + v];
          *sum = mo_vf_fma(x, columns[v], *sum);
        }
      }
    }
  }
  for (int s = 1; s < sets; ++s) {
    for (int i = 0; i < rows * PANEL_VECTORS; ++i) sums[i] = mo_vf_add(sums[i], sums[s * rows * PANEL_VECTORS + i]);
  }
  for (; sets > 1 && k < k_count; ++k) {
    for (int v = 0; v < PANEL_VECTORS; ++v) {
      const mo_vf column = mo_vf_load_any(panel, dtype, k * PANEL_COLUMNS + v * MO_VL, MO_VL);
      for (int i = 0; i < rows; ++i) {
        mo_vf *sum = &sums[i * PANEL_VECTORS + v];
        *sum = mo_vf_fma(mo_vf_set1(input[i * input_stride + k]), column, *sum);
      }
    }
  }
  for (int i = 0; i < rows; ++i) {
    for (int v = 0; v < PANEL_VECTORS; ++v) {
      mo_vf_store(product + i * product_stride + v * MO_VL, sums[i * PANEL_VECTORS + v]);
    }
  }
}

typedef void (*tile_function)(const float *input, int64_t input_stride, const void *panel, int64_t k_count, float *product,
                              int64_t product_stride, bool accumulate);

#define TILE_SETS(rows) ((rows) == 1 ? 4 : (rows) <= 3 ? 2 : 1)
#define DEFINE_TILE(rows, suffix, dtype)                                                                                       \
  static void tile_##rows##_##suffix(const float *input, int64_t input_stride, const void *panel, int64_t k_count,             \
                                     float *product, int64_t product_stride, bool accumulate) {                                \
    tile_body(rows, TILE_SETS(rows), dtype, input, input_stride, panel, k_count, product, product_stride, accumulate);         \
  }
#define DEFINE_TILES(rows)                                                                                                     \
  DEFINE_TILE(rows, f32, MO_DTYPE_FLOAT32)                                                                                     \
  DEFINE_TILE(rows, f16, MO_DTYPE_FLOAT16)                                                                                     \
  DEFINE_TILE(rows, bf16, MO_DTYPE_BFLOAT16)
#define TILE_ENTRY(rows)                                                                                                       \
  { tile_##rows##_f32, tile_##rows##_f16, tile_##rows##_bf16 }

DEFINE_TILES(1)
DEFINE_TILES(2)
DEFINE_TILES(3)
DEFINE_TILES(4)
DEFINE_TILES(5)
DEFINE_TILES(6)
#if TILE_ROWS > 6
DEFINE_TILES(7)
DEFINE_TILES(8)
DEFINE_TILES(9)
DEFINE_TILES(10)
DEFINE_TILES(11)
DEFINE_TILES(12)
#endif

static const tile_function tiles[TILE_ROWS][3] = {
    TILE_ENTRY(1), TILE_ENTRY(2), TILE_ENTRY(3), TILE_ENTRY(4),  TILE_ENTRY(5),  TILE_ENTRY(6),
#if TILE_ROWS > 6
    TILE_ENTRY(7), TILE_ENTRY(8), TILE_ENTRY(9), TILE_ENTRY(10), TILE_ENTRY(11), TILE_ENTRY(12),
#endif
};

static int dtype_column(mo_dtype_t dtype) { return dtype == MO_DTYPE_FLOAT32 ? 0 : dtype == MO_DTYPE_FLOAT16 ? 1 : 2; }

static void tile(int32_t rows, const float *input, int64_t input_stride, const void *panel, mo_dtype_t dtype, int64_t k_count,
                 float *product, int64_t product_stride, bool accumulate) {
  tiles[rows - 1][dtype_column(dtype)](input, input_stride, panel, k_count, product, product_stride, accumulate);
}

/* ---- Dot products with an unpacked weight, for few rows: both operands are read along k ---- */

#define DOT_COLUMNS 4

INLINE void dot_body(int rows, int columns, mo_dtype_t dtype, const float *input, int64_t input_stride, const void *weight,
                     int64_t weight_stride, int64_t k_count, float *product, int64_t product_stride) {
  mo_vf sums[MO_LINEAR_DOT_ROWS * DOT_COLUMNS];
  for (int i = 0; i < rows * columns; ++i) sums[i] = mo_vf_zero();
  for (int64_t k = 0; k < k_count; k += MO_VL) {
    const int n = k_count - k < MO_VL ? (int)(k_count - k) : MO_VL;
    mo_vf x[MO_LINEAR_DOT_ROWS];
    for (int i = 0; i < rows; ++i) x[i] = mo_vf_load_any(input, MO_DTYPE_FLOAT32, i * input_stride + k, n);
    for (int j = 0; j < columns; ++j) {
      const mo_vf w = mo_vf_load_any(weight, dtype, j * weight_stride + k, n);
      for (int i = 0; i < rows; ++i) sums[i * columns + j] = mo_vf_fma(x[i], w, sums[i * columns + j]);
    }
  }
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) product[i * product_stride + j] = mo_vf_hsum(sums[i * columns + j]);
  }
}

INLINE void dot_columns(int rows, mo_dtype_t dtype, const float *input, int64_t input_stride, const void *weight,
                        int64_t weight_stride, int32_t columns, int64_t k_count, float *product, int64_t product_stride) {
  const int64_t element = dtype == MO_DTYPE_FLOAT32 ? 4 : 2;
  int32_t j = 0;
  for (; j + DOT_COLUMNS <= columns; j += DOT_COLUMNS) {
    dot_body(rows, DOT_COLUMNS, dtype, input, input_stride, (const char *)weight + j * weight_stride * element, weight_stride,
             k_count, product + j, product_stride);
  }
  for (; j < columns; ++j) {
    dot_body(rows, 1, dtype, input, input_stride, (const char *)weight + j * weight_stride * element, weight_stride, k_count,
             product + j, product_stride);
  }
}

INLINE void dot_dtype(mo_dtype_t dtype, int32_t rows, const float *input, int64_t input_stride, const void *weight,
                      int64_t weight_stride, int32_t columns, int64_t k_count, float *product, int64_t product_stride) {
  switch (rows) {
    case 1:
      dot_columns(1, dtype, input, input_stride, weight, weight_stride, columns, k_count, product, product_stride);
      break;
    case 2:
      dot_columns(2, dtype, input, input_stride, weight, weight_stride, columns, k_count, product, product_stride);
      break;
    case 3:
      dot_columns(3, dtype, input, input_stride, weight, weight_stride, columns, k_count, product, product_stride);
      break;
    default:
      dot_columns(4, dtype, input, input_stride, weight, weight_stride, columns, k_count, product, product_stride);
      break;
  }
}

static void dot(int32_t rows, const float *input, int64_t input_stride, const void *weight, mo_dtype_t dtype,
                int64_t weight_stride, int32_t columns, int64_t k_count, float *product, int64_t product_stride) {
  if (dtype == MO_DTYPE_FLOAT32) {
    dot_dtype(MO_DTYPE_FLOAT32, rows, input, input_stride, weight, weight_stride, columns, k_count, product, product_stride);
  } else if (dtype == MO_DTYPE_FLOAT16) {
    dot_dtype(MO_DTYPE_FLOAT16, rows, input, input_stride, weight, weight_stride, columns, k_count, product, product_stride);
  } else {
    dot_dtype(MO_DTYPE_BFLOAT16, rows, input, input_stride, weight, weight_stride, columns, k_count, product, product_stride);
  }
}

/* ---- Packing ---- */

#if MO_VL == 16
#define INTERLEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define INTERLEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif MO_VL == 8
#define INTERLEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define INTERLEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define INTERLEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define INTERLEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/* A square of MO_VL x MO_VL values, transposed by log2(MO_VL) perfect shuffles of its rows. */
INLINE void transpose(mo_vf *square) {
  for (int width = 1; width < MO_VL; width *= 2) {
    mo_vf next[MO_VL];
    for (int i = 0; i < MO_VL / 2; ++i) {
      next[2 * i] = INTERLEAVE_LOW(square[i], square[i + MO_VL / 2]);
      next[2 * i + 1] = INTERLEAVE_HIGH(square[i], square[i + MO_VL / 2]);
    }
    for (int i = 0; i < MO_VL; ++i) square[i] = next[i];
  }
}

INLINE void pack_body(mo_dtype_t dtype, void *panel, const void *const *rows, int32_t row_count, int64_t k_count) {
  for (int32_t first = 0; first < PANEL_COLUMNS; first += MO_VL) {
    for (int64_t k = 0; k < k_count; k += MO_VL) {
      const int n = k_count - k < MO_VL ? (int)(k_count - k) : MO_VL;
      mo_vf square[MO_VL];
      for (int i = 0; i < MO_VL; ++i) {
        square[i] = first + i < row_count ? mo_vf_load_any(rows[first + i], dtype, k, n) : mo_vf_zero();
      }
      transpose(square);
      for (int i = 0; i < n; ++i)
        mo_vf_store_any(panel, WIDE_PANELS ? MO_DTYPE_FLOAT32 : dtype, (k + i) * PANEL_COLUMNS + first, square[i], MO_VL);
    }
  }
}

static void pack_panel(void *panel, mo_dtype_t dtype, const void *const *rows, int32_t row_count, int64_t k_count) {
  if (dtype == MO_DTYPE_FLOAT32) pack_body(MO_DTYPE_FLOAT32, panel, rows, row_count, k_count);
  else if (dtype == MO_DTYPE_FLOAT16) pack_body(MO_DTYPE_FLOAT16, panel, rows, row_count, k_count);
  else pack_body(MO_DTYPE_BFLOAT16, panel, rows, row_count, k_count);
}

/* ---- Epilogue ---- */

INLINE void epilogue_body(const mo_linear_epilogue *e, mo_activation_t activation, const float *product, int64_t product_stride,
                          int64_t first_row, int64_t rows, int64_t first_column, int64_t columns) {
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t output = mo_rows_offset(&e->output_rows, first_row + i) + first_column;
    const int64_t residual = e->residual != NULL ? mo_rows_offset(&e->residual_rows, first_row + i) + first_column : 0;
    for (int64_t j = 0; j < columns; j += MO_VL) {
      const int n = columns - j < MO_VL ? (int)(columns - j) : MO_VL;
      mo_vf v = mo_vf_load(product + i * product_stride + j);
      if (e->bias != NULL) v = mo_vf_add(v, mo_vf_load_any(e->bias, e->bias_dtype, first_column + j, n));
      const mo_vf added = e->residual != NULL ? mo_vf_load_any(e->residual, e->output_dtype, residual + j, n) : mo_vf_zero();
      if (e->residual != NULL && e->residual_first) v = mo_vf_add(v, added);
      v = mo_vf_activate(v, activation);
      if (e->residual != NULL && !e->residual_first) v = mo_vf_add(v, added);
      mo_vf_store_any(e->output, e->output_dtype, output + j, v, n);
    }
  }
}

#define EPILOGUE_CASE(activation)                                                                                              \
  case activation:                                                                                                             \
    epilogue_body(e, activation, product, product_stride, first_row, rows, first_column, columns);                             \
    break

static void epilogue(const mo_linear_epilogue *e, const float *product, int64_t product_stride, int64_t first_row, int64_t rows,
                     int64_t first_column, int64_t columns) {
  switch (e->activation) {
    EPILOGUE_CASE(MO_ACTIVATION_NONE);
    EPILOGUE_CASE(MO_ACTIVATION_GELU);
    EPILOGUE_CASE(MO_ACTIVATION_GELU_TANH);
    EPILOGUE_CASE(MO_ACTIVATION_RELU);
    EPILOGUE_CASE(MO_ACTIVATION_SILU);
    EPILOGUE_CASE(MO_ACTIVATION_TANH);
    EPILOGUE_CASE(MO_ACTIVATION_QUICK_GELU);
  }
}

static void widen(float *destination, const void *source, mo_dtype_t dtype, int64_t count) {
  for (int64_t i = 0; i < count; i += MO_VL) {
    const int n = count - i < MO_VL ? (int)(count - i) : MO_VL;
    mo_vf_store_any(destination, MO_DTYPE_FLOAT32, i, mo_vf_load_any(source, dtype, i, n), n);
  }
}

const mo_linear_kernels MO_SIMD(mo_linear_kernels) = {
    .panel_columns = PANEL_COLUMNS,
    .tile_rows = TILE_ROWS,
    .wide_panels = WIDE_PANELS,
    .pack_panel = pack_panel,
    .tile = tile,
    .dot = dot,
    .epilogue = epilogue,
    .widen = widen,
};
