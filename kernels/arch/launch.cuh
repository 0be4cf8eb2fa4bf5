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
#include <tuple>

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

/* What a kernel may have without being allowed more. */
constexpr size_t mo_default_shared_bytes = size_t{48} << 10;

/* Lets `kernel` have as much shared memory as the current card gives a block, once per kernel and card (launch.cu). A limit that
 * is the card's own never has to be lowered, so contexts in other threads are not in the way. */
cudaError_t mo_allow_shared_memory(const void *kernel);

/* How many blocks of the kernel a multiprocessor of the current card holds at once, by its registers, threads and shared memory;
 * 0 if not one. */
cudaError_t mo_blocks_per_multiprocessor(const void *kernel, int threads, size_t shared_bytes, int *blocks);

/* Launches `kernel` on `stream`. Shared memory above 48 KiB is asked for as the device requires. Returns the launch's own error,
 * not one that another library has left behind, and leaves none. MO_LAUNCH passes the kernel's name along for the simulated
 * device's reports. */
template <typename... Parameters, typename... Arguments>
cudaError_t mo_launch(const char *name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                      cudaStream_t stream, Arguments... arguments) {
  const void *const address = reinterpret_cast<const void *>(kernel);
  if (shared_bytes > mo_default_shared_bytes) {
    const cudaError_t error = mo_allow_shared_memory(address);
    if (error != cudaSuccess) return error;
  }
#if defined(MO_SIMULATED_DEVICE)
  return ::simulated::launch(name, address, grid, block, shared_bytes, stream,
                             [=] { kernel(static_cast<Parameters>(arguments)...); });
#else
  (void)name;
  std::tuple<Parameters...> values(static_cast<Parameters>(arguments)...);
  return std::apply(
      [&](auto &...value) {
        void *pointers[sizeof...(value) + 1] = {static_cast<void *>(&value)...}; /* one more: there may be none */
        const cudaError_t error = cudaLaunchKernel(address, grid, block, pointers, shared_bytes, stream);
        if (error != cudaSuccess) (void)cudaGetLastError();
        return error;
      },
      values);
#endif
}

#define MO_LAUNCH(kernel, ...) mo_launch(#kernel, kernel, __VA_ARGS__)

#endif
