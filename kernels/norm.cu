/* kernels/norm.cu - layer norm and RMS norm with bias and residual in front, one pass over memory.
 *
 *   sum = input + input_bias + residual;  output = (sum - mean) * rsqrt(var + epsilon) * weight + bias
 *
 * Bytes: input, residual and weights read once, output and sum written once: (2R + 2W) N C e at most.
 *
 * Shape of parallelism: one row belongs to 32..512 threads, several short rows share a block. Each thread keeps its part of
 * the row in registers (at most kMaxVectors vectors of 16 bytes), so that mean and variance are taken from the unrounded sum in
 * two passes over registers, which is as exact as two passes over memory and costs none. Rows too long for the registers of
 * 512 threads (over 16384 float32 or 32768 16-bit elements) are read again for each pass; the second and third reads mostly
 * hit L2. 1024 threads were tried: their 64 registers each spill on sm_90a and newer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/norm.h"

#include "kernels/arch/launch.cuh"
#include "kernels/reduce.cuh"
#include "kernels/vector.cuh"

namespace {

constexpr int kMaxThreads = 512; /* of a row: up to 128 registers each, and launch bounds that say one block is enough, or ptxas
                                    saves some and spills */
constexpr int kThreadsPerBlock =
    128;                       /* short rows share a block up to this: enough blocks per multiprocessor, few idle lanes */
constexpr int kMaxVectors = 8; /* vectors of a row per thread: 64 values in registers at most */

/* One vector of the sum. */
template <typename T, int N>
__device__ __forceinline__ void load_sum(const mo_norm_kernel_args &args, int64_t input_row, int64_t residual_row,
                                         int64_t column, float (&values)[N]) {
  float other[N];
  mo_load_vector(static_cast<const T *>(args.input) + input_row + column, values);
  if (args.input_bias != nullptr) {
    mo_load_vector(static_cast<const T *>(args.input_bias) + column, other);
#pragma unroll
    for (int i = 0; i < N; ++i) values[i] += other[i];
  }
  if (args.residual != nullptr) {
    mo_load_vector(static_cast<const T *>(args.residual) + residual_row + column, other);
#pragma unroll
    for (int i = 0; i < N; ++i) values[i] += other[i];
  }
}

template <int N>
__device__ __forceinline__ void store_normed(const mo_norm_kernel_args &args, int64_t output_row, int64_t column, float mean,
                                             float scale, const float (&values)[N]) {
  float result[N], weight[N];
#pragma unroll
  for (int i = 0; i < N; ++i) result[i] = (values[i] - mean) * scale;
  if (args.weight != nullptr) {
    mo_load_vector_as<N>(args.weight, args.weight_dtype, column, weight);
#pragma unroll
    for (int i = 0; i < N; ++i) result[i] *= weight[i] + args.weight_offset;
  }
  if (args.bias != nullptr) {
    mo_load_vector_as<N>(args.bias, args.weight_dtype, column, weight);
#pragma unroll
    for (int i = 0; i < N; ++i) result[i] += weight[i];
  }
  mo_store_vector_as<N>(args.output, args.output_dtype, output_row + column, result);
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

  const int64_t input_row = mo_row_offset(args.shape, args.input_rows, row);
  const int64_t residual_row = mo_row_offset(args.shape, args.residual_rows, row);
  const int64_t output_row = mo_row_offset(args.shape, args.output_rows, row);
  const int64_t sum_row = mo_row_offset(args.shape, args.sum_rows, row);
  const int64_t step = static_cast<int64_t>(threads) * N;
  const float inverse_columns = 1.0f / static_cast<float>(args.columns);

  if constexpr (Vectors > 0) {
    float values[Vectors][N] = {};
    float total = 0.0f;
#pragma unroll
    for (int v = 0; v < Vectors; ++v) {
      const int64_t column = lane * N + v * step;
      if (column < args.columns && active) {
        load_sum<T, N>(args, input_row, residual_row, column, values[v]);
        if (args.sum != nullptr) mo_store_vector(static_cast<T *>(args.sum) + sum_row + column, values[v]);
#pragma unroll
        for (int i = 0; i < N; ++i) total += values[v][i];
      }
    }
    const float mean = args.subtract_mean ? mo_reduce_row<mo_sum>(total, lane, threads, slots) * inverse_columns : 0.0f;
    float squares = 0.0f;
#pragma unroll
    for (int v = 0; v < Vectors; ++v) {
      if (lane * N + v * step < args.columns) {
#pragma unroll
        for (int i = 0; i < N; ++i) squares += (values[v][i] - mean) * (values[v][i] - mean);
      }
    }
    const float variance = mo_reduce_row<mo_sum>(squares, lane, threads, slots) * inverse_columns;
    const float scale = 1.0f / sqrtf(variance + args.epsilon);
#pragma unroll
    for (int v = 0; v < Vectors; ++v) {
      const int64_t column = lane * N + v * step;
      if (column < args.columns && active) store_normed<N>(args, output_row, column, mean, scale, values[v]);
    }
  } else {
    float values[N];
    float total = 0.0f;
    /* Only the last pass writes, each column after its last read: sum and output may lie over input or residual. */
    for (int64_t column = lane * N; args.subtract_mean && column < args.columns; column += step) {
      load_sum<T, N>(args, input_row, residual_row, column, values);
#pragma unroll
      for (int i = 0; i < N; ++i) total += values[i];
    }
    const float mean = args.subtract_mean ? mo_reduce_row<mo_sum>(total, lane, threads, slots) * inverse_columns : 0.0f;
    float squares = 0.0f;
    for (int64_t column = lane * N; column < args.columns; column += step) {
      load_sum<T, N>(args, input_row, residual_row, column, values);
#pragma unroll
      for (int i = 0; i < N; ++i) squares += (values[i] - mean) * (values[i] - mean);
    }
    const float variance = mo_reduce_row<mo_sum>(squares, lane, threads, slots) * inverse_columns;
    const float scale = 1.0f / sqrtf(variance + args.epsilon);
    for (int64_t column = lane * N; active && column < args.columns; column += step) {
      load_sum<T, N>(args, input_row, residual_row, column, values);
      if (args.sum != nullptr) mo_store_vector(static_cast<T *>(args.sum) + sum_row + column, values);
      store_normed<N>(args, output_row, column, mean, scale, values);
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
  int threads = 32;
  while (threads < kMaxThreads && vectors > 2 * threads) threads *= 2; /* about two vectors a thread: loads in flight */
  const int per_thread = static_cast<int>((vectors + threads - 1) / threads);
  const int rows_per_block = threads < kThreadsPerBlock ? kThreadsPerBlock / threads : 1;
  const dim3 block(static_cast<unsigned>(threads), static_cast<unsigned>(rows_per_block));
  const dim3 grid(static_cast<unsigned>((rows + rows_per_block - 1) / rows_per_block));
  const size_t shared = static_cast<size_t>(rows_per_block) * (kMaxThreads / 32) * sizeof(float);
  if (per_thread <= 1) return MO_LAUNCH((norm_kernel<T, N, 1>), grid, block, shared, stream, args);
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

cudaError_t mo_launch_norm(const mo_norm_kernel_args *args, cudaStream_t stream) {
  if (mo_row_count(args->shape) == 0 || args->columns == 0) return cudaSuccess;
  switch (args->dtype) {
    case MO_DTYPE_FLOAT32:
      return launch_type<float>(*args, stream);
    case MO_DTYPE_FLOAT16:
      return launch_type<mo_half>(*args, stream);
    case MO_DTYPE_BFLOAT16:
      return launch_type<mo_bfloat16>(*args, stream);
    default:
      return cudaErrorInvalidValue; /* the front door lets these three through */
  }
}
