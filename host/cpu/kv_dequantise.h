/* host/cpu/kv_dequantise.h - vectors of quantised cache elements as float32. Included by kernel files only (host/cpu/simd.h).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_KV_DEQUANTISE_H
#define MO_CPU_KV_DEQUANTISE_H

#include "host/core/kv_quantise.h"
#include "host/cpu/simd.h"

/* MO_VL codes of int8 or e4m3 (host/core/kv_quantise.h) as they are, without their scale. */
static inline mo_vf mo_vf_load_codes(const uint8_t *codes, int is_int8) {
#if defined(MO_SIMD_AVX512)
  const __m128i raw = _mm_loadu_si128((const __m128i *)codes);
  if (is_int8) return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(raw));
  const __m512i bits = _mm512_cvtepu8_epi32(raw), magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(0x7F));
  const __m512i normal = _mm512_add_epi32(_mm512_slli_epi32(magnitude, 20), _mm512_set1_epi32(120 << 23));
  mo_vf value = _mm512_castsi512_ps(normal);
  const __mmask16 small = _mm512_cmplt_epi32_mask(magnitude, _mm512_set1_epi32(8));
  value = _mm512_mask_mul_ps(value, small, _mm512_cvtepi32_ps(magnitude), _mm512_set1_ps(0.001953125f));
  value = _mm512_mask_mov_ps(value, _mm512_cmpeq_epi32_mask(magnitude, _mm512_set1_epi32(0x7F)), _mm512_set1_ps(NAN));
  return mo_vf_copysign(value, _mm512_castsi512_ps(_mm512_slli_epi32(bits, 24)));
#elif defined(MO_SIMD_AVX2)
  const __m128i raw = _mm_loadl_epi64((const __m128i *)codes);
  if (is_int8) return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(raw));
  const __m256i bits = _mm256_cvtepu8_epi32(raw), magnitude = _mm256_and_si256(bits, _mm256_set1_epi32(0x7F));
  const __m256i normal = _mm256_add_epi32(_mm256_slli_epi32(magnitude, 20), _mm256_set1_epi32(120 << 23));
  const mo_vf subnormal = _mm256_mul_ps(_mm256_cvtepi32_ps(magnitude), _mm256_set1_ps(0.001953125f));
  mo_vf value = _mm256_blendv_ps(_mm256_castsi256_ps(normal), subnormal,
                                 _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(8), magnitude)));
  value =
      _mm256_blendv_ps(value, _mm256_set1_ps(NAN), _mm256_castsi256_ps(_mm256_cmpeq_epi32(magnitude, _mm256_set1_epi32(0x7F))));
  return mo_vf_copysign(value, _mm256_castsi256_ps(_mm256_slli_epi32(bits, 24)));
#else
  mo_vf value;
  for (int i = 0; i < MO_VL; ++i) value[i] = is_int8 ? (float)(int8_t)codes[i] : mo_kv_from_e4m3(codes[i]);
  return value;
#endif
}

/* One head: `groups` groups of `width` codes, each times its scale, to `dtype` at element `index` of `to`. */
static inline void mo_dequantise_head(void *to, mo_dtype_t dtype, int64_t index, const uint8_t *codes, const float *scales,
                                      int64_t groups, int64_t width, int is_int8) {
  for (int64_t group = 0; group < groups; ++group) {
    const mo_vf scale = mo_vf_set1(scales[group]);
    for (int64_t i = 0; i < width; i += MO_VL) {
      const int n = width - i < MO_VL ? (int)(width - i) : MO_VL;
      const uint8_t *from = codes + group * width + i;
      uint8_t lanes[MO_VL] = {0};
      if (n < MO_VL) from = memcpy(lanes, from, (size_t)n);
      mo_vf_store_any(to, dtype, index + group * width + i, mo_vf_mul(mo_vf_load_codes(from, is_int8), scale), n);
    }
  }
}

#endif
