/* kernels/topk.h - the top-k kernels' launcher.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_TOPK_H
#define MO_KERNELS_TOPK_H

#include <cuda_runtime_api.h>

#include "modelout/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_topk_kernel_args {
  int64_t rows;
  int64_t extents[MO_MAX_DIMS - 1]; /* of the dimensions before the last, right-aligned, 1 in front */
  int64_t strides[MO_MAX_DIMS - 1];
  int64_t count, stride; /* of a row; count below 2^32 */
  int64_t k;
  const void *input;
  mo_dtype_t dtype;
  void *values;     /* (rows, k) */
  int64_t *indices; /* (rows, k) */
  /* Set by mo_plan_topk; the memory is the caller's. */
  int64_t segments, segment_length; /* a row is searched in so many parts */
  int64_t blocks;                   /* of the kernel for large k */
  uint64_t *scratch;                /* NULL where none is needed */
} mo_topk_kernel_args;

/* Decides how the work is shared out on a card of so many multiprocessors, and returns the bytes of scratch this needs. */
size_t mo_plan_topk(mo_topk_kernel_args *args, int32_t multiprocessors);

cudaError_t mo_launch_topk(const mo_topk_kernel_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
