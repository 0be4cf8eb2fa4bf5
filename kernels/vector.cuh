/* kernels/vector.cuh - N consecutive elements of a storage type as float32 registers and back, 16 bytes at a time.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_VECTOR_CUH
#define MO_KERNELS_VECTOR_CUH

#include "kernels/arch/memory.cuh"
#include "kernels/arch/numeric.cuh"
#include "modelout/dtype.h"

/* Elements of T in 16 bytes: the width every kernel aims at. */
template <typename T>
constexpr int mo_vector_width = 16 / static_cast<int>(sizeof(T));

/* Whether a launcher may let a kernel read or write vectors from this address on. NULL may. */
inline bool mo_is_aligned16(const void *address) { return reinterpret_cast<uintptr_t>(address) % 16 == 0; }

template <typename T, int N>
__device__ __forceinline__ void mo_load_vector(const T *address, float (&values)[N]) {
  if constexpr (N * sizeof(T) % 16 == 0) {
#pragma unroll
    for (int part = 0; part < N * static_cast<int>(sizeof(T)) / 16; ++part) {
      const uint4 raw = mo_load16(reinterpret_cast<const char *>(address) + 16 * part);
      const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if constexpr (sizeof(T) == 4) {
          values[4 * part + i] = __uint_as_float(words[i]);
        } else {
          values[8 * part + 2 * i] = mo_to_float(T{static_cast<uint16_t>(words[i] & 0xFFFFu)});
          values[8 * part + 2 * i + 1] = mo_to_float(T{static_cast<uint16_t>(words[i] >> 16)});
        }
      }
    }
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i) values[i] = mo_to_float(address[i]);
  }
}

template <typename T, int N>
__device__ __forceinline__ void mo_store_vector(T *address, const float (&values)[N]) {
  if constexpr (N * sizeof(T) % 16 == 0) {
#pragma unroll
    for (int part = 0; part < N * static_cast<int>(sizeof(T)) / 16; ++part) {
      uint32_t words[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if constexpr (sizeof(T) == 4) words[i] = __float_as_uint(values[4 * part + i]);
        else words[i] = mo_pack2<T>(values[8 * part + 2 * i], values[8 * part + 2 * i + 1]);
      }
      mo_store16(reinterpret_cast<char *>(address) + 16 * part, make_uint4(words[0], words[1], words[2], words[3]));
    }
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i) address[i] = mo_from_float<T>(values[i]);
  }
}

/* The same with the storage type known only at run time: one branch that all threads of a kernel take alike. `index` counts
 * elements. */
template <int N>
__device__ __forceinline__ void mo_load_vector_as(const void *base, mo_dtype_t dtype, int64_t index, float (&values)[N]) {
  if (dtype == MO_DTYPE_FLOAT32) mo_load_vector(static_cast<const float *>(base) + index, values);
  else if (dtype == MO_DTYPE_FLOAT16) mo_load_vector(static_cast<const mo_half *>(base) + index, values);
  else mo_load_vector(static_cast<const mo_bfloat16 *>(base) + index, values);
}

template <int N>
__device__ __forceinline__ void mo_store_vector_as(void *base, mo_dtype_t dtype, int64_t index, const float (&values)[N]) {
  if (dtype == MO_DTYPE_FLOAT32) mo_store_vector(static_cast<float *>(base) + index, values);
  else if (dtype == MO_DTYPE_FLOAT16) mo_store_vector(static_cast<mo_half *>(base) + index, values);
  else mo_store_vector(static_cast<mo_bfloat16 *>(base) + index, values);
}

__device__ __forceinline__ float mo_load_one(const void *base, mo_dtype_t dtype, int64_t index) {
  float value[1];
  mo_load_vector_as<1>(base, dtype, index, value);
  return value[0];
}

__device__ __forceinline__ void mo_store_one(void *base, mo_dtype_t dtype, int64_t index, float value) {
  const float values[1] = {value};
  mo_store_vector_as<1>(base, dtype, index, values);
}

/* An index of int32 or int64. */
__device__ __forceinline__ int64_t mo_load_index(const void *base, mo_dtype_t dtype, int64_t index) {
  return dtype == MO_DTYPE_INT64 ? static_cast<const int64_t *>(base)[index] : static_cast<const int32_t *>(base)[index];
}

/* Truth of a mask element: bool, uint8, int8, int32, int64. */
__device__ __forceinline__ bool mo_load_mask(const void *base, mo_dtype_t dtype, int64_t index) {
  if (dtype == MO_DTYPE_INT64) return static_cast<const int64_t *>(base)[index] != 0;
  if (dtype == MO_DTYPE_INT32) return static_cast<const int32_t *>(base)[index] != 0;
  return static_cast<const uint8_t *>(base)[index] != 0;
}

#endif
