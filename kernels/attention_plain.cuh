/* kernels/attention_plain.cuh - attention without tensor cores: float32, and every layout the tensor-core kernel does not take.
 *
 * One block computes 16 query rows of one (batch, head): four warps of four rows. A lane owns one key of a tile while scores
 * are made (so four products share each load of K), and every 32nd column while P V is summed. Rows of shared memory are one
 * float longer than the head, which spreads the lanes over the banks. All arithmetic is float32, P included.
 *
 * With weights: maximum and sum of every row first, then QK again, weights straight from registers (32 lanes write 32
 * neighbours).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ATTENTION_PLAIN_CUH
#define MO_KERNELS_ATTENTION_PLAIN_CUH

#include "kernels/arch/launch.cuh"
#include "kernels/attention_score.cuh"

namespace mo_attention_plain {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kRowsPerWarp = 4;
constexpr int kRows = kWarps * kRowsPerWarp;
constexpr int kKeys = 32;

/* Behind the tiles. */
constexpr size_t kSequenceBytes = mo_sequence<2>::pairs * 16;

inline size_t tile_bytes(int head_dim, int value_dim) {
  const size_t bytes =
      (static_cast<size_t>(kRows + kKeys) * (head_dim + 1) + static_cast<size_t>(kKeys) * (value_dim + 1)) * sizeof(float);
  return (bytes + 15) / 16 * 16;
}

__device__ __forceinline__ mo_sequence<2> place_of_sequence(const mo_attention_kernel_args &args) {
  return {reinterpret_cast<int64_t *>(mo_shared_memory<char>() + args.sequence_at)};
}

template <typename T>
struct Block {
  const mo_attention_kernel_args &args;
  const mo_sequence<2> sequence;
  const mo_score_rules<2> rules;
  int64_t batch, head, kv_head, first_row;
  float *shared_query, *shared_keys, *shared_values;
  int thread, warp, lane, query_stride, value_stride;

  __device__ __forceinline__ Block(const mo_attention_kernel_args &a, int64_t b, int64_t h, int64_t row)
      : args(a),
        sequence(place_of_sequence(a)),
        rules(a, sequence, b, h),
        batch(b),
        head(h),
        kv_head(h / (a.heads / a.key_value_heads)),
        first_row(row) {
    query_stride = a.head_dim + 1;
    value_stride = a.value_dim + 1;
    shared_query = mo_shared_memory<float>();
    shared_keys = shared_query + kRows * query_stride;
    shared_values = shared_keys + kKeys * query_stride;
    thread = static_cast<int>(threadIdx.x);
    warp = thread / 32;
    lane = thread % 32;
  }

  __device__ __forceinline__ void load(float *shared, const T *global, int64_t global_stride, int shared_stride, int rows,
                                       int64_t first, int64_t limit, int width) const {
    for (int i = thread; i < rows * width; i += kThreads) {
      const int row = i / width, column = i % width;
      shared[row * shared_stride + column] =
          first + row < limit ? mo_to_float(global[(first + row) * global_stride + column]) : 0.0f;
    }
  }
  __device__ __forceinline__ void load_query() const {
    const T *query = static_cast<const T *>(args.query) + batch * args.query_strides[0] + head * args.query_strides[1] +
                     sequence.query_first() * args.query_strides[2];
    load(shared_query, query, args.query_strides[2], query_stride, kRows, first_row, sequence.query_count(), args.head_dim);
  }
  /* A warp takes a token of the cache, so that its page is looked up once. */
  __device__ __forceinline__ void load_cached(float *shared, const void *data, const int64_t (&strides)[3],
                                              const mo_kv_heads &scale, int group, int shared_stride, int64_t first,
                                              int64_t limit, int width) const {
    for (int row = warp; row < kKeys; row += kWarps) {
      const int64_t token = first + row;
      const int64_t offset = token < limit ? mo_cached_offset(args, strides, batch, kv_head, token) : -1;
      const int64_t scale_offset =
          offset >= 0 && scale.data != nullptr ? mo_cached_offset(args, scale.strides, batch, kv_head, token) : -1;
      for (int column = lane; column < width; column += 32) {
        float x = 0.0f;
        if (scale_offset >= 0) {
          const float factor = static_cast<const float *>(scale.data)[scale_offset + column / group];
          x = mo_dequantise_one<T>(data, args.stored_dtype, offset + column, factor);
        } else if (offset >= 0) {
          x = mo_to_float(static_cast<const T *>(data)[offset + column]);
        }
        shared[row * shared_stride + column] = x;
      }
    }
  }
  template <bool Values>
  __device__ __forceinline__ void load_side(int64_t first_key, int64_t limit) const {
    float *shared = Values ? shared_values : shared_keys;
    const void *data = Values ? args.value : args.key;
    const int64_t(&strides)[3] = Values ? args.value_strides : args.key_strides;
    const int stride = Values ? value_stride : query_stride, width = Values ? args.value_dim : args.head_dim;
    if (args.cached) {
      load_cached(shared, data, strides, Values ? args.value_scale : args.key_scale, Values ? args.value_group : args.key_group,
                  stride, first_key, limit, width);
      return;
    }
    const T *first =
        static_cast<const T *>(data) + batch * strides[0] + kv_head * strides[1] + sequence.key_first() * strides[2];
    load(shared, first, strides[2], stride, kKeys, first_key, limit, width);
  }
  /* Between barriers: nobody reads the old tile any more, everybody sees the new one. */
  template <bool Keys, bool Values>
  __device__ __forceinline__ void load_tile(int64_t first_key, int64_t limit) const {
    __syncthreads();
    if (Keys) load_side<false>(first_key, limit);
    if (Values) load_side<true>(first_key, limit);
    __syncthreads();
  }

  __device__ __forceinline__ int64_t row_of(int r) const { return first_row + warp * kRowsPerWarp + r; }

  /* Scores of this lane's key with the warp's rows. */
  __device__ __forceinline__ void compute_scores(int64_t first_key, float (&s)[kRowsPerWarp]) const {
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) s[r] = 0.0f;
    const float *k = shared_keys + lane * query_stride;
    const float *q = shared_query + warp * kRowsPerWarp * query_stride;
    for (int d = 0; d < args.head_dim; ++d) {
      const float x = k[d];
#pragma unroll
      for (int r = 0; r < kRowsPerWarp; ++r) s[r] = fmaf(q[r * query_stride + d], x, s[r]);
    }
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) {
      s[r] = rules.score(s[r], row_of(r), first_key + lane);
    }
  }
};

/* Columns: 32-column pieces of a value row per lane. grid: (query blocks, heads, batch) */
template <typename T, int Columns>
struct Accumulator {
  float values[kRowsPerWarp][Columns];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) {
#pragma unroll
      for (int c = 0; c < Columns; ++c) values[r][c] = 0.0f;
    }
  }
  __device__ __forceinline__ void scale_row(int r, float factor) {
#pragma unroll
    for (int c = 0; c < Columns; ++c) values[r][c] *= factor;
  }
  /* += P V: p[r] is the weight of this lane's key. */
  __device__ __forceinline__ void add(const Block<T> &block, const float (&p)[kRowsPerWarp]) {
    for (int key = 0; key < kKeys; ++key) {
      const float *v = block.shared_values + key * block.value_stride;
      float weight[kRowsPerWarp];
#pragma unroll
      for (int r = 0; r < kRowsPerWarp; ++r) weight[r] = __shfl_sync(mo_full_warp, p[r], key);
#pragma unroll
      for (int c = 0; c < Columns; ++c) {
        const int column = c * 32 + block.lane;
        const float x = column < block.args.value_dim ? v[column] : 0.0f;
#pragma unroll
        for (int r = 0; r < kRowsPerWarp; ++r) values[r][c] = fmaf(weight[r], x, values[r][c]);
      }
    }
  }
  __device__ __forceinline__ void store_row(const Block<T> &block, int r, float factor) const {
    T *out = static_cast<T *>(block.args.output) + block.batch * block.args.output_strides[0] +
             block.head * block.args.output_strides[1] +
             (block.sequence.query_first() + block.row_of(r)) * block.args.output_strides[2];
#pragma unroll
    for (int c = 0; c < Columns; ++c) {
      const int column = c * 32 + block.lane;
      if (column < block.args.value_dim) out[column] = mo_from_float<T>(values[r][c] * factor);
    }
  }
};

/* Blocks that must fit a multiprocessor: as many as go without spills. */
template <int Columns, bool WithWeights>
constexpr int min_blocks = Columns <= 4  ? 5
                           : WithWeights ? 3
                                         : 4;

template <typename T, int Columns, bool WithWeights>
__global__ void __launch_bounds__(kThreads, min_blocks<Columns, WithWeights>)
    attention_plain_kernel(mo_attention_kernel_args args) {
  const int64_t first_row = static_cast<int64_t>(gridDim.x - 1 - blockIdx.x) * kRows;
  if (threadIdx.x == 0) mo_write_sequence(args, blockIdx.z, place_of_sequence(args));
  __syncthreads();
  Block<T> block(args, blockIdx.z, blockIdx.y, first_row);
  const mo_sequence<2> sequence = block.sequence;
  const int64_t rows = sequence.query_count();
  if (first_row >= rows) return;
  const int64_t last_row = first_row + kRows < rows ? first_row + kRows - 1 : rows - 1;
  const int64_t first = block.rules.first_key(first_row) / kKeys * kKeys, end = block.rules.end_key(last_row);
  const int64_t limit = sequence.key_limit();
  const int64_t slot = WithWeights && last_row >= sequence.first_weight_row() ? mo_head_slot(args, block.head) : -1;
  Accumulator<T, Columns> sums;
  float maximum[kRowsPerWarp], total[kRowsPerWarp];
#pragma unroll
  for (int r = 0; r < kRowsPerWarp; ++r) {
    maximum[r] = -INFINITY;
    total[r] = 0.0f;
  }
  sums.clear();
  block.load_query();

  /* Statistics, and without weights P V along with them. */
  for (int64_t first_key = first; first_key < end; first_key += kKeys) {
    if (slot >= 0) block.template load_tile<true, false>(first_key, limit);
    else block.template load_tile<true, true>(first_key, limit);
    float s[kRowsPerWarp];
    block.compute_scores(first_key, s);
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) {
      const float tile_maximum = fmaxf(maximum[r], mo_reduce_warp<mo_max>(s[r]));
      const float shift = tile_maximum == -INFINITY ? 0.0f : tile_maximum;
      const float correction = exp2f(maximum[r] - shift);
      maximum[r] = tile_maximum;
      s[r] = exp2f(s[r] - shift);
      total[r] = total[r] * correction + mo_reduce_warp<mo_sum>(s[r]);
      if (slot < 0) sums.scale_row(r, correction);
    }
    if (slot < 0) sums.add(block, s);
  }

  float inverse[kRowsPerWarp];
#pragma unroll
  for (int r = 0; r < kRowsPerWarp; ++r) {
    maximum[r] = mo_finished_maximum(maximum[r], total[r]);
    inverse[r] = maximum[r] == -INFINITY ? 0.0f : 1.0f / total[r];
  }

  if (WithWeights && slot >= 0) {
    const float uniform = 1.0f / static_cast<float>(sequence.key_count());
    for (int64_t first_key = 0; first_key < sequence.key_count(); first_key += kKeys) {
      const bool computed = first_key >= first && first_key < end; /* the same for the whole block */
      float p[kRowsPerWarp];
      if (computed) {
        block.template load_tile<true, true>(first_key, limit);
        block.compute_scores(first_key, p);
      }
#pragma unroll
      for (int r = 0; r < kRowsPerWarp; ++r) {
        if (maximum[r] == -INFINITY) p[r] = uniform;
        else p[r] = computed ? exp2f(p[r] - maximum[r]) * inverse[r] : 0.0f;
        const int64_t row = block.row_of(r), key = first_key + block.lane;
        if (row >= sequence.first_weight_row() && row < sequence.query_count() && key < sequence.key_count()) {
          mo_store_one(args.weights, args.weights_dtype,
                       block.batch * args.weights_strides[0] + slot * args.weights_strides[1] +
                           (row - sequence.first_weight_row()) * args.weights_strides[2] + key,
                       p[r]);
        }
      }
      if (computed) {
#pragma unroll
        for (int r = 0; r < kRowsPerWarp; ++r) {
          if (maximum[r] == -INFINITY) p[r] = 0.0f; /* their mean of V is made below */
        }
        sums.add(block, p);
      }
    }
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) inverse[r] = 1.0f;
  }

  bool dead = false;
#pragma unroll
  for (int r = 0; r < kRowsPerWarp; ++r) {
    const int64_t row = block.row_of(r);
    if (row >= sequence.query_count()) continue;
    if (block.lane == 0) mo_store_row_results(args, sequence, block.batch, block.head, row, maximum[r], total[r]);
    if (maximum[r] == -INFINITY) dead = true;
    else sums.store_row(block, r, inverse[r]);
  }

  /* Rows without visible keys: the mean of all values, which other rows must not touch. */
  int *flag = reinterpret_cast<int *>(block.shared_query);
  __syncthreads();
  if (block.thread == 0) *flag = 0;
  __syncthreads();
  if (dead && block.lane == 0) *flag = 1;
  __syncthreads();
  if (*flag == 0) return;
  sums.clear();
  const int64_t keys = sequence.key_count();
  for (int64_t first_key = 0; first_key < keys; first_key += kKeys) {
    block.template load_tile<false, true>(first_key, keys);
    float ones[kRowsPerWarp];
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) ones[r] = first_key + block.lane < keys ? 1.0f : 0.0f;
    sums.add(block, ones);
  }
  const float mean = keys > 0 ? 1.0f / static_cast<float>(keys) : 0.0f;
#pragma unroll
  for (int r = 0; r < kRowsPerWarp; ++r) {
    if (block.row_of(r) < sequence.query_count() && maximum[r] == -INFINITY) sums.store_row(block, r, mean);
  }
}

template <typename T, int Columns>
cudaError_t launch_columns(const mo_attention_kernel_args &given, bool with_weights, cudaStream_t stream) {
  mo_attention_kernel_args args = given;
  const dim3 grid(static_cast<unsigned>((args.query_length + kRows - 1) / kRows), static_cast<unsigned>(args.heads),
                  static_cast<unsigned>(args.batch));
  args.sequence_at = tile_bytes(args.head_dim, args.value_dim);
  const size_t shared = args.sequence_at + kSequenceBytes;
  if (with_weights) return MO_LAUNCH((attention_plain_kernel<T, Columns, true>), grid, dim3(kThreads), shared, stream, args);
  return MO_LAUNCH((attention_plain_kernel<T, Columns, false>), grid, dim3(kThreads), shared, stream, args);
}

template <typename T>
cudaError_t launch(const mo_attention_kernel_args &args, bool with_weights, cudaStream_t stream) {
  if (args.value_dim <= 64) return launch_columns<T, 2>(args, with_weights, stream);
  if (args.value_dim <= 128) return launch_columns<T, 4>(args, with_weights, stream);
  return launch_columns<T, 8>(args, with_weights, stream);
}

}  // namespace mo_attention_plain

#endif
