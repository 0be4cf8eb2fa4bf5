/* tests/simulated_device/runtime.cc - the CUDA runtime of the simulated device: memory, streams, events, graphs, errors.
 *
 * Streams are queues that run AS LATE AS THE RULES ALLOW: an operation is carried out only when somebody waits for it (or
 * polls: each query lets one operation happen). So a missing wait reads poison instead of yesterday's luck. Rules followed:
 *   - work of one stream runs in order; streams wait for one another only through events;
 *   - a copy from pageable host memory has read its source when the call returns; one to pageable host memory is complete then;
 *   - pinned memory is read and written when the copy is carried out;
 *   - stream-ordered memory is filled with 0xFF when its allocation's turn comes, and again at its release;
 *   - every allocation has red zones on both sides, checked when it is released; the address sanitizer stops at the access.
 * One lock serialises the whole device.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/simulated_device/runtime_state.h"

using namespace simulated::runtime;

namespace simulated {

cudaError_t launch(const char *name, const void *kernel, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t handle,
                   std::function<void()> body) {
  SIMULATED_ENTER_AS("launch");
  CUstream_st *stream = resolve(handle);
  if (!usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  const uint64_t threads = static_cast<uint64_t>(block.x) * block.y * block.z;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || threads == 0 || threads > 1024 || grid.x > 0x7FFFFFFFu || grid.y > 65535 ||
      grid.z > 65535 || block.z > 64) {
    return fail(cudaErrorInvalidConfiguration);
  }
  if (!device().card.has_code) return fail(cudaErrorNoKernelImageForDevice);
  if (shared_bytes > allowed_shared(kernel)) return fail(cudaErrorInvalidValue);
  const std::string label = name;
  enqueue(stream, [=] {
    Device &d = device();
    ++d.launches;
    traffic_launched(label);
    const std::string fault = run_grid(d.scheduler, grid, block, shared_bytes, body);
    if (!fault.empty()) note_fault(label + ": " + fault);
  });
  return cudaSuccess;
}

cudaError_t library_call(const char *name) {
  SIMULATED_ENTER_AS(name);
  return cudaSuccess;
}

cudaError_t library_operation(const char *name, cudaStream_t handle, std::function<std::string()> body) {
  SIMULATED_ENTER_AS(name);
  CUstream_st *stream = resolve(handle);
  if (!usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  const std::string label = name;
  enqueue(stream, [=] {
    ++device().launches;
    traffic_launched(label);
    const std::string fault = body();
    if (!fault.empty()) note_fault(label + ": " + fault);
  });
  return cudaSuccess;
}

bool is_device_range(const void *memory, size_t bytes) {
  Lock lock(device().mutex);
  const auto *found = find_allocation(memory);
  if (found == nullptr || found->second.pinned) return false;
  return reinterpret_cast<uintptr_t>(memory) - found->first + bytes <= found->second.bytes;
}

void count_library_object(int change) {
  Lock lock(device().mutex);
  device().library_objects += change;
}

}  // namespace simulated

extern "C" {

/* ---- Device ---- */

cudaError_t cudaGetDeviceCount(int *count) {
  SIMULATED_ENTER();
  *count = 0;
  if (device().driver_version / 1000 < CUDART_VERSION / 1000) return fail(cudaErrorInsufficientDriver);
  *count = device().device_count;
  return *count > 0 ? cudaSuccess : fail(cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int index) {
  SIMULATED_ENTER();
  if (index < 0 || index >= device().device_count) return fail(cudaErrorInvalidDevice);
  current_device = index;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int *index) {
  SIMULATED_ENTER();
  *index = current_device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int index) {
  SIMULATED_ENTER();
  if (index < 0 || index >= device().device_count) return fail(cudaErrorInvalidDevice);
  const simulated_card &card = device().card;
  *properties = cudaDeviceProp{};
  std::strcpy(properties->name, "simulated device");
  properties->totalGlobalMem = device().memory_bytes;
  properties->major = card.major;
  properties->minor = card.minor;
  properties->multiProcessorCount = card.multiprocessor_count;
  properties->sharedMemPerBlockOptin = card.shared_bytes_per_block;
  properties->l2CacheSize = 1 << 20;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int index) {
  SIMULATED_ENTER();
  if (index < 0 || index >= device().device_count) return fail(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = 48 << 10;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = device().card.multiprocessor_count;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = device().card.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = device().card.minor;
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = static_cast<int>(device().card.shared_bytes_per_block + kReservedShared);
      break;
    case cudaDevAttrL2CacheSize:
      *value = 1 << 20;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(device().card.shared_bytes_per_block);
      break;
    case cudaDevAttrMemoryPoolsSupported:
      *value = 1;
      break;
    default:
      return fail(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

/* Answers without a card, and with a driver that is too old. */
cudaError_t cudaDriverGetVersion(int *version) {
  Lock lock(device().mutex);
  *version = device().driver_version;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
  SIMULATED_ENTER();
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void) {
  SIMULATED_ENTER();
  run_everything();
  return fail(device().sticky);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
  SIMULATED_ENTER();
  *total_bytes = device().memory_bytes;
  *free_bytes = device().memory_bytes - device().used_bytes;
  return cudaSuccess;
}

/* ---- Kernels ---- */

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *function) {
  SIMULATED_ENTER();
  if (function == nullptr) return fail(cudaErrorInvalidDeviceFunction);
  if (!device().card.has_code) return fail(cudaErrorNoKernelImageForDevice);
  *attributes = cudaFuncAttributes{};
  attributes->maxThreadsPerBlock = 1024;
  attributes->maxDynamicSharedSizeBytes = static_cast<int>(allowed_shared(function));
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *function, cudaFuncAttribute attribute, int value) {
  SIMULATED_ENTER();
  if (function == nullptr) return fail(cudaErrorInvalidDeviceFunction);
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
      static_cast<size_t>(value) > device().card.shared_bytes_per_block)
    return fail(cudaErrorInvalidValue);
  const auto key = std::make_pair(function, current_device);
  const auto found = device().shared_limits.find(key);
  if (found != device().shared_limits.end() && value < found->second)
    note_fault("the shared memory of a kernel was lowered, which another thread may be about to launch");
  device().shared_limits[key] = value;
  return cudaSuccess;
}

/* By threads and shared memory; the registers of a kernel are not known here. */
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *function, int threads, size_t shared_bytes) {
  SIMULATED_ENTER();
  *blocks = 0;
  if (function == nullptr || threads < 1) return fail(cudaErrorInvalidValue);
  if (shared_bytes > device().card.shared_bytes_per_block) return cudaSuccess;
  const size_t by_shared = (device().card.shared_bytes_per_block + kReservedShared) / (shared_bytes + kReservedShared);
  const int by_threads = std::min(kBlocksPerMultiprocessor, kThreadsPerMultiprocessor / threads);
  *blocks = std::min(by_threads, static_cast<int>(by_shared));
  return cudaSuccess;
}

/* ---- Errors ---- */

cudaError_t cudaGetLastError(void) {
  const cudaError_t error = last_error;
  last_error = device().sticky; /* a sticky error stays */
  return error;
}

cudaError_t cudaPeekAtLastError(void) { return last_error; }

const char *cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define SIMULATED_NAME(name)                                                                                                   \
  case name:                                                                                                                   \
    return #name;
    SIMULATED_NAME(cudaSuccess)
    SIMULATED_NAME(cudaErrorInvalidValue)
    SIMULATED_NAME(cudaErrorMemoryAllocation)
    SIMULATED_NAME(cudaErrorInitializationError)
    SIMULATED_NAME(cudaErrorInvalidConfiguration)
    SIMULATED_NAME(cudaErrorInsufficientDriver)
    SIMULATED_NAME(cudaErrorInvalidDeviceFunction)
    SIMULATED_NAME(cudaErrorNoDevice)
    SIMULATED_NAME(cudaErrorInvalidDevice)
    SIMULATED_NAME(cudaErrorNoKernelImageForDevice)
    SIMULATED_NAME(cudaErrorUnsupportedPtxVersion)
    SIMULATED_NAME(cudaErrorInvalidResourceHandle)
    SIMULATED_NAME(cudaErrorNotReady)
    SIMULATED_NAME(cudaErrorIllegalAddress)
    SIMULATED_NAME(cudaErrorLaunchOutOfResources)
    SIMULATED_NAME(cudaErrorLaunchFailure)
    SIMULATED_NAME(cudaErrorStreamCaptureUnsupported)
    SIMULATED_NAME(cudaErrorStreamCaptureInvalidated)
    SIMULATED_NAME(cudaErrorUnknown)
#undef SIMULATED_NAME
  }
  return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
    case cudaErrorInvalidValue:
      return "invalid argument";
    default:
      return cudaGetErrorName(error);
  }
}

/* ---- Control ---- */

void simulated_set_seed(uint64_t seed) {
  Lock lock(device().mutex);
  device().scheduler.reseed(seed);
}

void simulated_set_memory(size_t bytes) {
  Lock lock(device().mutex);
  device().memory_bytes = bytes;
}

void simulated_fail_call(int64_t n, cudaError_t error) {
  Lock lock(device().mutex);
  device().fail_in = n;
  device().fail_error = error;
}

int64_t simulated_call_count(void) {
  Lock lock(device().mutex);
  return device().calls;
}

int64_t simulated_call_count_of(const char *name) {
  Lock lock(device().mutex);
  const auto found = device().calls_by_name.find(name);
  return found == device().calls_by_name.end() ? 0 : found->second;
}

void simulated_record_calls(bool record) {
  Lock lock(device().mutex);
  device().records_calls = record;
}

const char *simulated_take_calls(void) {
  Lock lock(device().mutex);
  device().taken_calls = std::move(device().recorded_calls);
  device().recorded_calls.clear();
  return device().taken_calls.c_str();
}

const char *simulated_take_failed_call(void) {
  Lock lock(device().mutex);
  device().taken_failed_call = device().failed_call;
  device().failed_call.clear();
  return device().taken_failed_call.c_str();
}

int64_t simulated_waiting_call_count(void) {
  int64_t count = 0;
  for (const char *name :
       {"cudaDeviceSynchronize", "cudaStreamSynchronize", "cudaEventSynchronize", "cudaStreamQuery", "cudaEventQuery",
        "cudaMemcpyAsync", "cudaMemcpy2DAsync", "cudaFree", "cudaHostAlloc", "cudaFreeHost", "cudaMalloc"}) {
    count += simulated_call_count_of(name);
  }
  return count;
}

int64_t simulated_allocation_call_count(void) {
  return simulated_call_count_of("cudaMallocAsync") + simulated_call_count_of("cudaMallocFromPoolAsync") +
         simulated_call_count_of("cudaFreeAsync");
}

void simulated_set_card(const simulated_card *card) {
  Lock lock(device().mutex);
  device().card = card != nullptr ? *card : default_card();
}

void simulated_set_driver_version(int version) {
  Lock lock(device().mutex);
  device().driver_version = version != 0 ? version : CUDART_VERSION;
}

void simulated_set_device_count(int count) {
  Lock lock(device().mutex);
  device().device_count = count;
}

void simulated_break_device(cudaError_t error) {
  Lock lock(device().mutex);
  device().sticky = error;
}

int64_t simulated_live_objects(void) {
  Lock lock(device().mutex);
  Device &d = device();
  /* releases that wait in a stream are over as far as the program is concerned */
  run_everything();
  return static_cast<int64_t>(d.allocations.size() + d.streams.size() + d.events.size() + d.pools.size()) + d.graph_objects + d.library_objects;
}

const char *simulated_take_report(void) {
  Lock lock(device().mutex);
  device().taken_report = device().report;
  device().report.clear();
  return device().taken_report.c_str();
}

void simulated_reset(void) {
  Lock lock(device().mutex);
  device().sticky = cudaSuccess;
  device().report.clear();
  device().fail_in = 0;
  last_error = cudaSuccess;
}

uint64_t simulated_copied_to_host_bytes(void) {
  Lock lock(device().mutex);
  return device().copied_to_host;
}

uint64_t simulated_pageable_copy_bytes(void) {
  Lock lock(device().mutex);
  return device().pageable_bytes;
}

uint64_t simulated_launch_count(void) {
  Lock lock(device().mutex);
  return device().launches;
}

uint64_t simulated_graph_launch_count(void) {
  Lock lock(device().mutex);
  return device().graph_launches;
}

}  // extern "C"
