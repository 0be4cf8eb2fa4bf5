/* kernels/common/scan.cuh - prefix sums over the threads of a block.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_COMMON_SCAN_CUH
#define MO_KERNELS_COMMON_SCAN_CUH

#include <cstdint>

#include "kernels/common/reduce.cuh"

using mo_count = unsigned long long; /* what shuffles take; two counts below 2^32 fit into one */

/* The sum over the threads in front of this one, in order of threadIdx.x; `total` gets the sum over all. `slots` is shared
 * memory, one count per warp. Every thread of the one-dimensional block (whole warps) must call. */
__device__ __forceinline__ mo_count mo_scan_block(mo_count value, mo_count *slots, mo_count *total) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int warps = static_cast<int>(blockDim.x) / 32;
  mo_count inclusive = value;
#pragma unroll
  for (int offset = 1; offset < 32; offset *= 2) {
    const mo_count below = __shfl_up_sync(mo_full_warp, inclusive, static_cast<unsigned>(offset));
    if (lane >= offset) inclusive += below;
  }
  __syncthreads(); /* the slots may still be read from the scan before */
  if (lane == 31) slots[warp] = inclusive;
  __syncthreads();
  mo_count before = 0, all = 0;
  for (int w = 0; w < warps; ++w) {
    const mo_count count = slots[w];
    if (w < warp) before += count;
    all += count;
  }
  *total = all;
  return before + inclusive - value;
}

#endif
