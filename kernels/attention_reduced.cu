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
 * Here: float32, and rows that are not aligned. One block takes 16 rows and 32 keys, a lane owns a key, arithmetic is float32.
 * 16-bit types: attention_reduced_mma.cuh.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention_plain.cuh"
#include "kernels/attention_reduced_mma.cuh"

namespace {

using mo_attention_plain::Block;
using mo_attention_plain::kKeys;
using mo_attention_plain::kRows;
using mo_attention_plain::kRowsPerWarp;
using mo_attention_plain::kSequenceBytes;
using mo_attention_plain::kThreads;
using mo_attention_plain::kWarps;
using mo_attention_plain::place_of_sequence;

/* A weight from its score and its row's statistics. */
__device__ __forceinline__ float weight_from(const mo_attention_kernel_args &args, mo_sequence<2> sequence, int64_t batch,
                                             int64_t head, int64_t row, float score) {
  const mo_row_statistics statistics = *mo_statistics_of(args, batch, head, row);
  if (statistics.maximum == -INFINITY) return 1.0f / static_cast<float>(sequence.key_count());
  return exp2f(score - statistics.maximum) * statistics.inverse_sum;
}

/* Head mean. grid: (key tiles, row blocks, batch); each lane owns one key of four rows and goes through the heads. */
template <typename T>
__global__ void __launch_bounds__(kThreads) attention_head_mean_kernel(mo_attention_kernel_args args) {
  const int64_t first_key = static_cast<int64_t>(blockIdx.x) * kKeys;
  const mo_sequence<2> sequence = place_of_sequence(args);
  if (threadIdx.x == 0) mo_write_sequence(args, blockIdx.z, sequence);
  __syncthreads();
  const int64_t first_row = sequence.first_selected_row() + static_cast<int64_t>(blockIdx.y) * kRows;
  if (first_row >= sequence.query_count() || first_key >= sequence.key_count()) return;
  const int64_t count = mo_slot_count(args);
  float sums[kRowsPerWarp] = {};
  for (int64_t i = 0; i < count; ++i) {
    const int64_t head = mo_slot_head(args, i);
    Block<T> block(args, blockIdx.z, head, first_row);
    __syncthreads();
    block.load_query();
    block.template load_tile<true, false>(first_key, sequence.key_limit());
    float s[kRowsPerWarp];
    block.compute_scores(first_key, s);
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) {
      if (block.row_of(r) >= sequence.query_count()) continue;
      sums[r] += weight_from(args, sequence, block.batch, head, block.row_of(r), s[r]);
    }
  }
  const int64_t key = first_key + threadIdx.x % 32;
#pragma unroll
  for (int r = 0; r < kRowsPerWarp; ++r) {
    const int64_t row = first_row + threadIdx.x / 32 * kRowsPerWarp + r;
    if (row >= sequence.query_count() || key >= sequence.key_count()) continue;
    mo_store_one(args.weights, args.weights_dtype,
                 static_cast<int64_t>(blockIdx.z) * args.weights_strides[0] +
                     (row - sequence.first_weight_row()) * args.weights_strides[2] + key,
                 sums[r] / static_cast<float>(count));
  }
}

/* Column sum. grid: (key tiles, head slots, batch); each lane owns one key and goes through the rows. */
template <typename T>
__global__ void __launch_bounds__(kThreads) attention_column_sum_kernel(mo_attention_kernel_args args) {
  const int64_t first_key = static_cast<int64_t>(blockIdx.x) * kKeys;
  const int64_t head = mo_slot_head(args, blockIdx.y);
  const mo_sequence<2> sequence = place_of_sequence(args);
  if (threadIdx.x == 0) mo_write_sequence(args, blockIdx.z, sequence);
  __syncthreads();
  if (sequence.query_count() == 0 || first_key >= sequence.key_count()) return;
  float sum = 0.0f;
  for (int64_t first_row = sequence.first_selected_row(); first_row < sequence.query_count(); first_row += kRows) {
    Block<T> block(args, blockIdx.z, head, first_row);
    __syncthreads();
    block.load_query();
    block.template load_tile<true, false>(first_key, sequence.key_limit());
    float s[kRowsPerWarp];
    block.compute_scores(first_key, s);
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) {
      if (block.row_of(r) >= sequence.query_count()) continue;
      sum += weight_from(args, sequence, block.batch, head, block.row_of(r), s[r]);
    }
  }
  /* the four warps' shares, in order */
  float *shares = mo_shared_memory<float>();
  __syncthreads();
  shares[threadIdx.x] = sum;
  __syncthreads();
  const int64_t key = first_key + threadIdx.x;
  if (threadIdx.x < 32 && key < sequence.key_count()) {
    for (int w = 1; w < kWarps; ++w) sum += shares[w * 32 + threadIdx.x];
    mo_store_one(args.weights, args.weights_dtype,
                 static_cast<int64_t>(blockIdx.z) * args.weights_strides[0] +
                     static_cast<int64_t>(blockIdx.y) * args.weights_strides[1] + key,
                 sum);
  }
}

template <typename T>
cudaError_t launch_plain(const mo_attention_kernel_args &given, cudaStream_t stream) {
  mo_attention_kernel_args args = given;
  const unsigned key_tiles = static_cast<unsigned>((args.key_length + kKeys - 1) / kKeys);
  const int64_t rows = args.weight_rows > 0 ? args.weight_rows : args.query_length;
  args.sequence_at = mo_attention_plain::tile_bytes(args.head_dim, args.value_dim);
  const size_t shared = args.sequence_at + kSequenceBytes;
  if (args.weights_reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN) {
    const dim3 grid(key_tiles, static_cast<unsigned>((rows + kRows - 1) / kRows), static_cast<unsigned>(args.batch));
    return MO_LAUNCH(attention_head_mean_kernel<T>, grid, dim3(kThreads), shared, stream, args);
  }
  const dim3 grid(key_tiles, static_cast<unsigned>(mo_slot_count(args)), static_cast<unsigned>(args.batch));
  return MO_LAUNCH(attention_column_sum_kernel<T>, grid, dim3(kThreads), shared, stream, args);
}

template <typename T>
cudaError_t launch_16bit(const mo_attention_kernel_args &args, bool tensor_cores, cudaStream_t stream) {
  /* Codes of quantised storage are widened by the plain kernels only, to the same values. */
  return tensor_cores && args.key_scale.data == nullptr ? mo_attention_reduced_mma::launch<T>(args, stream)
                                                        : launch_plain<T>(args, stream);
}

}  // namespace

cudaError_t mo_launch_attention_reduced(const mo_attention_kernel_args *args, bool tensor_cores, cudaStream_t stream) {
  if (args->query_length == 0 || args->key_length == 0) return cudaSuccess;
  switch (args->dtype) {
    case MO_DTYPE_FLOAT32:
      return launch_plain<float>(*args, stream);
    case MO_DTYPE_FLOAT16:
      return launch_16bit<mo_half>(*args, tensor_cores, stream);
    case MO_DTYPE_BFLOAT16:
      return launch_16bit<mo_bfloat16>(*args, tensor_cores, stream);
    default:
      return cudaErrorInvalidValue; /* mo_launch_attention lets these three through */
  }
}
