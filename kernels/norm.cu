/* kernels/norm.cu - layer norm and RMS norm with bias and residual in front, one pass over memory.
 *
 *   sum = input + input_bias + residual;  output = (sum - mean) * rsqrt(var + epsilon) * weight + bias
 *
 * Bytes: input, residual and weights read once, output and sum written once: (2R + 2W) N C e at most.
 *
 * Shape of parallelism: one row belongs to 32..512 threads, several short rows share a block, rows of at most 32 vectors a
 * warp. Each thread keeps its part of the row in registers (at most kMaxVectors vectors of 16 bytes, all loads under way before
 * the first is used), so that mean and variance are taken from the unrounded sum in two passes over registers, which is as
 * exact as two passes over memory and costs none. Rows too long for the registers of 512 threads (over 16384 float32 or 32768
 * 16-bit elements) are read again for each pass; the second and third reads mostly hit L2. 1024 threads were tried: their 64
 * registers each spill on sm_90a and newer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/norm.h"

#include "kernels/arch/launch.cuh"
#include "kernels/common/reduce.cuh"
#include "kernels/common/vector.cuh"

namespace {

constexpr int kMaxThreads = 512; /* of a row: up to 128 registers each, and launch bounds that say one block is enough, or ptxas
                                    saves some and spills */
constexpr int kThreadsPerBlock =
    128;                       /* short rows share a block up to this: enough blocks per multiprocessor, few idle lanes */
constexpr int kMaxVectors = 8; /* vectors of a row per thread: 64 values in registers at most */
constexpr int kShortRows = 4;  /* rows of at most 32 vectors that a thread has a vector of */
constexpr int kInFlight = 4;   /* vectors of each operand that a thread has under way */

/* Where the rows of one number begin in each tensor. */
struct row_place {
  int64_t input, residual, sum, output;
};

__device__ __forceinline__ row_place place_of(const mo_norm_kernel_args &args, int64_t row) {
  return {mo_plain_row_offset(args.shape, args.input_rows, row), mo_plain_row_offset(args.shape, args.residual_rows, row),
          mo_plain_row_offset(args.shape, args.sum_rows, row), mo_plain_row_offset(args.shape, args.output_rows, row)};
}

template <typename T, int N>
__device__ __forceinline__ void add_words(const uint32_t (&words)[mo_word_count<T, N>], float (&values)[N]) {
  float other[N];
  mo_unpack_words<T, N>(words, other);
#pragma unroll
  for (int i = 0; i < N; ++i) values[i] += other[i];
}

/* Vectors of the sum, at `column` and every `step` behind it as far as `end`; 0 past it. All loads of input and residual are
 * under way before the first is converted. */
template <typename T, int N, int Vectors, typename Index>
__device__ __forceinline__ void load_batch(const mo_norm_kernel_args &args, const row_place &place, Index column, Index step,
                                           Index end, float (*values)[N]) {
  constexpr int kWords = mo_word_count<T, N>;
  const T *input = static_cast<const T *>(args.input) + place.input;
  const T *residual = static_cast<const T *>(args.residual) + place.residual;
  const T *bias = static_cast<const T *>(args.input_bias);
  uint32_t first[Vectors][kWords] = {}, second[Vectors][kWords] = {};
#pragma unroll
  for (int v = 0; v < Vectors; ++v) {
    if (column + v * step < end) mo_load_words<T, N>(input + column + v * step, first[v]);
  }
  if (residual != nullptr) {
#pragma unroll
    for (int v = 0; v < Vectors; ++v) {
      if (column + v * step < end) mo_load_words<T, N>(residual + column + v * step, second[v]);
    }
  }
#pragma unroll
  for (int v = 0; v < Vectors; ++v) {
    mo_hold(first[v]);
    mo_unpack_words<T, N>(first[v], values[v]);
  }
  if (bias != nullptr) { /* out of a cache */
#pragma unroll
    for (int v = 0; v < Vectors; ++v) {
      if (column + v * step < end) mo_load_words<T, N>(bias + column + v * step, first[v]);
    }
#pragma unroll
    for (int v = 0; v < Vectors; ++v) add_words<T, N>(first[v], values[v]);
  }
  if (residual != nullptr) {
#pragma unroll
    for (int v = 0; v < Vectors; ++v) add_words<T, N>(second[v], values[v]);
  }
}

template <typename T, int N, int Vectors, typename Index>
__device__ __forceinline__ void load_sums(const mo_norm_kernel_args &args, const row_place &place, Index column, Index step,
                                          Index end, float (&values)[Vectors][N]) {
  constexpr int kBatch = Vectors < kInFlight ? Vectors : kInFlight;
#pragma unroll
  for (int v = 0; v < Vectors; v += kBatch) {
    load_batch<T, N, kBatch, Index>(args, place, column + v * step, step, end, values + v);
  }
}

template <typename T, int N, int Vectors, typename Index>
__device__ __forceinline__ void store_sums(const mo_norm_kernel_args &args, const row_place &place, Index column, Index step,
                                           Index end, const float (&values)[Vectors][N]) {
  if (args.sum == nullptr) return;
  T *sum = static_cast<T *>(args.sum) + place.sum;
#pragma unroll
  for (int v = 0; v < Vectors; ++v) {
    if (column + v * step < end) mo_store_vector_global(sum + column + v * step, values[v]);
  }
}

/* Values of the sum become those of the output. `weight` and `bias`: of the same columns, read where they are there. */
template <int N>
__device__ __forceinline__ void finish_vector(const mo_norm_kernel_args &args, float mean, float scale,
                                              const uint32_t (&weight)[N], const uint32_t (&bias)[N], float (&values)[N]) {
  float factor[N];
#pragma unroll
  for (int i = 0; i < N; ++i) values[i] = (values[i] - mean) * scale;
  if (args.weight != nullptr) {
    mo_unpack_words_as<N>(weight, args.weight_dtype, factor);
#pragma unroll
    for (int i = 0; i < N; ++i) values[i] *= factor[i] + args.weight_offset;
  }
  if (args.bias != nullptr) {
    mo_unpack_words_as<N>(bias, args.weight_dtype, factor);
#pragma unroll
    for (int i = 0; i < N; ++i) values[i] += factor[i];
  }
}

/* Weights and biases come from the caches; two vectors of each at a time, or one where registers are dear. */
template <int N, int Vectors, typename Index>
__device__ __forceinline__ void store_normed(const mo_norm_kernel_args &args, const row_place &place, Index column, Index step,
                                             Index end, float mean, float scale, float (&values)[Vectors][N]) {
  constexpr int kGroup = Vectors > 1 && Vectors * N <= 16 ? 2 : 1;
#pragma unroll
  for (int first = 0; first < Vectors; first += kGroup) {
    uint32_t weight[kGroup][N] = {}, bias[kGroup][N] = {};
#pragma unroll
    for (int g = 0; g < kGroup; ++g) {
      const Index at = column + (first + g) * step;
      if (at < end && args.weight != nullptr) mo_load_words_as<N>(args.weight, args.weight_dtype, at, weight[g]);
      if (at < end && args.bias != nullptr) mo_load_words_as<N>(args.bias, args.weight_dtype, at, bias[g]);
    }
#pragma unroll
    for (int g = 0; g < kGroup; ++g) {
      const Index at = column + (first + g) * step;
      if (at >= end) continue;
      finish_vector<N>(args, mean, scale, weight[g], bias[g], values[first + g]);
      mo_store_vector_as<N>(args.output, args.output_dtype, place.output + at, values[first + g]);
    }
  }
}

/* Vectors > 0: the thread's part of the row stays in that many vectors of registers. 0: the row is read again. */
template <typename T, int N, int Vectors>
__global__ void __launch_bounds__(kMaxThreads, 1) norm_kernel(mo_norm_kernel_args args) {
  const int threads = static_cast<int>(blockDim.x), lane = static_cast<int>(threadIdx.x);
  const int64_t rows = args.shape.extents[0] * args.shape.extents[1] * args.shape.extents[2];
  const int64_t wanted = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const int64_t row =
      wanted < rows ? wanted : rows - 1; /* surplus threads take part in the barriers, and neither load nor store */
  const bool active = wanted < rows;
  float *slots = mo_shared_memory<float>() + threadIdx.y * (kMaxThreads / 32);

  const row_place place = place_of(args, row);
  const float inverse_columns = 1.0f / static_cast<float>(args.columns);

  if constexpr (Vectors > 0) {
    const int step = threads * N, first = lane * N, end = active ? static_cast<int>(args.columns) : 0;
    float values[Vectors][N];
    load_sums<T, N, Vectors>(args, place, first, step, end, values);
    store_sums<T, N, Vectors>(args, place, first, step, end, values);
    float total = 0.0f;
#pragma unroll
    for (int v = 0; v < Vectors; ++v) {
#pragma unroll
      for (int i = 0; i < N; ++i) total += values[v][i]; /* 0 past the end */
    }
    const float mean = args.subtract_mean ? mo_reduce_row<mo_sum>(total, lane, threads, slots) * inverse_columns : 0.0f;
    float squares = 0.0f;
#pragma unroll
    for (int v = 0; v < Vectors; ++v) {
      if (first + v * step < end) {
#pragma unroll
        for (int i = 0; i < N; ++i) squares += (values[v][i] - mean) * (values[v][i] - mean);
      }
    }
    const float variance = mo_reduce_row<mo_sum>(squares, lane, threads, slots) * inverse_columns;
    store_normed<N, Vectors>(args, place, first, step, end, mean, 1.0f / sqrtf(variance + args.epsilon), values);
  } else {
    const int64_t step = static_cast<int64_t>(threads) * N, first = lane * N, end = active ? args.columns : 0;
    float values[kInFlight][N];
    float total = 0.0f;
    /* Only the last pass writes, each column after its last read: sum and output may lie over input or residual. */
    for (int64_t column = first; args.subtract_mean && column < end; column += kInFlight * step) {
      load_sums<T, N, kInFlight>(args, place, column, step, end, values);
#pragma unroll
      for (int v = 0; v < kInFlight; ++v) {
#pragma unroll
        for (int i = 0; i < N; ++i) total += values[v][i];
      }
    }
    const float mean = args.subtract_mean ? mo_reduce_row<mo_sum>(total, lane, threads, slots) * inverse_columns : 0.0f;
    float squares = 0.0f;
    for (int64_t column = first; column < end; column += kInFlight * step) {
      load_sums<T, N, kInFlight>(args, place, column, step, end, values);
#pragma unroll
      for (int v = 0; v < kInFlight; ++v) {
        if (column + v * step < end) {
#pragma unroll
          for (int i = 0; i < N; ++i) squares += (values[v][i] - mean) * (values[v][i] - mean);
        }
      }
    }
    const float variance = mo_reduce_row<mo_sum>(squares, lane, threads, slots) * inverse_columns;
    const float scale = 1.0f / sqrtf(variance + args.epsilon);
    for (int64_t column = first; column < end; column += kInFlight * step) {
      load_sums<T, N, kInFlight>(args, place, column, step, end, values);
      store_sums<T, N, kInFlight>(args, place, column, step, end, values);
      store_normed<N, kInFlight>(args, place, column, step, end, mean, scale, values);
    }
  }
}

/* Rows of at most 32 vectors, as those of single heads: `lanes` threads of a warp have a row and each has a vector of
 * kShortRows of them, so that no lane idles and as much is under way as with long rows. There is no barrier. */
template <typename T, int N>
__global__ void __launch_bounds__(kThreadsPerBlock) short_norm_kernel(mo_norm_kernel_args args, int lanes) {
  constexpr int kWords = mo_word_count<T, N>;
  const int lane = static_cast<int>(threadIdx.x) % 32, column = lane % lanes * N, columns = static_cast<int>(args.columns);
  const int64_t warp = static_cast<int64_t>(blockIdx.x) * (kThreadsPerBlock / 32) + static_cast<int>(threadIdx.x) / 32;
  const int apart = 32 / lanes; /* rows side by side in a warp */
  const int64_t first_row = warp * apart * kShortRows + lane / lanes;
  const int64_t rows = args.shape.extents[0] * args.shape.extents[1] * args.shape.extents[2];
  const float inverse_columns = 1.0f / static_cast<float>(columns);

  uint32_t first[kShortRows][kWords] = {}, second[kShortRows][kWords] = {};
#pragma unroll
  for (int r = 0; r < kShortRows; ++r) {
    const int64_t row = first_row + r * apart;
    if (row >= rows || column >= columns) continue;
    mo_load_words<T, N>(static_cast<const T *>(args.input) + mo_plain_row_offset(args.shape, args.input_rows, row) + column,
                        first[r]);
    if (args.residual == nullptr) continue;
    const int64_t at = mo_plain_row_offset(args.shape, args.residual_rows, row) + column;
    mo_load_words<T, N>(static_cast<const T *>(args.residual) + at, second[r]);
  }
  uint32_t other[kWords] = {};
  if (args.input_bias != nullptr && column < columns)
    mo_load_words<T, N>(static_cast<const T *>(args.input_bias) + column, other);
  uint32_t weight[N] = {}, bias[N] = {};
  if (args.weight != nullptr && column < columns) mo_load_words_as<N>(args.weight, args.weight_dtype, column, weight);
  if (args.bias != nullptr && column < columns) mo_load_words_as<N>(args.bias, args.weight_dtype, column, bias);

#pragma unroll
  for (int r = 0; r < kShortRows; ++r) {
    const int64_t row = first_row + r * apart;
    const bool here = row < rows && column < columns;
    float values[N];
    mo_hold(first[r]);
    mo_unpack_words<T, N>(first[r], values);
    if (here && args.input_bias != nullptr) add_words<T, N>(other, values);
    if (here && args.residual != nullptr) add_words<T, N>(second[r], values);
    if (here && args.sum != nullptr) {
      mo_store_vector_global(static_cast<T *>(args.sum) + mo_plain_row_offset(args.shape, args.sum_rows, row) + column, values);
    }
    float mean = 0.0f, squares = 0.0f;
    if (args.subtract_mean) {
#pragma unroll
      for (int i = 0; i < N; ++i) mean += values[i];
      mean = mo_reduce_lanes<mo_sum>(mean, lanes) * inverse_columns;
    }
    if (here) {
#pragma unroll
      for (int i = 0; i < N; ++i) squares += (values[i] - mean) * (values[i] - mean);
    }
    const float scale = 1.0f / sqrtf(mo_reduce_lanes<mo_sum>(squares, lanes) * inverse_columns + args.epsilon);
    if (here) {
      finish_vector<N>(args, mean, scale, weight, bias, values);
      mo_store_vector_as<N>(args.output, args.output_dtype, mo_plain_row_offset(args.shape, args.output_rows, row) + column,
                            values);
    }
  }
}

bool rows_aligned(const mo_row_strides &rows, size_t element) {
  return rows.strides[0] * element % 16 == 0 && rows.strides[1] * element % 16 == 0 && rows.strides[2] * element % 16 == 0;
}

/* Whether every access of N elements is a multiple of 16 bytes at an address that is one. */
template <typename T>
bool can_use_vectors(const mo_norm_kernel_args &args) {
  const size_t output_bytes = args.output_dtype == MO_DTYPE_FLOAT32 ? 4 : 2;
  return args.columns % 8 == 0 && mo_is_aligned16(args.input) && mo_is_aligned16(args.output) && mo_is_aligned16(args.sum) &&
         mo_is_aligned16(args.residual) && mo_is_aligned16(args.input_bias) && mo_is_aligned16(args.weight) &&
         mo_is_aligned16(args.bias) && rows_aligned(args.input_rows, sizeof(T)) &&
         rows_aligned(args.residual_rows, sizeof(T)) && rows_aligned(args.sum_rows, sizeof(T)) &&
         rows_aligned(args.output_rows, output_bytes);
}

template <typename T, int N>
cudaError_t launch_width(const mo_norm_kernel_args &args, cudaStream_t stream) {
  const int64_t rows = mo_row_count(args.shape);
  const int64_t vectors = (args.columns + N - 1) / N;
  if constexpr (N > 1) {
    if (vectors <= 32) {
      int lanes = 1;
      while (lanes < vectors) lanes *= 2;
      const int64_t in_block = kThreadsPerBlock / lanes * kShortRows;
      const dim3 grid(static_cast<unsigned>((rows + in_block - 1) / in_block));
      return MO_LAUNCH((short_norm_kernel<T, N>), grid, dim3(kThreadsPerBlock), 0, stream, args, lanes);
    }
  }
  int threads = 32;
  while (threads < kMaxThreads && vectors > 2 * threads) threads *= 2; /* about two vectors a thread: loads in flight */
  const int per_thread = static_cast<int>((vectors + threads - 1) / threads);
  const int rows_per_block = threads < kThreadsPerBlock ? kThreadsPerBlock / threads : 1;
  const dim3 block(static_cast<unsigned>(threads), static_cast<unsigned>(rows_per_block));
  const dim3 grid(static_cast<unsigned>((rows + rows_per_block - 1) / rows_per_block));
  const size_t shared = static_cast<size_t>(rows_per_block) * (kMaxThreads / 32) * sizeof(float);
  if constexpr (N == 1) { /* rows of 32 vectors are short ones */
    if (per_thread <= 1) return MO_LAUNCH((norm_kernel<T, N, 1>), grid, block, shared, stream, args);
  }
  if (per_thread <= 2) return MO_LAUNCH((norm_kernel<T, N, 2>), grid, block, shared, stream, args);
  if (per_thread <= 4) return MO_LAUNCH((norm_kernel<T, N, 4>), grid, block, shared, stream, args);
  if (per_thread <= kMaxVectors) return MO_LAUNCH((norm_kernel<T, N, kMaxVectors>), grid, block, shared, stream, args);
  return MO_LAUNCH((norm_kernel<T, N, 0>), grid, block, shared, stream, args);
}

template <typename T>
cudaError_t launch_type(const mo_norm_kernel_args &args, cudaStream_t stream) {
  if (can_use_vectors<T>(args)) return launch_width<T, mo_vector_width<T>>(args, stream);
  return launch_width<T, 1>(args, stream);
}

}  // namespace

cudaError_t mo_launch_norm(const mo_norm_kernel_args *given, cudaStream_t stream) {
  if (mo_row_count(given->shape) == 0 || given->columns == 0) return cudaSuccess;
  mo_norm_kernel_args args = *given;
  mo_row_strides *const rows[] = {&args.input_rows, &args.residual_rows, &args.sum_rows, &args.output_rows};
  mo_row_shape_merge(&args.shape, rows, 4);
  switch (args.dtype) {
    case MO_DTYPE_FLOAT32:
      return launch_type<float>(args, stream);
    case MO_DTYPE_FLOAT16:
      return launch_type<mo_half>(args, stream);
    case MO_DTYPE_BFLOAT16:
      return launch_type<mo_bfloat16>(args, stream);
    default:
      return cudaErrorInvalidValue; /* the front door lets these three through */
  }
}
