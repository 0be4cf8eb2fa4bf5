/* kernels/decode_attention_mma_bfloat16.cu - the tensor-core kernels for bfloat16 queries.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/decode_attention/mma.cuh"
#include "kernels/decode_attention/mma.h"

cudaError_t mo_launch_decode_attention_mma_bfloat16(const mo_decode_kernel_args &args, cudaStream_t stream) {
  return mo_decode_mma::use_kernel<mo_bfloat16>(args, mo_decode_launch{args, stream});
}

cudaError_t mo_count_decode_attention_mma_bfloat16(const mo_decode_kernel_args &args, int *blocks) {
  return mo_decode_mma::use_kernel<mo_bfloat16>(args, mo_decode_count{args, blocks});
}
