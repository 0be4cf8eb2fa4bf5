/* kernels/arch/memory.cuh - 16-byte accesses, cache hints, and asynchronous copies into shared memory (sm_80).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ARCH_MEMORY_CUH
#define MO_KERNELS_ARCH_MEMORY_CUH

#include <cstddef>
#include <cstdint>

#include <cuda_runtime.h>

/* Sixteen bytes at once; the address must be a multiple of 16. "streaming": read or written once, so it should not push others
 * out of the caches. */
__device__ __forceinline__ uint4 mo_load16(const void *address) { return *static_cast<const uint4 *>(address); }
__device__ __forceinline__ uint4 mo_load16_streaming(const void *address) {
  return __ldcs(static_cast<const uint4 *>(address));
}
__device__ __forceinline__ void mo_store16(void *address, uint4 value) { *static_cast<uint4 *>(address) = value; }

/* Sixteen and eight bytes to global memory in one instruction. Written out, because the compiler takes an assignment apart into
 * stores of four bytes and joins them again only while it sees that they are neighbours: not where two branches end in the same
 * store, nor in any but the first round of an unrolled loop. */
__device__ __forceinline__ void mo_store16_global(void *address, uint4 value) {
#if defined(MO_SIMULATED_DEVICE)
  *static_cast<uint4 *>(address) = value;
#else
  asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(address)), "r"(value.x), "r"(value.y),
               "r"(value.z), "r"(value.w)
               : "memory");
#endif
}
__device__ __forceinline__ void mo_store8_global(void *address, uint2 value) {
#if defined(MO_SIMULATED_DEVICE)
  *static_cast<uint2 *>(address) = value;
#else
  asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global(address)), "r"(value.x), "r"(value.y)
               : "memory");
#endif
}

__device__ __forceinline__ void mo_store16_streaming(void *address, uint4 value) {
  __stcs(static_cast<uint4 *>(address), value);
}

/* Nothing that needs the word is computed before this place. Between the loads of a batch and what is done with them: the
 * compiler would move a conversion up to its load, in front of the next load. */
__device__ __forceinline__ void mo_hold(uint32_t &word) {
#if defined(MO_SIMULATED_DEVICE)
  static_cast<void>(word);
#else
  asm volatile("" : "+r"(word));
#endif
}
template <int N>
__device__ __forceinline__ void mo_hold(uint32_t (&words)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) mo_hold(words[i]);
}

/* Starts a copy of 16 bytes from global to shared memory; of which the first `valid_bytes` (0..16) are read and the rest
 * becomes 0. Both addresses must be multiples of 16 (the global one only where valid_bytes > 0). */
__device__ __forceinline__ void mo_async_copy16(void *shared, const void *global, int valid_bytes) {
#if defined(MO_SIMULATED_DEVICE)
  ::simulated::async_copy(shared, global, 16, static_cast<size_t>(valid_bytes));
#else
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global), "r"(valid_bytes) : "memory");
#endif
}

/* The same for 4 bytes, of which all or none are read. */
__device__ __forceinline__ void mo_async_copy4(void *shared, const void *global, int valid_bytes) {
#if defined(MO_SIMULATED_DEVICE)
  ::simulated::async_copy(shared, global, 4, static_cast<size_t>(valid_bytes));
#else
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(address), "l"(global), "r"(valid_bytes) : "memory");
#endif
}

/* Closes a group of the copies this thread started. */
__device__ __forceinline__ void mo_async_commit() {
#if defined(MO_SIMULATED_DEVICE)
  ::simulated::async_commit();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/* Waits until at most `Left` of this thread's latest groups are under way. Other threads' copies need a barrier after it. */
template <int Left>
__device__ __forceinline__ void mo_async_wait() {
#if defined(MO_SIMULATED_DEVICE)
  ::simulated::async_wait(Left);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(Left) : "memory");
#endif
}

#endif
