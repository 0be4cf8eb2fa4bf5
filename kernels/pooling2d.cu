/* kernels/pooling2d.cu - maximum and average over windows of an image.
 *
 * Bytes: the input once (windows that overlap meet in the caches), the output once.
 *
 * Shape of parallelism: a thread owns one window of up to 16 bytes of channels where those are innermost, or of one channel;
 * threads next to one another take channels that lie next to one another, or else pixels.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/pooling2d.h"

#include "kernels/arch/launch.cuh"
#include "kernels/common/divide.cuh"
#include "kernels/common/dtype.cuh"
#include "kernels/common/vector.cuh"

namespace {

constexpr int kThreads = 128;

/* Consecutive numbers are (image, row, column, channels) or (image, channel, row, column): see `inner`. */
struct Order {
  mo_divisor inner, columns, rows; /* inner: vectors of channels; or 1 */
  bool channels_inside;
};

__device__ __forceinline__ float larger(float x, float most) { return x > most || x != x ? x : most; }

template <typename T, int V>
__global__ void __launch_bounds__(kThreads) pooling2d_kernel(mo_pooling2d_args args, Order order, uint32_t count) {
  const uint32_t number = blockIdx.x * kThreads + threadIdx.x;
  if (number >= count) return;
  uint32_t channel = 0, column, row, rest = number;
  if (order.channels_inside) rest = mo_divide(rest, order.inner, &channel);
  rest = mo_divide(rest, order.columns, &column);
  rest = mo_divide(rest, order.rows, &row);
  uint32_t batch = rest;
  if (!order.channels_inside) batch = mo_divide(rest, order.inner, &channel);
  const mo_pooling_window down = mo_pooling_window_at(&args.rows, static_cast<int32_t>(row));
  const mo_pooling_window across = mo_pooling_window_at(&args.columns, static_cast<int32_t>(column));
  const bool takes_most = args.kind == MO_POOLING2D_MAX;
  const int64_t first_channel = static_cast<int64_t>(channel) * V;
  const T *const input =
      static_cast<const T *>(args.input) + batch * args.input_strides[0] + first_channel * args.input_strides[1];
  float results[V];
#pragma unroll
  for (int v = 0; v < V; ++v) results[v] = takes_most ? -INFINITY : 0.0f;
  for (int32_t i = down.first; i < down.end; ++i) {
    for (int32_t j = across.first; j < across.end; ++j) {
      float values[V];
      mo_load_vector(input + i * args.input_strides[2] + j * args.input_strides[3], values);
#pragma unroll
      for (int v = 0; v < V; ++v) results[v] = takes_most ? larger(values[v], results[v]) : results[v] + values[v];
    }
  }
  const int32_t inside = (down.end - down.first) * (across.end - across.first);
  const float counted = static_cast<float>(args.count_includes_padding ? down.counted * across.counted : inside);
#pragma unroll
  for (int v = 0; v < V; ++v) results[v] = takes_most ? results[v] : results[v] / counted;
  T *const output = static_cast<T *>(args.output) + batch * args.output_strides[0] + first_channel * args.output_strides[1];
  mo_store_vector(output + row * args.output_strides[2] + column * args.output_strides[3], results);
}

template <typename T, int V>
cudaError_t launch(const mo_pooling2d_args &args, bool channels_inside, cudaStream_t stream) {
  const uint32_t inner = static_cast<uint32_t>(args.channels / V);
  const int64_t count = args.batch * inner * args.rows.out * args.columns.out;
  const Order order = {mo_make_divisor(inner), mo_make_divisor(static_cast<uint32_t>(args.columns.out)),
                       mo_make_divisor(static_cast<uint32_t>(args.rows.out)), channels_inside};
  const dim3 grid(static_cast<unsigned>((count + kThreads - 1) / kThreads));
  return MO_LAUNCH((pooling2d_kernel<T, V>), grid, dim3(kThreads), 0, stream, args, order, static_cast<uint32_t>(count));
}

bool is_wide(const int64_t (&strides)[4], const void *data, int64_t elements) {
  return strides[1] == 1 && strides[0] % elements == 0 && strides[2] % elements == 0 && strides[3] % elements == 0 &&
         mo_is_aligned16(data);
}

template <typename T>
cudaError_t launch_type(const mo_pooling2d_args &args, cudaStream_t stream) {
  constexpr int kWidth = mo_vector_width<T>;
  if (args.channels % kWidth == 0 && is_wide(args.input_strides, args.input, kWidth) &&
      is_wide(args.output_strides, args.output, kWidth))
    return launch<T, kWidth>(args, true, stream);
  return launch<T, 1>(args, args.output_strides[1] == 1, stream);
}

}  // namespace

cudaError_t mo_launch_pooling2d(const mo_pooling2d_args *args, cudaStream_t stream) {
  return mo_with_float_type(args->dtype, [&](auto zero) { return launch_type<decltype(zero)>(*args, stream); });
}
