/* tests/simulated_device/planted_traffic.cu - see planted_traffic.h. Compiled as the library's kernels are.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/simulated_device/planted_traffic.h"

#include "kernels/arch/launch.cuh"
#include "kernels/arch/memory.cuh"

namespace {

constexpr int kPerThread = kPlantedCount / kPlantedThreads;

void copy_kernel(float *out, const float *in) { mo_store16(out + 4 * threadIdx.x, mo_load16(in + 4 * threadIdx.x)); }

void copy_by_element_kernel(float *out, const float *in) {
  for (int i = 0; i < kPerThread; ++i) out[i * blockDim.x + threadIdx.x] = in[i * blockDim.x + threadIdx.x];
}

void copy_async_kernel(float *out, const float *in) {
  float *shared = mo_shared_memory<float>();
  mo_async_copy16(shared + 4 * threadIdx.x, in + 4 * threadIdx.x, 16);
  mo_async_commit();
  mo_async_wait<0>();
  __syncthreads();
  mo_store16(out + 4 * threadIdx.x, mo_load16(shared + 4 * threadIdx.x));
}

void read_twice_kernel(float *out, const float *in) {
  const unsigned first = kPerThread * threadIdx.x;
  float sum = 0.0f;
  for (int i = 0; i < kPerThread; ++i) sum += in[first + i];
  __syncthreads();
  for (int i = 0; i < kPerThread; ++i) out[first + i] = in[first + i] / sum;
}

void read_twice_at_once_kernel(float *out, const float *in) {
  const unsigned first = kPerThread * threadIdx.x;
  const volatile float *again = in; /* or the compiler would keep the first value */
  for (int i = 0; i < kPerThread; ++i) out[first + i] = again[first + i] + again[first + i];
}

void pieces_of_lines_kernel(float *out, const float *in) {
  const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  /* Warp 0 has the first half of every line, warp 1 the second. */
  for (unsigned line = lane / 16; line < kPlantedCount / 32; line += 2) {
    const unsigned at = 32 * line + 16 * warp + lane % 16;
    out[at] = in[at];
  }
}

void write_twice_kernel(float *out, const float *in) {
  for (int i = 0; i < kPerThread; ++i) out[i * blockDim.x + threadIdx.x] = 0.0f;
  __syncthreads();
  copy_by_element_kernel(out, in);
}

void read_masked_kernel(float *out, const float *in, const unsigned char *mask) {
  for (unsigned i = threadIdx.x; i < kPlantedCount; i += blockDim.x) {
    const float value = in[i];
    out[i] = mask[i] != 0 ? value : 0.0f;
  }
}

void read_unmasked_kernel(float *out, const float *in, const unsigned char *mask) {
  for (unsigned i = threadIdx.x; i < kPlantedCount; i += blockDim.x) {
    float value = 0.0f;
    if (mask[i] != 0) value = in[i];
    out[i] = value;
  }
}

void broadcast_kernel(float *out, const float *in) {
  for (unsigned i = threadIdx.x; i < kPlantedCount; i += blockDim.x) out[i] = in[0];
}

}  // namespace

cudaError_t launch_planted(PlantedTraffic kind, float *out, const float *in, const unsigned char *mask, cudaStream_t stream) {
  const dim3 grid(1), block(kPlantedThreads);
  switch (kind) {
    case PlantedTraffic::kCopy:
      return MO_LAUNCH(copy_kernel, grid, block, 0, stream, out, in);
    case PlantedTraffic::kCopyByElement:
      return MO_LAUNCH(copy_by_element_kernel, grid, block, 0, stream, out, in);
    case PlantedTraffic::kCopyAsync:
      return MO_LAUNCH(copy_async_kernel, grid, block, kPlantedCount * sizeof(float), stream, out, in);
    case PlantedTraffic::kReadTwice:
      return MO_LAUNCH(read_twice_kernel, grid, block, 0, stream, out, in);
    case PlantedTraffic::kReadTwiceAtOnce:
      return MO_LAUNCH(read_twice_at_once_kernel, grid, block, 0, stream, out, in);
    case PlantedTraffic::kPiecesOfLines:
      return MO_LAUNCH(pieces_of_lines_kernel, grid, block, 0, stream, out, in);
    case PlantedTraffic::kWriteTwice:
      return MO_LAUNCH(write_twice_kernel, grid, block, 0, stream, out, in);
    case PlantedTraffic::kReadMasked:
      return MO_LAUNCH(read_masked_kernel, grid, block, 0, stream, out, in, mask);
    case PlantedTraffic::kReadUnmasked:
      return MO_LAUNCH(read_unmasked_kernel, grid, block, 0, stream, out, in, mask);
    case PlantedTraffic::kBroadcast:
      return MO_LAUNCH(broadcast_kernel, grid, block, 0, stream, out, in);
  }
  return cudaErrorInvalidValue;
}
