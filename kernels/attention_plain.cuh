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

inline size_t shared_bytes(int head_dim, int value_dim) {
  return (static_cast<size_t>(kRows + kKeys) * (head_dim + 1) + static_cast<size_t>(kKeys) * (value_dim + 1)) * sizeof(float);
}

template <typename T>
struct Block {
  const mo_attention_kernel_args &args;
  const mo_score_rules rules;
  int64_t batch, head, first_row;
  const T *query, *key, *value;
  float *shared_query, *shared_keys, *shared_values;
  int thread, warp, lane, query_stride, value_stride;

  __device__ __forceinline__ Block(const mo_attention_kernel_args &a, int64_t b, int64_t h, int64_t row)
      : args(a), rules(a, b, h), batch(b), head(h), first_row(row) {
    const int64_t kv_head = h / (a.heads / a.key_value_heads);
    query = static_cast<const T *>(a.query) + b * a.query_strides[0] + h * a.query_strides[1];
    key = static_cast<const T *>(a.key) + b * a.key_strides[0] + kv_head * a.key_strides[1];
    value = static_cast<const T *>(a.value) + b * a.value_strides[0] + kv_head * a.value_strides[1];
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
    load(shared_query, query, args.query_strides[2], query_stride, kRows, first_row, args.query_length, args.head_dim);
  }
  /* Between barriers: nobody reads the old tile any more, everybody sees the new one. */
  template <bool Keys, bool Values>
  __device__ __forceinline__ void load_tile(int64_t first_key, int64_t limit) const {
    __syncthreads();
    if (Keys) load(shared_keys, key, args.key_strides[2], query_stride, kKeys, first_key, limit, args.head_dim);
    if (Values) load(shared_values, value, args.value_strides[2], value_stride, kKeys, first_key, limit, args.value_dim);
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
      s[r] = row_of(r) < args.query_length ? rules.score(s[r], row_of(r), first_key + lane) : -INFINITY;
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
             block.head * block.args.output_strides[1] + block.row_of(r) * block.args.output_strides[2];
#pragma unroll
    for (int c = 0; c < Columns; ++c) {
      const int column = c * 32 + block.lane;
      if (column < block.args.value_dim) out[column] = mo_from_float<T>(values[r][c] * factor);
    }
  }
};

/* Blocks that must fit a multiprocessor: as many as go without spills. */
template <int Columns>
constexpr int min_blocks = Columns == 2   ? 5
                           : Columns == 4 ? 6
                                          : 4;

template <typename T, int Columns, bool WithWeights>
__global__ void __launch_bounds__(kThreads, min_blocks<Columns>) attention_plain_kernel(mo_attention_kernel_args args) {
  const int64_t first_row = static_cast<int64_t>(gridDim.x - 1 - blockIdx.x) * kRows;
  Block<T> block(args, blockIdx.z, blockIdx.y, first_row);
  const int64_t last_row = first_row + kRows < args.query_length ? first_row + kRows - 1 : args.query_length - 1;
  const int64_t first = block.rules.first_key(first_row) / kKeys * kKeys, end = block.rules.end_key(last_row);
  const int64_t limit = block.rules.key_limit;
  const int64_t slot = WithWeights && last_row >= args.first_weight_row ? mo_head_slot(args, block.head) : -1;
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
    const float uniform = 1.0f / static_cast<float>(args.key_length);
    for (int64_t first_key = 0; first_key < args.key_length; first_key += kKeys) {
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
        if (row >= args.first_weight_row && row < args.query_length && key < args.key_length) {
          mo_store_one(args.weights, args.weights_dtype,
                       block.batch * args.weights_strides[0] + slot * args.weights_strides[1] +
                           (row - args.first_weight_row) * args.weights_strides[2] + key,
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
    if (row >= args.query_length) continue;
    if (block.lane == 0) mo_store_row_results(args, block.batch, block.head, row, maximum[r], total[r]);
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
  for (int64_t first_key = 0; first_key < args.key_length; first_key += kKeys) {
    block.template load_tile<false, true>(first_key, args.key_length);
    float ones[kRowsPerWarp];
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) ones[r] = first_key + block.lane < args.key_length ? 1.0f : 0.0f;
    sums.add(block, ones);
  }
  const float mean = args.key_length > 0 ? 1.0f / static_cast<float>(args.key_length) : 0.0f;
#pragma unroll
  for (int r = 0; r < kRowsPerWarp; ++r) {
    if (block.row_of(r) < args.query_length && maximum[r] == -INFINITY) sums.store_row(block, r, mean);
  }
}

template <typename T, int Columns>
cudaError_t launch_columns(const mo_attention_kernel_args &args, bool with_weights, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((args.query_length + kRows - 1) / kRows), static_cast<unsigned>(args.heads),
                  static_cast<unsigned>(args.batch));
  const size_t shared = shared_bytes(args.head_dim, args.value_dim);
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
