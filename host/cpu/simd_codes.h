/* host/cpu/simd_codes.h - vectors of the codes that quantised caches hold: int8, and float8 e4m3 (host/core/kv_quantise.h).
 *
 * n lanes (MO_VL for all), the others are 0. Included by kernel files only.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_SIMD_CODES_H
#define MO_CPU_SIMD_CODES_H

#include "host/core/kv_quantise.h"
#include "host/cpu/simd.h"

#if defined(MO_SIMD_AVX512) || defined(MO_SIMD_AVX2)

/* MO_VL codes in the low bytes of a register. */
static inline __m128i mo_vf_codes_(const uint8_t *p, int n) {
#if defined(MO_SIMD_AVX512)
  return n == MO_VL ? _mm_loadu_si128((const __m128i *)p) : _mm_maskz_loadu_epi8(mo_vf_mask_(n), p);
#else
  if (n == MO_VL) return _mm_loadl_epi64((const __m128i *)p);
  uint64_t lanes = 0;
  memcpy(&lanes, p, (size_t)n);
  return _mm_cvtsi64_si128((long long)lanes);
#endif
}

#if defined(MO_SIMD_AVX512)

static inline mo_vf mo_vf_load_int8(const void *p, int64_t index, int n) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(mo_vf_codes_((const uint8_t *)p + index, n)));
}

static inline mo_vf mo_vf_load_e4m3(const void *p, int64_t index, int n) {
  const __m512i code = _mm512_cvtepu8_epi32(mo_vf_codes_((const uint8_t *)p + index, n));
  const __m512i magnitude = _mm512_and_si512(code, _mm512_set1_epi32(0x7F));
  const __m512i sign = _mm512_slli_epi32(_mm512_and_si512(code, _mm512_set1_epi32(0x80)), 24);
  __m512i bits = _mm512_add_epi32(_mm512_slli_epi32(magnitude, 20), _mm512_set1_epi32(120 << 23));
  const __m512 small = _mm512_mul_ps(_mm512_cvtepi32_ps(magnitude), _mm512_set1_ps(0.001953125f));
  bits = _mm512_mask_mov_epi32(bits, _mm512_cmplt_epi32_mask(magnitude, _mm512_set1_epi32(8)), _mm512_castps_si512(small));
  bits =
      _mm512_mask_mov_epi32(bits, _mm512_cmpeq_epi32_mask(magnitude, _mm512_set1_epi32(0x7F)), _mm512_set1_epi32(0x7FC00000));
  return _mm512_castsi512_ps(_mm512_or_si512(bits, sign));
}

#else

static inline mo_vf mo_vf_load_int8(const void *p, int64_t index, int n) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(mo_vf_codes_((const uint8_t *)p + index, n)));
}

static inline mo_vf mo_vf_load_e4m3(const void *p, int64_t index, int n) {
  const __m256i code = _mm256_cvtepu8_epi32(mo_vf_codes_((const uint8_t *)p + index, n));
  const __m256i magnitude = _mm256_and_si256(code, _mm256_set1_epi32(0x7F));
  const __m256i sign = _mm256_slli_epi32(_mm256_and_si256(code, _mm256_set1_epi32(0x80)), 24);
  __m256i bits = _mm256_add_epi32(_mm256_slli_epi32(magnitude, 20), _mm256_set1_epi32(120 << 23));
  const __m256i small = _mm256_castps_si256(_mm256_mul_ps(_mm256_cvtepi32_ps(magnitude), _mm256_set1_ps(0.001953125f)));
  bits = _mm256_blendv_epi8(bits, small, _mm256_cmpgt_epi32(_mm256_set1_epi32(8), magnitude));
  bits = _mm256_blendv_epi8(bits, _mm256_set1_epi32(0x7FC00000), _mm256_cmpeq_epi32(magnitude, _mm256_set1_epi32(0x7F)));
  return _mm256_castsi256_ps(_mm256_or_si256(bits, sign));
}

#endif

#else

static inline mo_vf mo_vf_load_int8(const void *p, int64_t index, int n) {
  mo_vf v = mo_vf_set1(0.0f);
  for (int i = 0; i < n; ++i) v[i] = (float)((const int8_t *)p)[index + i];
  return v;
}

static inline mo_vf mo_vf_load_e4m3(const void *p, int64_t index, int n) {
  mo_vf v = mo_vf_set1(0.0f);
  for (int i = 0; i < n; ++i) v[i] = mo_kv_from_e4m3(((const uint8_t *)p)[index + i]);
  return v;
}

#endif

/* Any type that a cache is stored in; `dtype` should be a constant where it is hot. */
static inline mo_vf mo_vf_load_stored(const void *p, mo_dtype_t dtype, int64_t index, int n) {
  if (dtype == MO_DTYPE_INT8) return mo_vf_load_int8(p, index, n);
  if (dtype == MO_DTYPE_FLOAT8_E4M3) return mo_vf_load_e4m3(p, index, n);
  return mo_vf_load_any(p, dtype, index, n);
}

#endif
