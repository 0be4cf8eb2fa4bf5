/* kernels/common/reduce.cuh - sums and maxima over a warp or over the threads of one row, in an order that never changes.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_COMMON_REDUCE_CUH
#define MO_KERNELS_COMMON_REDUCE_CUH

#include <cuda_runtime.h>

constexpr unsigned mo_full_warp = 0xFFFFFFFFu;

struct mo_sum {
  static __device__ __forceinline__ float identity() { return 0.0f; }
  static __device__ __forceinline__ float combine(float a, float b) { return a + b; }
};

struct mo_max {
  static __device__ __forceinline__ float identity() { return -INFINITY; }
  static __device__ __forceinline__ float combine(float a, float b) { return fmaxf(a, b); }
};

/* Every lane gets the result. Width: lanes that belong together, a power of two up to 32. */
template <typename Operation, int Width = 32>
__device__ __forceinline__ float mo_reduce_warp(float value) {
#pragma unroll
  for (int offset = Width / 2; offset > 0; offset /= 2) {
    value = Operation::combine(value, __shfl_xor_sync(mo_full_warp, value, offset));
  }
  return value;
}

/* The same over `lanes` of them, a power of two known only at run time. */
template <typename Operation>
__device__ __forceinline__ float mo_reduce_lanes(float value, int lanes) {
  for (int offset = lanes / 2; offset > 0; offset /= 2) {
    value = Operation::combine(value, __shfl_xor_sync(mo_full_warp, value, offset));
  }
  return value;
}

/* Over the `threads` (a multiple of 32) threads of one row; `lane_of_row` is this thread's place among them. `slots` is shared
 * memory of this row alone, one float per warp. Every thread of the block must call; every thread gets its row's result. */
template <typename Operation>
__device__ __forceinline__ float mo_reduce_row(float value, int lane_of_row, int threads, float *slots) {
  value = mo_reduce_warp<Operation>(value);
  if (threads == 32) return value;
  __syncthreads(); /* the slots may still be read from the reduction before */
  if (lane_of_row % 32 == 0) slots[lane_of_row / 32] = value;
  __syncthreads();
  const int warps = threads / 32, lane = lane_of_row % 32;
  value = lane < warps ? slots[lane] : Operation::identity();
  return mo_reduce_warp<Operation>(value);
}

#endif
