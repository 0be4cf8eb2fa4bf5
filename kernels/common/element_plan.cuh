/* kernels/common/element_plan.cuh - kernels that work element by element: a thread has vectors of neighbouring columns of a
 * row.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_COMMON_ELEMENT_PLAN_CUH
#define MO_KERNELS_COMMON_ELEMENT_PLAN_CUH

#include <cstdint>

#include <cuda_runtime.h>

/* block: (vectors of a row, rows), grid: (blocks of rows, blocks of vectors). Kernels step on by gridDim.y. */
struct mo_element_plan {
  dim3 grid, block;
};

/* `vectors`: of a row; `threads`: of a block, a power of two of 32 at least. */
inline mo_element_plan mo_plan_elements(int64_t rows, int64_t vectors, int threads) {
  int across = 32;
  while (across < threads && across < vectors) across *= 2;
  const int down = threads / across;
  const int64_t column_blocks = (vectors + across - 1) / across;
  return {dim3(static_cast<unsigned>((rows + down - 1) / down),
               static_cast<unsigned>(column_blocks < 65535 ? column_blocks : 65535)),
          dim3(static_cast<unsigned>(across), static_cast<unsigned>(down))};
}

#endif
