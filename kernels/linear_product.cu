/* kernels/linear_product.cu - a matrix product of our own, for shapes that cuBLASLt has no algorithm for.
 *
 *   D[b][m][n] = sum over k of X[b][m][k] W[n][k]        D float32; X and W float32, float16 or bfloat16, any row strides
 *
 * It is there so that every layer has a result: rows of 16-bit numbers that begin at odd addresses are what cuBLASLt may
 * refuse. Sums run over k in order, in float32, so the result does not depend on the shape of the grid.
 *
 * Shape of parallelism: a block of 256 threads owns 64 x 64 results, a thread 4 x 4 of them, 16 apart. Operands pass through
 * shared memory in steps of 16 of k, loaded element by element, as nothing is known of their alignment.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/linear_product.h"

#include "kernels/arch/launch.cuh"
#include "kernels/arch/numeric.cuh"
#include "kernels/common/dtype.cuh"

namespace {

constexpr int kThreads = 256;
constexpr int kTile = 64;
constexpr int kStep = 16;
constexpr int kRow = kTile + 1; /* of shared memory: threads that store one behind the other along k hit different banks */
constexpr int kApart = 16;
constexpr int kPerThread = kTile / kApart;
constexpr unsigned kMostColumnBlocks = 65535;

struct Tiles {
  float input[kStep][kRow], weight[kStep][kRow];
};

/* `rows` rows of at most 16 elements from `first_depth` on, transposed into shared memory; zeros outside. */
template <typename T>
__device__ __forceinline__ void load_tile(float (&tile)[kStep][kRow], const T *source, int64_t stride, int64_t first_row,
                                          int64_t row_count, int64_t first_depth, int64_t depth) {
#pragma unroll
  for (int i = 0; i < kTile * kStep / kThreads; ++i) {
    const int index = static_cast<int>(threadIdx.x) + i * kThreads;
    const int k = index % kStep, row = index / kStep;
    const bool inside = first_row + row < row_count && first_depth + k < depth;
    tile[k][row] = inside ? mo_to_float(source[(first_row + row) * stride + first_depth + k]) : 0.0f;
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads) linear_product_kernel(mo_linear_product_args args) {
  Tiles &tiles = *mo_shared_memory<Tiles>();
  const T *const input = static_cast<const T *>(args.input) + static_cast<int64_t>(blockIdx.z) * args.input_batch;
  const T *const weight = static_cast<const T *>(args.weight);
  float *const output = args.output + static_cast<int64_t>(blockIdx.z) * args.output_batch;
  const int64_t first_row = static_cast<int64_t>(blockIdx.x) * kTile;
  const int down = static_cast<int>(threadIdx.x) / kApart, across = static_cast<int>(threadIdx.x) % kApart;
  for (int64_t first_column = static_cast<int64_t>(blockIdx.y) * kTile; first_column < args.columns;
       first_column += static_cast<int64_t>(gridDim.y) * kTile) {
    float sums[kPerThread][kPerThread] = {};
    for (int64_t depth = 0; depth < args.depth; depth += kStep) {
      load_tile(tiles.input, input, args.input_stride, first_row, args.rows, depth, args.depth);
      load_tile(tiles.weight, weight, args.weight_stride, first_column, args.columns, depth, args.depth);
      __syncthreads();
#pragma unroll
      for (int k = 0; k < kStep; ++k) {
#pragma unroll
        for (int i = 0; i < kPerThread; ++i) {
#pragma unroll
          for (int j = 0; j < kPerThread; ++j)
            sums[i][j] = fmaf(tiles.input[k][down + i * kApart], tiles.weight[k][across + j * kApart], sums[i][j]);
        }
      }
      __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
#pragma unroll
      for (int j = 0; j < kPerThread; ++j) {
        const int64_t row = first_row + down + i * kApart, column = first_column + across + j * kApart;
        if (row < args.rows && column < args.columns) output[row * args.output_stride + column] = sums[i][j];
      }
    }
  }
}

template <typename T>
cudaError_t launch(const mo_linear_product_args &args, cudaStream_t stream) {
  const int64_t row_blocks = (args.rows + kTile - 1) / kTile, column_blocks = (args.columns + kTile - 1) / kTile;
  const dim3 grid(static_cast<unsigned>(row_blocks),
                  column_blocks < kMostColumnBlocks ? static_cast<unsigned>(column_blocks) : kMostColumnBlocks,
                  static_cast<unsigned>(args.batch));
  return MO_LAUNCH(linear_product_kernel<T>, grid, dim3(kThreads), sizeof(Tiles), stream, args);
}

}  // namespace

cudaError_t mo_launch_linear_product(const mo_linear_product_args *args, cudaStream_t stream) {
  return mo_with_float_type(args->dtype, [&](auto zero) { return launch<decltype(zero)>(*args, stream); });
}
