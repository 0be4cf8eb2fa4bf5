/* kernels/linear.cu - the dense layer's epilogue where cuBLASLt has none that computes the same.
 *
 *   output = activation(product + bias) + residual
 *
 * Bytes: product (float32, which has just been written and mostly still lies in L2) and residual read once, output written
 * once.
 *
 * Shape of parallelism: a thread owns eight neighbouring columns of a row (two or one accesses of 16 bytes per operand), a
 * block owns a few rows of up to 1024 columns. Nothing is shared between threads, so product and residual may lie in the
 * output.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/linear.h"

#include "kernels/arch/launch.cuh"
#include "kernels/common/activation.cuh"
#include "kernels/common/element_plan.cuh"
#include "kernels/common/vector.cuh"

namespace {

constexpr int kThreads = 128;
constexpr int kWidth = 8; /* columns of a thread: 16 bytes of the narrower types */

/* block: (columns / N, rows); grid: (row blocks, column blocks) */
template <int N>
__global__ void __launch_bounds__(kThreads) linear_epilogue_kernel(mo_linear_epilogue_args args) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (index >= args.row_count) return;
  const int64_t row = args.first_row + index;
  const int64_t product_row = mo_plain_row_offset(args.shape, args.product_rows, row) - args.product_skip;
  const int64_t residual_row = mo_plain_row_offset(args.shape, args.residual_rows, row);
  const int64_t output_row = mo_plain_row_offset(args.shape, args.output_rows, row);
  const int64_t step = static_cast<int64_t>(gridDim.y) * blockDim.x * N;
  for (int64_t column = (static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x) * N; column < args.columns;
       column += step) {
    float values[N] = {}, other[N];
    uint32_t bias[N] = {}, residual[N] = {}; /* all loads before the activation */
    if (args.product != nullptr) mo_load_vector(args.product + product_row + column, values);
    if (args.residual != nullptr) mo_load_words_as<N>(args.residual, args.output_dtype, residual_row + column, residual);
    if (args.bias != nullptr) {
      mo_load_words_as<N>(args.bias, args.bias_dtype, column, bias);
      mo_unpack_words_as<N>(bias, args.bias_dtype, other);
#pragma unroll
      for (int i = 0; i < N; ++i) values[i] += other[i];
    }
#pragma unroll
    for (int i = 0; i < N; ++i) values[i] = mo_activate(values[i], args.activation);
    if (args.residual != nullptr) {
      mo_unpack_words_as<N>(residual, args.output_dtype, other);
#pragma unroll
      for (int i = 0; i < N; ++i) values[i] += other[i];
    }
    mo_store_vector_as<N>(args.output, args.output_dtype, output_row + column, values);
  }
}

template <int N>
cudaError_t launch_width(const mo_linear_epilogue_args &args, cudaStream_t stream) {
  const int64_t vectors = (args.columns + N - 1) / N;
  const mo_element_plan plan = mo_plan_elements(args.row_count, vectors, kThreads);
  return MO_LAUNCH(linear_epilogue_kernel<N>, plan.grid, plan.block, 0, stream, args);
}

}  // namespace

cudaError_t mo_launch_linear_epilogue(const mo_linear_epilogue_args *given, cudaStream_t stream) {
  if (given->row_count == 0 || given->columns == 0) return cudaSuccess;
  mo_linear_epilogue_args args = *given;
  mo_row_strides *const rows[] = {&args.product_rows, &args.residual_rows, &args.output_rows};
  mo_row_shape_merge(&args.shape, rows, 3);
  const bool vectors = args.columns % kWidth == 0 && mo_is_aligned16(args.product) && mo_is_aligned16(args.bias) &&
                       mo_is_aligned16(args.residual) && mo_is_aligned16(args.output) &&
                       mo_rows_aligned(args.product_rows, kWidth) && mo_rows_aligned(args.residual_rows, kWidth) &&
                       mo_rows_aligned(args.output_rows, kWidth) && args.product_skip % kWidth == 0;
  return vectors ? launch_width<kWidth>(args, stream) : launch_width<1>(args, stream);
}
