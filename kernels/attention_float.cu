/* kernels/attention_float.cu - attention in float32 arithmetic (attention/plain.cuh).
 *
 * Without weights: online softmax, nothing of size Sq x Sk.
 * With weights, each weight is written once, normalised, all lanes of a warp on one row:
 *   slab:     all scores of the block's rows fit into shared memory: one pass over QK, then the weights, a row at a time, then
 *             P V from the slab;
 *   two-pass: first maximum and sum of every row (QK only), then QK again, weights through a staging tile, and P V; 64 keys of
 * a row leave together: 256 bytes of float32, 128 of a 16-bit type.
 *
 * Vectors have 16 bytes wherever a row of the field begins. Tiles of keys that no row of the block sees are neither loaded nor
 * computed, their weights are written as zeros. A block with no selected row of a selected head runs without weights.
 *
 * Traps: a row without visible keys has maximum -infinity; its result is the plain mean of V, which a separate pass computes so
 * that values behind key_lengths, read for it, cannot reach other rows (0 * NaN).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention/plain.cuh"
#include "kernels/attention/weights.cuh"

namespace {

using mo_attention_plain::Access;
using mo_attention_plain::Block;
using mo_attention_plain::kFlagAt;
using mo_attention_plain::kFrontBytes;
using mo_attention_plain::kLaneRows;
using mo_attention_plain::kRows;
using mo_attention_plain::load_floats;
using mo_attention_plain::place_of_sequence;
using mo_attention_plain::Tile;

enum class Weights { none, slab, two_pass };

constexpr int kStoreKeys = 64; /* of a row that leave together in two passes */

/* P of a warp: a tile of it, what leaves together, or all keys. Rows are 4 floats apart from a multiple of the banks. */
template <int Dim, Weights Mode>
__host__ __device__ __forceinline__ int p_stride(int64_t key_length) {
  if (Mode == Weights::slab) return static_cast<int>((key_length + kStoreKeys - 1) / kStoreKeys * kStoreKeys) + 4;
  return (Mode == Weights::two_pass ? kStoreKeys : Tile<Dim>::keys) + 4;
}

template <int Dim>
struct Attention : Block<Dim> {
  using Shape = Tile<Dim>;
  using Base = Block<Dim>;
  using Base::args;
  using Base::sequence;
  using typename Base::Scores;

  float *p; /* of this warp */
  const int stride;
  float maximum[kLaneRows], sum[kLaneRows]; /* the latter of this lane's keys until finish_sums */
  float output[kLaneRows][4 * Shape::pieces];

  __device__ __forceinline__ Attention(const mo_attention_kernel_args &a, Access how, int b, int h, int row, int p_row)
      : Base(a, how, b, h, row), p(Base::shared_buffer(2) + Base::warp * kRows * p_row), stride(p_row) {
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) maximum[i] = -INFINITY, sum[i] = 0.0f;
    clear_output();
  }

  __device__ __forceinline__ void clear_output() {
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
      for (int c = 0; c < 4 * Shape::pieces; ++c) output[i][c] = 0.0f;
    }
  }

  /* Takes the tile into the running maximum and sum; s becomes 2^(s - maximum), and what was summed before must be multiplied
   * by correction. */
  __device__ __forceinline__ void advance_softmax(Scores &s, float (&correction)[kLaneRows]) {
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      float tile_maximum = s[i][0];
#pragma unroll
      for (int n = 1; n < Shape::lane_keys; ++n) tile_maximum = fmaxf(tile_maximum, s[i][n]);
      tile_maximum = fmaxf(maximum[i], mo_reduce_warp<mo_max, 8>(tile_maximum));
      const float shift = tile_maximum == -INFINITY ? 0.0f : tile_maximum;
      correction[i] = mo_exp2(maximum[i] - shift);
      maximum[i] = tile_maximum;
      float tile_sum = 0.0f;
#pragma unroll
      for (int n = 0; n < Shape::lane_keys; ++n) {
        s[i][n] = mo_exp2(s[i][n] - shift);
        tile_sum += s[i][n];
      }
      sum[i] = sum[i] * correction[i] + tile_sum;
    }
  }
  __device__ __forceinline__ void finish_sums() {
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      sum[i] = mo_reduce_warp<mo_sum, 8>(sum[i]);
      maximum[i] = mo_finished_maximum(maximum[i], sum[i]);
    }
  }

  /* Scores of a tile into the running maximum and sum. Without weights P goes to `p`; the slab keeps the scores themselves; of
   * two passes this is the first, which keeps nothing. */
  template <Weights Mode>
  __device__ __forceinline__ void take_scores(int tile, const float *keys) {
    float *const place = Mode == Weights::slab ? p + tile * Shape::keys : p;
    Scores s;
    float correction[kLaneRows];
    Base::multiply(keys, s);
    Base::finish_scores(tile * Shape::keys, place, stride, s);
    if constexpr (Mode == Weights::slab) Base::put(place, stride, s);
    advance_softmax(s, correction);
    if constexpr (Mode == Weights::none) {
      Base::put(place, stride, s);
#pragma unroll
      for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
        for (int c = 0; c < 4 * Shape::pieces; ++c) output[i][c] *= correction[i];
      }
    }
  }

  /* output += P V for `count` keys, whose P begins at `weights`. The rest of the tile, to a multiple of 4 keys, is zeros. */
  __device__ __forceinline__ void accumulate(const float *weights, const float *values, int count) {
    weights += Base::row_lane * stride;
    values += 4 * Base::key_lane;
#pragma unroll 1
    for (int key = 0; key < count; key += 4) {
      float w[kLaneRows][4];
#pragma unroll
      for (int i = 0; i < kLaneRows; ++i) load_floats<4>(weights + 4 * i * stride + key, w[i]);
#pragma unroll
      for (int c = 0; c < Shape::pieces; ++c) {
        if (32 * c >= args.value_dim) break;
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          float v[4];
          load_floats<4>(values + (key + e) * Dim + 32 * c, v);
#pragma unroll
          for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
            for (int x = 0; x < 4; ++x) output[i][4 * c + x] = fmaf(w[i][e], v[x], output[i][4 * c + x]);
          }
        }
      }
    }
  }
  /* Keys of a tile below `limit`. */
  static __device__ __forceinline__ int keys_of(int tile, int limit) {
    const int left = limit - tile * Shape::keys;
    return left < Shape::keys ? left : Shape::keys;
  }

  /* Writes the rows whose maximum is or is not -infinity, times scale. */
  __device__ __forceinline__ void store_output(bool dead, const float (&scale)[kLaneRows]) const {
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      const int row = Base::row_of(i);
      if (row >= sequence.query_count() || (maximum[i] == -INFINITY) != dead) continue;
      const int64_t first = Base::batch * args.output_strides[0] + Base::head * args.output_strides[1] +
                            (sequence.query_first() + row) * args.output_strides[2];
#pragma unroll
      for (int c = 0; c < Shape::pieces; ++c) {
        const int column = 32 * c + 4 * Base::key_lane;
        float values[4];
#pragma unroll
        for (int x = 0; x < 4; ++x) values[x] = output[i][4 * c + x] * scale[i];
        if (Base::access.output && column + 4 <= args.value_dim) {
          mo_store_vector(static_cast<float *>(args.output) + first + column, values);
          continue;
        }
#pragma unroll
        for (int x = 0; x < 4; ++x) {
          if (column + x < args.value_dim) mo_store_one(args.output, args.dtype, first + column + x, values[x]);
        }
      }
    }
  }

  /* Rows without visible keys: the mean of all values. */
  __device__ __forceinline__ void store_dead_rows() {
    int *flag = reinterpret_cast<int *>(mo_shared_memory<char>() + kFlagAt);
    bool dead = false;
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) dead |= maximum[i] == -INFINITY && Base::row_of(i) < sequence.query_count();
    __syncthreads();
    if (threadIdx.x == 0) *flag = 0;
    __syncthreads();
    if (dead) *flag = 1;
    __syncthreads();
    if (*flag == 0) return;
    Scores ones;
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
      for (int n = 0; n < Shape::lane_keys; ++n) ones[i][n] = 1.0f; /* values behind the last are zeros */
    }
    Base::put(p, stride, ones);
    __syncwarp();
    clear_output();
    const int count = static_cast<int>(sequence.key_count());
    Base::template for_tiles<false, true>(
        0, (count + Shape::keys - 1) / Shape::keys, count, [](int, const float *) {},
        [&](int tile, const float *values) { accumulate(p, values, keys_of(tile, count)); });
    const float mean = count > 0 ? 1.0f / static_cast<float>(count) : 0.0f;
    const float scale[kLaneRows] = {mean, mean, mean, mean};
    store_output(true, scale);
  }

  /* Warp row `row` of the weights: the element of its first key, -1 where its weights are not wanted. */
  __device__ __forceinline__ int64_t weight_row(int64_t slot, int row) const {
    const int64_t query_row = Base::first_row + Base::warp * kRows + row;
    if (query_row < sequence.first_weight_row() || query_row >= sequence.query_count()) return -1;
    return Base::batch * args.weights_strides[0] + slot * args.weights_strides[1] +
           (query_row - sequence.first_weight_row()) * args.weights_strides[2];
  }
};

template <int Dim>
__device__ __forceinline__ void run_without_weights(Attention<Dim> &block, int first_tile, int end_tile) {
  const int limit = static_cast<int>(block.sequence.key_limit());
  const bool works = block.has_rows();
  block.template for_tiles<true, true>(
      first_tile, end_tile, limit,
      [&](int tile, const float *keys) {
        if (works) block.template take_scores<Weights::none>(tile, keys);
      },
      [&](int tile, const float *values) {
        if (works) block.accumulate(block.p, values, block.keys_of(tile, limit));
      });
  block.finish_sums();
}

/* Scores into the slab in one pass over QK, then the weights row by row, then P V from the slab. */
template <int Dim>
__device__ __forceinline__ void run_slab(Attention<Dim> &block, int64_t slot, int first_tile, int end_tile) {
  constexpr int keys_per_tile = Tile<Dim>::keys;
  const int limit = static_cast<int>(block.sequence.key_limit());
  const bool works = block.has_rows();
  block.template for_tiles<true, false>(
      first_tile, end_tile, limit,
      [&](int tile, const float *keys) {
        if (works) block.template take_scores<Weights::slab>(tile, keys);
      },
      [](int, const float *) {});
  block.finish_sums();
  __syncwarp();
  const int count = static_cast<int>(block.sequence.key_count());
  const int first_key = first_tile * keys_per_tile, end_key = end_tile * keys_per_tile;
#pragma unroll
  for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll 1
    for (int r = 0; r < 4; ++r) {
      const int row = 4 * i + r;
      if (block.first_row + block.warp * kRows + row >= block.sequence.query_count()) break; /* the warp as a whole */
      const float maximum = __shfl_sync(mo_full_warp, block.maximum[i], 8 * r);
      const float inverse = 1.0f / __shfl_sync(mo_full_warp, block.sum[i], 8 * r);
      const bool dead = maximum == -INFINITY;
      const float fill = dead ? 1.0f / static_cast<float>(count) : 0.0f;
      for (int key = 4 * block.lane; key < count; key += 4 * 32) {
        float4 *place = reinterpret_cast<float4 *>(block.p + row * block.stride + key);
        float4 w = make_float4(fill, fill, fill, fill);
        if (key >= first_key && key < end_key && !dead) {
          w = *place;
          w = make_float4(mo_exp2(w.x - maximum) * inverse, mo_exp2(w.y - maximum) * inverse, mo_exp2(w.z - maximum) * inverse,
                          mo_exp2(w.w - maximum) * inverse);
        }
        *place = w;
      }
      __syncwarp();
      const int64_t to = block.weight_row(slot, row);
      if (to >= 0) mo_store_weight_row_of(block.args, to, count, mo_shared_weights{block.p + row * block.stride}, block.lane);
    }
  }
  __syncwarp();
  block.template for_tiles<false, true>(
      first_tile, end_tile, limit, [](int, const float *) {},
      [&](int tile, const float *values) {
        if (works) block.accumulate(block.p + tile * keys_per_tile, values, block.keys_of(tile, limit));
      });
}

/* `first_tile` and `end_tile` lie between keys that leave together. */
template <int Dim>
__device__ __forceinline__ void run_two_pass(Attention<Dim> &block, int64_t slot, int first_tile, int end_tile) {
  constexpr int keys_per_tile = Tile<Dim>::keys;
  const int limit = static_cast<int>(block.sequence.key_limit()), count = static_cast<int>(block.sequence.key_count());
  const bool works = block.has_rows();
  block.template for_tiles<true, false>(
      first_tile, end_tile, limit,
      [&](int tile, const float *keys) {
        if (works) block.template take_scores<Weights::two_pass>(tile, keys);
      },
      [](int, const float *) {});
  block.finish_sums();

  /* the keys outside of the tiles: no scores to wait for */
  const int first_key = first_tile * keys_per_tile, end_key = end_tile * keys_per_tile;
  const float uniform = 1.0f / static_cast<float>(count);
#pragma unroll
  for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll 1
    for (int r = 0; r < 4; ++r) {
      const float fill = __shfl_sync(mo_full_warp, block.maximum[i], 8 * r) == -INFINITY ? uniform : 0.0f;
      const int64_t to = block.weight_row(slot, 4 * i + r);
      if (to < 0) continue;
      mo_fill_weight_row(block.args, to, first_key < count ? first_key : count, fill, block.lane);
      mo_fill_weight_row(block.args, to + end_key, count - end_key, fill, block.lane);
    }
  }

  block.template for_tiles<true, true>(
      first_tile, end_tile, limit,
      [&](int tile, const float *keys) {
        if (!works) return;
        const int at = tile * keys_per_tile % kStoreKeys;
        typename Block<Dim>::Scores s;
        block.multiply(keys, s);
        block.finish_scores(tile * keys_per_tile, block.p + at, block.stride, s);
#pragma unroll
        for (int i = 0; i < kLaneRows; ++i) {
          const float inverse = 1.0f / block.sum[i];
          const bool dead = block.maximum[i] == -INFINITY;
#pragma unroll
          for (int n = 0; n < Tile<Dim>::lane_keys; ++n) {
            s[i][n] = dead ? uniform : mo_exp2(s[i][n] - block.maximum[i]) * inverse;
          }
        }
        block.put(block.p + at, block.stride, s);
        if (at + keys_per_tile < kStoreKeys) return;
        __syncwarp();
        const int from = tile * keys_per_tile / kStoreKeys * kStoreKeys;
        const int left = count - from < kStoreKeys ? count - from : kStoreKeys;
#pragma unroll 1
        for (int row = 0; row < kRows; ++row) {
          const int64_t to = block.weight_row(slot, row);
          if (to >= 0) mo_store_weight_row(block.args, to + from, left, block.p + row * block.stride, block.lane);
        }
      },
      [&](int tile, const float *values) {
        if (works) block.accumulate(block.p + tile * keys_per_tile % kStoreKeys, values, block.keys_of(tile, limit));
      });
}

/* Blocks that must fit a multiprocessor: three leave 168 registers, two 255. With 168, sm_100 and sm_120 spill (of the latter,
 * shared memory holds one of these blocks only). */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
constexpr int kMostBlocks = 2;
#else
constexpr int kMostBlocks = 3;
#endif
template <int Dim, Weights Mode>
constexpr int min_blocks = Dim <= 128 && Mode == Weights::none ? kMostBlocks : 2;

/* grid: (query blocks, heads, batch) */
template <int Dim, Weights Mode>
__global__ void __launch_bounds__(Tile<Dim>::threads, min_blocks<Dim, Mode>)
    attention_plain_kernel(const __grid_constant__ mo_attention_kernel_args args, Access access) {
  using Shape = Tile<Dim>;
  constexpr int together = Mode == Weights::two_pass ? kStoreKeys : Shape::keys; /* begin and end of the keys computed */
  /* The last rows first: with a causal mask they are the longest, and short ones then fill the end. */
  const int first_row = static_cast<int>(gridDim.x - 1 - blockIdx.x) * Shape::rows;
  if (threadIdx.x == 0) mo_write_sequence(args, blockIdx.z, place_of_sequence());
  __syncthreads();
  Attention<Dim> block(args, access, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y), first_row,
                       p_stride<Dim, Mode>(args.key_length));
  const int rows = static_cast<int>(block.sequence.query_count());
  if (first_row >= rows) return;
  const int last_row = first_row + Shape::rows < rows ? first_row + Shape::rows - 1 : rows - 1;
  int first_tile = static_cast<int>(block.rules.first_key(first_row) / together) * (together / Shape::keys);
  int end_tile = static_cast<int>((block.rules.end_key(last_row) + together - 1) / together) * (together / Shape::keys);
  if (first_tile >= end_tile) first_tile = end_tile = 0;
  block.start_query();

  const int64_t slot =
      Mode != Weights::none && last_row >= block.sequence.first_weight_row() ? mo_head_slot(args, block.head) : -1;
  if (Mode == Weights::slab && slot >= 0) run_slab(block, slot, first_tile, end_tile);
  else if (Mode == Weights::two_pass && slot >= 0) run_two_pass(block, slot, first_tile, end_tile);
  else run_without_weights(block, first_tile, end_tile);

  float scale[kLaneRows];
#pragma unroll
  for (int i = 0; i < kLaneRows; ++i) {
    scale[i] = Mode != Weights::none && slot >= 0 ? 1.0f : 1.0f / block.sum[i];
    if (block.key_lane == 0 && block.row_of(i) < rows)
      mo_store_row_results(args, block.sequence, block.batch, block.head, block.row_of(i), block.maximum[i], block.sum[i]);
  }
  block.store_output(false, scale);
  block.store_dead_rows();
}

template <int Dim, Weights Mode>
size_t shared_bytes(const mo_attention_kernel_args &args) {
  const size_t p_floats = static_cast<size_t>(Tile<Dim>::rows) * static_cast<size_t>(p_stride<Dim, Mode>(args.key_length));
  return kFrontBytes + (Tile<Dim>::query_floats + 2 * Tile<Dim>::buffer_floats + p_floats) * sizeof(float);
}

template <int Dim, Weights Mode>
cudaError_t launch_mode(const mo_attention_kernel_args &args, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((args.query_length + Tile<Dim>::rows - 1) / Tile<Dim>::rows),
                  static_cast<unsigned>(args.heads), static_cast<unsigned>(args.batch));
  return MO_LAUNCH((attention_plain_kernel<Dim, Mode>), grid, dim3(Tile<Dim>::threads), (shared_bytes<Dim, Mode>(args)), stream,
                   args, mo_attention_plain::access_of(args));
}

template <int Dim>
cudaError_t launch(const mo_attention_kernel_args &args, size_t shared_bytes_limit, cudaStream_t stream) {
  if (args.weights == nullptr || args.weights_reduction != MO_WEIGHTS_REDUCTION_NONE)
    return launch_mode<Dim, Weights::none>(args, stream);
  const bool slab = shared_bytes<Dim, Weights::slab>(args) <= shared_bytes_limit;
  return slab ? launch_mode<Dim, Weights::slab>(args, stream) : launch_mode<Dim, Weights::two_pass>(args, stream);
}

}  // namespace

cudaError_t mo_launch_attention_float(const mo_attention_kernel_args *args, size_t shared_bytes_limit, cudaStream_t stream) {
  const int dim = args->head_dim > args->value_dim ? args->head_dim : args->value_dim;
  const cudaError_t error = dim <= 64    ? launch<64>(*args, shared_bytes_limit, stream)
                            : dim <= 128 ? launch<128>(*args, shared_bytes_limit, stream)
                                         : launch<256>(*args, shared_bytes_limit, stream);
  if (error != cudaSuccess || args->weights == nullptr || args->weights_reduction == MO_WEIGHTS_REDUCTION_NONE) return error;
  return mo_launch_attention_reduced(args, false, stream);
}
