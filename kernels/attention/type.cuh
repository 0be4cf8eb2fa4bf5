/* kernels/attention/type.cuh - attention of a 16-bit type: tensor cores where rows are aligned, else float32 arithmetic
 * (attention_float.cu).
 *
 * Each dtype is compiled in a file of its own, so that the compiler's time is spread over processors.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ATTENTION_TYPE_CUH
#define MO_KERNELS_ATTENTION_TYPE_CUH

#include "kernels/attention.h"
#include "kernels/attention/mma.cuh"

namespace mo_attention_type {

/* Pieces of 16 bytes everywhere, and eight columns never with two scales. */
inline bool rows_are_aligned(const mo_attention_kernel_args &args) {
  const bool quantised = args.key_scale.data != nullptr;
  const int width = quantised ? 16 : 8;
  return mo_rows_are_aligned(args.query, args.query_strides, 8) && mo_rows_are_aligned(args.output, args.output_strides, 8) &&
         mo_rows_are_aligned(args.key, args.key_strides, width) && mo_rows_are_aligned(args.value, args.value_strides, width) &&
         (!quantised || (args.key_group % 8 == 0 && args.value_group % 8 == 0));
}

/* Heads are padded to the next of these in shared memory. */
template <typename T>
cudaError_t launch_mma(const mo_attention_kernel_args &args, size_t shared_bytes_limit, cudaStream_t stream, bool *fits) {
  const int dim = args.head_dim > args.value_dim ? args.head_dim : args.value_dim;
  if (dim <= 32) return mo_attention_mma::launch<T, 32>(args, shared_bytes_limit, stream, fits);
  if (dim <= 64) return mo_attention_mma::launch<T, 64>(args, shared_bytes_limit, stream, fits);
  if (dim <= 96) return mo_attention_mma::launch<T, 96>(args, shared_bytes_limit, stream, fits);
  if (dim <= 128) return mo_attention_mma::launch<T, 128>(args, shared_bytes_limit, stream, fits);
  if (dim <= 192) return mo_attention_mma::launch<T, 192>(args, shared_bytes_limit, stream, fits);
  return mo_attention_mma::launch<T, 256>(args, shared_bytes_limit, stream, fits);
}

template <typename T>
cudaError_t launch(const mo_attention_kernel_args &args, size_t shared_bytes_limit, cudaStream_t stream) {
  bool done = false;
  if (args.head_dim % 8 == 0 && args.value_dim % 8 == 0 && rows_are_aligned(args)) {
    const cudaError_t error = launch_mma<T>(args, shared_bytes_limit, stream, &done);
    if (error != cudaSuccess) return error;
  }
  if (!done) return mo_launch_attention_float(&args, shared_bytes_limit, stream);
  const bool reduced = args.weights != nullptr && args.weights_reduction != MO_WEIGHTS_REDUCTION_NONE;
  return reduced ? mo_launch_attention_reduced(&args, true, stream) : cudaSuccess;
}

}  // namespace mo_attention_type

#endif
