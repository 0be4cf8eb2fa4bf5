/* kernels/common/turn.cuh - the turn of one pair of a head, for all kernels that rotate: rotary embedding, cache update, and
 * decode attention, of which the last two promise the same bits.
 *
 * Whether a product and a sum become one instruction is the compiler's choice, and it chooses differently in two kernels. So it
 * is spelled out here, as it must be in all arithmetic that kernels share and whose bits are promised: fmaf where they are one,
 * __fmul_rn and __fadd_rn where they are two. scripts/check-contraction looks at the machine code.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_COMMON_TURN_CUH
#define MO_KERNELS_COMMON_TURN_CUH

#include <cmath>

#include <cuda_runtime.h>

__device__ __forceinline__ void mo_turn_pair(float &first, float &second, float cosine, float sine) {
  const float x = first, y = second;
  first = fmaf(x, cosine, -__fmul_rn(y, sine));
  second = fmaf(y, cosine, __fmul_rn(x, sine));
}

#endif
