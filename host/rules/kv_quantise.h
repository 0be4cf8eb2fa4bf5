/* host/rules/kv_quantise.h - the storage rule of quantised caches, for CPU and GPU alike: the same bits on both.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_RULES_KV_QUANTISE_H
#define MO_RULES_KV_QUANTISE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__CUDACC__)
#define MO_KV_FUNCTION static __host__ __device__ __forceinline__
#else
#define MO_KV_FUNCTION static inline
#endif

#define MO_KV_INT8_LARGEST 127.0f
#define MO_KV_E4M3_LARGEST 448.0f

MO_KV_FUNCTION uint32_t mo_kv_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

MO_KV_FUNCTION float mo_kv_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* The part of the scale's group; 0 stays 0. */
MO_KV_FUNCTION float mo_kv_quotient(float value, float scale) { return scale == 0.0f ? 0.0f : value / scale; }

/* One division for all quotients by a scale: its reciprocal, or 0 where that would not be exact, the scale being too small or
 * too large. */
MO_KV_FUNCTION float mo_kv_reciprocal(float scale) { return scale >= 0x1p-80f && scale <= 0x1p100f ? 1.0f / scale : 0.0f; }

/* A number that is stored as mo_kv_quotient(value, scale) is: the same number, unless it is below 2^-11 and becomes 0 of its
 * sign either way. A rounded product is off by an ulp at most, and its remainder, which is exact, corrects it to the rounded
 * quotient (Markstein's theorem). */
MO_KV_FUNCTION float mo_kv_quotient_by(float value, float scale, float reciprocal) {
  if (reciprocal == 0.0f) return mo_kv_quotient(value, scale);
  const float product = value * reciprocal;
  return copysignf(fmaf(fmaf(-product, scale, value), reciprocal, product), value); /* the remainder of -0 is 0 */
}

MO_KV_FUNCTION int8_t mo_kv_to_int8(float quotient) {
  if (!(quotient == quotient)) return 0;
  const float clamped = quotient > MO_KV_INT8_LARGEST    ? MO_KV_INT8_LARGEST
                        : quotient < -MO_KV_INT8_LARGEST ? -MO_KV_INT8_LARGEST
                                                         : quotient;
  return (int8_t)rintf(clamped);
}

/* Nearest even; magnitudes above the largest become it. */
MO_KV_FUNCTION uint8_t mo_kv_to_e4m3(float quotient) {
  const uint32_t bits = mo_kv_bits(quotient), magnitude = bits & 0x7FFFFFFFu;
  const uint32_t sign = bits >> 24 & 0x80u;
  if (magnitude > 0x7F800000u) return (uint8_t)(sign | 0x7Fu);
  if (magnitude >= mo_kv_bits(MO_KV_E4M3_LARGEST)) return (uint8_t)(sign | 0x7Eu);
  if (magnitude < mo_kv_bits(0.015625f)) return (uint8_t)(sign | (uint32_t)rintf(mo_kv_float(magnitude) * 512.0f));
  const uint32_t rounded = magnitude + 0x7FFFFu + (magnitude >> 20 & 1u);
  return (uint8_t)(sign | (rounded - (120u << 23)) >> 20);
}

/* As a conversion without a scale does it: what rounds past the largest (from 464, the tie, it is rounded to that) is NaN. */
MO_KV_FUNCTION uint8_t mo_cast_to_e4m3(float value) {
  const uint32_t bits = mo_kv_bits(value);
  return (bits & 0x7FFFFFFFu) > mo_kv_bits(464.0f) ? (uint8_t)((bits >> 24 & 0x80u) | 0x7Fu) : mo_kv_to_e4m3(value);
}

MO_KV_FUNCTION float mo_kv_from_e4m3(uint8_t stored) {
  const uint32_t sign = (uint32_t)(stored & 0x80u) << 24, magnitude = stored & 0x7Fu;
  if (magnitude == 0x7Fu) return mo_kv_float(sign | 0x7FC00000u);
  if (magnitude < 8u) return mo_kv_float(sign | mo_kv_bits((float)magnitude * 0.001953125f));
  return mo_kv_float(sign | ((magnitude << 20) + (120u << 23)));
}

#endif
