/* kernels/attention_reduced.cu - reduced attention weights, head mean and column sum, with no weight of a single head leaving
 * the chip.
 *
 *   head mean   W[b,i,j] = sum over selected heads of P[b,h,i,j] / count      (B, 1, rows, Sk)
 *   column sum  W[b,h,j] = sum over selected rows of P[b,h,i,j]               (B, heads, 1, Sk)
 *
 * The attention kernel has left maximum and inverse sum of every row (mo_row_statistics), so a weight is one more product q.k,
 * one subtraction and one 2^x. A block owns its destination elements, goes through the heads (or the rows) in their order and
 * keeps the sums in registers: deterministic, no atomics, nothing else written.
 *
 * Here: float32, and rows that are not aligned, in float32 arithmetic, lanes owning rows and keys as in attention/plain.cuh.
 * Tiles that no row sees are not loaded. 16-bit types: attention/reduced_mma.cuh.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention/plain.cuh"
#include "kernels/attention/reduced_mma.cuh"
#include "kernels/attention/weights.cuh"
#include "kernels/common/dtype.cuh"

namespace {

using mo_attention_plain::Access;
using mo_attention_plain::Block;
using mo_attention_plain::kFrontBytes;
using mo_attention_plain::kLaneRows;
using mo_attention_plain::kRows;
using mo_attention_plain::place_of_sequence;
using mo_attention_plain::Tile;

constexpr int kStoreKeys = 64; /* of a row of the head mean that leave together */
constexpr int kStoreStride = kStoreKeys + 4;

/* Weights of a tile of rows and keys, from products made once more. Behind the query lie one tile of keys, and what element by
 * element rules need. */
template <int Dim>
struct Again : Block<Dim> {
  using Shape = Tile<Dim>;
  using Base = Block<Dim>;
  using typename Base::Scores;
  static constexpr int stride = Shape::keys + 4;
  static constexpr size_t floats = Shape::query_floats + Shape::buffer_floats + Shape::rows * stride;

  using Base::Base;

  static __device__ __forceinline__ float *behind() { return Base::shared_query() + floats; }

  /* Does any row of the block see any key of the tile? */
  __device__ __forceinline__ bool sees(int tile) const {
    const int64_t first_key = static_cast<int64_t>(tile) * Shape::keys, last_row = Base::first_row + Shape::rows - 1;
    return Base::rules.end_key(last_row) > first_key && Base::rules.first_key(Base::first_row) < first_key + Shape::keys;
  }
  /* By the whole block, alike. Where nothing is seen, nothing is loaded. */
  __device__ __forceinline__ void load(bool query, bool keys, int tile) const {
    __syncthreads(); /* nobody still reads what was there */
    if (query) Base::start_query();
    if (keys) Base::start_keys(Base::shared_buffer(0), tile, static_cast<int>(Base::sequence.key_limit()));
    mo_async_commit();
    mo_async_wait<0>();
    __syncthreads();
  }
  __device__ __forceinline__ void compute_scores(bool seen, int tile, Scores &s) const {
    if (seen && Base::has_rows()) {
      Base::multiply(Base::shared_buffer(0), s);
      Base::finish_scores(tile * Shape::keys, Base::shared_buffer(1) + Base::warp * kRows * stride, stride, s);
      return;
    }
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
      for (int n = 0; n < Shape::lane_keys; ++n) s[i][n] = -INFINITY;
    }
  }
  /* What the attention kernel has left of the rows. */
  __device__ __forceinline__ void load_statistics(mo_row_statistics (&statistics)[kLaneRows]) const {
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      statistics[i] = mo_row_statistics{INFINITY, 0.0f};
      if (Base::row_of(i) < Base::sequence.query_count())
        statistics[i] = *mo_statistics_of(Base::args, Base::batch, Base::head, Base::row_of(i));
    }
  }
  static __device__ __forceinline__ float weight(float score, mo_row_statistics row, float uniform) {
    return row.maximum == -INFINITY ? uniform : mo_exp2(score - row.maximum) * row.inverse_sum;
  }
};

/* Head mean. grid: (keys that leave together, row blocks, batch); the sums of a lane's elements wait in shared memory while the
 * heads are gone through. */
template <int Dim>
__global__ void __launch_bounds__(Tile<Dim>::threads, 2)
    attention_head_mean_kernel(const __grid_constant__ mo_attention_kernel_args args, Access access) {
  using Shape = Tile<Dim>;
  const int first_key = static_cast<int>(blockIdx.x) * kStoreKeys;
  const mo_sequence<2> sequence = place_of_sequence();
  if (threadIdx.x == 0) mo_write_sequence(args, blockIdx.z, sequence);
  __syncthreads();
  const int first_row = static_cast<int>(sequence.first_selected_row()) + static_cast<int>(blockIdx.y) * Shape::rows;
  if (first_row >= sequence.query_count() || first_key >= sequence.key_count()) return;
  const float uniform = 1.0f / static_cast<float>(sequence.key_count());
  const int count = static_cast<int>(mo_slot_count(args)), warp = static_cast<int>(threadIdx.x) / 32;
  float *sums = Again<Dim>::behind() + warp * kRows * kStoreStride;
#pragma unroll 1
  for (int slot = 0; slot < count; ++slot) {
    const Again<Dim> block(args, access, static_cast<int>(blockIdx.z), static_cast<int>(mo_slot_head(args, slot)), first_row);
    mo_row_statistics statistics[kLaneRows];
    block.load_statistics(statistics);
    bool query_is_there = false;
#pragma unroll 1
    for (int at = 0; at < kStoreKeys; at += Shape::keys) {
      const int tile = (first_key + at) / Shape::keys;
      const bool seen = block.sees(tile);
      if (seen) block.load(!query_is_there, true, tile);
      query_is_there |= seen;
      typename Block<Dim>::Scores s, before;
      block.compute_scores(seen, tile, s);
      if (slot > 0) block.take(sums + at, kStoreStride, before);
#pragma unroll
      for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
        for (int n = 0; n < Shape::lane_keys; ++n) {
          s[i][n] = (slot > 0 ? before[i][n] : 0.0f) + block.weight(s[i][n], statistics[i], uniform);
        }
      }
      block.put(sums + at, kStoreStride, s);
    }
  }
  __syncwarp();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t left = sequence.key_count() - first_key, keys = left < kStoreKeys ? left : kStoreKeys;
#pragma unroll 1
  for (int row = 0; row < kRows && first_row + warp * kRows + row < sequence.query_count(); ++row) {
    const float *from = sums + row * kStoreStride;
    const int64_t slot_row = first_row + warp * kRows + row - sequence.first_weight_row();
    mo_store_weight_row_of(
        args, blockIdx.z * args.weights_strides[0] + slot_row * args.weights_strides[2] + first_key, keys,
        [from, count](int64_t i) { return from[i] / static_cast<float>(count); }, lane);
  }
}

/* Column sum. grid: (key tiles, head slots, batch); the keys stay, the rows pass by. */
template <int Dim>
__global__ void __launch_bounds__(Tile<Dim>::threads, 2)
    attention_column_sum_kernel(const __grid_constant__ mo_attention_kernel_args args, Access access) {
  using Shape = Tile<Dim>;
  const int tile = static_cast<int>(blockIdx.x), head = static_cast<int>(mo_slot_head(args, blockIdx.y));
  const mo_sequence<2> sequence = place_of_sequence();
  if (threadIdx.x == 0) mo_write_sequence(args, blockIdx.z, sequence);
  __syncthreads();
  const int rows = static_cast<int>(sequence.query_count());
  if (rows == 0 || tile * Shape::keys >= sequence.key_count()) return;
  const float uniform = 1.0f / static_cast<float>(sequence.key_count());
  float sums[Shape::lane_keys] = {};
  bool keys_are_there = false;
#pragma unroll 1
  for (int first_row = static_cast<int>(sequence.first_selected_row()); first_row < rows; first_row += Shape::rows) {
    const Again<Dim> block(args, access, static_cast<int>(blockIdx.z), head, first_row);
    mo_row_statistics statistics[kLaneRows];
    block.load_statistics(statistics);
    const bool seen = block.sees(tile);
    if (seen) block.load(true, !keys_are_there, tile);
    keys_are_there |= seen;
    typename Block<Dim>::Scores s;
    block.compute_scores(seen, tile, s);
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      if (block.row_of(i) >= rows) continue; /* its products may be NaN */
#pragma unroll
      for (int n = 0; n < Shape::lane_keys; ++n) sums[n] += block.weight(s[i][n], statistics[i], uniform);
    }
  }
  /* the four rows of lanes, then the warps, in order */
  float *shares = Again<Dim>::behind();
  const Block<Dim> block(args, access, static_cast<int>(blockIdx.z), head, 0);
#pragma unroll
  for (int n = 0; n < Shape::lane_keys; ++n) {
    sums[n] += __shfl_xor_sync(mo_full_warp, sums[n], 8);
    sums[n] += __shfl_xor_sync(mo_full_warp, sums[n], 16);
    if (block.row_lane == 0) shares[block.warp * Shape::keys + block.key_of(n)] = sums[n];
  }
  __syncthreads();
  const int at = static_cast<int>(threadIdx.x);
  const int64_t key = static_cast<int64_t>(tile) * Shape::keys + at;
  if (at >= Shape::keys || key >= sequence.key_count()) return;
  float sum = shares[at];
  for (int warp = 1; warp < Shape::warps; ++warp) sum += shares[warp * Shape::keys + at];
  mo_store_one(args.weights, args.weights_dtype,
               blockIdx.z * args.weights_strides[0] + blockIdx.y * args.weights_strides[1] + key, sum);
}

template <int Dim>
cudaError_t launch_dim(const mo_attention_kernel_args &args, cudaStream_t stream) {
  using Shape = Tile<Dim>;
  const Access access = mo_attention_plain::access_of(args);
  const bool mean = args.weights_reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN;
  const int64_t rows = args.weight_rows > 0 ? args.weight_rows : args.query_length;
  const int64_t keys = mean ? kStoreKeys : Shape::keys, behind = mean ? Shape::rows * kStoreStride : Shape::warps * Shape::keys;
  const size_t shared = kFrontBytes + (Again<Dim>::floats + static_cast<size_t>(behind)) * sizeof(float);
  const unsigned key_blocks = static_cast<unsigned>((args.key_length + keys - 1) / keys);
  if (mean) {
    const dim3 grid(key_blocks, static_cast<unsigned>((rows + Shape::rows - 1) / Shape::rows),
                    static_cast<unsigned>(args.batch));
    return MO_LAUNCH(attention_head_mean_kernel<Dim>, grid, dim3(Shape::threads), shared, stream, args, access);
  }
  const dim3 grid(key_blocks, static_cast<unsigned>(mo_slot_count(args)), static_cast<unsigned>(args.batch));
  return MO_LAUNCH(attention_column_sum_kernel<Dim>, grid, dim3(Shape::threads), shared, stream, args, access);
}

cudaError_t launch_plain(const mo_attention_kernel_args &args, cudaStream_t stream) {
  if (args.head_dim <= 64) return launch_dim<64>(args, stream);
  return args.head_dim <= 128 ? launch_dim<128>(args, stream) : launch_dim<256>(args, stream);
}

template <typename T>
cudaError_t launch_16bit(const mo_attention_kernel_args &args, bool tensor_cores, cudaStream_t stream) {
  /* Codes of quantised storage are widened by the plain kernels only, to the same values. */
  return tensor_cores && args.key_scale.data == nullptr ? mo_attention_reduced_mma::launch<T>(args, stream)
                                                        : launch_plain(args, stream);
}

}  // namespace

cudaError_t mo_launch_attention_reduced(const mo_attention_kernel_args *args, bool tensor_cores, cudaStream_t stream) {
  if (args->query_length == 0 || args->key_length == 0) return cudaSuccess;
  return mo_with_float_type(args->dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (sizeof(T) == 4) return launch_plain(*args, stream);
    else return launch_16bit<T>(*args, tensor_cores, stream);
  });
}
