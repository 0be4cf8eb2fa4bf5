/* kernels/arch/numeric.cuh - storage types and their conversions. float16 and bfloat16 are 16-bit patterns; arithmetic is
 * float32.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ARCH_NUMERIC_CUH
#define MO_KERNELS_ARCH_NUMERIC_CUH

#include <cstdint>

#include <cuda_runtime.h>

#if defined(MO_SIMULATED_DEVICE)
#include "host/rules/float16.h"
#endif

struct mo_half {
  static constexpr bool is_bfloat16 = false;
  uint16_t bits;
};
struct mo_bfloat16 {
  static constexpr bool is_bfloat16 = true;
  uint16_t bits;
};

__device__ __forceinline__ float mo_to_float(float x) { return x; }

__device__ __forceinline__ float mo_to_float(mo_half x) {
#if defined(MO_SIMULATED_DEVICE)
  return mo_float_from_f16(x.bits);
#else
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x.bits));
  return result;
#endif
}

__device__ __forceinline__ float mo_to_float(mo_bfloat16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }

/* Two values rounded to nearest even and packed: `low` in the low half (the smaller address). */
template <typename T>
__device__ __forceinline__ uint32_t mo_pack2(float low, float high);

template <>
__device__ __forceinline__ uint32_t mo_pack2<mo_half>(float low, float high) {
#if defined(MO_SIMULATED_DEVICE)
  return static_cast<uint32_t>(mo_f16_from_float(low)) | static_cast<uint32_t>(mo_f16_from_float(high)) << 16;
#else
  uint32_t result;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
#endif
}

template <>
__device__ __forceinline__ uint32_t mo_pack2<mo_bfloat16>(float low, float high) {
#if defined(MO_SIMULATED_DEVICE)
  return static_cast<uint32_t>(mo_bf16_from_float(low)) | static_cast<uint32_t>(mo_bf16_from_float(high)) << 16;
#else
  uint32_t result;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
#endif
}

template <typename T>
__device__ __forceinline__ T mo_from_float(float x) {
  return T{static_cast<uint16_t>(mo_pack2<T>(x, 0.0f) & 0xFFFFu)};
}
template <>
__device__ __forceinline__ float mo_from_float<float>(float x) {
  return x;
}

/* 2^x, as the hardware approximates it: relative error 2^-22, 0 for -infinity. */
__device__ __forceinline__ float mo_exp2(float x) {
#if defined(MO_SIMULATED_DEVICE)
  return ::simulated::exp2_of(x);
#else
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
#endif
}

#endif
