/* kernels/convolution/tile.cuh - what the convolution kernels share: a tile's pixels, its operands on their way into shared
 * memory, and what becomes of its sums.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_CONVOLUTION_TILE_CUH
#define MO_KERNELS_CONVOLUTION_TILE_CUH

#include "kernels/arch/launch.cuh"
#include "kernels/arch/memory.cuh"
#include "kernels/arch/numeric.cuh"
#include "kernels/common/activation.cuh"
#include "kernels/common/vector.cuh"
#include "kernels/convolution.h"

/* Output pixels and channels of a block. */
constexpr int kPixels = 64;
constexpr int kChannels = 64;

/* An output pixel: where its first tap lies in the input, and where its results go. */
struct Pixel {
  int64_t input, output, residual; /* of channel 0 */
  int32_t row, column;             /* of the first tap; may be outside */
};

__device__ __forceinline__ void find_pixel(const mo_convolution_args &args, int64_t index, Pixel *pixel) {
  const int64_t image = static_cast<int64_t>(args.out_height) * args.out_width;
  const int64_t batch = index / image;
  const int32_t place = static_cast<int32_t>(index - batch * image);
  const int32_t y = place / args.out_width, x = place - y * args.out_width;
  pixel->row = y * args.stride[0] - args.padding[0];
  pixel->column = x * args.stride[1] - args.padding[1];
  pixel->input =
      batch * args.input_strides.batch + pixel->row * args.input_strides.row + pixel->column * args.input_strides.pixel;
  pixel->output = batch * args.output_strides.batch + y * args.output_strides.row + x * args.output_strides.pixel;
  pixel->residual = batch * args.residual_strides.batch + y * args.residual_strides.row + x * args.residual_strides.pixel;
}

/* Where a thread is in the sum: tap (i, j), channel c of the group. Steps without a division. */
struct Place {
  int32_t i, j, c;
};

__device__ __forceinline__ void advance(const mo_convolution_args &args, int32_t by, Place *at) {
  at->c += by;
  while (at->c >= args.inner && at->i < args.kernel[0]) {
    at->c -= args.inner;
    if (++at->j == args.kernel[1]) {
      at->j = 0;
      ++at->i;
    }
  }
}

/* V elements into shared memory, or zeros. */
template <typename T, int V>
__device__ __forceinline__ void copy_in(T *to, const T *from, bool there) {
  if constexpr (V * sizeof(T) == 16) mo_async_copy16(to, from, there ? 16 : 0);
  else *to = there ? *from : mo_from_float<T>(0.0f);
}

/* One step of the sum, kStep of it, of both operands: rows of kRow elements, of which kStep are used. A thread has a fixed
 * place in all rows it copies. */
template <typename T, int V, int kThreads, int kStep, int kRow>
__device__ __forceinline__ void load_step(const mo_convolution_args &args, const Pixel *pixels, int64_t pixel_count,
                                          const T *input, const T *matrix, int64_t matrix_row, int32_t channel_count, int64_t k,
                                          const Place &at, T *input_tile, T *matrix_tile) {
  constexpr int kPerRow = kStep / V;
  constexpr int kRows = kThreads / kPerRow;
  const int column = static_cast<int>(threadIdx.x) % kPerRow * V, first = static_cast<int>(threadIdx.x) / kPerRow;
  const bool tap = at.i < args.kernel[0];
  const int32_t down = at.i * args.dilation[0], across = at.j * args.dilation[1];
  const int64_t offset = down * args.input_strides.row + across * args.input_strides.pixel + at.c * args.input_strides.channel;
#pragma unroll
  for (int n = 0; n < kPixels / kRows; ++n) {
    const int row = first + n * kRows;
    const Pixel &pixel = pixels[row];
    const int32_t y = pixel.row + down, x = pixel.column + across;
    const bool inside = tap && row < pixel_count && y >= 0 && y < args.height && x >= 0 && x < args.width;
    copy_in<T, V>(input_tile + row * kRow + column, inside ? input + pixel.input + offset : input, inside);
  }
#pragma unroll
  for (int n = 0; n < kChannels / kRows; ++n) {
    const int row = first + n * kRows;
    const bool inside = tap && row < channel_count;
    copy_in<T, V>(matrix_tile + row * kRow + column, inside ? matrix + row * matrix_row + k + column : matrix, inside);
  }
}

/* ---- What becomes of the sums ---- */

constexpr int kSumRow = kChannels + 1; /* one more: pixels that lie one below the other are in different banks */

template <typename T>
__device__ __forceinline__ float finished(const mo_convolution_args &args, float sum, int32_t channel, int64_t residual) {
  if (args.bias != nullptr) {
    sum += args.bias_dtype == MO_DTYPE_FLOAT32   ? static_cast<const float *>(args.bias)[channel]
           : args.bias_dtype == MO_DTYPE_FLOAT16 ? mo_to_float(static_cast<const mo_half *>(args.bias)[channel])
                                                 : mo_to_float(static_cast<const mo_bfloat16 *>(args.bias)[channel]);
  }
  const float added = args.residual != nullptr ? mo_to_float(static_cast<const T *>(args.residual)[residual]) : 0.0f;
  if (args.residual != nullptr && args.residual_first) sum += added;
  sum = mo_activate(sum, args.activation);
  return args.residual != nullptr && !args.residual_first ? sum + added : sum;
}

/* Sums (pixel, channel) in shared memory to the output. Threads next to one another write what lies next to one another:
 * channels where those are innermost (V of them each), else pixels. */
template <typename T, int V, int kThreads>
__device__ __forceinline__ void store_sums(const mo_convolution_args &args, const Pixel *pixels, int32_t pixel_count,
                                           const float *sums, int32_t first_channel, int32_t channel_count) {
  T *const output = static_cast<T *>(args.output);
  if (args.output_strides.channel == 1) {
    for (int item = static_cast<int>(threadIdx.x); item < kPixels * kChannels / V; item += kThreads) {
      const int row = item / (kChannels / V), column = item % (kChannels / V) * V;
      if (row >= pixel_count || column >= channel_count) continue;
      float values[V];
#pragma unroll
      for (int i = 0; i < V; ++i) {
        const int32_t channel = first_channel + column + i;
        values[i] = finished<T>(args, sums[row * kSumRow + column + i], channel,
                                pixels[row].residual + channel * args.residual_strides.channel);
      }
      mo_store_vector(output + pixels[row].output + first_channel + column, values);
    }
    return;
  }
  for (int item = static_cast<int>(threadIdx.x); item < kPixels * kChannels; item += kThreads) {
    const int row = item % kPixels, column = item / kPixels;
    if (row >= pixel_count || column >= channel_count) continue;
    const int32_t channel = first_channel + column;
    const float value = finished<T>(args, sums[row * kSumRow + column], channel,
                                    pixels[row].residual + channel * args.residual_strides.channel);
    output[pixels[row].output + channel * args.output_strides.channel] = mo_from_float<T>(value);
  }
}

#endif
