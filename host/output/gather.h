/* host/output/gather.h - a strided host tensor into contiguous memory, converted on the way.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_OUTPUT_GATHER_H
#define MO_OUTPUT_GATHER_H

#include "modelout/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All elements of `source` (memory the host may read) in row-major order. `dtype` is the source's own or one that
 * mo_dtype_convert knows. */
mo_status_t mo_gather(const mo_tensor *source, void *destination, mo_dtype_t dtype);

#ifdef __cplusplus
}
#endif
#endif
