/* kernels/position_bias.cu - ALiBi and T5 biases.
 *
 * Bytes: the output is written once; the slopes or the table come from L1.
 *
 * Shape of parallelism: a block has one query row of one head and up to kThreads vectors of eight keys. A T5 bucket is found
 * among the exact ones or by bisection of the borders, which every thread reads from the kernel's parameters.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/position_bias.h"

#include "kernels/arch/launch.cuh"
#include "kernels/common/vector.cuh"

namespace {

constexpr int kThreads = 128;
constexpr int kWidth = 8;

__device__ __forceinline__ int bucket_of(const mo_relative_buckets &buckets, int64_t distance) {
  if (distance > 0 && !buckets.bidirectional) return 0;
  const int first = distance > 0 ? buckets.per_side : 0;
  const int64_t far = distance > 0 ? distance : -distance;
  if (far < buckets.exact) return first + static_cast<int>(far);
  int low = 0, high = buckets.per_side - buckets.exact - 1; /* borders passed */
  while (low < high) {
    const int middle = (low + high) / 2;
    if (far >= buckets.border[middle]) low = middle + 1;
    else high = middle;
  }
  return first + buckets.exact + low;
}

/* grid: (heads * queries, blocks of keys) */
template <int N>
__global__ void __launch_bounds__(kThreads) position_bias_kernel(const __grid_constant__ mo_position_bias_kernel_args args) {
  const int head = static_cast<int>(blockIdx.x) / args.queries, row = static_cast<int>(blockIdx.x) - head * args.queries;
  const int64_t offset =
      args.query_offsets != nullptr ? mo_load_index(args.query_offsets, args.offset_dtype, 0) : args.query_offset;
  const float slope = args.slopes != nullptr ? args.slopes[head * args.slope_stride] : 0.0f;
  const int64_t step = static_cast<int64_t>(gridDim.y) * kThreads * N;
  for (int64_t key = (static_cast<int64_t>(blockIdx.y) * kThreads + threadIdx.x) * N; key < args.keys; key += step) {
    float values[N];
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const int64_t distance = key + i - (offset + row);
      if (args.slopes != nullptr) {
        values[i] = -slope * static_cast<float>(distance > 0 ? distance : -distance);
      } else {
        const int64_t at = bucket_of(args.buckets, distance) * args.table_strides[0] + head * args.table_strides[1];
        values[i] = mo_load_one(args.table, args.table_dtype, at);
      }
    }
    mo_store_vector_as<N>(args.output, args.dtype, head * args.head_stride + row * args.row_stride + key, values);
  }
}

template <int N>
cudaError_t launch(const mo_position_bias_kernel_args &args, cudaStream_t stream) {
  const int64_t blocks = (args.keys + kThreads * N - 1) / (kThreads * N);
  const dim3 grid(static_cast<unsigned>(args.heads) * static_cast<unsigned>(args.queries),
                  static_cast<unsigned>(blocks < 65535 ? blocks : 65535));
  return MO_LAUNCH(position_bias_kernel<N>, grid, dim3(kThreads), 0, stream, args);
}

}  // namespace

cudaError_t mo_launch_position_bias(const mo_position_bias_kernel_args *args, cudaStream_t stream) {
  if (args->heads == 0 || args->queries == 0 || args->keys == 0) return cudaSuccess;
  const bool wide = args->keys % kWidth == 0 && args->head_stride % kWidth == 0 && args->row_stride % kWidth == 0 &&
                    mo_is_aligned16(args->output);
  return wide ? launch<kWidth>(*args, stream) : launch<1>(*args, stream);
}
