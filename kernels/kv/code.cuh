/* kernels/kv/code.cuh - what a byte of quantised storage stands for, before its scale (host/rules/kv_quantise.h has the rules).
 *
 * Branch-free, so that several of them are one burst of arithmetic; the same values as mo_kv_from_e4m3 and a conversion from
 * int8 give.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_KV_CODE_CUH
#define MO_KERNELS_KV_CODE_CUH

#include <cstdint>

#include <cuda_runtime.h>

#include "modelout/dtype.h"

struct mo_int8_code {
  uint8_t bits;
};
struct mo_e4m3_code {
  uint8_t bits;
};

/* An integer in the low bits of 2^23 is itself plus 2^23: one subtraction instead of a conversion. */
__device__ __forceinline__ float mo_kv_value(mo_int8_code x) {
  return __fadd_rn(__uint_as_float(0x4B000000u | (x.bits ^ 0x80u)), -8388736.0f);
}
/* Exponent and fraction in their places are 2^-120 of the value, also where it is subnormal. */
__device__ __forceinline__ float mo_kv_value(mo_e4m3_code x) {
  const uint32_t magnitude = x.bits & 0x7Fu, sign = static_cast<uint32_t>(x.bits & 0x80u) << 24;
  const float value = __fmul_rn(__uint_as_float(sign | magnitude << 20), 0x1p120f);
  return magnitude == 0x7Fu ? __uint_as_float(sign | 0x7FC00000u) : value;
}
__device__ __forceinline__ float mo_kv_value(uint8_t bits, bool is_int8) {
  return is_int8 ? mo_kv_value(mo_int8_code{bits}) : mo_kv_value(mo_e4m3_code{bits});
}

#endif
