/* tests/simulated_device/device.h - the device side of CUDA C++ for kernels built with the host compiler: the built-in
 * variables, barriers, warp collectives, asynchronous copies, atomics. Each block runs its threads as fibers (fiber.h).
 *
 * Lanes meet only where the language says they do: nothing here keeps a warp in step, so code that relies on it fails.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATED_DEVICE_DEVICE_H
#define SIMULATED_DEVICE_DEVICE_H

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>
#include <utility>

#include "cuda_runtime_api.h"
#include "tests/simulated_device/arithmetic.h"
#include "tests/simulated_device/fault.h"

#define __global__
#define __device__
#define __host__
/* Only a wish here: this compiler takes seven times as long over kernels that are one function each. */
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

namespace simulated {

struct ThreadVariables {
  uint3 thread_index, block_index;
  dim3 block_dim, grid_dim;
};
const ThreadVariables &variables(); /* of the running thread; a fault outside a kernel */

/* Dynamic shared memory of the running block: its own heap allocation, filled with 0xFF (NaN in every float type). */
void *shared_memory();

void barrier(int id, int thread_count); /* thread_count 0: all threads that have not ended */

/* Meets all lanes of `mask` that make the same call, and gives every lane all lanes' `bytes` (at most 64): the value of lane i
 * is at result + 64 * i. The result is good until the lane's next collective. `what` names the call in faults. */
constexpr int kCollectiveBytes = 64;
const unsigned char *collective(const char *what, unsigned mask, const void *value, size_t bytes);
unsigned active_mask();

/* cp.async: recorded, done as late as the wait allows. */
void async_copy(void *shared, const void *global, size_t bytes, size_t valid_bytes);
void async_commit();
void async_wait(int groups_left);

/* Called by the launch helper. */
cudaError_t launch(const char *name, const void *kernel, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                   std::function<void()> body);

template <typename T>
T shuffle(const char *what, unsigned mask, T value, int source_lane, bool in_range) {
  static_assert(sizeof(T) <= 8, "shuffles move at most 8 bytes");
  const unsigned char *all = collective(what, mask, &value, sizeof value);
  T result = value;
  if (in_range) std::memcpy(&result, all + kCollectiveBytes * source_lane, sizeof result);
  return result;
}
inline int lane() {
  const ThreadVariables &v = variables();
  return static_cast<int>((v.thread_index.x + v.block_dim.x * (v.thread_index.y + v.block_dim.y * v.thread_index.z)) % 32);
}
void check_source_lane(const char *what, unsigned mask, int lane);

}  // namespace simulated

#define threadIdx (::simulated::variables().thread_index)
#define blockIdx (::simulated::variables().block_index)
#define blockDim (::simulated::variables().block_dim)
#define gridDim (::simulated::variables().grid_dim)
#define warpSize 32

inline void __syncthreads() { ::simulated::barrier(0, 0); }
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu) { ::simulated::collective("__syncwarp", mask, "", 0); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline unsigned __activemask() { return ::simulated::active_mask(); }

template <typename T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const int lane = ::simulated::lane();
  const int from = (lane & ~(width - 1)) + (source & (width - 1));
  ::simulated::check_source_lane("__shfl_sync", mask, from);
  return ::simulated::shuffle("__shfl_sync", mask, value, from, true);
}
template <typename T>
inline T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
  const int lane = ::simulated::lane();
  const int from = lane ^ lane_mask;
  const bool in_range = (from & ~(width - 1)) <= (lane & ~(width - 1));
  if (in_range) ::simulated::check_source_lane("__shfl_xor_sync", mask, from);
  return ::simulated::shuffle("__shfl_xor_sync", mask, value, from, in_range);
}
template <typename T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int lane = ::simulated::lane();
  const int from = lane + static_cast<int>(delta);
  const bool in_range = (lane & (width - 1)) + static_cast<int>(delta) < width;
  return ::simulated::shuffle("__shfl_down_sync", mask, value, from, in_range);
}
template <typename T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int lane = ::simulated::lane();
  const int from = lane - static_cast<int>(delta);
  const bool in_range = (lane & (width - 1)) >= static_cast<int>(delta);
  return ::simulated::shuffle("__shfl_up_sync", mask, value, from, in_range);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const unsigned char *all = ::simulated::collective("__ballot_sync", mask, &predicate, sizeof predicate);
  unsigned result = 0;
  for (int lane = 0; lane < 32; ++lane) {
    int value = 0;
    std::memcpy(&value, all + ::simulated::kCollectiveBytes * lane, sizeof value);
    if ((mask >> lane & 1u) != 0 && value != 0) result |= 1u << lane;
  }
  return result;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }

/* Fibers do not preempt one another: plain read-modify-write is atomic. */
inline int atomicAdd(int *address, int value) { return std::exchange(*address, *address + value); }
inline unsigned atomicAdd(unsigned *address, unsigned value) { return std::exchange(*address, *address + value); }
inline unsigned long long atomicAdd(unsigned long long *address, unsigned long long value) {
  return std::exchange(*address, *address + value);
}
inline int atomicMax(int *address, int value) { return std::exchange(*address, *address > value ? *address : value); }
inline int atomicMin(int *address, int value) { return std::exchange(*address, *address < value ? *address : value); }
inline unsigned atomicMax(unsigned *address, unsigned value) {
  return std::exchange(*address, *address > value ? *address : value);
}
inline unsigned atomicOr(unsigned *address, unsigned value) { return std::exchange(*address, *address | value); }
inline int atomicExch(int *address, int value) { return std::exchange(*address, value); }
inline int atomicCAS(int *address, int compare, int value) {
  return std::exchange(*address, *address == compare ? value : *address);
}

template <typename T>
inline T __ldg(const T *address) {
  return *address;
}
template <typename T>
inline T __ldcs(const T *address) {
  return *address;
}
template <typename T>
inline void __stcs(T *address, T value) {
  *address = value;
}

inline float __int_as_float(int bits) {
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
inline int __float_as_int(float f) {
  int bits;
  std::memcpy(&bits, &f, 4);
  return bits;
}
inline float __uint_as_float(unsigned bits) {
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
inline unsigned __float_as_uint(float f) {
  unsigned bits;
  std::memcpy(&bits, &f, 4);
  return bits;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
/* No product and sum become one here: this compiler would, too, where the machine it compiles for can. */
inline float __fmul_rn(float x, float y) {
  volatile float product = x * y;
  return product;
}
inline float __fadd_rn(float x, float y) {
  volatile float sum = x + y;
  return sum;
}
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
template <typename T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}

#endif
