/* kernels/sum.h - the launcher of weighted sums.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_SUM_H
#define MO_KERNELS_SUM_H

#include <cuda_runtime_api.h>

#include "kernels/common/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_sum_term_args {
  const void *data; /* NULL: none */
  mo_dtype_t dtype;
  mo_row_strides rows;
  int64_t stride; /* 1 or 0 */
  float scale;
} mo_sum_term_args;

typedef struct mo_sum_kernel_args {
  mo_row_shape shape;
  int64_t columns;
  void *output;
  mo_dtype_t dtype;
  mo_row_strides output_rows;
  mo_sum_term_args terms[2];
  float constant;
} mo_sum_kernel_args;

cudaError_t mo_launch_sum(const mo_sum_kernel_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
