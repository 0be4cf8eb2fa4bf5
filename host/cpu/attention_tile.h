/* host/cpu/attention_tile.h - the register-tiled product of both halves of attention, and the packing of keys and values.
 *
 * Both products are C[r, v] = sum_k a[r, k] * b[k, v], where a is read element by element (broadcast) and b a vector at a time:
 *   scores: a = query rows, b = keys, transposed once into panels of MO_VL keys: panel[d][key]
 *   output: a = probabilities, b = value rows as they lie
 * so one kernel serves both. Included by attention_kernels.c only.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_ATTENTION_TILE_H
#define MO_CPU_ATTENTION_TILE_H

#include "host/cpu/simd.h"

/* Accumulators must cover latency times throughput of a fused multiply-add (4 * 2 = 8 on current cores) and, with one vector
 * per column and one broadcast, fit the register file: 32 registers with AVX-512, 16 otherwise. */
#define MO_TILE_ROWS (MO_VL == 16 ? 8 : 4)
#define MO_TILE_VECTORS 3

typedef struct mo_product {
  int64_t depth;
  const float *a;
  int64_t a_row;
  const float *b;
  int64_t b_depth, b_vector;
  const float *from; /* added: from[r, v] * from_factor[r]; NULL: nothing */
  int64_t from_row;
  const float *from_factor;
  float *to; /* written: (sum) * to_factor[r * to_factor_step]; vectors are MO_VL apart here and in from */
  int64_t to_row;
  const float *to_factor;
  int64_t to_factor_step;
} mo_product;

static inline __attribute__((always_inline)) void mo_tile_(const int rows, const int vectors, const mo_product *p, int64_t row,
                                                           int64_t vector) {
  mo_vf sum[8][MO_TILE_VECTORS];
  const int64_t a_row = p->a_row, b_vector = p->b_vector, b_depth = p->b_depth, depth = p->depth;
  const float *a = p->a + row * a_row;
  const float *b = p->b + vector * b_vector;
  if (p->from == NULL) {
    MO_UNROLL for (int r = 0; r < rows; ++r) { MO_UNROLL for (int v = 0; v < vectors; ++v) sum[r][v] = mo_vf_zero(); }
  } else {
    const float *from = p->from + row * p->from_row + vector * MO_VL;
    MO_UNROLL for (int r = 0; r < rows; ++r) {
      const mo_vf factor = mo_vf_set1(p->from_factor[row + r]);
      MO_UNROLL for (int v = 0; v < vectors; ++v) {
        sum[r][v] = mo_vf_mul(mo_vf_load(from + r * p->from_row + v * MO_VL), factor);
      }
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    mo_vf column[MO_TILE_VECTORS];
    MO_UNROLL for (int v = 0; v < vectors; ++v) column[v] = mo_vf_load(b + v * b_vector);
    b += b_depth;
    MO_UNROLL for (int r = 0; r < rows; ++r) {
      const mo_vf element = mo_vf_set1(a[r * a_row + k]);
      MO_UNROLL for (int v = 0; v < vectors; ++v) sum[r][v] = mo_vf_fma(element, column[v], sum[r][v]);
    }
  }
  float *to = p->to + row * p->to_row + vector * MO_VL;
  MO_UNROLL for (int r = 0; r < rows; ++r) {
    const mo_vf factor = mo_vf_set1(p->to_factor[(row + r) * p->to_factor_step]);
    MO_UNROLL for (int v = 0; v < vectors; ++v) mo_vf_store(to + r * p->to_row + v * MO_VL, mo_vf_mul(sum[r][v], factor));
  }
}

#define MO_TILE_INSTANCE(rows, vectors)                                                                                        \
  static void mo_tile_##rows##x##vectors##_(const mo_product *p, int64_t row, int64_t vector) {                                \
    mo_tile_(rows, vectors, p, row, vector);                                                                                   \
  }
#define MO_TILE_INSTANCES(rows) MO_TILE_INSTANCE(rows, 1) MO_TILE_INSTANCE(rows, 2) MO_TILE_INSTANCE(rows, 3)
MO_TILE_INSTANCES(1)
MO_TILE_INSTANCES(2)
MO_TILE_INSTANCES(4)
#if MO_VL == 16
MO_TILE_INSTANCES(8)
#endif

typedef void (*mo_tile_function)(const mo_product *p, int64_t row, int64_t vector);

/* The instance for `rows` (a power of two up to MO_TILE_ROWS) and `vectors` (1..MO_TILE_VECTORS). */
static inline mo_tile_function mo_tile_select_(int64_t rows, int64_t vectors) {
  static const mo_tile_function instances[][MO_TILE_VECTORS] = {
    {mo_tile_1x1_, mo_tile_1x2_, mo_tile_1x3_},
    {mo_tile_2x1_, mo_tile_2x2_, mo_tile_2x3_},
    {mo_tile_4x1_, mo_tile_4x2_, mo_tile_4x3_},
#if MO_VL == 16
    {mo_tile_8x1_, mo_tile_8x2_, mo_tile_8x3_},
#endif
  };
  return instances[rows == 8 ? 3 : rows >> 1][vectors - 1];
}

/* How many of `left` rows or vectors the next tile takes. Four vectors go as 2 + 2: a single one would starve the pipes. */
static inline int64_t mo_tile_rows_(int64_t left) {
  int64_t rows = MO_TILE_ROWS;
  while (rows > left) rows >>= 1;
  return rows;
}
static inline int64_t mo_tile_vectors_(int64_t left) { return left == 4 ? 2 : left < MO_TILE_VECTORS ? left : MO_TILE_VECTORS; }

/* rows[i][j] becomes rows[j][i]. */
static inline __attribute__((always_inline)) void mo_transpose_(mo_vf rows[MO_VL]) {
#if defined(MO_SIMD_AVX512)
  __m512 t[16];
  MO_UNROLL for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
  }
  MO_UNROLL for (int i = 0; i < 4; ++i) { /* rows[4i + c]: lanes c of each quarter, four rows wide */
    rows[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[4 * i]), _mm512_castps_pd(t[4 * i + 2])));
    rows[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[4 * i]), _mm512_castps_pd(t[4 * i + 2])));
    rows[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[4 * i + 1]), _mm512_castps_pd(t[4 * i + 3])));
    rows[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[4 * i + 1]), _mm512_castps_pd(t[4 * i + 3])));
  }
  MO_UNROLL for (int c = 0; c < 4; ++c) { /* quarters 0, 2 and 1, 3 of two groups of four rows */
    t[c] = _mm512_shuffle_f32x4(rows[c], rows[4 + c], 0x88);
    t[4 + c] = _mm512_shuffle_f32x4(rows[c], rows[4 + c], 0xDD);
    t[8 + c] = _mm512_shuffle_f32x4(rows[8 + c], rows[12 + c], 0x88);
    t[12 + c] = _mm512_shuffle_f32x4(rows[8 + c], rows[12 + c], 0xDD);
  }
  MO_UNROLL for (int c = 0; c < 4; ++c) {
    rows[c] = _mm512_shuffle_f32x4(t[c], t[8 + c], 0x88);
    rows[8 + c] = _mm512_shuffle_f32x4(t[c], t[8 + c], 0xDD);
    rows[4 + c] = _mm512_shuffle_f32x4(t[4 + c], t[12 + c], 0x88);
    rows[12 + c] = _mm512_shuffle_f32x4(t[4 + c], t[12 + c], 0xDD);
  }
#elif defined(MO_SIMD_AVX2)
  __m256 t[8];
  MO_UNROLL for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
  }
  MO_UNROLL for (int i = 0; i < 2; ++i) {
    rows[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
    rows[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xEE);
    rows[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
    rows[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xEE);
  }
  MO_UNROLL for (int c = 0; c < 4; ++c) {
    t[c] = _mm256_permute2f128_ps(rows[c], rows[4 + c], 0x20);
    t[4 + c] = _mm256_permute2f128_ps(rows[c], rows[4 + c], 0x31);
  }
  MO_UNROLL for (int c = 0; c < 8; ++c) rows[c] = t[c];
#else
  for (int i = 0; i < MO_VL; ++i) {
    for (int j = 0; j < i; ++j) {
      const float kept = rows[i][j];
      rows[i][j] = rows[j][i];
      rows[j][i] = kept;
    }
  }
#endif
}

/* `count` keys (rows of `depth` elements, `row` apart, from element `first` of `data`) into one panel; the lanes of keys that
 * are not there hold 0. */
static void mo_pack_panel_(float *panel, const void *data, mo_dtype_t dtype, int64_t first, int64_t row, int count,
                           int64_t depth) {
  for (int64_t d = 0; d < depth; d += MO_VL) {
    const int width = depth - d < MO_VL ? (int)(depth - d) : MO_VL;
    mo_vf block[MO_VL];
    if (count == MO_VL && width == MO_VL && dtype == MO_DTYPE_FLOAT32) {
      const float *source = (const float *)data + first + d;
      MO_UNROLL for (int i = 0; i < MO_VL; ++i) block[i] = mo_vf_load(source + i * row);
    } else {
      for (int i = 0; i < MO_VL; ++i) {
        block[i] = i < count ? mo_vf_load_any(data, dtype, first + i * row + d, width) : mo_vf_zero();
      }
    }
    mo_transpose_(block);
    if (width == MO_VL) {
      MO_UNROLL for (int i = 0; i < MO_VL; ++i) mo_vf_store(panel + (d + i) * MO_VL, block[i]);
    } else {
      for (int i = 0; i < width; ++i) mo_vf_store(panel + (d + i) * MO_VL, block[i]);
    }
  }
}

/* `count` rows of `width` elements to float32 rows `to_row` apart, padded with 0 to whole vectors where `pad`. */
static void mo_pack_rows_(float *to, int64_t to_row, const void *data, mo_dtype_t dtype, int64_t first, int64_t row,
                          int64_t count, int64_t width, bool pad) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t d = 0; d < width; d += MO_VL) {
      const int n = width - d < MO_VL ? (int)(width - d) : MO_VL;
      const mo_vf v = mo_vf_load_any(data, dtype, first + i * row + d, n);
      if (pad || n == MO_VL) mo_vf_store(to + i * to_row + d, v);
      else mo_vf_store_partial(to + i * to_row + d, v, n);
    }
  }
}

#endif
