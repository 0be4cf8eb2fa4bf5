/* kernels/common/divide.cuh - division by what is known at launch.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_COMMON_DIVIDE_CUH
#define MO_KERNELS_COMMON_DIVIDE_CUH

#include <cstdint>

#include <cuda_runtime.h>

/* A multiplication instead. Any 32-bit numerator. */
struct mo_divisor {
  uint32_t divisor, factor, shift;
};

inline mo_divisor mo_make_divisor(uint32_t divisor) {
  uint32_t shift = 0;
  while ((uint64_t{1} << shift) < divisor) ++shift;
  return {divisor, static_cast<uint32_t>((((uint64_t{1} << shift) - divisor) << 32) / divisor + 1), shift};
}

__device__ __forceinline__ uint32_t mo_divide(uint32_t numerator, const mo_divisor &by, uint32_t *remainder) {
  const uint64_t high = static_cast<uint64_t>(numerator) * by.factor >> 32;
  const uint32_t quotient = static_cast<uint32_t>((high + numerator) >> by.shift);
  *remainder = numerator - quotient * by.divisor;
  return quotient;
}

#endif
