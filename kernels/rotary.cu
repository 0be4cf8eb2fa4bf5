/* kernels/rotary.cu - rotary embedding of queries and keys in one launch.
 *
 * Bytes: every head is read and written once; the tables' row of a token serves all its heads and comes from L1.
 *
 * Shape of parallelism: a block has one token and up to kThreads units of its heads. A unit is a vector of the first half of
 * the turning elements and its partner in the second half (or, interleaved, one vector of pairs), 16 bytes each where size,
 * strides and addresses allow; the elements behind those that turn are copied by units of their own. A unit reads all it needs
 * before it writes, so the output may be the input.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/rotary.h"

#include "kernels/arch/launch.cuh"
#include "kernels/common/dtype.cuh"
#include "kernels/common/turn.cuh"
#include "kernels/common/vector.cuh"

namespace {

constexpr int kThreads = 128;

/* A position outside the tables: nothing is read there, and what turns becomes NaN. */
template <int N>
__device__ __forceinline__ void load_angles(const mo_rotary_kernel_args &args, int64_t position, int pair, float (&cosine)[N],
                                            float (&sine)[N]) {
  if (position < 0 || position >= args.position_count) {
#pragma unroll
    for (int i = 0; i < N; ++i) cosine[i] = sine[i] = __uint_as_float(0x7FC00000u);
    return;
  }
  const int64_t at = position * args.pairs + pair;
  if constexpr (N % 4 == 0) { /* of which `at` is a multiple */
    if ((reinterpret_cast<uintptr_t>(args.cosine) | reinterpret_cast<uintptr_t>(args.sine)) % 16 == 0) {
      mo_load_vector(args.cosine + at, cosine);
      mo_load_vector(args.sine + at, sine);
      return;
    }
  }
#pragma unroll
  for (int i = 0; i < N; ++i) {
    cosine[i] = args.cosine[at + i];
    sine[i] = args.sine[at + i];
  }
}

template <typename T, int N>
__device__ __forceinline__ void turn_halves(const mo_rotary_kernel_args &args, int64_t position, const T *input, T *output,
                                            int first) {
  float low[N], high[N], cosine[N], sine[N];
  mo_load_vector(input + first, low);
  mo_load_vector(input + args.pairs + first, high);
  load_angles(args, position, first, cosine, sine);
#pragma unroll
  for (int i = 0; i < N; ++i) mo_turn_pair(low[i], high[i], cosine[i], sine[i]);
  mo_store_vector(output + first, low);
  mo_store_vector(output + args.pairs + first, high);
}

template <typename T, int N>
__device__ __forceinline__ void turn_neighbours(const mo_rotary_kernel_args &args, int64_t position, const T *input, T *output,
                                                int first) {
  float values[N], cosine[N / 2], sine[N / 2];
  mo_load_vector(input + first, values);
  load_angles(args, position, first / 2, cosine, sine);
#pragma unroll
  for (int i = 0; i < N / 2; ++i) mo_turn_pair(values[2 * i], values[2 * i + 1], cosine[i], sine[i]);
  mo_store_vector(output + first, values);
}

/* grid: (tokens, blocks of units) */
template <typename T, int N, bool kInterleaved>
__global__ void __launch_bounds__(kThreads) rotary_kernel(mo_rotary_kernel_args args) {
  constexpr int kCopy = N == 2 ? 1 : N; /* pairs of single elements: what follows them may be odd in number */
  const int turning = kInterleaved ? 2 * args.pairs / N : args.pairs / N;
  const int per_head = turning + (args.head_size - 2 * args.pairs) / kCopy;
  const int unit = static_cast<int>(blockIdx.y) * kThreads + static_cast<int>(threadIdx.x);
  const int head = unit / per_head, part = unit - head * per_head;
  if (head >= args.sides[0].heads + args.sides[1].heads) return;
  const int64_t b = blockIdx.x / args.length, s = blockIdx.x - b * args.length;
  int64_t position = args.position_offset + s;
  if (args.position_ids != nullptr) {
    position =
        mo_load_index(args.position_ids, args.position_dtype, b * args.position_strides[0] + s * args.position_strides[1]);
  }
  const bool second = head >= args.sides[0].heads;
  const mo_rotary_side &side = args.sides[second ? 1 : 0];
  const int64_t h = second ? head - args.sides[0].heads : head;
  const T *input =
      static_cast<const T *>(side.input) + b * side.input_strides[0] + h * side.input_strides[1] + s * side.input_strides[2];
  T *output =
      static_cast<T *>(side.output) + b * side.output_strides[0] + h * side.output_strides[1] + s * side.output_strides[2];
  if (part >= turning) {
    const int at = 2 * args.pairs + (part - turning) * kCopy;
    float values[kCopy];
    mo_load_vector(input + at, values);
    mo_store_vector(output + at, values);
  } else if constexpr (kInterleaved) {
    turn_neighbours<T, N>(args, position, input, output, part * N);
  } else {
    turn_halves<T, N>(args, position, input, output, part * N);
  }
}

template <typename T, int N, bool kInterleaved>
cudaError_t launch(const mo_rotary_kernel_args &args, cudaStream_t stream) {
  constexpr int kCopy = N == 2 ? 1 : N;
  const int64_t turning = kInterleaved ? 2 * args.pairs / N : args.pairs / N;
  const int64_t per_head = turning + (args.head_size - 2 * args.pairs) / kCopy;
  const int64_t units = per_head * (args.sides[0].heads + args.sides[1].heads);
  const dim3 grid(static_cast<unsigned>(args.batch * args.length), static_cast<unsigned>((units + kThreads - 1) / kThreads));
  return MO_LAUNCH((rotary_kernel<T, N, kInterleaved>), grid, dim3(kThreads), 0, stream, args);
}

bool is_wide(const mo_rotary_side &side, int width) {
  if (side.heads == 0) return true;
  for (int i = 0; i < 3; ++i) {
    if (side.input_strides[i] % width != 0 || side.output_strides[i] % width != 0) return false;
  }
  return mo_is_aligned16(side.input) && mo_is_aligned16(side.output);
}

template <typename T>
cudaError_t launch_type(const mo_rotary_kernel_args &args, cudaStream_t stream) {
  constexpr int kWidth = mo_vector_width<T>;
  const bool fits = args.head_size % kWidth == 0 && (args.interleaved ? 2 * args.pairs : args.pairs) % kWidth == 0;
  const bool wide = fits && is_wide(args.sides[0], kWidth) && is_wide(args.sides[1], kWidth);
  if (args.interleaved) return wide ? launch<T, kWidth, true>(args, stream) : launch<T, 2, true>(args, stream);
  return wide ? launch<T, kWidth, false>(args, stream) : launch<T, 1, false>(args, stream);
}

}  // namespace

cudaError_t mo_launch_rotary(const mo_rotary_kernel_args *args, cudaStream_t stream) {
  if (args->batch == 0 || args->length == 0 || args->head_size == 0) return cudaSuccess;
  if (args->sides[0].heads + args->sides[1].heads == 0) return cudaSuccess;
  return mo_with_float_type(args->dtype, [&](auto zero) { return launch_type<decltype(zero)>(*args, stream); });
}
