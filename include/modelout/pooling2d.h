/* modelout/pooling2d.h - maximum and average over windows of an image.
 *
 *   output[b][c][y][x] = max or mean of input[b][c][y stride[0] - padding[0] + i][x stride[1] - padding[1] + j], 0 <= i, j <
 * kernel
 *
 * The rules of PyTorch's MaxPool2d, AvgPool2d and AdaptiveAvgPool2d, sums in float32. What lies outside of the input never is a
 * maximum; in a mean it counts as 0 with count_includes_padding, else not at all. NaN stays NaN.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_POOLING2D_H
#define MODELOUT_POOLING2D_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mo_pooling2d_kind_t {
  MO_POOLING2D_MAX = 0,
  MO_POOLING2D_AVERAGE = 1,
  /* Mean of rows floor(y in / out) to ceil((y + 1) in / out), columns likewise; kernel, stride and padding are not looked at.
   */
  MO_POOLING2D_ADAPTIVE_AVERAGE = 2,
} mo_pooling2d_kind_t;

typedef struct mo_pooling2d_params {
  size_t struct_size;
  const mo_tensor *output; /* (batch, C, out height, out width), float dtype, any strides under which no elements overlap */
  const mo_tensor *input;  /* (batch, C, height, width), dtype of output, any strides */
  mo_pooling2d_kind_t kind;
  int32_t kernel[2], stride[2], padding[2]; /* height, width; stride 0: the kernel; padding at most half of the kernel */
  bool count_includes_padding;
  bool ceil_mode; /* extents of the output are rounded up, as long as a window begins inside of the input or its left padding */
} mo_pooling2d_params;

#define MO_POOLING2D_PARAMS_INIT MO_STRUCT_INIT(mo_pooling2d_params)

/* INVALID_ARGUMENT (among others: an output whose extents are not those of the windows), UNSUPPORTED, DEVICE_ERROR. Does not
 * allocate. Asynchronous on a GPU. */
MO_API mo_status_t mo_pooling2d(mo_context_t *context, const mo_pooling2d_params *params);

#ifdef __cplusplus
}
#endif
#endif
