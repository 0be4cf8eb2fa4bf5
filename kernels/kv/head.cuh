/* kernels/kv/head.cuh - one head of one token on its way into a cache, by one warp: turned, quantised, stored. For decode
 * attention, which has few of them per block, and for those of the cache update that kv/vector.cuh's whole vectors do not fit:
 * heads of any size at any address. Both take their arithmetic from here, and so give the same bits.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_KV_HEAD_CUH
#define MO_KERNELS_KV_HEAD_CUH

#include "host/rules/kv_quantise.h"
#include "kernels/common/reduce.cuh"
#include "kernels/common/turn.cuh"
#include "kernels/common/vector.cuh"
#include "kernels/kv/place.cuh"

/* `bytes` from one place to another by one warp: 16 at a time if both allow it. */
__device__ __forceinline__ void mo_kv_copy_bytes(char *destination, const char *source, int bytes, int lane) {
  const bool wide =
      (reinterpret_cast<uintptr_t>(destination) | reinterpret_cast<uintptr_t>(source) | static_cast<unsigned>(bytes)) % 16 == 0;
  if (wide) {
    for (int i = 16 * lane; i < bytes; i += 16 * 32) mo_store16(destination + i, mo_load16(source + i));
  } else {
    for (int i = lane; i < bytes; i += 32) destination[i] = source[i];
  }
}

__device__ __forceinline__ int mo_kv_element_bytes(mo_dtype_t dtype) {
  return dtype == MO_DTYPE_FLOAT32 ? 4 : dtype == MO_DTYPE_FLOAT16 || dtype == MO_DTYPE_BFLOAT16 ? 2 : 1;
}

__device__ __forceinline__ int64_t mo_kv_position(const mo_kv_turn &turn, int64_t row, int64_t token, int64_t slot) {
  if (turn.position_ids == nullptr) return slot;
  return mo_load_index(turn.position_ids, turn.position_dtype,
                       row * turn.position_strides[0] + token * turn.position_strides[1]);
}

__device__ __forceinline__ float mo_kv_scale(float largest, mo_dtype_t dtype) {
  return largest / (dtype == MO_DTYPE_INT8 ? MO_KV_INT8_LARGEST : MO_KV_E4M3_LARGEST);
}

__device__ __forceinline__ uint8_t mo_kv_code(float value, float scale, float reciprocal, mo_dtype_t dtype) {
  const float quotient = mo_kv_quotient_by(value, scale, reciprocal);
  return dtype == MO_DTYPE_INT8 ? static_cast<uint8_t>(mo_kv_to_int8(quotient)) : mo_kv_to_e4m3(quotient);
}

/* A position outside the tables makes what turns NaN. */
__device__ __forceinline__ void mo_kv_turn_head(const mo_kv_turn &turn, float *values, int64_t position, int lane) {
  for (int pair = lane; pair < turn.pairs; pair += 32) {
    const bool known = position >= 0 && position < turn.position_count;
    const float cosine = known ? turn.cosine[position * turn.pairs + pair] : __uint_as_float(0x7FC00000u);
    const float sine = known ? turn.sine[position * turn.pairs + pair] : cosine;
    const int first = turn.interleaved ? 2 * pair : pair, second = turn.interleaved ? 2 * pair + 1 : turn.pairs + pair;
    mo_turn_pair(values[first], values[second], cosine, sine);
  }
}

__device__ __forceinline__ void mo_kv_quantise(const float *values, const mo_kv_store &cache, mo_dtype_t dtype, uint8_t *stored,
                                               float *scales, int lane) {
  const int width = cache.groups == 0 ? 0 : cache.size / cache.groups;
  for (int group = 0; group < cache.groups; ++group) {
    const float *part = values + group * width;
    float largest = 0.0f;
    for (int i = lane; i < width; i += 32) largest = fmaxf(largest, fabsf(part[i]));
    largest = mo_reduce_warp<mo_max>(largest);
    const float scale = mo_kv_scale(largest, dtype), reciprocal = mo_kv_reciprocal(scale);
    if (lane == 0) scales[group] = scale;
    for (int i = lane; i < width; i += 32) stored[group * width + i] = mo_kv_code(part[i], scale, reciprocal, dtype);
  }
}

/* The head that begins at element `from` of `source` to its place. turn NULL: as it is. `values`: room for the head's floats in
 * shared memory, this warp's own; not used where nothing is turned or quantised. */
__device__ __forceinline__ void mo_kv_write_head(const void *source, mo_dtype_t source_dtype, int64_t from,
                                                 const mo_kv_store &cache, mo_dtype_t stored_dtype, const mo_kv_place &to,
                                                 int64_t head, const mo_kv_turn *turn, int64_t position, float *values,
                                                 int lane) {
  const int64_t at = mo_kv_offset(cache.stored, to.block, head, to.slot);
  const bool quantises = cache.scale.data != nullptr;
  if (turn == nullptr && !quantises) {
    const int element = mo_kv_element_bytes(source_dtype);
    mo_kv_copy_bytes(static_cast<char *>(cache.stored.data) + at * element, static_cast<const char *>(source) + from * element,
                     cache.size * element, lane);
    return;
  }
  __syncwarp(); /* nobody still reads the values of the head before */
  for (int i = lane; i < cache.size; i += 32) values[i] = mo_load_one(source, source_dtype, from + i);
  __syncwarp();
  if (turn != nullptr) {
    mo_kv_turn_head(*turn, values, position, lane);
    __syncwarp();
  }
  if (quantises) {
    const int64_t scale_at = mo_kv_offset(cache.scale, to.block, head, to.slot);
    mo_kv_quantise(values, cache, stored_dtype, static_cast<uint8_t *>(cache.stored.data) + at,
                   static_cast<float *>(cache.scale.data) + scale_at, lane);
    return;
  }
  for (int i = lane; i < cache.size; i += 32) mo_store_one(cache.stored.data, stored_dtype, at + i, values[i]);
}

#endif
