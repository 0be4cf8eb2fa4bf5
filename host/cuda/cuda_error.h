/* host/cuda/cuda_error.h - CUDA errors as statuses.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CUDA_CUDA_ERROR_H
#define MO_CUDA_CUDA_ERROR_H

#include <cuda_runtime_api.h>

#include "host/core/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* OK for cudaSuccess. Otherwise the status that fits, with a sentence that names `what` and CUDA's own text; the runtime's
 * "last error" is cleared, so that it does not show up in somebody else's call. An error that stays (the context on the card is
 * lost) is said to be one. */
mo_status_t mo_cuda_status(cudaError_t error, const char *what);

#ifdef __cplusplus
}
#endif
#endif
