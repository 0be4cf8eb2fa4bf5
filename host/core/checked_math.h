/* host/core/checked_math.h - sizes that cannot overflow silently.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_CHECKED_MATH_H
#define MO_CORE_CHECKED_MATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True when the result fits. Operands must not be negative. */
static inline bool mo_checked_mul(int64_t a, int64_t b, int64_t *result) { return !__builtin_mul_overflow(a, b, result); }
static inline bool mo_checked_add(int64_t a, int64_t b, int64_t *result) { return !__builtin_add_overflow(a, b, result); }

/* a * b bytes; SIZE_MAX, which no allocator can give, instead of an overflow. */
static inline size_t mo_size_mul(size_t a, size_t b) {
  size_t product;
  return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

/* `bytes` rounded up to a multiple of `alignment`, a power of two. Saturates to SIZE_MAX, which no allocator can give. */
static inline size_t mo_align_up(size_t bytes, size_t alignment) {
  return bytes > SIZE_MAX - (alignment - 1) ? SIZE_MAX : (bytes + alignment - 1) & ~(alignment - 1);
}

#endif
