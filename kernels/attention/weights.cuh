/* kernels/attention/weights.cuh - weights of one row on their way to the field.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ATTENTION_WEIGHTS_CUH
#define MO_KERNELS_ATTENTION_WEIGHTS_CUH

#include <type_traits>

#include "kernels/attention.h"
#include "kernels/common/vector.cuh"

/* Weights in shared memory, from a multiple of 16 bytes on, to be read four at a time: float by float, what neighbouring lanes
 * read lies four or eight floats apart, and as many lanes meet in one bank. For whole rows. Tried and lost on sm_80: with it,
 * attention_float.cu's two passes over heads of 256 columns take 253 registers, and decode attention's combination spills. */
struct mo_shared_weights {
  const float *first;

  __device__ __forceinline__ float operator()(int64_t i) const { return first[i]; }
  /* `N` neighbours from `i` on, which is a multiple of 4 if `aligned`. */
  template <int N>
  __device__ __forceinline__ void take(int64_t i, bool aligned, float (&values)[N]) const {
    if (!aligned) {
#pragma unroll
      for (int n = 0; n < N; ++n) values[n] = first[i + n];
      return;
    }
#pragma unroll
    for (int n = 0; n < N; n += 4) {
      const float4 four = *reinterpret_cast<const float4 *>(first + i + n);
      values[n] = four.x, values[n + 1] = four.y, values[n + 2] = four.z, values[n + 3] = four.w;
    }
  }
};

/* weight(i) for i below `count`, by all lanes of a warp: vectors of 16 bytes, neighbouring lanes next to each other, wherever
 * they fit. */
template <typename W, typename Weight>
__device__ __forceinline__ void mo_store_weights_of(W *out, int64_t count, Weight weight, int lane) {
  constexpr int width = mo_vector_width<W>;
  /* the part in front of the first multiple of 16 bytes, whole vectors, the rest */
  const int64_t misaligned = static_cast<int64_t>(reinterpret_cast<uintptr_t>(out) % 16 / sizeof(W));
  const int64_t wanted = misaligned == 0 ? 0 : width - misaligned;
  const int64_t head_count = wanted < count ? wanted : count;
  const int64_t vectors = (count - head_count) / width;
  if (lane < head_count) out[lane] = mo_from_float<W>(weight(lane));
  for (int64_t v = lane; v < vectors; v += 32) {
    float values[width];
    if constexpr (std::is_same_v<Weight, mo_shared_weights>) {
      weight.take(head_count + v * width, head_count == 0, values);
    } else {
#pragma unroll
      for (int i = 0; i < width; ++i) values[i] = weight(head_count + v * width + i);
    }
    mo_store_vector(out + head_count + v * width, values);
  }
  for (int64_t i = head_count + vectors * width + lane; i < count; i += 32) out[i] = mo_from_float<W>(weight(i));
}

template <typename W>
__device__ __forceinline__ void mo_store_weights(W *out, int64_t count, const float *weights, int lane) {
  mo_store_weights_of(
      out, count, [weights](int64_t i) { return weights[i]; }, lane);
}

template <typename Weight>
__device__ __forceinline__ void mo_store_weight_row_of(const mo_attention_kernel_args &args, int64_t index, int64_t count,
                                                       Weight weight, int lane) {
  if (args.weights_dtype == MO_DTYPE_FLOAT32) {
    mo_store_weights_of(static_cast<float *>(args.weights) + index, count, weight, lane);
  } else if (args.weights_dtype == MO_DTYPE_FLOAT16) {
    mo_store_weights_of(static_cast<mo_half *>(args.weights) + index, count, weight, lane);
  } else {
    mo_store_weights_of(static_cast<mo_bfloat16 *>(args.weights) + index, count, weight, lane);
  }
}

/* `count` weights from shared memory to the field, element `index` on. */
__device__ __forceinline__ void mo_store_weight_row(const mo_attention_kernel_args &args, int64_t index, int64_t count,
                                                    const float *weights, int lane) {
  mo_store_weight_row_of(
      args, index, count, [weights](int64_t i) { return weights[i]; }, lane);
}

/* The same weight `count` times; none where that is below 1. */
__device__ __forceinline__ void mo_fill_weight_row(const mo_attention_kernel_args &args, int64_t index, int64_t count,
                                                   float weight, int lane) {
  if (count > 0)
    mo_store_weight_row_of(
        args, index, count, [weight](int64_t) { return weight; }, lane);
}

#endif
