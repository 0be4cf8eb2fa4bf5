/* kernels/probe.cu - a kernel that does nothing, to be looked for on a card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/probe.h"

#include "kernels/arch/launch.cuh"

namespace {

__global__ void probe_kernel() {}

}  // namespace

cudaError_t mo_probe_kernels(void) {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, reinterpret_cast<const void *>(probe_kernel));
}
