/* host/cpu/topk_key.h - float values as unsigned keys in the order of top-k.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_TOPK_KEY_H
#define MO_CPU_TOPK_KEY_H

#include <stdint.h>
#include <string.h>

#define MO_TOPK_KEY_NAN UINT32_MAX

/* Unsigned order is the order of the values, -0 equals 0, every NaN is MO_TOPK_KEY_NAN. */
static inline uint32_t mo_topk_key(float value) {
  const float folded = value + 0.0f; /* -0 becomes 0 */
  uint32_t bits;
  memcpy(&bits, &folded, sizeof bits);
  const uint32_t ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return folded != folded ? MO_TOPK_KEY_NAN : ordered;
}

#endif
