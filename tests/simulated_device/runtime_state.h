/* tests/simulated_device/runtime_state.h - the state of the simulated device, and what the files of its runtime share.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATED_DEVICE_RUNTIME_STATE_H
#define SIMULATED_DEVICE_RUNTIME_STATE_H

#include "cuda_runtime_api.h"

#include <algorithm>
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
  bool blocking = true; /* waits for the default stream of its card, and that for it */
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
  std::map<void *, size_t> captured_memory; /* allocated while capturing, and not freed in the same graph */
};

struct CUgraph_st {
  std::vector<std::function<void()>> operations;
};
struct CUgraphExec_st {
  std::shared_ptr<std::vector<std::function<void()>>> operations;
};
struct CUmemPoolHandle_st {
  int device = 0;
};

namespace simulated::runtime {

constexpr size_t kDefaultShared = size_t{48} << 10; /* a block's, until its kernel is allowed more */
constexpr size_t kReservedShared = size_t{1} << 10; /* the system's, of each block */
constexpr int kThreadsPerMultiprocessor = 2048, kBlocksPerMultiprocessor = 32;
constexpr size_t kPageableLimit = size_t{64} << 10; /* up to here the driver copies such memory and returns */
constexpr size_t kRedZone = 256;
constexpr unsigned char kRedByte = 0xFF, kPoison = 0xFF; /* NaN in every float type, -1 in every integer */

struct Allocation {
  size_t bytes;
  bool pinned;
  uint64_t number; /* of all there ever were */
  std::unique_ptr<unsigned char[]> owner;
};

/* As MODELOUT_SIMULATED_SHARED says: KiB of shared memory that a block may have (99, 163 or 227). */
inline simulated_card default_card() {
  const char *text = std::getenv("MODELOUT_SIMULATED_SHARED");
  const size_t kilobytes = text != nullptr ? std::strtoull(text, nullptr, 10) : 227;
  return {8, 0, 4, kilobytes << 10, true};
}

struct Device {
  std::recursive_mutex mutex;
  simulated::Scheduler scheduler{seed_from_environment()};
  std::map<uintptr_t, Allocation> allocations; /* by first usable byte */
  size_t memory_bytes = memory_from_environment();
  size_t used_bytes = 0;
  uint64_t allocation_number = 0;
  std::set<CUstream_st *> streams, thread_streams;
  std::set<CUevent_st *> events;
  int64_t graph_objects = 0, library_objects = 0;
  std::map<int, CUstream_st> default_streams; /* by card */
  std::set<cudaMemPool_t> pools;
  std::map<std::pair<const void *, int>, int> shared_limits; /* cudaFuncSetAttribute, by kernel and card */
  simulated_card card = default_card(); /* all cards are alike */
  int driver_version = CUDART_VERSION;
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
  uint64_t pageable_bytes = 0; /* copied to the device from pageable memory, more than kPageableLimit at once */
  uint64_t copied_to_host = 0, launches = 0, graph_launches = 0;

  static uint64_t seed_from_environment() {
    const char *text = std::getenv("MODELOUT_SIMULATED_SEED");
    return text != nullptr ? std::strtoull(text, nullptr, 10) : 1;
  }
  static size_t memory_from_environment() {
    const char *text = std::getenv("MODELOUT_SIMULATED_MEMORY");
    return text != nullptr ? std::strtoull(text, nullptr, 10) : size_t{4} << 30;
  }
};

inline Device &device() {
  static Device *the_device = new Device; /* alive until the process ends: atexit handlers may still free */
  return *the_device;
}

inline thread_local cudaError_t last_error = cudaSuccess;
inline thread_local int current_device = 0;

using Lock = std::lock_guard<std::recursive_mutex>;

inline cudaError_t fail(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
  return error;
}

inline void note_fault(const std::string &text) {
  Device &d = device();
  if (d.report.empty()) d.report = text;
  d.sticky = cudaErrorLaunchFailure;
}

/* At the head of every call that can fail. */
inline cudaError_t enter(const char *name) {
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
inline cudaError_t destroy_graph_object(const char *name, Object *object) {
  Lock lock(device().mutex);
  const cudaError_t entered = enter(name);
  if (object == nullptr) return fail(cudaErrorInvalidValue);
  --device().graph_objects;
  delete object;
  return entered == cudaSuccess ? cudaSuccess : fail(entered);
}

/* The default stream of a card. */
inline CUstream_st *default_stream(int card) {
  CUstream_st *stream = &device().default_streams[card];
  stream->device = card;
  return stream;
}

/* The calling thread's own default stream of a card. They live as long as the process, as their threads' work may. */
inline CUstream_st *thread_stream(int card) {
  thread_local std::map<int, CUstream_st *> streams;
  CUstream_st *&stream = streams[card];
  if (stream == nullptr) {
    stream = new CUstream_st;
    stream->device = card;
    device().thread_streams.insert(stream);
  }
  return stream;
}

inline CUstream_st *resolve(cudaStream_t stream) {
  if (stream == nullptr || stream == cudaStreamLegacy) return default_stream(current_device);
  return stream == cudaStreamPerThread ? thread_stream(current_device) : stream;
}
inline bool is_default(const CUstream_st *stream) { return stream == &device().default_streams[stream->device]; }
inline bool known(CUstream_st *stream) {
  const Device &d = device();
  if (d.streams.count(stream) != 0 || d.thread_streams.count(stream) != 0) return true;
  for (const auto &entry : d.default_streams)
    if (stream == &entry.second) return true;
  return false;
}
inline std::vector<CUstream_st *> all_streams() {
  Device &d = device();
  std::vector<CUstream_st *> all(d.streams.begin(), d.streams.end());
  all.insert(all.end(), d.thread_streams.begin(), d.thread_streams.end());
  for (auto &entry : d.default_streams) all.push_back(&entry.second);
  return all;
}

/* Streams and events are used with their own card current. A real one refuses most, and works on the wrong one in some calls.
 */
inline bool usable(CUstream_st *stream) {
  return known(stream) && stream->device == current_device;
}
inline bool usable(CUevent_st *event) { return device().events.count(event) != 0 && event->device == current_device; }

/* Carries out operations of the stream up to and including `ticket`. */
inline void run_until(CUstream_st *stream, uint64_t ticket) {
  while (!stream->queue.empty() && stream->queue.front().ticket <= ticket) {
    CUstream_st::Operation operation = std::move(stream->queue.front());
    stream->queue.pop_front();
    /* After a fault nothing runs any more, but everything counts as over. */
    if (device().sticky == cudaSuccess) operation.action();
    stream->done_ticket = operation.ticket;
  }
}

inline void run_all(CUstream_st *stream) { run_until(stream, UINT64_MAX); }

inline void run_everything() {
  for (CUstream_st *stream : all_streams()) run_all(stream);
}

inline void wait_event(CUstream_st *source, uint64_t ticket) {
  if (source != nullptr && known(source)) run_until(source, ticket);
}

/* Work of the default stream comes behind all earlier work of the blocking streams of its card, and theirs behind its. */
inline void wait_as_the_default_stream_does(CUstream_st *stream) {
  std::vector<std::pair<CUstream_st *, uint64_t>> earlier;
  if (is_default(stream)) {
    for (CUstream_st *other : all_streams())
      if (other != stream && other->blocking && other->device == stream->device && !other->queue.empty())
        earlier.emplace_back(other, other->next_ticket - 1);
  } else if (stream->blocking) {
    CUstream_st *other = default_stream(stream->device);
    if (!other->queue.empty()) earlier.emplace_back(other, other->next_ticket - 1);
  }
  for (const auto &[other, ticket] : earlier)
    stream->queue.push_back({stream->next_ticket++, [other = other, ticket = ticket] { wait_event(other, ticket); }});
}

inline uint64_t enqueue(CUstream_st *stream, std::function<void()> action) {
  if (stream->capturing) {
    stream->captured.push_back(std::move(action));
    return 0;
  }
  wait_as_the_default_stream_does(stream);
  stream->queue.push_back({stream->next_ticket, std::move(action)});
  return stream->next_ticket++;
}

/* The allocation that holds an address, or NULL. */
inline std::pair<const uintptr_t, Allocation> *find_allocation(const void *memory) {
  auto &all = device().allocations;
  auto next = all.upper_bound(reinterpret_cast<uintptr_t>(memory));
  if (next == all.begin()) return nullptr;
  --next;
  const uintptr_t offset = reinterpret_cast<uintptr_t>(memory) - next->first;
  return offset < next->second.bytes || offset == 0 ? &*next : nullptr;
}

inline bool is_pinned(const void *memory) {
  const auto *found = find_allocation(memory);
  return found != nullptr && found->second.pinned;
}

inline cudaError_t allocate(void **memory, size_t bytes, bool pinned) {
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
inline void release(void *memory) {
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

/* Dynamic shared memory that a launch of the kernel may ask for on the current card. */
inline size_t allowed_shared(const void *kernel) {
  const auto found = device().shared_limits.find({kernel, current_device});
  const size_t limit = found != device().shared_limits.end() ? static_cast<size_t>(found->second) : kDefaultShared;
  return std::min(limit, device().card.shared_bytes_per_block);
}

}  // namespace simulated::runtime

#endif
