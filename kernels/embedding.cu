/* kernels/embedding.cu - word + position + token type rows, summed and normalised, one pass over memory.
 *
 *   sum[b,s,:] = (embeds[b,s,:] or word_scale * word[ids[b,s],:]) + position[p(b,s),:] + type[t(b,s),:];  output =
 * layer_norm(sum)
 *
 * Shapes: B x S tokens of C columns. Bytes: B S C e read (word rows) and as many written; position and type rows come from the
 * caches, ids are 8 bytes a token.
 *
 * Shape of parallelism: as kernels/norm.cu: a token belongs to 32..512 threads, the sum stays in registers (32 values a thread,
 * 16384 columns; 4096 where rows are not aligned to 16 bytes), mean and variance are two passes over registers; longer rows are
 * gathered again for each pass.
 *
 * RoBERTa's positions are a running count of ids that are not padding. Up to kCountedLength tokens every token counts for
 * itself with all its threads (a few loads a thread that hit the first-level cache), which saves a launch; longer sequences are
 * scanned once, a block per sequence, into scratch.
 *
 * Trap: an index outside its table cannot be reported from here. Nothing is read for such a token and its row becomes NaN.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/embedding.h"

#include "kernels/arch/launch.cuh"
#include "kernels/common/dtype.cuh"
#include "kernels/common/row_plan.cuh"
#include "kernels/common/scan.cuh"
#include "kernels/common/vector.cuh"

namespace {

constexpr int64_t kCountedLength = 1024; /* a token of BERT size has 96 or more threads: at most about ten ids each */
constexpr int kScanThreads = 1024;

/* Where the parts of one token's sum lie; a part that is not there is null. */
template <typename T>
struct token_rows {
  const T *base, *position, *type;
  float base_scale;
  bool outside; /* an index outside its table */
};

template <typename T>
__device__ __forceinline__ const T *row_of(const mo_embedding_lookup &lookup, int64_t row, bool &outside) {
  if (row < 0 || row >= lookup.rows) {
    outside = true;
    return nullptr;
  }
  return static_cast<const T *>(lookup.table) + row * lookup.row_stride;
}

__device__ __forceinline__ int64_t index_of(const mo_embedding_lookup &lookup, int64_t b, int64_t s) {
  if (lookup.ids == nullptr) return lookup.first + lookup.step * s;
  return mo_load_index(lookup.ids, lookup.ids_dtype, b * lookup.ids_strides[0] + s * lookup.ids_strides[1]);
}

/* Of one part of the sum; nothing is read of a part that is not there. */
template <typename T, int N, int Vectors, typename Index>
__device__ __forceinline__ void load_part(const T *row, Index column, Index step, Index end,
                                          uint32_t (&words)[Vectors][mo_word_count<T, N>]) {
  if (row == nullptr) return;
#pragma unroll
  for (int v = 0; v < Vectors; ++v) {
    if (column + v * step < end) mo_load_words<T, N>(row + column + v * step, words[v]);
  }
}

/* Vectors of N columns of the sum, at `column` and every `step` behind it as far as `end`; 0 past it. All loads are under way
 * before the first is converted. */
template <typename T, int N, int Vectors, typename Index>
__device__ __forceinline__ void load_batch(const token_rows<T> &rows, Index column, Index step, Index end, float (*values)[N]) {
  constexpr int kWords = mo_word_count<T, N>;
  uint32_t word[Vectors][kWords] = {}, position[Vectors][kWords] = {}, type[Vectors][kWords] = {};
  load_part<T, N, Vectors>(rows.outside ? nullptr : rows.base, column, step, end, word);
  load_part<T, N, Vectors>(rows.outside ? nullptr : rows.position, column, step, end, position);
  load_part<T, N, Vectors>(rows.outside ? nullptr : rows.type, column, step, end, type);
#pragma unroll
  for (int v = 0; v < Vectors; ++v) {
    mo_hold(word[v]);
    mo_unpack_words<T, N>(word[v], values[v]);
#pragma unroll
    for (int i = 0; i < N; ++i) values[v][i] *= rows.base_scale;
    float other[N];
    if (rows.position != nullptr) {
      mo_unpack_words<T, N>(position[v], other);
#pragma unroll
      for (int i = 0; i < N; ++i) values[v][i] += other[i];
    }
    if (rows.type != nullptr) {
      mo_unpack_words<T, N>(type[v], other);
#pragma unroll
      for (int i = 0; i < N; ++i) values[v][i] += other[i];
    }
    if (rows.outside && column + v * step < end) {
#pragma unroll
      for (int i = 0; i < N; ++i) values[v][i] = NAN;
    }
  }
}

template <typename T, int N, int Vectors, typename Index>
__device__ __forceinline__ void load_sums(const token_rows<T> &rows, Index column, Index step, Index end,
                                          float (&values)[Vectors][N]) {
  constexpr int kBatch = Vectors < mo_row_in_flight ? Vectors : mo_row_in_flight;
#pragma unroll
  for (int v = 0; v < Vectors; v += kBatch) load_batch<T, N, kBatch, Index>(rows, column + v * step, step, end, values + v);
}

template <typename T, int N>
__device__ __forceinline__ void store_normed(const mo_embedding_kernel_args &args, int64_t output, int64_t column, float mean,
                                             float scale, const float (&values)[N]) {
  float result[N], weight[N];
  uint32_t weight_words[N] = {}, bias_words[N] = {};
  if (args.norm_weight != nullptr) mo_load_words_as<N>(args.norm_weight, args.norm_dtype, column, weight_words);
  if (args.norm_bias != nullptr) mo_load_words_as<N>(args.norm_bias, args.norm_dtype, column, bias_words);
#pragma unroll
  for (int i = 0; i < N; ++i) result[i] = values[i];
  if (args.norm_weight != nullptr) {
    mo_unpack_words_as<N>(weight_words, args.norm_dtype, weight);
#pragma unroll
    for (int i = 0; i < N; ++i) result[i] = (values[i] - mean) * scale * weight[i];
  }
  if (args.norm_bias != nullptr) {
    mo_unpack_words_as<N>(bias_words, args.norm_dtype, weight);
#pragma unroll
    for (int i = 0; i < N; ++i) result[i] += weight[i];
  }
  mo_store_vector_global(static_cast<T *>(args.output) + output + column, result);
}

/* RoBERTa's position of token s, from the ids up to it. Every thread of the block calls. */
__device__ __forceinline__ int64_t counted_position(const mo_embedding_kernel_args &args, int64_t b, int64_t s,
                                                    const mo_row_team &team) {
  int own = 0;
  for (int64_t i = team.lane; i <= s; i += team.threads) own += index_of(args.word, b, i) != args.padding_id;
  const float count = team.reduce<mo_sum>(static_cast<float>(own)); /* exact: far below 2^24 */
  return args.padding_id + (index_of(args.word, b, s) != args.padding_id ? static_cast<int64_t>(count) : 0);
}

/* Vectors > 0: the thread's part of the row stays in that many vectors of registers. 0: the row is gathered again. */
template <typename T, int N, int Vectors>
__global__ void __launch_bounds__(mo_row_max_threads, 1) embedding_kernel(mo_embedding_kernel_args args) {
  const mo_row_team team = mo_row_team_of_thread();
  const int64_t tokens = args.batch * args.length;
  const bool active = team.row < tokens;
  const int64_t token = active ? team.row : tokens - 1;
  const int64_t b = token / args.length, s = token % args.length;

  token_rows<T> rows = {nullptr, nullptr, nullptr, args.base_scale, false};
  if (args.embeds != nullptr) {
    rows.base = static_cast<const T *>(args.embeds) + b * args.embeds_strides[0] + s * args.embeds_strides[1];
  } else {
    rows.base = row_of<T>(args.word, index_of(args.word, b, s), rows.outside);
  }
  if (args.position.present) {
    const int64_t position = args.count_positions ? counted_position(args, b, s, team) : index_of(args.position, b, s);
    rows.position = row_of<T>(args.position, position, rows.outside);
  }
  if (args.type.present) rows.type = row_of<T>(args.type, index_of(args.type, b, s), rows.outside);

  const int64_t output = b * args.output_strides[0] + s * args.output_strides[1];
  const bool norms = args.norm_weight != nullptr;
  const float inverse_columns = 1.0f / static_cast<float>(args.columns);
  float mean = 0.0f, scale = 1.0f;
  if constexpr (Vectors > 0) {
    const int step = team.threads * N, first = team.lane * N, end = active ? static_cast<int>(args.columns) : 0;
    float values[Vectors][N];
    load_sums<T, N, Vectors>(rows, first, step, end, values);
    if (norms) {
      const mo_row_moments of = mo_moments_of_values<N, Vectors>(team, values, end, inverse_columns, true);
      mean = of.mean, scale = 1.0f / sqrtf(of.variance + args.epsilon);
    }
#pragma unroll
    for (int v = 0; v < Vectors; ++v) {
      const int column = first + v * step;
      if (column < end) store_normed<T, N>(args, output, column, mean, scale, values[v]);
    }
  } else {
    const int64_t step = static_cast<int64_t>(team.threads) * N, first = team.lane * N, end = active ? args.columns : 0;
    const auto load = [&](int64_t column, float(&values)[mo_row_in_flight][N]) {
      load_sums<T, N, mo_row_in_flight>(rows, column, step, end, values);
    };
    if (norms) {
      const mo_row_moments of = mo_moments_of_reads<N>(team, end, inverse_columns, true, load);
      mean = of.mean, scale = 1.0f / sqrtf(of.variance + args.epsilon);
    }
    for (int64_t column = first; column < end; column += mo_row_in_flight * step) {
      float values[mo_row_in_flight][N];
      load(column, values);
#pragma unroll
      for (int v = 0; v < mo_row_in_flight; ++v) {
        if (column + v * step < end) store_normed<T, N>(args, output, column + v * step, mean, scale, values[v]);
      }
    }
  }
}

/* Positions of one sequence a block, kScanThreads tokens at a time. Bytes: B S (8 or 4 read, 8 written). */
__global__ void __launch_bounds__(kScanThreads) position_scan_kernel(mo_embedding_kernel_args args, int64_t *positions) {
  mo_count *slots = mo_shared_memory<mo_count>();
  const int64_t b = blockIdx.x;
  mo_count before = 0;
  for (int64_t first = 0; first < args.length; first += kScanThreads) {
    const int64_t s = first + threadIdx.x;
    const bool counts = s < args.length && index_of(args.word, b, s) != args.padding_id;
    mo_count total;
    const mo_count rank = before + mo_scan_block(counts ? 1 : 0, slots, &total);
    if (s < args.length) {
      positions[b * args.length + s] = args.padding_id + (counts ? static_cast<int64_t>(rank) + 1 : 0);
    }
    before += total;
  }
}

/* Whether every access of N elements is a multiple of 16 bytes at an address that is one. */
template <typename T>
bool can_use_vectors(const mo_embedding_kernel_args &args) {
  constexpr int64_t elements = 16 / sizeof(T);
  bool fits = args.columns % 8 == 0 && mo_is_aligned16(args.norm_weight) && mo_is_aligned16(args.norm_bias) &&
              mo_is_aligned16(args.output) && mo_is_aligned16(args.embeds);
  for (int i = 0; i < 2; ++i) fits = fits && args.output_strides[i] % elements == 0 && args.embeds_strides[i] % elements == 0;
  for (const mo_embedding_lookup *lookup : {&args.word, &args.position, &args.type}) {
    fits = fits && (!lookup->present || (mo_is_aligned16(lookup->table) && lookup->row_stride % elements == 0));
  }
  return fits;
}

template <typename T, int N>
cudaError_t launch_width(const mo_embedding_kernel_args &args, cudaStream_t stream) {
  constexpr int64_t kVectors = N * mo_row_max_vectors > 32 ? 32 / N : mo_row_max_vectors;
  const int64_t tokens = args.batch * args.length;
  const int64_t vectors = (args.columns + N - 1) / N;
  const mo_row_plan plan = mo_plan_rows(tokens, vectors);
  if (vectors <= plan.threads)
    return MO_LAUNCH((embedding_kernel<T, N, 1>), plan.grid, plan.block, plan.slot_bytes, stream, args);
  if (vectors <= 2 * plan.threads)
    return MO_LAUNCH((embedding_kernel<T, N, 2>), plan.grid, plan.block, plan.slot_bytes, stream, args);
  if (vectors <= 4 * plan.threads)
    return MO_LAUNCH((embedding_kernel<T, N, 4>), plan.grid, plan.block, plan.slot_bytes, stream, args);
  if (vectors <= kVectors * plan.threads) {
    return MO_LAUNCH((embedding_kernel<T, N, static_cast<int>(kVectors)>), plan.grid, plan.block, plan.slot_bytes, stream,
                     args);
  }
  return MO_LAUNCH((embedding_kernel<T, N, 0>), plan.grid, plan.block, plan.slot_bytes, stream, args);
}

template <typename T>
cudaError_t launch_type(const mo_embedding_kernel_args &args, cudaStream_t stream) {
  if (can_use_vectors<T>(args)) return launch_width<T, mo_vector_width<T>>(args, stream);
  return launch_width<T, 1>(args, stream);
}

}  // namespace

size_t mo_embedding_scratch_bytes(const mo_embedding_kernel_args *args) {
  const bool scans = args->count_positions && args->length > kCountedLength;
  return scans ? static_cast<size_t>(args->batch * args->length) * sizeof(int64_t) : 0;
}

cudaError_t mo_launch_embedding(const mo_embedding_kernel_args *args, int64_t *positions, cudaStream_t stream) {
  mo_embedding_kernel_args last = *args;
  if (args->batch == 0 || args->length == 0 || args->columns == 0) return cudaSuccess;
  if (mo_embedding_scratch_bytes(args) > 0) {
    const cudaError_t error = MO_LAUNCH(position_scan_kernel, dim3(static_cast<unsigned>(args->batch)), dim3(kScanThreads),
                                        (kScanThreads / 32) * sizeof(mo_count), stream, *args, positions);
    if (error != cudaSuccess) return error;
    last.count_positions = false;
    last.position.ids = positions;
    last.position.ids_dtype = MO_DTYPE_INT64;
    last.position.ids_strides[0] = args->length;
    last.position.ids_strides[1] = 1;
  }
  return mo_with_float_type(args->dtype, [&](auto zero) { return launch_type<decltype(zero)>(last, stream); });
}
