/* host/cuda/cuda_error.c - CUDA errors as statuses.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cuda/cuda_error.h"

#include <stdbool.h>

mo_status_t mo_cuda_status(cudaError_t error, const char *what) {
  if (error == cudaSuccess) return MO_STATUS_OK;
  (void)cudaGetLastError();
  const bool sticky = cudaGetLastError() != cudaSuccess; /* still there after it was cleared */
  switch (error) {
    case cudaErrorMemoryAllocation:
      return mo_fail(MO_STATUS_OUT_OF_MEMORY, "cuda: %s: out of memory", what);
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorInvalidDevice:
      return mo_fail(MO_STATUS_NO_DEVICE, "cuda: %s: %s", what, cudaGetErrorString(error));
    default:
      return mo_fail(MO_STATUS_DEVICE_ERROR, "cuda: %s: %s (%s)%s", what, cudaGetErrorString(error), cudaGetErrorName(error),
                     sticky ? "; the device refuses all further work of this process" : "");
  }
}
