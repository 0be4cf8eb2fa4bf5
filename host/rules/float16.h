/* host/rules/float16.h - float16 and bfloat16 from and to float32, one value at a time, round to nearest even.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_RULES_FLOAT16_H
#define MO_RULES_FLOAT16_H

#include <stdint.h>
#include <string.h>

static inline float mo_float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t mo_float_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline float mo_float_from_bf16(uint16_t half) { return mo_float_from_bits((uint32_t)half << 16); }

static inline uint16_t mo_bf16_from_float(float value) {
  const uint32_t bits = mo_float_bits(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)0x7FC0; /* NaN */
  return (uint16_t)((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

static inline float mo_float_from_f16(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1Fu;
  const uint32_t fraction = half & 0x3FFu;
  if (exponent == 0x1Fu) return mo_float_from_bits(sign | 0x7F800000u | fraction << 13);
  if (exponent != 0) return mo_float_from_bits(sign | (exponent + 112u) << 23 | fraction << 13);
  const float tiny = (float)fraction * 0x1p-24f; /* zero and subnormal: exact */
  return mo_float_from_bits(sign | mo_float_bits(tiny));
}

static inline uint16_t mo_f16_from_float(float value) {
  const uint32_t bits = mo_float_bits(value);
  const uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return (uint16_t)(sign | 0x7E00u);
  if (magnitude >= 0x477FF000u) return (uint16_t)(sign | 0x7C00u); /* rounds to 65520 or more: infinity */
  if (magnitude < 0x38800000u) {                                   /* below 2^-14: subnormal; adding 0.5 rounds at 2^-24 */
    const float shifted = mo_float_from_bits(magnitude) + 0.5f;
    return (uint16_t)(sign | (mo_float_bits(shifted) - 0x3F000000u));
  }
  const uint32_t rounded = magnitude - 0x38000000u + 0xFFFu + ((magnitude >> 13) & 1u);
  return (uint16_t)(sign | rounded >> 13);
}

#endif
