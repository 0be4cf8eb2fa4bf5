/* kernels/pooling2d.h - the launcher of pooling over windows.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_POOLING2D_H
#define MO_KERNELS_POOLING2D_H

#include <cuda_runtime_api.h>

#include "host/rules/pooling_window.h"
#include "modelout/pooling2d.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_pooling2d_args {
  const void *input;
  void *output;
  mo_dtype_t dtype;
  mo_pooling2d_kind_t kind;
  bool count_includes_padding;
  mo_pooling_axis rows, columns;
  int64_t batch, channels;
  int64_t input_strides[4], output_strides[4]; /* (batch, channel, row, pixel) */
} mo_pooling2d_args;

cudaError_t mo_launch_pooling2d(const mo_pooling2d_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
