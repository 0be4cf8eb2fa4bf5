/* kernels/probe.h - whether the current card can run what was compiled.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_PROBE_H
#define MO_KERNELS_PROBE_H

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Loads a kernel without launching it. cudaErrorNoKernelImageForDevice: no machine code for this card, nor PTX for it. All
 * kernels are compiled for the same architectures, so one answers for all. */
cudaError_t mo_probe_kernels(void);

#ifdef __cplusplus
}
#endif
#endif
