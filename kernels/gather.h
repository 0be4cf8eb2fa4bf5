/* kernels/gather.h - the launcher that copies a strided view, into contiguous memory as a rule.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_GATHER_H
#define MO_KERNELS_GATHER_H

#include <cuda_runtime_api.h>

#include "host/rules/strided_shape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* shape: in bytes (mo_strided_shape_packed, mo_strided_shape_in_bytes). 16 bytes at a time where addresses, runs and strides
 * allow it. */
cudaError_t mo_launch_gather(void *destination, const void *source, const mo_strided_shape *shape, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
