/* kernels/arch/launch.cuh - the one way a kernel is launched, and the one way it gets shared memory.
 *
 * Both exist so that the same kernel source is compiled by nvcc for a GPU and by the host compiler for the simulated device
 * (tests/simulated_device), where neither <<<...>>> nor extern __shared__ parses.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ARCH_LAUNCH_CUH
#define MO_KERNELS_ARCH_LAUNCH_CUH

#include <cstddef>
#include <cstdint>

#include <cuda_runtime.h>

/* Dynamic shared memory of the block, aligned to 128 bytes. Kernels use no static shared memory. */
template <typename T>
__device__ __forceinline__ T *mo_shared_memory() {
#if defined(MO_SIMULATED_DEVICE)
  return static_cast<T *>(::simulated::shared_memory());
#else
  extern __shared__ __align__(128) unsigned char mo_shared_bytes[];
  return reinterpret_cast<T *>(mo_shared_bytes);
#endif
}

/* Launches `kernel` on `stream`. More than 48 KiB of shared memory is asked for as the device requires. Returns the launch's own
 * error and leaves none behind. MO_LAUNCH passes the kernel's name along for the simulated device's reports. */
#if defined(MO_SIMULATED_DEVICE)
template <typename... Parameters, typename... Arguments>
cudaError_t mo_launch(const char *name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                      cudaStream_t stream, Arguments... arguments) {
  return ::simulated::launch(name, grid, block, shared_bytes, stream, [=] { kernel(static_cast<Parameters>(arguments)...); });
}
#else
template <typename... Parameters, typename... Arguments>
cudaError_t mo_launch(const char *, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                      cudaStream_t stream, Arguments... arguments) {
  if (shared_bytes > (size_t{48} << 10)) {
    const cudaError_t error = cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel),
                                                   cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
    if (error != cudaSuccess) {
      (void)cudaGetLastError();
      return error;
    }
  }
  kernel<<<grid, block, shared_bytes, stream>>>(static_cast<Parameters>(arguments)...);
  return cudaGetLastError();
}
#endif

#define MO_LAUNCH(kernel, ...) mo_launch(#kernel, kernel, __VA_ARGS__)

#endif
