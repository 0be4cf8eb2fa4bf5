/* kernels/position_bias.h - the launcher of the position biases.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_POSITION_BIAS_H
#define MO_KERNELS_POSITION_BIAS_H

#include <cuda_runtime_api.h>

#include "host/rules/relative_buckets.h"
#include "modelout/position_bias.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_position_bias_kernel_args {
  void *output;
  mo_dtype_t dtype;
  int64_t head_stride, row_stride; /* of output */
  int32_t heads, queries, keys;
  const void *query_offsets; /* NULL: query_offset */
  mo_dtype_t offset_dtype;
  int64_t query_offset;
  const float *slopes; /* NULL: T5 */
  int64_t slope_stride;
  const void *table;
  mo_dtype_t table_dtype;
  int64_t table_strides[2];
  mo_relative_buckets buckets;
} mo_position_bias_kernel_args;

cudaError_t mo_launch_position_bias(const mo_position_bias_kernel_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
