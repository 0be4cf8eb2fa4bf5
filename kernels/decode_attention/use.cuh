/* kernels/decode_attention/use.cuh - what is done with the kernel that a call of decode attention chooses: it is launched, or
 * asked how many of its blocks a multiprocessor holds. Both go through one choice, so the plan is about what is launched.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_DECODE_ATTENTION_USE_CUH
#define MO_KERNELS_DECODE_ATTENTION_USE_CUH

#include "kernels/arch/launch.cuh"
#include "kernels/decode_attention.h"

using mo_decode_kernel = void (*)(mo_decode_kernel_args);

constexpr int mo_decode_threads = 128;

struct mo_decode_launch {
  const mo_decode_kernel_args &args;
  cudaStream_t stream;

  cudaError_t operator()(const char *name, mo_decode_kernel kernel) const {
    const dim3 grid(static_cast<unsigned>(args.batch * args.key_value_heads * args.row_tiles * args.part_count));
    return mo_launch(name, kernel, grid, dim3(mo_decode_threads), args.shared_bytes, stream, args);
  }
};

struct mo_decode_count {
  const mo_decode_kernel_args &args;
  int *blocks;

  cudaError_t operator()(const char *, mo_decode_kernel kernel) const {
    return mo_blocks_per_multiprocessor(reinterpret_cast<const void *>(kernel), mo_decode_threads, args.shared_bytes, blocks);
  }
};

#define MO_DECODE_USE(use, kernel) (use)(#kernel, kernel)

#endif
