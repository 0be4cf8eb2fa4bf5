/* kernels/attention_bfloat16.cu - attention of bfloat16.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention/type.cuh"

cudaError_t mo_launch_attention_bfloat16(const mo_attention_kernel_args *args, size_t shared_bytes_limit, cudaStream_t stream) {
  return mo_attention_type::launch<mo_bfloat16>(*args, shared_bytes_limit, stream);
}
