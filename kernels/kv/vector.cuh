/* kernels/kv/vector.cuh - heads on their way into a cache and out of it, one vector per lane, in registers alone: turned,
 * quantised, dequantised. The arithmetic is that of kv/head.cuh, so the bits are too.
 *
 * A head belongs to as many neighbouring lanes of a warp as it has vectors, rounded up to a power of two; lane `part` of them
 * holds vector `part`. A warp holds several heads at once where they are short. All functions here that shuffle are called by
 * whole warps, also by lanes that hold nothing.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_KV_VECTOR_CUH
#define MO_KERNELS_KV_VECTOR_CUH

#include "host/rules/kv_quantise.h"
#include "kernels/common/divide.cuh"
#include "kernels/common/turn.cuh"
#include "kernels/kv/code.cuh"
#include "kernels/kv/head.cuh"

/* Sixteen bytes as the floats they stand for, and back: four of float32, or eight of the 16-bit types. */
template <int N>
__device__ __forceinline__ void mo_kv_unpack(uint4 raw, mo_dtype_t dtype, float (&values)[N]) {
  const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
  if constexpr (N == 4) mo_unpack_words<float, N>(words, values);
  else if (dtype == MO_DTYPE_FLOAT16) mo_unpack_words<mo_half, N>(words, values);
  else mo_unpack_words<mo_bfloat16, N>(words, values);
}
template <int N>
__device__ __forceinline__ uint4 mo_kv_pack(const float (&values)[N], mo_dtype_t dtype) {
  uint32_t words[4];
  if constexpr (N == 4) mo_pack_words<float, N>(values, words);
  else if (dtype == MO_DTYPE_FLOAT16) mo_pack_words<mo_half, N>(values, words);
  else mo_pack_words<mo_bfloat16, N>(values, words);
  return make_uint4(words[0], words[1], words[2], words[3]);
}

/* Turns vector `part` of a head whose turn.pairs are whole vectors: `raw` as it was loaded, `values` what it stands for, which
 * are turned in place and not rounded. In halves the partners lie pairs / N lanes away; interleaved ones are in the same
 * vector. `turns`: this lane's head is turned at all. Returns whether the vector is. */
template <int N>
__device__ __forceinline__ bool mo_kv_turn_vector(const mo_kv_turn &turn, mo_dtype_t dtype, uint4 raw, bool turns,
                                                  int64_t position, int part, float (&values)[N]) {
  const bool known = position >= 0 && position < turn.position_count;
  const int64_t angles = (known ? position : 0) * turn.pairs;
  const float unknown = __uint_as_float(0x7FC00000u);
  if (turn.interleaved) {
    if (!turns || part * N >= 2 * turn.pairs) return false;
    float cosine[N / 2], sine[N / 2];
    mo_load_vector(turn.cosine + angles + part * (N / 2), cosine);
    mo_load_vector(turn.sine + angles + part * (N / 2), sine);
#pragma unroll
    for (int i = 0; i < N / 2; ++i) {
      mo_turn_pair(values[2 * i], values[2 * i + 1], known ? cosine[i] : unknown, known ? sine[i] : unknown);
    }
    return true;
  }
  const int half = turn.pairs / N, lane = static_cast<int>(threadIdx.x) % 32;
  const bool is_first = part < half;
  const int partner = (is_first ? lane + half : lane - half) & 31;
  const uint4 partners = make_uint4(__shfl_sync(mo_full_warp, raw.x, partner), __shfl_sync(mo_full_warp, raw.y, partner),
                                    __shfl_sync(mo_full_warp, raw.z, partner), __shfl_sync(mo_full_warp, raw.w, partner));
  if (!turns || part >= 2 * half) return false;
  float cosine[N], sine[N], others[N];
  const int64_t from = angles + (is_first ? part : part - half) * N;
  mo_load_vector(turn.cosine + from, cosine);
  mo_load_vector(turn.sine + from, sine);
  mo_kv_unpack(partners, dtype, others);
#pragma unroll
  for (int i = 0; i < N; ++i) {
    float x = is_first ? values[i] : others[i], y = is_first ? others[i] : values[i];
    mo_turn_pair(x, y, known ? cosine[i] : unknown, known ? sine[i] : unknown);
    values[i] = is_first ? x : y;
  }
  return true;
}

/* The scale of this vector's group, of which it is vector `place` of `count`; `most`: the largest such count of the launch. */
template <int N>
__device__ __forceinline__ float mo_kv_scale_vector(const float (&values)[N], mo_dtype_t stored, int place, int count,
                                                    int most) {
  float largest = 0.0f;
#pragma unroll
  for (int i = 0; i < N; ++i) largest = fmaxf(largest, fabsf(values[i]));
  /* To the group's first vector, then to all: right for counts that are no power of two, too. */
  for (int offset = 1; offset < most; offset *= 2) {
    const float other = __shfl_down_sync(mo_full_warp, largest, static_cast<unsigned>(offset));
    if (place + offset < count) largest = fmaxf(largest, other);
  }
  largest = __shfl_sync(mo_full_warp, largest, static_cast<int>(threadIdx.x) % 32 - place);
  return mo_kv_scale(largest, stored);
}

/* N codes in one access. */
template <int N>
__device__ __forceinline__ void mo_kv_store_codes(uint8_t *address, mo_dtype_t stored, const float (&values)[N], float scale) {
  const float reciprocal = mo_kv_reciprocal(scale);
  uint32_t words[N / 4] = {};
#pragma unroll
  for (int i = 0; i < N; ++i) {
    words[i / 4] |= static_cast<uint32_t>(mo_kv_code(values[i], scale, reciprocal, stored)) << 8 * (i % 4);
  }
  if constexpr (N == 8) *reinterpret_cast<uint2 *>(address) = make_uint2(words[0], words[1]);
  else *reinterpret_cast<uint32_t *>(address) = words[0];
}

template <int N>
__device__ __forceinline__ uint2 mo_kv_load_codes(const uint8_t *address) {
  if constexpr (N == 8) return *reinterpret_cast<const uint2 *>(address);
  else return make_uint2(*reinterpret_cast<const uint32_t *>(address), 0);
}

template <int N>
__device__ __forceinline__ uint4 mo_kv_dequantise(uint2 codes, mo_dtype_t stored, float scale, mo_dtype_t dtype) {
  float values[N];
#pragma unroll
  for (int i = 0; i < N; ++i) {
    const auto bits = static_cast<uint8_t>((i < 4 ? codes.x : codes.y) >> 8 * (i % 4));
    values[i] = __fmul_rn(mo_kv_value(bits, stored == MO_DTYPE_INT8), scale);
  }
  return mo_kv_pack(values, dtype);
}

#endif
