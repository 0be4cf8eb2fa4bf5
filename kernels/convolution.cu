/* kernels/convolution.cu - convolution as a product whose left operand is never in memory.
 *
 *   D[p][o] = sum over taps (i, j) and channels c of X[p's place + (i, j)][c] W[o][i][j][c], then bias, residual, activation
 *
 * Shape of parallelism: a block owns 64 output pixels (of any lines and images) and 64 channels of a group. It goes along the
 * sum in steps, two of them in shared memory: while one is multiplied the next is on its way. A thread knows its tap and
 * channel and steps on without a division; positions outside of the image become zeros on the way (cp.async of no bytes).
 *
 * 16-bit numbers: 4 warps, each 32 x 32 of the tile in mma m16n8k16, 32 of the sum a step. Float32: 256 threads, 4 x 4 each, 16
 * of the sum a step. With channels innermost and a multiple of 16 bytes of them a group, operands come in pieces of 16 bytes;
 * otherwise one by one. Sums return through shared memory, so that stores are of 16 bytes, or along the pixels where those are
 * innermost.
 *
 * Depthwise: a block owns 64 channels and some pixels, the taps of its channels lie in shared memory, and a thread has up to 16
 * bytes of channels of a pixel.
 *
 * Bytes: the input once per 64 channels (from the second-level cache, as a rule), W once per 64 pixels likewise, the output
 * once.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/convolution.h"

#include "kernels/arch/mma.cuh"
#include "kernels/common/dtype.cuh"
#include "kernels/convolution/tile.cuh"

namespace {

/* Shared memory of a block: two steps of both operands, or all sums. */
template <typename T, int kRow>
struct Shared {
  Pixel pixels[kPixels];
  union {
    T steps[2][2][kPixels * kRow];
    float sums[kPixels * kSumRow];
  };
};

/* ---- The two ways to multiply a step ---- */

constexpr int kHalfThreads = 128;
constexpr int kHalfStep = 32;
constexpr int kHalfRow = kHalfStep + 8; /* 80 bytes: eight rows of ldmatrix meet all banks */

/* A warp's 32 x 32 of the tile. */
struct HalfSums {
  float values[2][4][4] = {};

  template <typename T>
  __device__ __forceinline__ void multiply(const T *input, const T *matrix) {
    const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    const int first_row = warp / 2 * 32, first_column = warp % 2 * 32;
#pragma unroll
    for (int k = 0; k < kHalfStep; k += 16) {
      uint32_t a[2][4], b[2][4];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        mo_load_matrix4<false>(a[i], input + (first_row + 16 * i + lane % 16) * kHalfRow + k + lane / 16 * 8);
        /* Rows 0..7 and 8..15 of the channels, each with k and k + 8. */
        mo_load_matrix4<false>(b[i],
                               matrix + (first_column + 16 * i + lane / 16 * 8 + lane % 8) * kHalfRow + k + lane / 8 % 2 * 8);
      }
#pragma unroll
      for (int i = 0; i < 2; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const uint32_t columns[2] = {b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]};
          mo_mma_m16n8k16<T>(values[i][j], a[i], columns);
        }
      }
    }
  }

  __device__ __forceinline__ void put(float *sums) const {
    const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    const int row = warp / 2 * 32 + lane / 4, column = warp % 2 * 32 + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
#pragma unroll
        for (int n = 0; n < 4; ++n) sums[(row + 16 * i + n / 2 * 8) * kSumRow + column + 8 * j + n % 2] = values[i][j][n];
      }
    }
  }
};

constexpr int kFloatThreads = 256;
constexpr int kFloatStep = 16;
constexpr int kFloatRow = kFloatStep + 4;
constexpr int kApart = 16;
constexpr int kPerThread = kPixels / kApart;

/* A thread's 4 x 4 of the tile, 16 apart. */
struct FloatSums {
  float values[kPerThread][kPerThread] = {};

  __device__ __forceinline__ void multiply(const float *input, const float *matrix) {
    const int down = static_cast<int>(threadIdx.x) / kApart, across = static_cast<int>(threadIdx.x) % kApart;
#pragma unroll
    for (int k = 0; k < kFloatStep; k += 4) {
      float rows[kPerThread][4], columns[kPerThread][4];
#pragma unroll
      for (int i = 0; i < kPerThread; ++i) {
        mo_load_vector(input + (down + i * kApart) * kFloatRow + k, rows[i]);
        mo_load_vector(matrix + (across + i * kApart) * kFloatRow + k, columns[i]);
      }
#pragma unroll
      for (int n = 0; n < 4; ++n) {
#pragma unroll
        for (int i = 0; i < kPerThread; ++i) {
#pragma unroll
          for (int j = 0; j < kPerThread; ++j) values[i][j] = fmaf(rows[i][n], columns[j][n], values[i][j]);
        }
      }
    }
  }

  __device__ __forceinline__ void put(float *sums) const {
    const int down = static_cast<int>(threadIdx.x) / kApart, across = static_cast<int>(threadIdx.x) % kApart;
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
#pragma unroll
      for (int j = 0; j < kPerThread; ++j) sums[(down + i * kApart) * kSumRow + across + j * kApart] = values[i][j];
    }
  }
};

/* ---- The kernel ---- */

/* T: of the operands; Out: of output and residual; V elements are copied at once, Vout stored. grid: (pixels, channel blocks of
 * all groups) */
template <typename T, typename Out, int V, int Vout, typename Sums, int kThreads, int kStep, int kRow>
__global__ void __launch_bounds__(kThreads)
    convolution_kernel(mo_convolution_args args, int64_t pixel_count, int32_t column_blocks) {
  Shared<T, kRow> &shared = *mo_shared_memory<Shared<T, kRow>>();
  const int32_t group = static_cast<int32_t>(blockIdx.y) / column_blocks;
  const int32_t first_channel = (static_cast<int32_t>(blockIdx.y) - group * column_blocks) * kChannels;
  const int32_t channel_count = min(kChannels, args.columns - first_channel);
  const int64_t first_pixel = static_cast<int64_t>(blockIdx.x) * kPixels;
  const int32_t pixels = static_cast<int32_t>(min(static_cast<int64_t>(kPixels), pixel_count - first_pixel));
  if (static_cast<int>(threadIdx.x) < pixels) find_pixel(args, first_pixel + threadIdx.x, &shared.pixels[threadIdx.x]);
  __syncthreads();

  const int64_t sum = static_cast<int64_t>(args.kernel[0]) * args.kernel[1] * args.inner;
  const T *const input =
      static_cast<const T *>(args.input) + static_cast<int64_t>(group) * args.inner * args.input_strides.channel;
  const T *const matrix = static_cast<const T *>(args.matrix) + (group * args.group_rows + first_channel) * sum;
  Place at = {0, 0, 0};
  advance(args, static_cast<int>(threadIdx.x) % (kStep / V) * V, &at);
  Sums sums;
  if (sum > 0) {
    load_step<T, V, kThreads, kStep, kRow>(args, shared.pixels, pixels, input, matrix, sum, channel_count, 0, at,
                                           shared.steps[0][0], shared.steps[0][1]);
  }
  mo_async_commit();
  int stage = 0;
  for (int64_t k = 0; k < sum; k += kStep, stage ^= 1) {
    if (k + kStep < sum) {
      advance(args, kStep, &at);
      load_step<T, V, kThreads, kStep, kRow>(args, shared.pixels, pixels, input, matrix, sum, channel_count, k + kStep, at,
                                             shared.steps[stage ^ 1][0], shared.steps[stage ^ 1][1]);
    }
    mo_async_commit();
    mo_async_wait<1>();
    __syncthreads();
    sums.multiply(shared.steps[stage][0], shared.steps[stage][1]);
    __syncthreads();
  }
  mo_async_wait<0>();
  sums.put(shared.sums);
  __syncthreads();
  store_sums<Out, Vout, kThreads>(args, shared.pixels, pixels, shared.sums, group * args.columns + first_channel,
                                  channel_count);
}

template <typename T, typename Out, int V, int Vout>
cudaError_t launch_dense(const mo_convolution_args &args, int64_t pixels, cudaStream_t stream) {
  const int32_t blocks = (args.columns + kChannels - 1) / kChannels;
  const dim3 grid(static_cast<unsigned>((pixels + kPixels - 1) / kPixels), static_cast<unsigned>(blocks) * args.groups);
  if constexpr (sizeof(T) == 4) {
    return MO_LAUNCH((convolution_kernel<T, Out, V, Vout, FloatSums, kFloatThreads, kFloatStep, kFloatRow>), grid,
                     dim3(kFloatThreads), sizeof(Shared<T, kFloatRow>), stream, args, pixels, blocks);
  } else {
    return MO_LAUNCH((convolution_kernel<T, Out, V, Vout, HalfSums, kHalfThreads, kHalfStep, kHalfRow>), grid,
                     dim3(kHalfThreads), sizeof(Shared<T, kHalfRow>), stream, args, pixels, blocks);
  }
}

/* ---- Depthwise ---- */

constexpr int kDepthThreads = 256;
constexpr int kDepthChannels = 64;
constexpr int kDepthPixels = 64;
constexpr int kMostTaps = 128; /* of which 64 channels fit into shared memory */

/* grid: (blocks of pixels, blocks of 64 output channels) */
template <typename T, typename Out, int V>
__global__ void __launch_bounds__(kDepthThreads) depthwise_kernel(mo_convolution_args args, int64_t pixel_count) {
  float *const weights = mo_shared_memory<float>(); /* (taps, 64) */
  const int32_t taps = args.kernel[0] * args.kernel[1], all = args.columns * args.groups;
  const int32_t first_channel = static_cast<int32_t>(blockIdx.y) * kDepthChannels;
  const bool staged = taps <= kMostTaps;
  if (staged) {
    for (int item = static_cast<int>(threadIdx.x); item < taps * kDepthChannels; item += kDepthThreads) {
      const int channel = item / taps, tap = item - channel * taps;
      if (first_channel + channel >= all) break;
      weights[tap * kDepthChannels + channel] =
          mo_to_float(static_cast<const T *>(args.matrix)[static_cast<int64_t>(first_channel) * taps + item]);
    }
    __syncthreads();
  }
  constexpr int kVectors = kDepthChannels / V;
  for (int item = static_cast<int>(threadIdx.x); item < kDepthPixels * kVectors; item += kDepthThreads) {
    const int64_t index = static_cast<int64_t>(blockIdx.x) * kDepthPixels + item / kVectors;
    const int32_t place = item % kVectors * V, channel = first_channel + place;
    if (index >= pixel_count || channel >= all) continue;
    Pixel pixel;
    find_pixel(args, index, &pixel);
    float sums[V] = {};
    const int64_t channel_place = channel / args.columns * args.input_strides.channel;
    for (int32_t i = 0, tap = 0; i < args.kernel[0]; ++i) {
      for (int32_t j = 0; j < args.kernel[1]; ++j, ++tap) {
        const int32_t y = pixel.row + i * args.dilation[0], x = pixel.column + j * args.dilation[1];
        if (y < 0 || y >= args.height || x < 0 || x >= args.width) continue;
        const T *const from = static_cast<const T *>(args.input) + pixel.input + i * args.dilation[0] * args.input_strides.row +
                              j * args.dilation[1] * args.input_strides.pixel + channel_place;
        float values[V];
        mo_load_vector(from, values);
#pragma unroll
        for (int v = 0; v < V; ++v) {
          const float weight =
              staged ? weights[tap * kDepthChannels + place + v]
                     : mo_to_float(static_cast<const T *>(args.matrix)[static_cast<int64_t>(channel + v) * taps + tap]);
          sums[v] = fmaf(values[v], weight, sums[v]);
        }
      }
    }
    Out *const to = static_cast<Out *>(args.output) + pixel.output + channel * args.output_strides.channel;
#pragma unroll
    for (int v = 0; v < V; ++v)
      sums[v] = finished<Out>(args, sums[v], channel + v, pixel.residual + (channel + v) * args.residual_strides.channel);
    mo_store_vector(to, sums);
  }
}

template <typename T, typename Out, int V>
cudaError_t launch_depthwise(const mo_convolution_args &args, int64_t pixels, cudaStream_t stream) {
  const int64_t channels = static_cast<int64_t>(args.columns) * args.groups;
  const dim3 grid(static_cast<unsigned>((pixels + kDepthPixels - 1) / kDepthPixels),
                  static_cast<unsigned>((channels + kDepthChannels - 1) / kDepthChannels));
  const int taps = args.kernel[0] * args.kernel[1];
  const size_t shared = taps <= kMostTaps ? static_cast<size_t>(taps) * kDepthChannels * sizeof(float) : 0;
  return MO_LAUNCH((depthwise_kernel<T, Out, V>), grid, dim3(kDepthThreads), shared, stream, args, pixels);
}

/* ---- Choice ---- */

bool is_aligned(const mo_image_strides &strides, const void *data, int64_t elements) {
  return strides.channel == 1 && strides.batch % elements == 0 && strides.row % elements == 0 &&
         strides.pixel % elements == 0 && mo_is_aligned16(data);
}

template <typename T, typename Out>
cudaError_t launch_types(const mo_convolution_args &args, cudaStream_t stream) {
  constexpr int kIn = mo_vector_width<T>, kOut = mo_vector_width<Out>;
  const int64_t pixels = args.batch * args.out_height * args.out_width;
  const int64_t channels = static_cast<int64_t>(args.columns) * args.groups;
  const bool wide_input = is_aligned(args.input_strides, args.input, kIn);
  const bool wide_output = is_aligned(args.output_strides, args.output, kOut);
  if (args.groups > 1 && args.inner == 1) {
    if constexpr (kIn == kOut) {
      if (args.columns == 1 && wide_input && wide_output && channels % kIn == 0)
        return launch_depthwise<T, Out, kIn>(args, pixels, stream);
    }
    return launch_depthwise<T, Out, 1>(args, pixels, stream);
  }
  const bool vectors = wide_input && args.inner % kIn == 0 && mo_is_aligned16(args.matrix);
  const bool stores = wide_output && args.columns % kOut == 0;
  if (vectors)
    return stores ? launch_dense<T, Out, kIn, kOut>(args, pixels, stream) : launch_dense<T, Out, kIn, 1>(args, pixels, stream);
  return stores ? launch_dense<T, Out, 1, kOut>(args, pixels, stream) : launch_dense<T, Out, 1, 1>(args, pixels, stream);
}

}  // namespace

cudaError_t mo_launch_convolution(const mo_convolution_args *args, cudaStream_t stream) {
  return mo_with_float_type(args->dtype, [&](auto zero) {
    using T = decltype(zero);
    if (args->output_dtype == MO_DTYPE_FLOAT32) return launch_types<T, float>(*args, stream);
    if constexpr (sizeof(T) == 2) return launch_types<T, T>(*args, stream);
    return cudaErrorInvalidValue;
  });
}
