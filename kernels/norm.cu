/* kernels/norm.cu - layer norm and RMS norm with bias and residual in front, one pass over memory.
 *
 *   sum = input + input_bias + residual;  output = (sum - mean) * rsqrt(var + epsilon) * weight + bias
 *
 * Bytes: input, residual and weights read once, output and sum written once: (2R + 2W) N C e at most.
 *
 * Shape of parallelism: one row belongs to 32..512 threads, several short rows share a block, rows of at most 32 vectors a
 * warp. Each thread keeps its part of the row in registers (at most mo_row_max_vectors vectors of 16 bytes, all loads under way
 * before the first is used), so that mean and variance are taken from the unrounded sum in two passes over registers, which is
 * as exact as two passes over memory and costs none. Rows too long for the registers of 512 threads (over 16384 float32 or
 * 32768 16-bit elements) are read again for each pass; the second and third reads mostly hit L2. 1024 threads were tried: their
 * 64 registers each spill on sm_90a and newer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/norm.h"

#include "kernels/arch/launch.cuh"
#include "kernels/common/dtype.cuh"
#include "kernels/common/row_plan.cuh"
#include "kernels/common/vector.cuh"

namespace {

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
  constexpr int kBatch = Vectors < mo_row_in_flight ? Vectors : mo_row_in_flight;
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
__global__ void __launch_bounds__(mo_row_max_threads, 1) norm_kernel(mo_norm_kernel_args args) {
  const mo_row_team team = mo_row_team_of_thread();
  const int64_t rows = args.shape.extents[0] * args.shape.extents[1] * args.shape.extents[2];
  const bool active = team.row < rows;
  const row_place place = place_of(args, active ? team.row : rows - 1);
  const float inverse_columns = 1.0f / static_cast<float>(args.columns);

  if constexpr (Vectors > 0) {
    const int step = team.threads * N, first = team.lane * N, end = active ? static_cast<int>(args.columns) : 0;
    float values[Vectors][N];
    load_sums<T, N, Vectors>(args, place, first, step, end, values);
    store_sums<T, N, Vectors>(args, place, first, step, end, values);
    const mo_row_moments of = mo_moments_of_values<N, Vectors>(team, values, end, inverse_columns, args.subtract_mean);
    store_normed<N, Vectors>(args, place, first, step, end, of.mean, 1.0f / sqrtf(of.variance + args.epsilon), values);
  } else {
    const int64_t step = static_cast<int64_t>(team.threads) * N, first = team.lane * N, end = active ? args.columns : 0;
    const auto load = [&](int64_t column, float(&values)[mo_row_in_flight][N]) {
      load_sums<T, N, mo_row_in_flight>(args, place, column, step, end, values);
    };
    const mo_row_moments of = mo_moments_of_reads<N>(team, end, inverse_columns, args.subtract_mean, load);
    const float scale = 1.0f / sqrtf(of.variance + args.epsilon);
    /* Only this pass writes, each column after its last read: sum and output may lie over input or residual. */
    for (int64_t column = first; column < end; column += mo_row_in_flight * step) {
      float values[mo_row_in_flight][N];
      load(column, values);
      store_sums<T, N, mo_row_in_flight>(args, place, column, step, end, values);
      store_normed<N, mo_row_in_flight>(args, place, column, step, end, of.mean, scale, values);
    }
  }
}

/* Short rows (row_plan.cuh), as those of single heads. */
template <typename T, int N>
__global__ void __launch_bounds__(mo_row_block_threads) short_norm_kernel(mo_norm_kernel_args args, int lanes) {
  constexpr int kWords = mo_word_count<T, N>;
  const mo_short_row_place own = mo_short_row_place_of<N>(lanes);
  const int column = own.column, columns = static_cast<int>(args.columns);
  const int64_t rows = args.shape.extents[0] * args.shape.extents[1] * args.shape.extents[2];
  const float inverse_columns = 1.0f / static_cast<float>(columns);

  uint32_t first[mo_short_rows][kWords] = {}, second[mo_short_rows][kWords] = {};
#pragma unroll
  for (int r = 0; r < mo_short_rows; ++r) {
    const int64_t row = own.first_row + r * own.apart;
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
  for (int r = 0; r < mo_short_rows; ++r) {
    const int64_t row = own.first_row + r * own.apart;
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
      mean = mo_reduce_lanes<mo_sum>(mo_add_values<N>(0.0f, values), lanes) * inverse_columns;
    }
    if (here) squares = mo_add_squares<N>(0.0f, values, mean);
    const float scale = 1.0f / sqrtf(mo_reduce_lanes<mo_sum>(squares, lanes) * inverse_columns + args.epsilon);
    if (here) {
      finish_vector<N>(args, mean, scale, weight, bias, values);
      mo_store_vector_as<N>(args.output, args.output_dtype, mo_plain_row_offset(args.shape, args.output_rows, row) + column,
                            values);
    }
  }
}

/* Whether every access of N elements is a multiple of 16 bytes at an address that is one. */
template <typename T>
bool can_use_vectors(const mo_norm_kernel_args &args) {
  constexpr int64_t elements = mo_vector_width<T>;
  const int64_t output_elements = args.output_dtype == MO_DTYPE_FLOAT32 ? 4 : 8;
  return args.columns % 8 == 0 && mo_is_aligned16(args.input) && mo_is_aligned16(args.output) && mo_is_aligned16(args.sum) &&
         mo_is_aligned16(args.residual) && mo_is_aligned16(args.input_bias) && mo_is_aligned16(args.weight) &&
         mo_is_aligned16(args.bias) && mo_rows_aligned(args.input_rows, elements) &&
         mo_rows_aligned(args.residual_rows, elements) && mo_rows_aligned(args.sum_rows, elements) &&
         mo_rows_aligned(args.output_rows, output_elements);
}

template <typename T, int N>
cudaError_t launch_width(const mo_norm_kernel_args &args, cudaStream_t stream) {
  const int64_t rows = mo_row_count(args.shape);
  const int64_t vectors = (args.columns + N - 1) / N;
  if constexpr (N > 1) {
    if (vectors <= mo_short_row_vectors) {
      const mo_short_row_plan plan = mo_plan_short_rows(rows, vectors);
      return MO_LAUNCH((short_norm_kernel<T, N>), plan.grid, plan.block, 0, stream, args, plan.lanes);
    }
  }
  const mo_row_plan plan = mo_plan_rows(rows, vectors);
  const int64_t per_thread = (vectors + plan.threads - 1) / plan.threads;
  if constexpr (N == 1) { /* rows of 32 vectors are short ones */
    if (per_thread <= 1) return MO_LAUNCH((norm_kernel<T, N, 1>), plan.grid, plan.block, plan.slot_bytes, stream, args);
  }
  if (per_thread <= 2) return MO_LAUNCH((norm_kernel<T, N, 2>), plan.grid, plan.block, plan.slot_bytes, stream, args);
  if (per_thread <= 4) return MO_LAUNCH((norm_kernel<T, N, 4>), plan.grid, plan.block, plan.slot_bytes, stream, args);
  if (per_thread <= mo_row_max_vectors)
    return MO_LAUNCH((norm_kernel<T, N, mo_row_max_vectors>), plan.grid, plan.block, plan.slot_bytes, stream, args);
  return MO_LAUNCH((norm_kernel<T, N, 0>), plan.grid, plan.block, plan.slot_bytes, stream, args);
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
  return mo_with_float_type(args.dtype, [&](auto zero) { return launch_type<decltype(zero)>(args, stream); });
}
