/* kernels/gate.cu - activation(gate) * input.
 *
 * Bytes: gate and input read once, output written once: 3 N C e.
 *
 * Shape of parallelism: a thread owns 16 bytes of neighbouring columns of each operand, a block owns a few rows of up to 128
 * such pieces. Nothing is shared between threads and each reads its place before it writes it, so the output may lie in an
 * operand.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gate.h"

#include "kernels/arch/launch.cuh"
#include "kernels/common/activation.cuh"
#include "kernels/common/dtype.cuh"
#include "kernels/common/element_plan.cuh"
#include "kernels/common/vector.cuh"

namespace {

constexpr int kThreads = 128;

/* block: (columns / N, rows); grid: (row blocks, column blocks) */
template <typename T, int N>
__global__ void __launch_bounds__(kThreads) gate_kernel(mo_gate_kernel_args args, int64_t row_count) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= row_count) return;
  const T *gate = static_cast<const T *>(args.gate) + mo_plain_row_offset(args.shape, args.gate_rows, row);
  const T *input = static_cast<const T *>(args.input) + mo_plain_row_offset(args.shape, args.input_rows, row);
  T *output = static_cast<T *>(args.output) + mo_plain_row_offset(args.shape, args.output_rows, row);
  const int64_t step = static_cast<int64_t>(gridDim.y) * blockDim.x * N;
  for (int64_t column = (static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x) * N; column < args.columns;
       column += step) {
    float opened[N], values[N];
    mo_load_vector(gate + column, opened);
    mo_load_vector(input + column, values);
#pragma unroll
    for (int i = 0; i < N; ++i) values[i] *= mo_activate(opened[i], args.activation);
    mo_store_vector(output + column, values);
  }
}

template <typename T, int N>
cudaError_t launch_width(const mo_gate_kernel_args &args, cudaStream_t stream) {
  const int64_t vectors = (args.columns + N - 1) / N, rows = mo_row_count(args.shape);
  const mo_element_plan plan = mo_plan_elements(rows, vectors, kThreads);
  return MO_LAUNCH((gate_kernel<T, N>), plan.grid, plan.block, 0, stream, args, rows);
}

template <typename T>
cudaError_t launch_type(const mo_gate_kernel_args &args, cudaStream_t stream) {
  constexpr int kWidth = mo_vector_width<T>;
  const bool vectors = args.columns % kWidth == 0 && mo_is_aligned16(args.gate) && mo_is_aligned16(args.input) &&
                       mo_is_aligned16(args.output) && mo_rows_aligned(args.gate_rows, kWidth) &&
                       mo_rows_aligned(args.input_rows, kWidth) && mo_rows_aligned(args.output_rows, kWidth);
  return vectors ? launch_width<T, kWidth>(args, stream) : launch_width<T, 1>(args, stream);
}

}  // namespace

cudaError_t mo_launch_gate(const mo_gate_kernel_args *given, cudaStream_t stream) {
  if (given->columns == 0 || mo_row_count(given->shape) == 0) return cudaSuccess;
  mo_gate_kernel_args args = *given;
  mo_row_strides *const rows[] = {&args.gate_rows, &args.input_rows, &args.output_rows};
  mo_row_shape_merge(&args.shape, rows, 3);
  return mo_with_float_type(args.dtype, [&](auto zero) { return launch_type<decltype(zero)>(args, stream); });
}
