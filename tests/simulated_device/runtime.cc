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
#include "cuda_runtime_api.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "tests/simulated_device/block.h"
#include "tests/simulated_device/control.h"
#include "tests/simulated_device/library.h"
#include "tests/simulated_device/traffic.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

struct CUevent_st {
  int device = 0;
  CUstream_st *stream = nullptr; /* where the latest record waits; NULL: complete or never recorded */
  uint64_t ticket = 0;           /* of that record in its stream */
  bool recorded = false;
  bool times = false;
  std::shared_ptr<std::chrono::steady_clock::time_point> moment; /* of the latest record, set when its turn comes */
};

struct CUstream_st {
  int device = 0;
  struct Operation {
    uint64_t ticket;
    std::function<void()> action;
  };
  std::deque<Operation> queue;
  uint64_t next_ticket = 1;
  uint64_t done_ticket = 0; /* all operations up to it are complete */
  bool running = false;
  bool capturing = false;
  bool capture_invalid = false;
  std::vector<std::function<void()>> captured;
};

struct CUgraph_st {
  std::vector<std::function<void()>> operations;
};
struct CUgraphExec_st {
  std::shared_ptr<std::vector<std::function<void()>>> operations;
};
struct CUmemPoolHandle_st {};

namespace {

constexpr size_t kRedZone = 256;
constexpr unsigned char kRedByte = 0xFF, kPoison = 0xFF; /* NaN in every float type, -1 in every integer */

struct Allocation {
  size_t bytes;
  bool pinned;
  uint64_t number; /* of all there ever were */
  std::unique_ptr<unsigned char[]> owner;
};

struct Device {
  std::recursive_mutex mutex;
  simulated::Scheduler scheduler{seed_from_environment()};
  std::map<uintptr_t, Allocation> allocations; /* by first usable byte */
  size_t memory_bytes = memory_from_environment();
  size_t used_bytes = 0;
  uint64_t allocation_number = 0;
  std::set<CUstream_st *> streams;
  std::set<CUevent_st *> events;
  int64_t graph_objects = 0, library_objects = 0;
  CUstream_st null_stream;
  cudaError_t sticky = cudaSuccess;
  std::string report, taken_report;
  int device_count = 1;
  int64_t calls = 0;
  std::map<std::string, int64_t> calls_by_name;
  bool records_calls = false;
  std::string recorded_calls, taken_calls;
  int64_t fail_in = 0;
  std::string failed_call, taken_failed_call;
  cudaError_t fail_error = cudaSuccess;
  uint64_t copied_to_host = 0, launches = 0, graph_launches = 0;
  CUmemPoolHandle_st pool;

  static uint64_t seed_from_environment() {
    const char *text = std::getenv("MODELOUT_SIMULATED_SEED");
    return text != nullptr ? std::strtoull(text, nullptr, 10) : 1;
  }
  static size_t memory_from_environment() {
    const char *text = std::getenv("MODELOUT_SIMULATED_MEMORY");
    return text != nullptr ? std::strtoull(text, nullptr, 10) : size_t{4} << 30;
  }
};

Device &device() {
  static Device *the_device = new Device; /* alive until the process ends: atexit handlers may still free */
  return *the_device;
}

thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;

using Lock = std::lock_guard<std::recursive_mutex>;

cudaError_t fail(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
  return error;
}

void note_fault(const std::string &text) {
  Device &d = device();
  if (d.report.empty()) d.report = text;
  d.sticky = cudaErrorLaunchFailure;
}

/* At the head of every call that can fail. */
cudaError_t enter(const char *name) {
  Device &d = device();
  ++d.calls;
  ++d.calls_by_name[name];
  if (d.records_calls) d.recorded_calls.append(name).append("\n");
  if (d.fail_in > 0 && --d.fail_in == 0) {
    d.failed_call = name;
    return d.fail_error;
  }
  return d.sticky;
}
#define SIMULATED_ENTER_AS(name)                                                                                               \
  Lock lock(device().mutex);                                                                                                   \
  do {                                                                                                                         \
    const cudaError_t entered = enter(name);                                                                                   \
    if (entered != cudaSuccess) return fail(entered);                                                                          \
  } while (0)
#define SIMULATED_ENTER() SIMULATED_ENTER_AS(__func__)

/* What the destruction of graphs reports besides a wrong argument is the failure of earlier work; the object is gone all the
 * same. */
template <typename Object>
cudaError_t destroy_graph_object(const char *name, Object *object) {
  Lock lock(device().mutex);
  const cudaError_t entered = enter(name);
  if (object == nullptr) return fail(cudaErrorInvalidValue);
  --device().graph_objects;
  delete object;
  return entered == cudaSuccess ? cudaSuccess : fail(entered);
}

CUstream_st *resolve(cudaStream_t stream) { return stream == nullptr ? &device().null_stream : stream; }
bool known(CUstream_st *stream) { return stream == &device().null_stream || device().streams.count(stream) != 0; }

/* Streams and events are used with their own card current. A real one refuses most, and works on the wrong one in some calls.
 */
bool usable(CUstream_st *stream) {
  return known(stream) && (stream == &device().null_stream || stream->device == current_device);
}
bool usable(CUevent_st *event) { return device().events.count(event) != 0 && event->device == current_device; }

/* Carries out operations of the stream up to and including `ticket`. */
void run_until(CUstream_st *stream, uint64_t ticket) {
  while (!stream->queue.empty() && stream->queue.front().ticket <= ticket) {
    CUstream_st::Operation operation = std::move(stream->queue.front());
    stream->queue.pop_front();
    /* After a fault nothing runs any more, but everything counts as over. */
    if (device().sticky == cudaSuccess) operation.action();
    stream->done_ticket = operation.ticket;
  }
}

void run_all(CUstream_st *stream) { run_until(stream, UINT64_MAX); }

void wait_event(CUstream_st *source, uint64_t ticket) {
  if (source != nullptr && known(source)) run_until(source, ticket);
}

uint64_t enqueue(CUstream_st *stream, std::function<void()> action) {
  if (stream->capturing) {
    stream->captured.push_back(std::move(action));
    return 0;
  }
  stream->queue.push_back({stream->next_ticket, std::move(action)});
  return stream->next_ticket++;
}

/* The allocation that holds an address, or NULL. */
std::pair<const uintptr_t, Allocation> *find_allocation(const void *memory) {
  auto &all = device().allocations;
  auto next = all.upper_bound(reinterpret_cast<uintptr_t>(memory));
  if (next == all.begin()) return nullptr;
  --next;
  const uintptr_t offset = reinterpret_cast<uintptr_t>(memory) - next->first;
  return offset < next->second.bytes || offset == 0 ? &*next : nullptr;
}

bool is_pinned(const void *memory) {
  const auto *found = find_allocation(memory);
  return found != nullptr && found->second.pinned;
}

cudaError_t allocate(void **memory, size_t bytes, bool pinned) {
  Device &d = device();
  if (memory == nullptr) return fail(cudaErrorInvalidValue);
  if (bytes == 0) {
    *memory = nullptr;
    return cudaSuccess;
  }
  if (!pinned && (bytes > d.memory_bytes || d.used_bytes > d.memory_bytes - bytes)) return fail(cudaErrorMemoryAllocation);
  std::unique_ptr<unsigned char[]> owner(new (std::nothrow) unsigned char[bytes + 3 * kRedZone]);
  if (owner == nullptr) return fail(cudaErrorMemoryAllocation);
  const uintptr_t start = (reinterpret_cast<uintptr_t>(owner.get()) + 2 * kRedZone - 1) & ~static_cast<uintptr_t>(kRedZone - 1);
  auto *usable = reinterpret_cast<unsigned char *>(start);
  std::memset(owner.get(), kRedByte, bytes + 3 * kRedZone);
  std::memset(usable, kPoison, bytes);
  ASAN_POISON_MEMORY_REGION(owner.get(), static_cast<size_t>(usable - owner.get()));
  ASAN_POISON_MEMORY_REGION(usable + bytes, static_cast<size_t>(owner.get() + bytes + 3 * kRedZone - (usable + bytes)));
  if (!pinned) {
    d.used_bytes += bytes;
    simulated::traffic_allocated(usable, bytes);
  }
  d.allocations[start] = {bytes, pinned, ++d.allocation_number, std::move(owner)};
  *memory = usable;
  return cudaSuccess;
}

/* Red zones intact? Then gives the memory back. */
void release(void *memory) {
  Device &d = device();
  auto found = d.allocations.find(reinterpret_cast<uintptr_t>(memory));
  if (found == d.allocations.end()) return;
  const auto *usable = static_cast<unsigned char *>(memory);
  const size_t bytes = found->second.bytes;
  ASAN_UNPOISON_MEMORY_REGION(found->second.owner.get(), bytes + 3 * kRedZone);
  for (size_t i = 1; i <= kRedZone; ++i) {
    if (*(usable - i) != kRedByte) {
      note_fault("a write " + std::to_string(i) + " bytes before an allocation of " + std::to_string(bytes) + " bytes");
      break;
    }
    if (usable[bytes + i - 1] != kRedByte) {
      note_fault("a write " + std::to_string(i - 1) + " bytes behind an allocation of " + std::to_string(bytes) + " bytes");
      break;
    }
  }
  std::memset(memory, kPoison, bytes);
  if (!found->second.pinned) {
    d.used_bytes -= bytes;
    simulated::traffic_released(memory);
  }
  d.allocations.erase(found);
}

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

namespace simulated {

cudaError_t launch(const char *name, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t handle,
                   std::function<void()> body) {
  SIMULATED_ENTER_AS("launch");
  CUstream_st *stream = resolve(handle);
  if (!usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  const uint64_t threads = static_cast<uint64_t>(block.x) * block.y * block.z;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || threads == 0 || threads > 1024 || grid.x > 0x7FFFFFFFu || grid.y > 65535 ||
      grid.z > 65535 || block.z > 64) {
    return fail(cudaErrorInvalidConfiguration);
  }
  if (shared_bytes > (227u << 10)) return fail(cudaErrorInvalidValue);
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
  *count = device().device_count;
  return cudaSuccess;
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
  *properties = cudaDeviceProp{};
  std::strcpy(properties->name, "simulated device");
  properties->totalGlobalMem = device().memory_bytes;
  properties->major = 8;
  properties->minor = 0;
  properties->multiProcessorCount = 4;
  properties->sharedMemPerBlockOptin = 227 << 10;
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
      *value = 4;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 8;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = 228 << 10;
      break;
    case cudaDevAttrL2CacheSize:
      *value = 1 << 20;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = 227 << 10;
      break;
    case cudaDevAttrMemoryPoolsSupported:
      *value = 1;
      break;
    default:
      return fail(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
  SIMULATED_ENTER();
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
  SIMULATED_ENTER();
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void) {
  SIMULATED_ENTER();
  run_all(&device().null_stream);
  for (CUstream_st *stream : std::set<CUstream_st *>(device().streams)) run_all(stream);
  return fail(device().sticky);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
  SIMULATED_ENTER();
  *total_bytes = device().memory_bytes;
  *free_bytes = device().memory_bytes - device().used_bytes;
  return cudaSuccess;
}

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
  run_all(&device().null_stream);
  for (CUstream_st *stream : std::set<CUstream_st *>(device().streams)) run_all(stream);
  release(memory);
  return fail(device().sticky);
}

cudaError_t cudaMallocAsync(void **memory, size_t bytes, cudaStream_t handle) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (!usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  if (stream->capturing) {
    stream->capture_invalid = true; /* legal on a device, but a run of ours must not allocate */
    return fail(cudaErrorStreamCaptureUnsupported);
  }
  const cudaError_t error = allocate(memory, bytes, false);
  if (error != cudaSuccess || bytes == 0) return error;
  /* What another stream has written before the block's turn came is lost. */
  enqueue(stream, [start = reinterpret_cast<uintptr_t>(*memory), number = device().allocation_number] {
    const auto found = device().allocations.find(start);
    if (found == device().allocations.end() || found->second.number != number) return;
    std::memset(reinterpret_cast<void *>(start), kPoison, found->second.bytes);
  });
  return cudaSuccess;
}

cudaError_t cudaFreeAsync(void *memory, cudaStream_t handle) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (!usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  if (memory == nullptr) return cudaSuccess;
  const auto found = device().allocations.find(reinterpret_cast<uintptr_t>(memory));
  if (found == device().allocations.end() || found->second.pinned) return fail(cudaErrorInvalidValue);
  if (stream->capturing) {
    stream->capture_invalid = true;
    return fail(cudaErrorStreamCaptureUnsupported);
  }
  enqueue(stream, [memory] { release(memory); });
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned) {
  SIMULATED_ENTER();
  return allocate(memory, bytes, true);
}

cudaError_t cudaFreeHost(void *memory) {
  SIMULATED_ENTER();
  if (memory == nullptr) return cudaSuccess;
  if (!is_pinned(memory)) return fail(cudaErrorInvalidValue);
  run_all(&device().null_stream);
  for (CUstream_st *stream : std::set<CUstream_st *>(device().streams)) run_all(stream);
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

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *pool, int) {
  SIMULATED_ENTER();
  *pool = &device().pool;
  return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void *) {
  SIMULATED_ENTER();
  return cudaSuccess;
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

/* ---- Streams ---- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned) {
  SIMULATED_ENTER();
  *stream = new CUstream_st;
  (*stream)->device = current_device;
  device().streams.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  SIMULATED_ENTER();
  if (stream == nullptr || !usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  run_all(stream); /* on a device the work goes on after the call; nobody could tell */
  device().streams.erase(stream);
  for (CUevent_st *event : device().events) {
    if (event->stream == stream) event->stream = nullptr;
  }
  delete stream;
  return cudaSuccess;
}

static cudaError_t refuse_while_capturing(CUstream_st *stream) {
  if (!stream->capturing) return cudaSuccess;
  stream->capture_invalid = true;
  return fail(cudaErrorStreamCaptureUnsupported);
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (!usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  if (const cudaError_t refused = refuse_while_capturing(stream)) return refused;
  run_all(stream);
  return fail(device().sticky);
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (!usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  if (const cudaError_t refused = refuse_while_capturing(stream)) return refused;
  if (stream->queue.empty()) return cudaSuccess;
  run_until(stream, stream->queue.front().ticket);
  return cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (!usable(stream) || !usable(event)) return fail(cudaErrorInvalidResourceHandle);
  CUstream_st *source = event->stream;
  if (source == nullptr || source == stream) return cudaSuccess;
  const uint64_t ticket = event->ticket;
  enqueue(stream, [=] { wait_event(source, ticket); });
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  SIMULATED_ENTER();
  if (stream == nullptr || !usable(stream) || stream->capturing) return fail(cudaErrorStreamCaptureUnsupported);
  stream->capturing = true;
  stream->capture_invalid = false;
  stream->captured.clear();
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
  SIMULATED_ENTER();
  *graph = nullptr;
  if (stream == nullptr || !usable(stream) || !stream->capturing) return fail(cudaErrorInvalidValue);
  stream->capturing = false;
  if (stream->capture_invalid) return fail(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st{std::move(stream->captured)};
  ++device().graph_objects;
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus *status) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (!usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  *status = !stream->capturing        ? cudaStreamCaptureStatusNone
            : stream->capture_invalid ? cudaStreamCaptureStatusInvalidated
                                      : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

/* ---- Events ---- */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
  SIMULATED_ENTER();
  *event = new CUevent_st;
  (*event)->device = current_device;
  (*event)->times = (flags & cudaEventDisableTiming) == 0;
  device().events.insert(*event);
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  SIMULATED_ENTER();
  if (!usable(event)) return fail(cudaErrorInvalidResourceHandle);
  device().events.erase(event);
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (!usable(stream) || !usable(event)) return fail(cudaErrorInvalidResourceHandle);
  if (const cudaError_t refused = refuse_while_capturing(stream)) return refused;
  event->recorded = true;
  event->stream = stream;
  const auto moment = std::make_shared<std::chrono::steady_clock::time_point>();
  event->moment = moment;
  event->ticket = enqueue(stream, [moment] { *moment = std::chrono::steady_clock::now(); });
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  SIMULATED_ENTER();
  if (!usable(event)) return fail(cudaErrorInvalidResourceHandle);
  wait_event(event->stream, event->ticket);
  return fail(device().sticky);
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  SIMULATED_ENTER();
  if (!usable(event)) return fail(cudaErrorInvalidResourceHandle);
  CUstream_st *stream = event->stream;
  if (stream == nullptr || stream->done_ticket >= event->ticket) return cudaSuccess;
  if (!stream->queue.empty()) run_until(stream, stream->queue.front().ticket);
  return cudaErrorNotReady;
}

/* The host's clock when each event's turn came: so much for its meaning. */
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t stop) {
  SIMULATED_ENTER();
  for (const cudaEvent_t event : {start, stop}) {
    if (device().events.count(event) == 0 || !event->recorded || !event->times) return fail(cudaErrorInvalidResourceHandle);
    if (event->stream != nullptr && event->stream->done_ticket < event->ticket) return fail(cudaErrorNotReady);
  }
  *milliseconds = std::chrono::duration<float, std::milli>(*stop->moment - *start->moment).count();
  return cudaSuccess;
}

/* ---- Graphs ---- */

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long) {
  SIMULATED_ENTER();
  if (graph == nullptr) return fail(cudaErrorInvalidValue);
  *executable = new CUgraphExec_st{std::make_shared<std::vector<std::function<void()>>>(graph->operations)};
  ++device().graph_objects;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t handle) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (executable == nullptr || !usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  const auto operations = executable->operations;
  ++device().graph_launches;
  enqueue(stream, [operations] {
    for (const auto &operation : *operations) {
      if (device().sticky == cudaSuccess) operation();
    }
  });
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) { return destroy_graph_object(__func__, executable); }
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return destroy_graph_object(__func__, graph); }

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
  return simulated_call_count_of("cudaMallocAsync") + simulated_call_count_of("cudaFreeAsync");
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
  run_all(&d.null_stream);
  for (CUstream_st *stream : std::set<CUstream_st *>(d.streams)) run_all(stream);
  return static_cast<int64_t>(d.allocations.size() + d.streams.size() + d.events.size()) + d.graph_objects + d.library_objects;
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

uint64_t simulated_launch_count(void) {
  Lock lock(device().mutex);
  return device().launches;
}

uint64_t simulated_graph_launch_count(void) {
  Lock lock(device().mutex);
  return device().graph_launches;
}

}  // extern "C"
