/* kernels/common/vector.cuh - N consecutive elements of a storage type as float32 registers and back, 16 bytes at a time.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_COMMON_VECTOR_CUH
#define MO_KERNELS_COMMON_VECTOR_CUH

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

/* ---- Words: loads first, conversion afterwards ----
 *
 * A kernel that has several vectors under way loads them all as words before it converts the first: a branch, a conversion or a
 * store in between makes the next load wait. */

template <typename T, int N>
constexpr int mo_word_count = N == 1 ? 1 : static_cast<int>(sizeof(T)) * N / 4;

/* N elements: one, or a multiple of 8 bytes at an address that is a multiple of 8, or of 16 where N is. */
template <typename T, int N>
__device__ __forceinline__ void mo_load_words(const T *address, uint32_t (&words)[mo_word_count<T, N>]) {
  static_assert(N == 1 || N * sizeof(T) % 8 == 0, "neither an element nor words of 8 bytes");
  if constexpr (N == 1) {
    if constexpr (sizeof(T) == 4) words[0] = __float_as_uint(*address);
    else words[0] = address->bits;
  } else if constexpr (N * sizeof(T) % 16 == 0) {
#pragma unroll
    for (int part = 0; part < N * static_cast<int>(sizeof(T)) / 16; ++part) {
      const uint4 raw = mo_load16(reinterpret_cast<const char *>(address) + 16 * part);
      words[4 * part] = raw.x, words[4 * part + 1] = raw.y, words[4 * part + 2] = raw.z, words[4 * part + 3] = raw.w;
    }
  } else {
    const uint2 raw = *reinterpret_cast<const uint2 *>(address);
    words[0] = raw.x, words[1] = raw.y;
  }
}

template <typename T, int N>
__device__ __forceinline__ void mo_unpack_words(const uint32_t (&words)[mo_word_count<T, N>], float (&values)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) {
    if constexpr (sizeof(T) == 4) values[i] = __uint_as_float(words[i]);
    else values[i] = mo_to_float(T{static_cast<uint16_t>(i % 2 == 0 ? words[i / 2] & 0xFFFFu : words[i / 2] >> 16)});
  }
}

template <typename T, int N>
__device__ __forceinline__ void mo_pack_words(const float (&values)[N], uint32_t (&words)[mo_word_count<T, N>]) {
#pragma unroll
  for (int w = 0; w < mo_word_count<T, N>; ++w) {
    if constexpr (sizeof(T) == 4) words[w] = __float_as_uint(values[w]);
    else if constexpr (N == 1) words[w] = mo_from_float<T>(values[w]).bits;
    else words[w] = mo_pack2<T>(values[2 * w], values[2 * w + 1]);
  }
}

/* To global memory; the address as for mo_load_words. */
template <typename T, int N>
__device__ __forceinline__ void mo_store_words_global(T *address, const uint32_t (&words)[mo_word_count<T, N>]) {
  static_assert(N == 1 || N * sizeof(T) % 8 == 0, "neither an element nor words of 8 bytes");
  if constexpr (N == 1) {
    if constexpr (sizeof(T) == 4) *address = __uint_as_float(words[0]);
    else *address = T{static_cast<uint16_t>(words[0])};
  } else if constexpr (N * sizeof(T) % 16 == 0) {
#pragma unroll
    for (int part = 0; part < N * static_cast<int>(sizeof(T)) / 16; ++part) {
      mo_store16_global(reinterpret_cast<char *>(address) + 16 * part,
                        make_uint4(words[4 * part], words[4 * part + 1], words[4 * part + 2], words[4 * part + 3]));
    }
  } else {
    mo_store8_global(address, make_uint2(words[0], words[1]));
  }
}

template <typename T, int N>
__device__ __forceinline__ void mo_store_vector_global(T *address, const float (&values)[N]) {
  uint32_t words[mo_word_count<T, N>];
  mo_pack_words<T, N>(values, words);
  mo_store_words_global<T, N>(address, words);
}

/* The same with the storage type known only at run time: branches that all threads of a kernel take alike. `index` counts
 * elements. Words hold what the widest type needs; one access serves both types of 16 bits. */
template <int N>
__device__ __forceinline__ void mo_load_words_as(const void *base, mo_dtype_t dtype, int64_t index, uint32_t (&words)[N]) {
  if (dtype == MO_DTYPE_FLOAT32) {
    mo_load_words<float, N>(static_cast<const float *>(base) + index, words);
  } else {
    uint32_t narrow[mo_word_count<mo_half, N>];
    mo_load_words<mo_half, N>(static_cast<const mo_half *>(base) + index, narrow);
#pragma unroll
    for (int w = 0; w < mo_word_count<mo_half, N>; ++w) words[w] = narrow[w];
  }
}

template <int N>
__device__ __forceinline__ void mo_unpack_words_as(const uint32_t (&words)[N], mo_dtype_t dtype, float (&values)[N]) {
  if (dtype == MO_DTYPE_FLOAT32) {
    mo_unpack_words<float, N>(words, values);
    return;
  }
  uint32_t narrow[mo_word_count<mo_half, N>];
#pragma unroll
  for (int w = 0; w < mo_word_count<mo_half, N>; ++w) narrow[w] = words[w];
  if (dtype == MO_DTYPE_FLOAT16) mo_unpack_words<mo_half, N>(narrow, values);
  else mo_unpack_words<mo_bfloat16, N>(narrow, values);
}

template <int N>
__device__ __forceinline__ void mo_load_vector_as(const void *base, mo_dtype_t dtype, int64_t index, float (&values)[N]) {
  uint32_t words[N];
  mo_load_words_as<N>(base, dtype, index, words);
  mo_unpack_words_as<N>(words, dtype, values);
}

/* To global memory. */
template <int N>
__device__ __forceinline__ void mo_store_vector_as(void *base, mo_dtype_t dtype, int64_t index, const float (&values)[N]) {
  if (dtype == MO_DTYPE_FLOAT32) {
    mo_store_vector_global(static_cast<float *>(base) + index, values);
    return;
  }
  uint32_t words[mo_word_count<mo_half, N>];
  if (dtype == MO_DTYPE_FLOAT16) mo_pack_words<mo_half, N>(values, words);
  else mo_pack_words<mo_bfloat16, N>(values, words);
  mo_store_words_global<mo_half, N>(static_cast<mo_half *>(base) + index, words);
}

__device__ __forceinline__ float mo_load_one(const void *base, mo_dtype_t dtype, int64_t index) {
  if (dtype == MO_DTYPE_FLOAT32) return static_cast<const float *>(base)[index];
  if (dtype == MO_DTYPE_FLOAT16) return mo_to_float(static_cast<const mo_half *>(base)[index]);
  return mo_to_float(static_cast<const mo_bfloat16 *>(base)[index]);
}

__device__ __forceinline__ void mo_store_one(void *base, mo_dtype_t dtype, int64_t index, float value) {
  if (dtype == MO_DTYPE_FLOAT32) static_cast<float *>(base)[index] = value;
  else if (dtype == MO_DTYPE_FLOAT16) static_cast<mo_half *>(base)[index] = mo_from_float<mo_half>(value);
  else static_cast<mo_bfloat16 *>(base)[index] = mo_from_float<mo_bfloat16>(value);
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
