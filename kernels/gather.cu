/* kernels/gather.cu - a strided view into contiguous memory, or into another strided view.
 *
 * Bytes: every byte of the view read once and written once. A unit is the largest power of two of bytes, up to
 * 16, that divides the runs of contiguous bytes, their distances and their addresses. Neighbouring threads write neighbouring
 * units; where the view has runs they also read neighbours.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gather.h"

#include "kernels/arch/launch.cuh"
#include "kernels/arch/memory.cuh"
#include "kernels/common/strided.cuh"

namespace {

constexpr int kThreads = 128;
constexpr int kUnits = 4; /* that a thread has under way: all their addresses first, then all loads, then all stores */
constexpr int64_t kMostBlocks = INT32_MAX; /* beyond it every thread moves more units */

/* The shape in units. */
struct Arguments {
  void *destination;
  const void *source;
  int64_t count;
  mo_strided_shape shape;
};

template <typename Unit>
__device__ __forceinline__ void store_unit(Unit *address, Unit unit) {
  if constexpr (sizeof(Unit) == 16) mo_store16_global(address, unit);
  else if constexpr (sizeof(Unit) == 8) mo_store8_global(address, unit);
  else *address = unit;
}

template <typename Unit>
__global__ void __launch_bounds__(kThreads) gather_kernel(const __grid_constant__ Arguments arguments) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads * kUnits;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * kThreads * kUnits + threadIdx.x; first < arguments.count;
       first += step) {
    int64_t destination[kUnits], source[kUnits];
    Unit units[kUnits];
#pragma unroll
    for (int k = 0; k < kUnits; ++k) {
      const int64_t i = first + k * kThreads < arguments.count ? first + k * kThreads : first;
      uint64_t row = static_cast<uint64_t>(i);
      const int64_t unit = arguments.shape.rank > 1 ? mo_split_index(row, arguments.shape.extents[0]) : i;
      mo_strided_row(arguments.shape, row, destination[k], source[k]);
      destination[k] += unit;
      source[k] += unit;
    }
#pragma unroll
    for (int k = 0; k < kUnits; ++k) {
      if (first + k * kThreads < arguments.count) units[k] = static_cast<const Unit *>(arguments.source)[source[k]];
    }
#pragma unroll
    for (int k = 0; k < kUnits; ++k) {
      if (first + k * kThreads < arguments.count)
        store_unit(static_cast<Unit *>(arguments.destination) + destination[k], units[k]);
    }
  }
}

template <typename Unit>
cudaError_t launch_unit(Arguments &arguments, cudaStream_t stream) {
  mo_strided_shape &shape = arguments.shape;
  constexpr int64_t bytes = sizeof(Unit);
  shape.extents[0] /= bytes;
  arguments.count = shape.extents[0];
  for (int32_t d = 1; d < shape.rank; ++d) {
    shape.destination[d] /= bytes;
    shape.source[d] /= bytes;
    arguments.count *= shape.extents[d];
  }
  const int64_t blocks = (arguments.count + kThreads * kUnits - 1) / (kThreads * kUnits);
  const dim3 grid(static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks));
  return MO_LAUNCH(gather_kernel<Unit>, grid, dim3(kThreads), 0, stream, arguments);
}

}  // namespace

cudaError_t mo_launch_gather(void *destination, const void *source, const mo_strided_shape *shape, cudaStream_t stream) {
  Arguments arguments = {destination, source, 0, *shape};
  uint64_t common =
      reinterpret_cast<uintptr_t>(source) | reinterpret_cast<uintptr_t>(destination) | static_cast<uint64_t>(shape->extents[0]);
  for (int32_t d = 0; d < shape->rank; ++d) {
    if (shape->extents[d] == 0) return cudaSuccess;
    if (d > 0) common |= static_cast<uint64_t>(shape->destination[d] | shape->source[d]);
  }
  if (common % 16 == 0) return launch_unit<uint4>(arguments, stream);
  if (common % 8 == 0) return launch_unit<uint2>(arguments, stream);
  if (common % 4 == 0) return launch_unit<uint32_t>(arguments, stream);
  if (common % 2 == 0) return launch_unit<uint16_t>(arguments, stream);
  return launch_unit<uint8_t>(arguments, stream);
}
