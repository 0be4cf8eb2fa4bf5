/* kernels/pooling.h - the pooling kernels' launcher.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_POOLING_H
#define MO_KERNELS_POOLING_H

#include <cuda_runtime_api.h>

#include "modelout/pooling.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_pooling_kernel_args {
  mo_pooling_mode_t mode;
  mo_dtype_t dtype; /* of everything but the mask */
  int64_t batch, length, channels;
  int64_t width; /* of an output row */
  void *output;
  int64_t output_strides[2];
  const void *input;
  int64_t input_strides[2];
  const void *mask; /* NULL: all valid */
  mo_dtype_t mask_dtype;
  int64_t mask_strides[2];
  bool dense;         /* FIRST: the dense layer follows; without channels its weight has no address */
  const void *weight; /* with dense */
  int64_t weight_strides[2];
  const void *bias; /* NULL */
  int64_t bias_stride;
  bool l2_normalize;
  /* Set by mo_plan_pooling; the memory is the caller's. */
  int64_t splits; /* parts of a sequence that are reduced apart */
  float *scratch; /* NULL where none is needed */
} mo_pooling_kernel_args;

/* Decides how the work is shared out on a card of so many multiprocessors, and returns the bytes of scratch this needs. */
size_t mo_plan_pooling(mo_pooling_kernel_args *args, int32_t multiprocessors);

cudaError_t mo_launch_pooling(const mo_pooling_kernel_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
