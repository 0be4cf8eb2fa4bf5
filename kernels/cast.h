/* kernels/cast.h - the launcher of the cast between two dtypes.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_CAST_H
#define MO_KERNELS_CAST_H

#include <cuda_runtime_api.h>

#include "host/rules/strided_shape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_cast_kernel_args {
  mo_strided_shape shape; /* in elements */
  void *destination;
  const void *source;
  mo_dtype_t destination_dtype, source_dtype;
  float limit; /* largest value of a floating destination; 0: none */
} mo_cast_kernel_args;

cudaError_t mo_launch_cast(const mo_cast_kernel_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
