/* kernels/sum.cu - a weighted sum of two tensors and a constant.
 *
 * Bytes: each term read once, the output written once.
 *
 * Shape of parallelism: a thread owns 16 bytes of neighbouring columns where all tensors allow it and have one dtype, else one
 * element. A place is read before it is written, so a term may be the output.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/sum.h"

#include "kernels/arch/launch.cuh"
#include "kernels/common/dtype.cuh"
#include "kernels/common/element_plan.cuh"
#include "kernels/common/vector.cuh"

namespace {

constexpr int kThreads = 128;

__device__ __forceinline__ float load_any(const void *data, mo_dtype_t dtype, int64_t offset) {
  return dtype == MO_DTYPE_FLOAT32   ? static_cast<const float *>(data)[offset]
         : dtype == MO_DTYPE_FLOAT16 ? mo_to_float(static_cast<const mo_half *>(data)[offset])
                                     : mo_to_float(static_cast<const mo_bfloat16 *>(data)[offset]);
}

/* block: (columns / N, rows); grid: (row blocks, column blocks). N > 1: every term has dtype T and a stride of 1. */
template <typename T, int N>
__global__ void __launch_bounds__(kThreads) sum_kernel(mo_sum_kernel_args args, int64_t row_count) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= row_count) return;
  T *const output = static_cast<T *>(args.output) + mo_plain_row_offset(args.shape, args.output_rows, row);
  const int64_t offsets[2] = {mo_plain_row_offset(args.shape, args.terms[0].rows, row),
                              mo_plain_row_offset(args.shape, args.terms[1].rows, row)};
  const int64_t step = static_cast<int64_t>(gridDim.y) * blockDim.x * N;
  for (int64_t column = (static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x) * N; column < args.columns;
       column += step) {
    float sums[N];
#pragma unroll
    for (int i = 0; i < N; ++i) sums[i] = args.constant;
#pragma unroll
    for (int t = 1; t >= 0; --t) {
      const mo_sum_term_args &term = args.terms[t];
      if (term.data == nullptr) continue;
      float values[N];
      if constexpr (N > 1) mo_load_vector(static_cast<const T *>(term.data) + offsets[t] + column, values);
      else values[0] = load_any(term.data, term.dtype, offsets[t] + column * term.stride);
#pragma unroll
      for (int i = 0; i < N; ++i) sums[i] = fmaf(values[i], term.scale, sums[i]);
    }
    mo_store_vector(output + column, sums);
  }
}

template <typename T, int N>
cudaError_t launch_width(const mo_sum_kernel_args &args, cudaStream_t stream) {
  const int64_t vectors = (args.columns + N - 1) / N, rows = mo_row_count(args.shape);
  const mo_element_plan plan = mo_plan_elements(rows, vectors, kThreads);
  return MO_LAUNCH((sum_kernel<T, N>), plan.grid, plan.block, 0, stream, args, rows);
}

template <typename T>
cudaError_t launch_type(const mo_sum_kernel_args &args, cudaStream_t stream) {
  constexpr int kWidth = mo_vector_width<T>;
  bool vectors = args.columns % kWidth == 0 && mo_is_aligned16(args.output) && mo_rows_aligned(args.output_rows, kWidth);
  for (const mo_sum_term_args &term : args.terms) {
    if (term.data == nullptr) continue;
    vectors = vectors && term.dtype == args.dtype && term.stride == 1 && mo_is_aligned16(term.data) &&
              mo_rows_aligned(term.rows, kWidth);
  }
  return vectors ? launch_width<T, kWidth>(args, stream) : launch_width<T, 1>(args, stream);
}

}  // namespace

cudaError_t mo_launch_sum(const mo_sum_kernel_args *given, cudaStream_t stream) {
  mo_sum_kernel_args args = *given;
  mo_row_strides *const rows[] = {&args.output_rows, &args.terms[0].rows, &args.terms[1].rows};
  mo_row_shape_merge(&args.shape, rows, 3);
  return mo_with_float_type(args.dtype, [&](auto zero) { return launch_type<decltype(zero)>(args, stream); });
}
