/* host/cpu/simd_codes.h - vectors of one-byte numbers: int8, and float8 e4m3 (host/rules/kv_quantise.h has the rules).
 *
 * n lanes (MO_VL for all); of a load the others are 0. Included by kernel files only.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_SIMD_CODES_H
#define MO_CPU_SIMD_CODES_H

#include "host/cpu/simd.h"
#include "host/rules/kv_quantise.h"

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

/* The lowest byte of each lane. */
static inline void mo_vf_store_bytes_(void *p, int64_t index, __m512i bytes, int n) {
  _mm512_mask_cvtepi32_storeu_epi8((uint8_t *)p + index, mo_vf_mask_(n), bytes);
}

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

/* Rounded to nearest even; the values are in the range of int8. */
static inline void mo_vf_store_int8(void *p, int64_t index, mo_vf v, int n) {
  mo_vf_store_bytes_(p, index, _mm512_cvtps_epi32(v), n);
}

/* As mo_cast_to_e4m3. */
static inline void mo_vf_store_e4m3(void *p, int64_t index, mo_vf v, int n) {
  const __m512i bits = _mm512_castps_si512(v), magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(0x7FFFFFFF));
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(magnitude, 20), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(magnitude, odd), _mm512_set1_epi32(0x7FFFF - (120 << 23)));
  __m512i code = _mm512_srli_epi32(rounded, 20);
  const __m512i small = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_castsi512_ps(magnitude), _mm512_set1_ps(512.0f)));
  code = _mm512_mask_mov_epi32(code, _mm512_cmplt_epi32_mask(magnitude, _mm512_set1_epi32(0x3C800000)), small); /* 2^-6 */
  code = _mm512_mask_mov_epi32(code, _mm512_cmpgt_epi32_mask(magnitude, _mm512_set1_epi32(0x43E80000)),         /* 464 */
                               _mm512_set1_epi32(0x7F));
  mo_vf_store_bytes_(p, index, _mm512_or_si512(code, _mm512_and_si512(_mm512_srli_epi32(bits, 24), _mm512_set1_epi32(0x80))),
                     n);
}

#else

/* The lowest byte of each lane. */
static inline void mo_vf_store_bytes_(void *p, int64_t index, __m256i bytes, int n) {
  const __m256i lowest =
      _mm256_shuffle_epi8(bytes, _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1,
                                                  -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
  const __m128i packed = _mm_unpacklo_epi32(_mm256_castsi256_si128(lowest), _mm256_extracti128_si256(lowest, 1));
  uint8_t *to = (uint8_t *)p + index;
  if (n == MO_VL) {
    _mm_storel_epi64((__m128i *)to, packed);
    return;
  }
  const long long lanes = _mm_cvtsi128_si64(packed);
  memcpy(to, &lanes, (size_t)n);
}

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

/* Rounded to nearest even; the values are in the range of int8. */
static inline void mo_vf_store_int8(void *p, int64_t index, mo_vf v, int n) {
  mo_vf_store_bytes_(p, index, _mm256_cvtps_epi32(v), n);
}

/* As mo_cast_to_e4m3. */
static inline void mo_vf_store_e4m3(void *p, int64_t index, mo_vf v, int n) {
  const __m256i bits = _mm256_castps_si256(v), magnitude = _mm256_and_si256(bits, _mm256_set1_epi32(0x7FFFFFFF));
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(magnitude, 20), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(magnitude, odd), _mm256_set1_epi32(0x7FFFF - (120 << 23)));
  __m256i code = _mm256_srli_epi32(rounded, 20);
  const __m256i small = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_castsi256_ps(magnitude), _mm256_set1_ps(512.0f)));
  code = _mm256_blendv_epi8(code, small, _mm256_cmpgt_epi32(_mm256_set1_epi32(0x3C800000), magnitude)); /* 2^-6 */
  code =
      _mm256_blendv_epi8(code, _mm256_set1_epi32(0x7F), _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(0x43E80000))); /* 464 */
  mo_vf_store_bytes_(p, index, _mm256_or_si256(code, _mm256_and_si256(_mm256_srli_epi32(bits, 24), _mm256_set1_epi32(0x80))),
                     n);
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

/* Rounded to nearest even; the values are in the range of int8. */
static inline void mo_vf_store_int8(void *p, int64_t index, mo_vf v, int n) {
  for (int i = 0; i < n; ++i) ((int8_t *)p)[index + i] = (int8_t)rintf(v[i]);
}

/* As mo_cast_to_e4m3. */
static inline void mo_vf_store_e4m3(void *p, int64_t index, mo_vf v, int n) {
  for (int i = 0; i < n; ++i) ((uint8_t *)p)[index + i] = mo_cast_to_e4m3(v[i]);
}

#endif

/* Any type that a cache is stored in; `dtype` should be a constant where it is hot. */
static inline mo_vf mo_vf_load_stored(const void *p, mo_dtype_t dtype, int64_t index, int n) {
  if (dtype == MO_DTYPE_INT8) return mo_vf_load_int8(p, index, n);
  if (dtype == MO_DTYPE_FLOAT8_E4M3) return mo_vf_load_e4m3(p, index, n);
  return mo_vf_load_any(p, dtype, index, n);
}

#endif
