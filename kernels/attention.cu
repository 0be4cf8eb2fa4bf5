/* kernels/attention.cu - which attention kernels run: those of the dtype (attention_<type>.cu).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention.h"

cudaError_t mo_launch_attention(const mo_attention_kernel_args *args, size_t shared_bytes_limit, cudaStream_t stream) {
  if (args->weights != nullptr && args->sequences_vary) {
    const cudaError_t error = mo_launch_attention_outside(args, stream);
    if (error != cudaSuccess) return error;
  }
  if (args->batch == 0 || args->heads == 0 || args->query_length == 0) return cudaSuccess;
  switch (args->dtype) {
    case MO_DTYPE_FLOAT32:
      return mo_launch_attention_float(args, shared_bytes_limit, stream);
    case MO_DTYPE_FLOAT16:
      return mo_launch_attention_half(args, shared_bytes_limit, stream);
    case MO_DTYPE_BFLOAT16:
      return mo_launch_attention_bfloat16(args, shared_bytes_limit, stream);
    default:
      return cudaErrorInvalidValue; /* the front door lets these three through */
  }
}
