/* kernels/linear_product.h - the launcher of the product that stands in for cuBLASLt's.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_LINEAR_PRODUCT_H
#define MO_KERNELS_LINEAR_PRODUCT_H

#include <cuda_runtime_api.h>

#include "modelout/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

/* D (batch, rows, columns) = X (batch, rows, depth) W (columns, depth) transposed. Strides in elements; the last dimension of
 * each is contiguous. rows, columns and batch are not 0; batch is at most 65535. */
typedef struct mo_linear_product_args {
  const void *input, *weight;
  float *output;
  mo_dtype_t dtype; /* of input and weight */
  int64_t rows, columns, depth, batch;
  int64_t input_stride, weight_stride, output_stride; /* from row to row */
  int64_t input_batch, output_batch;
} mo_linear_product_args;

cudaError_t mo_launch_linear_product(const mo_linear_product_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
