/* kernels/rotary.h - the launcher of the rotary embedding.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ROTARY_H
#define MO_KERNELS_ROTARY_H

#include <cuda_runtime_api.h>

#include "modelout/rotary.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Queries or keys: element (b, h, s, d) lies at b, h, s times the strides, plus d. */
typedef struct mo_rotary_side {
  const void *input;
  void *output; /* may be input */
  int64_t input_strides[3], output_strides[3];
  int32_t heads;
} mo_rotary_side;

typedef struct mo_rotary_kernel_args {
  mo_rotary_side sides[2]; /* the second with 0 heads if there is none */
  const float *cosine, *sine;
  const void *position_ids; /* NULL: position_offset + s */
  int64_t position_strides[2], position_offset, position_count;
  int64_t batch, length;
  int32_t pairs, head_size;
  mo_dtype_t dtype, position_dtype;
  bool interleaved;
} mo_rotary_kernel_args;

cudaError_t mo_launch_rotary(const mo_rotary_kernel_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
