/* kernels/gather.cu - a strided view into contiguous memory.
 *
 * Bytes: every byte of the view read once and written once. A thread moves one unit: the largest power of two of bytes, up to
 * 16, that divides the runs of contiguous bytes, their distances and their addresses. Neighbouring threads write neighbouring
 * units; where the view has runs they also read neighbours.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gather.h"

#include "kernels/arch/launch.cuh"
#include "kernels/arch/memory.cuh"

namespace {

constexpr int kThreads = 256;

/* The shape in units. */
struct Arguments {
  void *destination;
  const void *source;
  int64_t count;
  mo_gather_shape shape;
};

/* Index: the narrowest unsigned type that counts all units, because division of 64-bit numbers is slow. */
template <typename Unit, typename Index>
__global__ void __launch_bounds__(kThreads) gather_kernel(Arguments arguments) {
  const Index step = static_cast<Index>(gridDim.x) * kThreads;
  for (Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x; i < static_cast<Index>(arguments.count); i += step) {
    Index rest = i;
    int64_t offset = 0;
#pragma unroll
    for (int d = MO_MAX_DIMS; d > 0; --d) {
      if (d < arguments.shape.rank) {
        const Index extent = static_cast<Index>(arguments.shape.extents[d]);
        offset += static_cast<int64_t>(rest % extent) * arguments.shape.strides[d];
        rest /= extent;
      }
    }
    offset += static_cast<int64_t>(rest) * arguments.shape.strides[0];
    static_cast<Unit *>(arguments.destination)[i] = static_cast<const Unit *>(arguments.source)[offset];
  }
}

template <typename Unit>
cudaError_t launch_unit(Arguments &arguments, cudaStream_t stream) {
  mo_gather_shape &shape = arguments.shape;
  constexpr int64_t bytes = sizeof(Unit);
  shape.extents[shape.rank - 1] /= bytes;
  for (int32_t d = 0; d + 1 < shape.rank; ++d) shape.strides[d] /= bytes;
  arguments.count = 1;
  for (int32_t d = 0; d < shape.rank; ++d) arguments.count *= shape.extents[d];
  const int64_t blocks = (arguments.count + kThreads - 1) / kThreads;
  constexpr int64_t most_blocks = INT64_C(1)
                                  << 22; /* beyond it every thread moves several: the index stays below 2^32 + 2^30 */
  const dim3 grid(static_cast<unsigned>(blocks < most_blocks ? blocks : most_blocks));
  if (arguments.count <= INT32_MAX)
    return MO_LAUNCH((gather_kernel<Unit, uint32_t>), grid, dim3(kThreads), 0, stream, arguments);
  return MO_LAUNCH((gather_kernel<Unit, uint64_t>), grid, dim3(kThreads), 0, stream, arguments);
}

}  // namespace

mo_gather_shape mo_gather_shape_of(const mo_tensor *view) {
  const int64_t element = static_cast<int64_t>(mo_dtype_bytes(view->dtype));
  mo_gather_shape reversed = {}; /* innermost first */
  reversed.rank = 1;
  reversed.extents[0] = element;
  reversed.strides[0] = 1;
  for (int32_t d = view->rank - 1; d >= 0; --d) {
    const int64_t extent = view->shape[d], stride = view->strides[d] * element;
    const int32_t last = reversed.rank - 1;
    if (extent == 1) continue;
    if (stride == reversed.extents[last] * reversed.strides[last]) {
      reversed.extents[last] *= extent;
    } else {
      reversed.extents[reversed.rank] = extent;
      reversed.strides[reversed.rank++] = stride;
    }
  }
  mo_gather_shape shape = {};
  shape.rank = reversed.rank;
  for (int32_t d = 0; d < shape.rank; ++d) {
    shape.extents[d] = reversed.extents[shape.rank - 1 - d];
    shape.strides[d] = reversed.strides[shape.rank - 1 - d];
  }
  return shape;
}

cudaError_t mo_launch_gather(void *destination, const void *source, const mo_gather_shape *shape, cudaStream_t stream) {
  Arguments arguments = {destination, source, 0, *shape};
  uint64_t common = reinterpret_cast<uintptr_t>(source) | reinterpret_cast<uintptr_t>(destination) |
                    static_cast<uint64_t>(shape->extents[shape->rank - 1]);
  for (int32_t d = 0; d + 1 < shape->rank; ++d) common |= static_cast<uint64_t>(shape->strides[d]);
  for (int32_t d = 0; d < shape->rank; ++d) {
    if (shape->extents[d] == 0) return cudaSuccess;
  }
  if (common % 16 == 0) return launch_unit<uint4>(arguments, stream);
  if (common % 8 == 0) return launch_unit<uint2>(arguments, stream);
  if (common % 4 == 0) return launch_unit<uint32_t>(arguments, stream);
  if (common % 2 == 0) return launch_unit<uint16_t>(arguments, stream);
  return launch_unit<uint8_t>(arguments, stream);
}
