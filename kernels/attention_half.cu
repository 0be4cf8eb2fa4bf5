/* kernels/attention_half.cu - attention of float16.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention/type.cuh"

cudaError_t mo_launch_attention_half(const mo_attention_kernel_args *args, size_t shared_bytes_limit, cudaStream_t stream) {
  return mo_attention_type::launch<mo_half>(*args, shared_bytes_limit, stream);
}
