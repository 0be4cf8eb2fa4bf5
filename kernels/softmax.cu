/* kernels/softmax.cu - scale, bias, mask, causality and softmax over rows, one read and one write of memory.
 *
 *   score = scale * input + bias, -infinity where mask, causality or a bias of -infinity hides the entry
 *   output = exp(score - max) / sum exp(score - max)
 *
 * Shapes: N rows of C columns. Bytes: N C (e_in + e_out), plus mask and bias as far as they are not broadcast; entries that
 * causality hides are not read.
 *
 * Shape of parallelism: one row belongs to 32..512 threads, short rows share a block, rows of at most 32 vectors a warp. Three
 * tiers by the length of the row: the scores stay in registers (32 a thread, 16384 columns; 4096 where rows are not aligned to
 * 16 bytes); then in shared memory as float32, each thread using its own columns only, so that no barrier is added (up to 58000
 * columns where a block may have 227 KiB); beyond that the row is read twice, maximum and sum together in the first pass.
 *
 * Traps: a maximum of -infinity must not be subtracted from -infinity; then 0 is, and the sum tells the two cases apart: 0 is a
 * row without a visible entry, which becomes uniform, NaN is a row with NaN or +infinity, which becomes NaN as far as causality
 * sees. Every thread writes only columns that it alone has read, so output may be input.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/softmax.h"

#include "kernels/arch/launch.cuh"
#include "kernels/common/divide.cuh"
#include "kernels/common/dtype.cuh"
#include "kernels/common/row_plan.cuh"
#include "kernels/common/vector.cuh"

namespace {

constexpr int kShared = -1, kReread = 0; /* tiers that are not a number of vectors */

/* Where one row lies, and how far causality lets it see. */
struct row_place {
  int64_t input, output, mask, bias, end;
};

/* A thread has few elements: divisions of 64-bit numbers would cost more than they do. */
struct row_divisors {
  mo_divisor inner, middle;
};

__device__ __forceinline__ row_place place_of(const mo_softmax_kernel_args &args, const row_divisors &by, uint32_t row) {
  uint32_t i1, i2;
  const int64_t i0 = mo_divide(mo_divide(row, by.inner, &i2), by.middle, &i1);
  const auto offset = [=](const mo_row_strides &rows) {
    return i0 * rows.strides[0] + i1 * rows.strides[1] + i2 * rows.strides[2];
  };
  row_place place = {offset(args.input_rows), offset(args.output_rows), 0, 0, args.columns};
  if (args.mask != nullptr) place.mask = offset(args.mask_rows);
  if (args.bias != nullptr) place.bias = offset(args.bias_rows);
  if (args.causal) {
    const int64_t reach = i2 + 1 + args.columns - args.shape.extents[2];
    place.end = reach < 0 ? 0 : reach < args.columns ? reach : args.columns;
  }
  return place;
}

/* Whether N columns' entries of the mask are N bytes at an address that is a multiple of N. */
template <int N>
__device__ __forceinline__ bool has_mask_words(const mo_softmax_kernel_args &args, const row_place &place) {
  if (args.mask_stride != 1 || args.mask_dtype == MO_DTYPE_INT64 || args.mask_dtype == MO_DTYPE_INT32) return false;
  return reinterpret_cast<uintptr_t>(static_cast<const uint8_t *>(args.mask) + place.mask) % N == 0;
}

template <int N>
__device__ __forceinline__ void hide_masked(const mo_softmax_kernel_args &args, const row_place &place, int64_t column,
                                            float (&scores)[N]) {
  if constexpr (N % 4 == 0) {
    if (has_mask_words<N>(args, place)) {
      const auto *address = reinterpret_cast<const uint32_t *>(static_cast<const uint8_t *>(args.mask) + place.mask + column);
      uint32_t words[N / 4];
      if constexpr (N == 8) {
        const uint2 both = *reinterpret_cast<const uint2 *>(address);
        words[0] = both.x, words[1] = both.y;
      } else {
        words[0] = *address;
      }
#pragma unroll
      for (int i = 0; i < N; ++i) {
        if ((words[i / 4] >> 8 * (i % 4) & 0xFFu) == 0) scores[i] = -INFINITY;
      }
      return;
    }
  }
#pragma unroll
  for (int i = 0; i < N; ++i) {
    if (!mo_load_mask(args.mask, args.mask_dtype, place.mask + (column + i) * args.mask_stride)) scores[i] = -INFINITY;
  }
}

/* What was loaded at `column` becomes scores. */
template <typename T, int N>
__device__ __forceinline__ void finish_scores(const mo_softmax_kernel_args &args, const row_place &place, int64_t column,
                                              uint32_t (&words)[mo_word_count<T, N>], float (&scores)[N]) {
  mo_unpack_words<T, N>(words, scores);
  if (column >= place.end) {
#pragma unroll
    for (int i = 0; i < N; ++i) scores[i] = -INFINITY;
    return;
  }
#pragma unroll
  for (int i = 0; i < N; ++i) scores[i] *= args.scale;
  if (args.bias != nullptr) {
    float bias[N];
    if (args.bias_stride == 1) {
      mo_load_vector_as<N>(args.bias, args.bias_dtype, place.bias + column, bias);
    } else {
#pragma unroll
      for (int i = 0; i < N; ++i) {
        bias[i] = mo_load_one(args.bias, args.bias_dtype, place.bias + (column + i) * args.bias_stride);
      }
    }
#pragma unroll
    for (int i = 0; i < N; ++i) scores[i] = bias[i] == -INFINITY ? -INFINITY : scores[i] + bias[i];
  }
  if (args.mask != nullptr) hide_masked<N>(args, place, column, scores);
#pragma unroll
  for (int i = 0; i < N; ++i) {
    if (column + i >= place.end) scores[i] = -INFINITY;
  }
}

/* Vectors of N scores, at `column` and every `step` behind it. All loads of the input are under way before the first is
 * converted. */
template <typename T, int N, int Vectors, typename Index>
__device__ __forceinline__ void load_scores(const mo_softmax_kernel_args &args, const row_place &place, Index column,
                                            Index step, float (*scores)[N]) {
  const T *input = static_cast<const T *>(args.input) + place.input;
  const Index end = static_cast<Index>(place.end);
  uint32_t words[Vectors][mo_word_count<T, N>] = {};
#pragma unroll
  for (int v = 0; v < Vectors; ++v) {
    if (column + v * step < end) mo_load_words<T, N>(input + column + v * step, words[v]);
  }
#pragma unroll
  for (int v = 0; v < Vectors; ++v) mo_hold(words[v]);
#pragma unroll
  for (int v = 0; v < Vectors; ++v) finish_scores<T, N>(args, place, column + v * step, words[v], scores[v]);
}

template <int N>
__device__ __forceinline__ float largest_of(const float (&values)[N]) {
  float largest = values[0];
#pragma unroll
  for (int i = 1; i < N; ++i) largest = fmaxf(largest, values[i]);
  return largest;
}

/* What may be subtracted from a score: never -infinity. */
__device__ __forceinline__ float base_of(float maximum) { return maximum == -INFINITY ? 0.0f : maximum; }

/* Replaces scores by exponentials and returns their sum. */
template <int N>
__device__ __forceinline__ float exponentials(float base, float (&values)[N]) {
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < N; ++i) {
    values[i] = expf(values[i] - base);
    sum += values[i];
  }
  return sum;
}

template <int N>
__device__ __forceinline__ void store_weights(const mo_softmax_kernel_args &args, const row_place &place, int64_t column,
                                              float sum, const float (&values)[N]) {
  float weights[N];
  const float factor = 1.0f / (sum == 0.0f ? static_cast<float>(args.columns) : sum);
#pragma unroll
  for (int i = 0; i < N; ++i) weights[i] = sum == 0.0f ? factor : column + i < place.end ? values[i] * factor : 0.0f;
  mo_store_vector_as<N>(args.output, args.output_dtype, place.output + column, weights);
}

/* Tier > 0: vectors of scores in the registers of a thread. */
template <typename T, int N, int Tier>
__global__ void __launch_bounds__(mo_row_max_threads, 1)
    softmax_kernel(const __grid_constant__ mo_softmax_kernel_args args, const __grid_constant__ row_divisors by) {
  const mo_row_team team = mo_row_team_of_thread();
  const bool active = team.row < args.shape.extents[0] * args.shape.extents[1] * args.shape.extents[2];
  row_place place = place_of(args, by, active ? static_cast<uint32_t>(team.row) : 0);
  if (!active) place.end = 0;
  if constexpr (Tier > 0) {
    const int step = team.threads * N, first = team.lane * N;
    float values[Tier][N];
    float maximum = -INFINITY, sum = 0.0f;
    constexpr int kBatch = Tier < mo_row_in_flight ? Tier : mo_row_in_flight;
#pragma unroll
    for (int v = 0; v < Tier; v += kBatch) load_scores<T, N, kBatch>(args, place, first + v * step, step, values + v);
#pragma unroll
    for (int v = 0; v < Tier; ++v) maximum = fmaxf(maximum, largest_of(values[v]));
    const float base = base_of(team.reduce<mo_max>(maximum));
#pragma unroll
    for (int v = 0; v < Tier; ++v) sum += exponentials(base, values[v]);
    sum = team.reduce<mo_sum>(sum);
#pragma unroll
    for (int v = 0; v < Tier; ++v) {
      const int column = first + v * step;
      if (active && column < args.columns) store_weights<N>(args, place, column, sum, values[v]);
    }
  } else if constexpr (Tier == kShared) {
    float *row = mo_shared_memory<float>() + mo_row_slots;
    const int step = team.threads * N, first = team.lane * N, end = static_cast<int>(args.columns);
    float maximum = -INFINITY, sum = 0.0f;
    for (int column = first; column < end; column += mo_row_in_flight * step) {
      float values[mo_row_in_flight][N];
      load_scores<T, N, mo_row_in_flight>(args, place, column, step, values);
#pragma unroll
      for (int v = 0; v < mo_row_in_flight; ++v) {
        maximum = fmaxf(maximum, largest_of(values[v]));
        if (column + v * step < end) mo_store_vector(row + column + v * step, values[v]);
      }
    }
    float values[N];
    const float base = base_of(team.reduce<mo_max>(maximum));
    for (int column = first; column < end; column += step) {
      mo_load_vector(row + column, values);
      sum += exponentials(base, values);
      mo_store_vector(row + column, values);
    }
    sum = team.reduce<mo_sum>(sum);
    for (int column = first; column < end; column += step) {
      mo_load_vector(row + column, values);
      store_weights<N>(args, place, column, sum, values);
    }
  } else {
    const int64_t step = static_cast<int64_t>(team.threads) * N, first = team.lane * N;
    float values[mo_row_in_flight][N];
    float maximum = -INFINITY, sum = 0.0f; /* the sum is relative to the thread's own maximum */
    for (int64_t column = first; column < place.end; column += mo_row_in_flight * step) {
      load_scores<T, N, mo_row_in_flight>(args, place, column, step, values);
      float larger = maximum;
#pragma unroll
      for (int v = 0; v < mo_row_in_flight; ++v) larger = fmaxf(larger, largest_of(values[v]));
      if (maximum != -INFINITY) sum *= expf(maximum - larger);
      maximum = larger;
#pragma unroll
      for (int v = 0; v < mo_row_in_flight; ++v) sum += exponentials(base_of(maximum), values[v]);
    }
    const float base = base_of(team.reduce<mo_max>(maximum));
    if (maximum != -INFINITY) sum *= expf(maximum - base);
    sum = team.reduce<mo_sum>(sum);
    for (int64_t column = first; column < args.columns; column += mo_row_in_flight * step) {
      load_scores<T, N, mo_row_in_flight>(args, place, column, step, values);
#pragma unroll
      for (int v = 0; v < mo_row_in_flight; ++v) {
        (void)exponentials(base, values[v]);
        if (column + v * step < args.columns) store_weights<N>(args, place, column + v * step, sum, values[v]);
      }
    }
  }
}

/* Short rows (row_plan.cuh). */
template <typename T, int N>
__global__ void __launch_bounds__(mo_row_block_threads)
    short_softmax_kernel(const __grid_constant__ mo_softmax_kernel_args args, const __grid_constant__ row_divisors by,
                         uint32_t rows, int lanes) {
  const mo_short_row_place own = mo_short_row_place_of<N>(lanes);
  const int column = own.column;
  row_place places[mo_short_rows];
  uint32_t words[mo_short_rows][mo_word_count<T, N>] = {};
#pragma unroll
  for (int r = 0; r < mo_short_rows; ++r) {
    const int64_t row = own.first_row + r * own.apart;
    places[r] = place_of(args, by, row < rows ? static_cast<uint32_t>(row) : 0);
    if (row >= rows) places[r].end = 0;
    if (column < places[r].end) mo_load_words<T, N>(static_cast<const T *>(args.input) + places[r].input + column, words[r]);
  }
#pragma unroll
  for (int r = 0; r < mo_short_rows; ++r) mo_hold(words[r]);
#pragma unroll
  for (int r = 0; r < mo_short_rows; ++r) {
    float values[N];
    finish_scores<T, N>(args, places[r], column, words[r], values);
    const float base = base_of(mo_reduce_lanes<mo_max>(largest_of(values), lanes));
    const float sum = mo_reduce_lanes<mo_sum>(exponentials(base, values), lanes);
    if (own.first_row + r * own.apart < rows && column < args.columns) store_weights<N>(args, places[r], column, sum, values);
  }
}

int64_t elements_in_16_bytes(mo_dtype_t dtype) { return dtype == MO_DTYPE_FLOAT32 ? 4 : 8; }

/* Whether every access of N elements is a multiple of 16 bytes at an address that is one. */
bool can_use_vectors(const mo_softmax_kernel_args &args) {
  return args.columns % 8 == 0 && mo_is_aligned16(args.input) && mo_is_aligned16(args.output) &&
         mo_rows_aligned(args.input_rows, elements_in_16_bytes(args.dtype)) &&
         mo_rows_aligned(args.output_rows, elements_in_16_bytes(args.output_dtype)) &&
         (args.bias == nullptr || args.bias_stride != 1 ||
          (mo_is_aligned16(args.bias) && mo_rows_aligned(args.bias_rows, elements_in_16_bytes(args.bias_dtype))));
}

template <typename T, int N>
cudaError_t launch_width(const mo_softmax_kernel_args &args, size_t shared_bytes_limit, cudaStream_t stream) {
  constexpr int64_t kVectors = N * mo_row_max_vectors > 32 ? 32 / N : mo_row_max_vectors;
  const int64_t vectors = (args.columns + N - 1) / N;
  const bool in_registers = vectors <= mo_row_max_threads * kVectors;
  const int64_t rows = mo_row_count(args.shape);
  const row_divisors by = {mo_make_divisor(static_cast<uint32_t>(args.shape.extents[2])),
                           mo_make_divisor(static_cast<uint32_t>(args.shape.extents[1]))};
  if constexpr (N > 1) {
    if (vectors <= mo_short_row_vectors) {
      const mo_short_row_plan plan = mo_plan_short_rows(rows, vectors);
      return MO_LAUNCH((short_softmax_kernel<T, N>), plan.grid, plan.block, 0, stream, args, by, static_cast<uint32_t>(rows),
                       plan.lanes);
    }
  }
  const mo_row_plan plan = mo_plan_rows(rows, vectors);
  if (in_registers) {
    if constexpr (N == 1) { /* rows of 32 vectors are short ones */
      if (vectors <= plan.threads)
        return MO_LAUNCH((softmax_kernel<T, N, 1>), plan.grid, plan.block, plan.slot_bytes, stream, args, by);
    }
    if (vectors <= 2 * plan.threads)
      return MO_LAUNCH((softmax_kernel<T, N, 2>), plan.grid, plan.block, plan.slot_bytes, stream, args, by);
    if (vectors <= 4 * plan.threads)
      return MO_LAUNCH((softmax_kernel<T, N, 4>), plan.grid, plan.block, plan.slot_bytes, stream, args, by);
    return MO_LAUNCH((softmax_kernel<T, N, static_cast<int>(kVectors)>), plan.grid, plan.block, plan.slot_bytes, stream, args,
                     by);
  }
  if (static_cast<size_t>(args.columns) <= (shared_bytes_limit - plan.slot_bytes) / sizeof(float)) {
    const size_t bytes = plan.slot_bytes + static_cast<size_t>(args.columns) * sizeof(float);
    return MO_LAUNCH((softmax_kernel<T, N, kShared>), plan.grid, plan.block, bytes, stream, args, by);
  }
  return MO_LAUNCH((softmax_kernel<T, N, kReread>), plan.grid, plan.block, plan.slot_bytes, stream, args, by);
}

template <typename T>
cudaError_t launch_type(const mo_softmax_kernel_args &args, size_t shared_bytes_limit, cudaStream_t stream) {
  if (can_use_vectors(args)) return launch_width<T, mo_vector_width<T>>(args, shared_bytes_limit, stream);
  return launch_width<T, 1>(args, shared_bytes_limit, stream);
}

}  // namespace

cudaError_t mo_launch_softmax(const mo_softmax_kernel_args *args, size_t shared_bytes_limit, cudaStream_t stream) {
  if (mo_row_count(args->shape) == 0 || args->columns == 0) return cudaSuccess;
  return mo_with_float_type(args->dtype,
                            [&](auto zero) { return launch_type<decltype(zero)>(*args, shared_bytes_limit, stream); });
}
