/* kernels/softmax.h - the softmax kernels' launcher.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_SOFTMAX_H
#define MO_KERNELS_SOFTMAX_H

#include <cuda_runtime_api.h>

#include "kernels/common/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_softmax_kernel_args {
  mo_row_shape shape; /* of the rows; causal counts along the last of its extents */
  int64_t columns;
  void *output; /* may be input */
  const void *input;
  const void *mask; /* NULL */
  const void *bias; /* NULL */
  mo_dtype_t dtype; /* of input */
  mo_dtype_t output_dtype;
  mo_dtype_t mask_dtype;
  mo_dtype_t bias_dtype;
  mo_row_strides output_rows, input_rows, mask_rows, bias_rows;
  int64_t mask_stride, bias_stride; /* along the columns; 0 broadcasts */
  float scale;
  bool causal;
} mo_softmax_kernel_args;

/* `shared_bytes_limit`: what a block may have of shared memory. */
cudaError_t mo_launch_softmax(const mo_softmax_kernel_args *args, size_t shared_bytes_limit, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
