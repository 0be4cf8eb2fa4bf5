/* kernels/linear.h - the launcher of what cuBLASLt's own epilogues do not do: bias, activation, residual and rounding.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_LINEAR_H
#define MO_KERNELS_LINEAR_H

#include <cuda_runtime_api.h>

#include "kernels/common/rows.h"
#include "modelout/linear.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_linear_epilogue_args {
  mo_row_shape shape;           /* of all rows of the layer */
  int64_t first_row, row_count; /* those of this launch */
  int64_t columns;
  const float *product; /* NULL: zeros; may be the output, if that is float32 */
  int64_t product_skip; /* elements by which product lies behind what product_rows counts from */
  const void *bias;     /* NULL */
  const void *residual; /* NULL; may be the output */
  void *output;
  mo_dtype_t bias_dtype;
  mo_dtype_t output_dtype; /* of residual too */
  mo_row_strides product_rows, residual_rows, output_rows;
  mo_activation_t activation;
} mo_linear_epilogue_args;

cudaError_t mo_launch_linear_epilogue(const mo_linear_epilogue_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
