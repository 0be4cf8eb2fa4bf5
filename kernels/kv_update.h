/* kernels/kv_update.h - the launchers of the cache update and the cache gather.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_KV_UPDATE_H
#define MO_KERNELS_KV_UPDATE_H

#include <cuda_runtime_api.h>

#include "kernels/kv/view.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MO_KV_LAYERS_PER_LAUNCH                                                                                                \
  128 /* more than models have (126); their descriptors fit in what a kernel takes as parameters */

typedef struct mo_kv_update_side {
  mo_kv_heads source;
  mo_kv_store cache;
} mo_kv_update_side;

typedef struct mo_kv_update_kernel_layer {
  mo_kv_update_side sides[2]; /* keys, values */
  mo_kv_table table;
} mo_kv_update_kernel_layer;

/* The same for all layers. */
typedef struct mo_kv_update_kernel_args {
  int32_t batch, heads, length;
  int64_t capacity;
  mo_dtype_t source_dtype, stored_dtype;
  int64_t offset;
  const int32_t *offsets, *counts; /* NULL */
  const int32_t *cumulative;       /* NULL; else the sources hold the new tokens of `rows` rows packed, and batch is 1 */
  int32_t rows;
  int64_t offset_stride, count_stride;
  mo_kv_turn turn; /* of keys */
} mo_kv_update_kernel_args;

typedef struct mo_kv_gather_kernel_args {
  mo_kv_store source[2], destination[2]; /* keys, values */
  mo_kv_table table;
  const int32_t *rows; /* NULL: the same row */
  int64_t row_stride, start;
  int32_t batch, heads, length, source_rows;
  mo_dtype_t source_dtype, destination_dtype;
} mo_kv_gather_kernel_args;

/* layer_count: 1 to MO_KV_LAYERS_PER_LAUNCH. All heads of all their new tokens are at most 2^31 - 1. */
cudaError_t mo_launch_kv_update(const mo_kv_update_kernel_args *args, const mo_kv_update_kernel_layer *layers,
                                int32_t layer_count, cudaStream_t stream);
cudaError_t mo_launch_kv_gather(const mo_kv_gather_kernel_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
