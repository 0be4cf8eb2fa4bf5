/* kernels/norm.h - the norm kernels' launcher.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_NORM_H
#define MO_KERNELS_NORM_H

#include <cuda_runtime_api.h>

#include "kernels/common/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_norm_kernel_args {
  mo_row_shape shape; /* of the rows */
  int64_t columns;
  void *output;
  void *sum; /* NULL: not stored */
  const void *input;
  const void *residual; /* NULL */
  const void *input_bias;
  const void *weight;
  const void *bias;
  mo_dtype_t dtype; /* of input, residual, input_bias, sum */
  mo_dtype_t output_dtype;
  mo_dtype_t weight_dtype; /* of weight and bias */
  mo_row_strides output_rows, sum_rows, input_rows, residual_rows;
  float epsilon;
  float weight_offset;
  bool subtract_mean; /* layer norm; else RMS norm */
} mo_norm_kernel_args;

cudaError_t mo_launch_norm(const mo_norm_kernel_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
