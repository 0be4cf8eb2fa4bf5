/* kernels/attention_merge.cu - two partial attentions become one.
 *
 * Bytes: both parts read once, the output written once.
 *
 * Shape of parallelism: a row belongs to one block, which has some rows of up to kThreads vectors each; every thread reads its
 * row's two log-sum-exps. They are written only after all threads have read them, so the result may take the place of a part.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention_merge.h"

#include "kernels/arch/launch.cuh"
#include "kernels/common/vector.cuh"

namespace {

constexpr int kThreads = 128;
constexpr int kWidth = 8;

/* A weight of 0 silences whatever stands there: a part nobody has written may hold NaN. */
__device__ __forceinline__ float weighted(float weight, float value) { return weight == 0.0f ? 0.0f : weight * value; }

/* block: (vectors of a row, rows) */
template <int N>
__global__ void __launch_bounds__(kThreads) attention_merge_kernel(mo_attention_merge_kernel_args args, int64_t row_count) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const bool there = row < row_count;
  float weight_a = 0.0f, weight_b = 0.0f, merged = -INFINITY;
  if (there) {
    const float la = args.log_sum_exp_a[mo_plain_row_offset(args.shape, args.sum_a_rows, row)];
    const float lb = args.log_sum_exp_b[mo_plain_row_offset(args.shape, args.sum_b_rows, row)];
    const float largest = la > lb || la != la ? la : lb; /* NaN stays */
    if (largest != -INFINITY) {
      const float ea = expf(la - largest), eb = expf(lb - largest);
      weight_a = ea / (ea + eb);
      weight_b = eb / (ea + eb);
      merged = largest + logf(ea + eb);
    }
  }
  __syncthreads();
  if (!there) return;
  if (threadIdx.x == 0 && args.log_sum_exp != nullptr)
    args.log_sum_exp[mo_plain_row_offset(args.shape, args.sum_rows, row)] = merged;
  const int64_t output_row = mo_plain_row_offset(args.shape, args.output_rows, row);
  const int64_t a_row = mo_plain_row_offset(args.shape, args.a_rows, row),
                b_row = mo_plain_row_offset(args.shape, args.b_rows, row);
  for (int64_t column = static_cast<int64_t>(threadIdx.x) * N; column < args.columns; column += blockDim.x * N) {
    float a[N], b[N];
    uint32_t a_words[N], b_words[N];
    mo_load_words_as<N>(args.a, args.dtype, a_row + column, a_words);
    mo_load_words_as<N>(args.b, args.dtype, b_row + column, b_words);
    mo_unpack_words_as<N>(a_words, args.dtype, a);
    mo_unpack_words_as<N>(b_words, args.dtype, b);
#pragma unroll
    for (int i = 0; i < N; ++i) a[i] = weighted(weight_a, a[i]) + weighted(weight_b, b[i]);
    mo_store_vector_as<N>(args.output, args.dtype, output_row + column, a);
  }
}

bool is_wide(const void *address, const mo_row_strides &rows) {
  return mo_is_aligned16(address) && rows.strides[0] % kWidth == 0 && rows.strides[1] % kWidth == 0 &&
         rows.strides[2] % kWidth == 0;
}

template <int N>
cudaError_t launch(const mo_attention_merge_kernel_args &args, cudaStream_t stream) {
  const int64_t vectors = (args.columns + N - 1) / N, rows = mo_row_count(args.shape);
  int across = 1;
  while (across < kThreads && across < vectors) across *= 2;
  const int down = kThreads / across;
  return MO_LAUNCH(attention_merge_kernel<N>, dim3(static_cast<unsigned>((rows + down - 1) / down)),
                   dim3(static_cast<unsigned>(across), static_cast<unsigned>(down)), 0, stream, args, rows);
}

}  // namespace

cudaError_t mo_launch_attention_merge(const mo_attention_merge_kernel_args *given, cudaStream_t stream) {
  if (mo_row_count(given->shape) == 0) return cudaSuccess;
  mo_attention_merge_kernel_args args = *given;
  mo_row_strides *const rows[] = {&args.output_rows, &args.a_rows,     &args.b_rows,
                                  &args.sum_rows,    &args.sum_a_rows, &args.sum_b_rows};
  mo_row_shape_merge(&args.shape, rows, 6);
  const bool wide = args.columns % kWidth == 0 && is_wide(args.output, args.output_rows) && is_wide(args.a, args.a_rows) &&
                    is_wide(args.b, args.b_rows);
  return wide ? launch<kWidth>(args, stream) : launch<1>(args, stream);
}
