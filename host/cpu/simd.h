/* host/cpu/simd.h - one vector type for the CPU kernels; the instruction set is chosen when a kernel file is compiled.
 *
 * Every host/cpu/<stem>_kernels.c is compiled once per instruction set (scripts/cmake/flags.cmake): with
 * MO_SIMD_AVX512 (16 lanes; AVX-512 F, BW, DQ, VL), MO_SIMD_AVX2 (8 lanes; AVX2, FMA, F16C), or neither (4 lanes of GNU vector
 * extensions, any processor). MO_SIMD(name) appends the suffix, so that the copies do not collide; the stem's host/cpu/<stem>.c
 * takes the right one with MO_CPU_SELECT (host/cpu/isa.h). Such a file must contain nothing but static functions and MO_SIMD()
 * symbols, and must not call into other files' inline code that is not static.
 *
 * mo_vf is MO_VL float32 lanes. "partial" loads and stores touch the first n lanes only (0 <= n <= MO_VL); the other lanes of a
 * partial load are 0.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_SIMD_H
#define MO_CPU_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* In front of a short loop whose count is a constant: its arrays become registers. */
#if defined(__clang__)
#define MO_UNROLL _Pragma("unroll")
#else
#define MO_UNROLL _Pragma("GCC unroll 8")
#endif

#define MO_SIMD_PASTE_(a, b) a##b
#define MO_SIMD_PASTE(a, b) MO_SIMD_PASTE_(a, b)

#if defined(MO_SIMD_AVX512)

#include <immintrin.h>
#define MO_SIMD(name) MO_SIMD_PASTE(name, _avx512)
#define MO_VL 16
typedef __m512 mo_vf;

static inline __mmask16 mo_vf_mask_(int n) { return (__mmask16)((1u << n) - 1u); }
static inline mo_vf mo_vf_set1(float x) { return _mm512_set1_ps(x); }
static inline mo_vf mo_vf_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void mo_vf_store(float *p, mo_vf v) { _mm512_storeu_ps(p, v); }
static inline mo_vf mo_vf_load_partial(const float *p, int n) { return _mm512_maskz_loadu_ps(mo_vf_mask_(n), p); }
static inline void mo_vf_store_partial(float *p, mo_vf v, int n) { _mm512_mask_storeu_ps(p, mo_vf_mask_(n), v); }
static inline mo_vf mo_vf_add(mo_vf a, mo_vf b) { return _mm512_add_ps(a, b); }
static inline mo_vf mo_vf_sub(mo_vf a, mo_vf b) { return _mm512_sub_ps(a, b); }
static inline mo_vf mo_vf_mul(mo_vf a, mo_vf b) { return _mm512_mul_ps(a, b); }
static inline mo_vf mo_vf_div(mo_vf a, mo_vf b) { return _mm512_div_ps(a, b); }
static inline mo_vf mo_vf_fma(mo_vf a, mo_vf b, mo_vf c) { return _mm512_fmadd_ps(a, b, c); } /* a * b + c */
static inline mo_vf mo_vf_max(mo_vf a, mo_vf b) { return _mm512_max_ps(a, b); }               /* b if either is NaN */
static inline mo_vf mo_vf_min(mo_vf a, mo_vf b) { return _mm512_min_ps(a, b); }
static inline mo_vf mo_vf_sqrt(mo_vf a) { return _mm512_sqrt_ps(a); }
static inline mo_vf mo_vf_abs(mo_vf a) { return _mm512_abs_ps(a); }
static inline float mo_vf_hsum(mo_vf a) { return _mm512_reduce_add_ps(a); }
/* The sums of four vectors in a third of the instructions of four sums. */
static inline void mo_vf_hsum4(mo_vf a, mo_vf b, mo_vf c, mo_vf d, float sums[4]) {
  const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
  const __m512 all = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xEE));
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
  _mm_storeu_ps(sums, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
}
static inline float mo_vf_hmax(mo_vf a) { return _mm512_reduce_max_ps(a); }
static inline mo_vf mo_vf_round(mo_vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
/* x * 2^n for integral n in float form, |n| <= 252 */
static inline mo_vf mo_vf_scale2(mo_vf x, mo_vf n) { return _mm512_scalef_ps(x, n); }
/* condition ? a : b, lane by lane; x < y is false with NaN */
static inline mo_vf mo_vf_select_lt(mo_vf x, mo_vf y, mo_vf a, mo_vf b) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_LT_OQ), b, a);
}
/* magnitude of a with the sign of b */
static inline mo_vf mo_vf_copysign(mo_vf a, mo_vf b) {
  const __m512i sign = _mm512_set1_epi32((int)0x80000000u);
  return _mm512_castsi512_ps(
      _mm512_ternarylogic_epi32(sign, _mm512_castps_si512(b), _mm512_castps_si512(a), 0xCA)); /* sign ? b : a */
}
static inline mo_vf mo_vf_load_f16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
static inline void mo_vf_store_f16(uint16_t *p, mo_vf v) {
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline mo_vf mo_vf_load_bf16(const uint16_t *p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
static inline void mo_vf_store_bf16(uint16_t *p, mo_vf v) {
  const __m512i bits = _mm512_castps_si512(v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF))), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  rounded = _mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7FC0));
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(rounded));
}

#elif defined(MO_SIMD_AVX2)

#include <immintrin.h>
#define MO_SIMD(name) MO_SIMD_PASTE(name, _avx2)
#define MO_VL 8
typedef __m256 mo_vf;

static inline __m256i mo_vf_mask_(int n) {
  static const int32_t lanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
  return _mm256_loadu_si256((const __m256i *)(lanes + 8 - n));
}
static inline mo_vf mo_vf_set1(float x) { return _mm256_set1_ps(x); }
static inline mo_vf mo_vf_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void mo_vf_store(float *p, mo_vf v) { _mm256_storeu_ps(p, v); }
static inline mo_vf mo_vf_load_partial(const float *p, int n) { return _mm256_maskload_ps(p, mo_vf_mask_(n)); }
static inline void mo_vf_store_partial(float *p, mo_vf v, int n) { _mm256_maskstore_ps(p, mo_vf_mask_(n), v); }
static inline mo_vf mo_vf_add(mo_vf a, mo_vf b) { return _mm256_add_ps(a, b); }
static inline mo_vf mo_vf_sub(mo_vf a, mo_vf b) { return _mm256_sub_ps(a, b); }
static inline mo_vf mo_vf_mul(mo_vf a, mo_vf b) { return _mm256_mul_ps(a, b); }
static inline mo_vf mo_vf_div(mo_vf a, mo_vf b) { return _mm256_div_ps(a, b); }
static inline mo_vf mo_vf_fma(mo_vf a, mo_vf b, mo_vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline mo_vf mo_vf_max(mo_vf a, mo_vf b) { return _mm256_max_ps(a, b); }
static inline mo_vf mo_vf_min(mo_vf a, mo_vf b) { return _mm256_min_ps(a, b); }
static inline mo_vf mo_vf_sqrt(mo_vf a) { return _mm256_sqrt_ps(a); }
static inline mo_vf mo_vf_abs(mo_vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline float mo_vf_hsum(mo_vf a) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
/* The sums of four vectors in a third of the instructions of four sums. */
static inline void mo_vf_hsum4(mo_vf a, mo_vf b, mo_vf c, mo_vf d, float sums[4]) {
  const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
  const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
  const __m256 all = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xEE));
  _mm_storeu_ps(sums, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
}
static inline float mo_vf_hmax(mo_vf a) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}
static inline mo_vf mo_vf_round(mo_vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline mo_vf mo_vf_scale2(mo_vf x, mo_vf n) {
  /* in two steps, so that results below the normal range and n beyond the exponent are right */
  const __m256i half = _mm256_srai_epi32(_mm256_cvtps_epi32(n), 1);
  const __m256i rest = _mm256_sub_epi32(_mm256_cvtps_epi32(n), half);
  const __m256i bias = _mm256_set1_epi32(127);
  const mo_vf a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  const mo_vf b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
  return _mm256_mul_ps(_mm256_mul_ps(x, a), b);
}
static inline mo_vf mo_vf_select_lt(mo_vf x, mo_vf y, mo_vf a, mo_vf b) {
  return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, y, _CMP_LT_OQ));
}
static inline mo_vf mo_vf_copysign(mo_vf a, mo_vf b) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, b));
}
static inline mo_vf mo_vf_load_f16(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
static inline void mo_vf_store_f16(uint16_t *p, mo_vf v) {
  _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline mo_vf mo_vf_load_bf16(const uint16_t *p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
static inline void mo_vf_store_bf16(uint16_t *p, mo_vf v) {
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF))), 16);
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  rounded = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7FC0), nan);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(rounded, rounded), 0x08);
  _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(packed));
}

#else /* any processor: GNU vector extensions */

#include "host/rules/float16.h"
#define MO_SIMD(name) MO_SIMD_PASTE(name, _generic)
#define MO_VL 4
typedef float mo_vf __attribute__((vector_size(16)));
typedef int32_t mo_vi_ __attribute__((vector_size(16)));

static inline mo_vf mo_vf_set1(float x) { return (mo_vf){x, x, x, x}; }
static inline mo_vf mo_vf_load(const float *p) {
  mo_vf v;
  memcpy(&v, p, sizeof v);
  return v;
}
static inline void mo_vf_store(float *p, mo_vf v) { memcpy(p, &v, sizeof v); }
static inline mo_vf mo_vf_load_partial(const float *p, int n) {
  mo_vf v = {0, 0, 0, 0};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
static inline void mo_vf_store_partial(float *p, mo_vf v, int n) {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}
static inline mo_vf mo_vf_add(mo_vf a, mo_vf b) { return a + b; }
static inline mo_vf mo_vf_sub(mo_vf a, mo_vf b) { return a - b; }
static inline mo_vf mo_vf_mul(mo_vf a, mo_vf b) { return a * b; }
static inline mo_vf mo_vf_div(mo_vf a, mo_vf b) { return a / b; }
static inline mo_vf mo_vf_fma(mo_vf a, mo_vf b, mo_vf c) { return a * b + c; }
static inline mo_vf mo_vf_blend_(mo_vi_ condition, mo_vf a, mo_vf b) {
  return (mo_vf)((condition & (mo_vi_)a) | (~condition & (mo_vi_)b));
}
static inline mo_vf mo_vf_max(mo_vf a, mo_vf b) { return mo_vf_blend_(a > b, a, b); }
static inline mo_vf mo_vf_min(mo_vf a, mo_vf b) { return mo_vf_blend_(a < b, a, b); }
static inline mo_vf mo_vf_sqrt(mo_vf a) { return (mo_vf){sqrtf(a[0]), sqrtf(a[1]), sqrtf(a[2]), sqrtf(a[3])}; }
static inline mo_vf mo_vf_abs(mo_vf a) { return (mo_vf)((mo_vi_)a & 0x7FFFFFFF); }
static inline float mo_vf_hsum(mo_vf a) { return (a[0] + a[2]) + (a[1] + a[3]); }
static inline void mo_vf_hsum4(mo_vf a, mo_vf b, mo_vf c, mo_vf d, float sums[4]) {
  sums[0] = mo_vf_hsum(a), sums[1] = mo_vf_hsum(b), sums[2] = mo_vf_hsum(c), sums[3] = mo_vf_hsum(d);
}
static inline float mo_vf_hmax(mo_vf a) { return fmaxf(fmaxf(a[0], a[2]), fmaxf(a[1], a[3])); }
static inline mo_vf mo_vf_round(mo_vf a) { return (mo_vf){rintf(a[0]), rintf(a[1]), rintf(a[2]), rintf(a[3])}; }
static inline mo_vf mo_vf_scale2(mo_vf x, mo_vf n) {
  /* As for AVX2, two factors. 1.5 * 2^23 brings an integer into the low bits of the fraction without a conversion, which a NaN
   * would make undefined. */
  const mo_vf magic = mo_vf_set1(12582912.0f);
  const mo_vi_ whole = (mo_vi_)(n + magic) - (mo_vi_)magic;
  const mo_vi_ half = whole >> 1, rest = whole - half;
  return x * (mo_vf)((half + 127) << 23) * (mo_vf)((rest + 127) << 23);
}
static inline mo_vf mo_vf_select_lt(mo_vf x, mo_vf y, mo_vf a, mo_vf b) { return mo_vf_blend_(x < y, a, b); }
static inline mo_vf mo_vf_copysign(mo_vf a, mo_vf b) {
  const mo_vi_ sign = {INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN};
  return (mo_vf)(((mo_vi_)a & ~sign) | ((mo_vi_)b & sign));
}
static inline mo_vf mo_vf_load_f16(const uint16_t *p) {
  return (mo_vf){mo_float_from_f16(p[0]), mo_float_from_f16(p[1]), mo_float_from_f16(p[2]), mo_float_from_f16(p[3])};
}
static inline void mo_vf_store_f16(uint16_t *p, mo_vf v) {
  for (int i = 0; i < MO_VL; ++i) p[i] = mo_f16_from_float(v[i]);
}
static inline mo_vf mo_vf_load_bf16(const uint16_t *p) {
  return (mo_vf){mo_float_from_bf16(p[0]), mo_float_from_bf16(p[1]), mo_float_from_bf16(p[2]), mo_float_from_bf16(p[3])};
}
static inline void mo_vf_store_bf16(uint16_t *p, mo_vf v) {
  for (int i = 0; i < MO_VL; ++i) p[i] = mo_bf16_from_float(v[i]);
}

#endif

static inline mo_vf mo_vf_zero(void) { return mo_vf_set1(0.0f); }

/* Typed loads and stores: `index` in elements from `p`, n lanes (MO_VL for all). `dtype` should be a constant where it is hot.
 */
static inline mo_vf mo_vf_load_16_partial_(const uint16_t *p, int n, int is_f16) {
  uint16_t lanes[MO_VL] = {0};
  memcpy(lanes, p, (size_t)n * sizeof *p);
  return is_f16 ? mo_vf_load_f16(lanes) : mo_vf_load_bf16(lanes);
}
static inline void mo_vf_store_16_partial_(uint16_t *p, mo_vf v, int n, int is_f16) {
  uint16_t lanes[MO_VL];
  if (is_f16) mo_vf_store_f16(lanes, v);
  else mo_vf_store_bf16(lanes, v);
  memcpy(p, lanes, (size_t)n * sizeof *p);
}

#include "modelout/dtype.h"

static inline mo_vf mo_vf_load_any(const void *p, mo_dtype_t dtype, int64_t index, int n) {
  if (dtype == MO_DTYPE_FLOAT32) {
    const float *f = (const float *)p + index;
    return n == MO_VL ? mo_vf_load(f) : mo_vf_load_partial(f, n);
  }
  const uint16_t *h = (const uint16_t *)p + index;
  const int is_f16 = dtype == MO_DTYPE_FLOAT16;
  if (n < MO_VL) return mo_vf_load_16_partial_(h, n, is_f16);
  return is_f16 ? mo_vf_load_f16(h) : mo_vf_load_bf16(h);
}

static inline void mo_vf_store_any(void *p, mo_dtype_t dtype, int64_t index, mo_vf v, int n) {
  if (dtype == MO_DTYPE_FLOAT32) {
    float *f = (float *)p + index;
    if (n == MO_VL) mo_vf_store(f, v);
    else mo_vf_store_partial(f, v, n);
    return;
  }
  uint16_t *h = (uint16_t *)p + index;
  const int is_f16 = dtype == MO_DTYPE_FLOAT16;
  if (n < MO_VL) mo_vf_store_16_partial_(h, v, n, is_f16);
  else if (is_f16) mo_vf_store_f16(h, v);
  else mo_vf_store_bf16(h, v);
}

/* e^x, within 2 units in the last place for results in the normal range; 0 below -104, infinity above 88.73, NaN stays NaN.
 * Range reduction by ln 2 in two parts, then the Taylor polynomial of degree 7 on [-ln2/2, ln2/2] (remainder under 3e-9). */
static inline mo_vf mo_vf_exp(mo_vf x) {
  const mo_vf clamped =
      mo_vf_min(mo_vf_set1(89.5f), mo_vf_max(mo_vf_set1(-104.5f), x)); /* NaN survives both as second operand */
  const mo_vf n = mo_vf_round(mo_vf_mul(clamped, mo_vf_set1(1.44269504088896341f)));
  mo_vf r = mo_vf_fma(n, mo_vf_set1(-0.693145751953125f), clamped);
  r = mo_vf_fma(n, mo_vf_set1(-1.42860682030941723e-6f), r);
  mo_vf p = mo_vf_set1(1.98412698412698413e-4f);
  p = mo_vf_fma(p, r, mo_vf_set1(1.38888888888888889e-3f));
  p = mo_vf_fma(p, r, mo_vf_set1(8.33333333333333333e-3f));
  p = mo_vf_fma(p, r, mo_vf_set1(4.16666666666666667e-2f));
  p = mo_vf_fma(p, r, mo_vf_set1(1.66666666666666667e-1f));
  p = mo_vf_fma(p, r, mo_vf_set1(0.5f));
  p = mo_vf_fma(p, r, mo_vf_set1(1.0f));
  p = mo_vf_fma(p, r, mo_vf_set1(1.0f));
  return mo_vf_scale2(p, n);
}

#endif
