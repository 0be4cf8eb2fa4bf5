/* kernels/gather.h - the launcher that copies any strided view into contiguous memory.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_GATHER_H
#define MO_KERNELS_GATHER_H

#include <cuda_runtime_api.h>

#include "modelout/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Dimensions of extent 1 removed, neighbours that are one sequence merged, outermost first. Strides and the innermost extent
 * are in bytes; the innermost dimension is a run of bytes (stride 1). */
typedef struct mo_gather_shape {
  int32_t rank; /* 1..MO_MAX_DIMS + 1 */
  int64_t extents[MO_MAX_DIMS + 1];
  int64_t strides[MO_MAX_DIMS + 1];
} mo_gather_shape;

mo_gather_shape mo_gather_shape_of(const mo_tensor *view);

/* destination: contiguous device memory; 16 bytes at a time where its address and the view's runs allow it. */
cudaError_t mo_launch_gather(void *destination, const void *source, const mo_gather_shape *shape, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
