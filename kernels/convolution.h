/* kernels/convolution.h - the launcher of convolutions.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_CONVOLUTION_H
#define MO_KERNELS_CONVOLUTION_H

#include <cuda_runtime_api.h>

#include "modelout/linear.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Strides of (batch, channel, height, width), in elements. */
typedef struct mo_image_strides {
  int64_t batch, channel, row, pixel;
} mo_image_strides;

/* See mo_convolution_part (modelout/backend.h). `inner` and `columns` are input and output channels of a group. */
typedef struct mo_convolution_args {
  const void *input, *matrix, *bias, *residual; /* bias and residual may be NULL; matrix too, without taps */
  void *output;
  mo_dtype_t dtype, output_dtype, bias_dtype;
  mo_image_strides input_strides, output_strides, residual_strides;
  int64_t batch;
  int32_t height, width, out_height, out_width;
  int32_t inner, columns, groups;
  int64_t group_rows;
  int32_t kernel[2], stride[2], dilation[2], padding[2];
  mo_activation_t activation;
  bool residual_first;
} mo_convolution_args;

cudaError_t mo_launch_convolution(const mo_convolution_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
