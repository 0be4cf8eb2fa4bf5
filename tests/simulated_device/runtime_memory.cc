/* tests/simulated_device/runtime_memory.cc - memory, pools and copies of the simulated device.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/simulated_device/runtime_state.h"

using namespace simulated::runtime;

namespace {

void copy_rows(char *to, size_t to_pitch, const char *from, size_t from_pitch, size_t width, size_t height) {
  for (size_t row = 0; row < height; ++row) std::memmove(to + row * to_pitch, from + row * from_pitch, width);
}

void count_rows(void (*count)(const void *, size_t), const void *rows, size_t pitch, size_t width, size_t height) {
  for (size_t row = 0; row < height; ++row) count(static_cast<const char *>(rows) + row * pitch, width);
}

cudaError_t copy(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height,
                 cudaMemcpyKind kind, cudaStream_t handle) {
  CUstream_st *stream = resolve(handle);
  if (!usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  if (width == 0 || height == 0) return cudaSuccess;
  if (to == nullptr || from == nullptr) return fail(cudaErrorInvalidValue);
  const bool to_device = find_allocation(to) != nullptr && !is_pinned(to);
  const bool from_device = find_allocation(from) != nullptr && !is_pinned(from);
  if (kind == cudaMemcpyHostToDevice   ? (!to_device || from_device)
      : kind == cudaMemcpyDeviceToHost ? (to_device || !from_device)
                                       : kind == cudaMemcpyDeviceToDevice && !(to_device && from_device)) {
    return fail(cudaErrorInvalidValue); /* a real device would often guess; here a wrong direction is a mistake */
  }
  auto count = [=] {
    if (from_device && !to_device) device().copied_to_host += width * height;
    if (from_device) {
      count_rows(to_device ? simulated::traffic_read : simulated::traffic_went_to_host, from, from_pitch, width, height);
    }
    if (to_device) {
      count_rows(from_device ? simulated::traffic_written : simulated::traffic_came_from_host, to, to_pitch, width, height);
    }
  };
  if (!from_device && !is_pinned(from) && !stream->capturing) { /* pageable source: read now */
    if (width * height > kPageableLimit) device().pageable_bytes += width * height;
    auto staged = std::make_shared<std::vector<char>>(width * height);
    copy_rows(staged->data(), width, static_cast<const char *>(from), from_pitch, width, height);
    enqueue(stream, [=] {
      copy_rows(static_cast<char *>(to), to_pitch, staged->data(), width, width, height);
      count();
    });
    return cudaSuccess;
  }
  enqueue(stream, [=] {
    copy_rows(static_cast<char *>(to), to_pitch, static_cast<const char *>(from), from_pitch, width, height);
    count();
  });
  if (!to_device && !is_pinned(to) && !stream->capturing) run_all(stream); /* pageable destination: complete on return */
  return device().sticky == cudaSuccess ? cudaSuccess : fail(device().sticky);
}

}  // namespace

extern "C" {

/* ---- Memory ---- */

cudaError_t cudaMalloc(void **memory, size_t bytes) {
  SIMULATED_ENTER();
  return allocate(memory, bytes, false);
}

cudaError_t cudaFree(void *memory) {
  SIMULATED_ENTER();
  if (memory == nullptr) return cudaSuccess;
  if (device().allocations.count(reinterpret_cast<uintptr_t>(memory)) == 0) return fail(cudaErrorInvalidValue);
  /* waits for the whole device */
  run_everything();
  release(memory);
  return fail(device().sticky);
}

/* Recorded, the allocation is a node of the graph, and so is the address: no work outside of the graph may use it, and a graph
 * that does not free it cannot be launched again. */
static cudaError_t allocate_in_order(void **memory, size_t bytes, cudaStream_t handle) {
  CUstream_st *stream = resolve(handle);
  if (!usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  const cudaError_t error = allocate(memory, bytes, false);
  if (error != cudaSuccess || bytes == 0) return error;
  if (stream->capturing) stream->captured_memory[*memory] = bytes;
  /* What another stream has written before the block's turn came is lost. */
  enqueue(stream, [start = reinterpret_cast<uintptr_t>(*memory), number = device().allocation_number] {
    const auto found = device().allocations.find(start);
    if (found == device().allocations.end() || found->second.number != number) return;
    std::memset(reinterpret_cast<void *>(start), kPoison, found->second.bytes);
  });
  return cudaSuccess;
}

cudaError_t cudaMallocAsync(void **memory, size_t bytes, cudaStream_t handle) {
  SIMULATED_ENTER();
  return allocate_in_order(memory, bytes, handle);
}

cudaError_t cudaMallocFromPoolAsync(void **memory, size_t bytes, cudaMemPool_t pool, cudaStream_t handle) {
  SIMULATED_ENTER();
  if (device().pools.count(pool) == 0 || pool->device != current_device) return fail(cudaErrorInvalidValue);
  return allocate_in_order(memory, bytes, handle);
}

cudaError_t cudaFreeAsync(void *memory, cudaStream_t handle) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (!usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  if (memory == nullptr) return cudaSuccess;
  const auto found = device().allocations.find(reinterpret_cast<uintptr_t>(memory));
  if (found == device().allocations.end() || found->second.pinned) return fail(cudaErrorInvalidValue);
  if (stream->capturing && stream->captured_memory.erase(memory) == 0) {
    stream->capture_invalid = true; /* memory of another graph, or of none */
    return fail(cudaErrorStreamCaptureUnsupported);
  }
  enqueue(stream, [memory] { release(memory); });
  return cudaSuccess;
}

/* Not while this thread records in a mode that forbids it; a graph of ours would be lost. */
static cudaError_t refuse_while_recording() {
  for (CUstream_st *stream : all_streams()) {
    if (!stream->capturing) continue;
    stream->capture_invalid = true;
    return fail(cudaErrorStreamCaptureUnsupported);
  }
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned) {
  SIMULATED_ENTER();
  if (const cudaError_t refused = refuse_while_recording()) return refused;
  return allocate(memory, bytes, true);
}

cudaError_t cudaFreeHost(void *memory) {
  SIMULATED_ENTER();
  if (memory == nullptr) return cudaSuccess;
  if (!is_pinned(memory)) return fail(cudaErrorInvalidValue);
  run_everything();
  release(memory);
  return fail(device().sticky);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *memory) {
  SIMULATED_ENTER();
  *attributes = cudaPointerAttributes{};
  const auto *found = find_allocation(memory);
  if (found == nullptr) return cudaSuccess;
  attributes->type = found->second.pinned ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
  attributes->devicePointer = const_cast<void *>(memory);
  if (found->second.pinned) attributes->hostPointer = const_cast<void *>(memory);
  return cudaSuccess;
}

/* The default pool is every library's: changing it changes what others hold. */
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *pool, int) {
  SIMULATED_ENTER();
  *pool = nullptr;
  note_fault("the card's default memory pool was asked for: it belongs to the whole process");
  return fail(cudaErrorInvalidValue);
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const cudaMemPoolProps *properties) {
  SIMULATED_ENTER();
  if (properties->allocType != cudaMemAllocationTypePinned || properties->location.type != cudaMemLocationTypeDevice ||
      properties->location.id < 0 || properties->location.id >= device().device_count)
    return fail(cudaErrorInvalidValue);
  *pool = new CUmemPoolHandle_st;
  (*pool)->device = properties->location.id;
  device().pools.insert(*pool);
  return cudaSuccess;
}

/* What was taken from it may outlive it. */
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  SIMULATED_ENTER();
  if (device().pools.erase(pool) == 0) return fail(cudaErrorInvalidValue);
  delete pool;
  return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr, void *) {
  SIMULATED_ENTER();
  return device().pools.count(pool) != 0 ? cudaSuccess : fail(cudaErrorInvalidValue);
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t) {
  SIMULATED_ENTER();
  return device().pools.count(pool) != 0 ? cudaSuccess : fail(cudaErrorInvalidValue);
}

/* ---- Copies ---- */

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  SIMULATED_ENTER();
  return copy(to, bytes, from, bytes, bytes, 1, kind, stream);
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream) {
  SIMULATED_ENTER();
  if (width > to_pitch || width > from_pitch) return fail(cudaErrorInvalidValue);
  return copy(to, to_pitch, from, from_pitch, width, height, kind, stream);
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t handle) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (!usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  if (bytes == 0) return cudaSuccess;
  if (find_allocation(memory) == nullptr) return fail(cudaErrorInvalidValue);
  enqueue(stream, [=] {
    std::memset(memory, value, bytes);
    simulated::traffic_written(memory, bytes);
  });
  return cudaSuccess;
}

}  // extern "C"
