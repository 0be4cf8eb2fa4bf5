/* kernels/common/strided.cuh - where an element of two views lies that are walked together (host/rules/strided_shape.h).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_COMMON_STRIDED_CUH
#define MO_KERNELS_COMMON_STRIDED_CUH

#include <cstdint>

#include <cuda_runtime.h>

#include "host/rules/strided_shape.h"

/* index % extent; index becomes index / extent. In 32 bits where both fit in them: division of 64-bit numbers is slow. */
__device__ __forceinline__ int64_t mo_split_index(uint64_t &index, int64_t extent) {
  uint64_t rest;
  if ((index | static_cast<uint64_t>(extent)) >> 32 == 0) {
    rest = static_cast<uint32_t>(index) % static_cast<uint32_t>(extent);
    index = static_cast<uint32_t>(index) / static_cast<uint32_t>(extent);
  } else {
    rest = index % static_cast<uint64_t>(extent);
    index /= static_cast<uint64_t>(extent);
  }
  return static_cast<int64_t>(rest);
}

/* Offsets of the row (all dimensions but the innermost) with this number. */
__device__ __forceinline__ void mo_strided_row(const mo_strided_shape &shape, uint64_t row, int64_t &destination,
                                               int64_t &source) {
  destination = source = 0;
#pragma unroll
  for (int d = 1; d <= MO_MAX_DIMS; ++d) {
    if (d >= shape.rank) break;
    const int64_t position = d + 1 < shape.rank ? mo_split_index(row, shape.extents[d]) : static_cast<int64_t>(row);
    destination += position * shape.destination[d];
    source += position * shape.source[d];
  }
}

#endif
