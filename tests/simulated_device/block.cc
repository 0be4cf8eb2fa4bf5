/* tests/simulated_device/block.cc - runs the blocks of a kernel: built-in variables, barriers, warp collectives, cp.async.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/simulated_device/block.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <vector>

#include "tests/simulated_device/device.h"
#include "tests/simulated_device/fiber.h"
#include "tests/simulated_device/traffic.h"

namespace simulated {

namespace {

struct AsyncCopy {
  void *shared;
  const void *global;
  size_t bytes, valid_bytes;
};

struct Thread {
  ThreadVariables variables;
  std::vector<AsyncCopy> open_group;
  std::vector<std::vector<AsyncCopy>> groups; /* a deque would take memory for every thread, copies or not */
  const char *waits_for = nullptr;
  uint32_t phase = 0; /* barriers and collectives passed; after one, that of the furthest who met there */
};

/* One meeting of the lanes of one mask. Two results are kept, because a lane may still read the last while others already meet
 * again; none can be further behind, since the next meeting needs it. */
struct Meeting {
  unsigned mask = 0;
  unsigned arrived = 0;
  const char *what = nullptr;
  uint64_t generation = 0;
  uint32_t phase = 0, published_phase = 0;
  alignas(16) unsigned char incoming[32 * kCollectiveBytes];
  alignas(16) unsigned char published[2][32 * kCollectiveBytes];
};

struct Barrier {
  int arrived = 0;
  int expected = 0;
  uint64_t generation = 0;
  uint32_t phase = 0, published_phase = 0;
};

constexpr int kBarriers = 16;

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kSharedTail = 0; /* the sanitizer sees the first byte behind the allocation */
#else
constexpr size_t kSharedTail = 128; /* checked when the blocks have ended */
#endif

struct Block {
  std::vector<Thread> threads;
  int live = 0;
  Barrier barriers[kBarriers];
  std::vector<std::vector<std::unique_ptr<Meeting>>> meetings; /* per warp */
  std::vector<unsigned> live_lanes;                            /* per warp */
  std::unique_ptr<unsigned char, void (*)(void *)> shared_owner{nullptr, std::free};
  unsigned char *shared = nullptr;
};

/* Blocks that run at once. Fiber i is thread i % thread_count of block i / thread_count. */
struct Flight {
  Scheduler &scheduler;
  int thread_count;
  std::vector<std::unique_ptr<Block>> blocks;

  int block_number() const { return scheduler.current() / thread_count; }
  int thread_number() const { return scheduler.current() % thread_count; }
  Block &block() { return *blocks[static_cast<size_t>(block_number())]; }
  Thread &thread() { return block().threads[static_cast<size_t>(thread_number())]; }
};

/* Kernels in which one block waits for another would need all blocks at once: there are none. */
constexpr int kMostBlocks = 4, kMostThreads = 2048;

Flight *running = nullptr;

void release_if_complete(Barrier &barrier, int expected) {
  if (barrier.arrived > 0 && barrier.arrived >= expected) {
    barrier.arrived = 0;
    ++barrier.generation;
    barrier.published_phase = barrier.phase + 1;
  }
}

void perform(const AsyncCopy &copy) {
  std::memcpy(copy.shared, copy.global, copy.valid_bytes);
  std::memset(static_cast<char *>(copy.shared) + copy.valid_bytes, 0, copy.bytes - copy.valid_bytes);
}

std::string describe_waits() {
  std::string text;
  for (const auto &block : running->blocks) {
    for (size_t i = 0; i < block->threads.size() && text.size() < 300; ++i) {
      const char *what = block->threads[i].waits_for;
      if (what == nullptr) continue;
      if (i > 0 && block->threads[i - 1].waits_for == what) continue;
      text += (text.empty() ? "" : ", ") + std::string("thread ") + std::to_string(i) + " waits at " + what;
    }
  }
  return text;
}

void need_block() {
  if (running == nullptr || running->scheduler.current() < 0) std::abort(); /* a device function called from host code */
}

}  // namespace

const ThreadVariables &variables() {
  need_block();
  return running->thread().variables;
}

void *shared_memory() {
  need_block();
  return running->block().shared;
}

void barrier(int id, int thread_count) {
  need_block();
  if (id < 0 || id >= kBarriers) throw Fault{"barrier " + std::to_string(id) + " does not exist"};
  Block *block = &running->block();
  Thread &thread = running->thread();
  Barrier &barrier = block->barriers[id];
  if (barrier.arrived > 0 && barrier.expected != thread_count) {
    throw Fault{"barrier " + std::to_string(id) + " with two thread counts"};
  }
  barrier.expected = thread_count;
  ++barrier.arrived;
  barrier.phase = std::max(barrier.phase, thread.phase);
  const uint64_t generation = barrier.generation;
  release_if_complete(barrier, thread_count == 0 ? block->live : thread_count);
  if (barrier.generation == generation) {
    thread.waits_for = id == 0 ? "__syncthreads" : "a named barrier";
    running->scheduler.wait_while(&barrier.generation, generation);
    thread.waits_for = nullptr;
  }
  thread.phase = barrier.published_phase;
}

const unsigned char *collective(const char *what, unsigned mask, const void *value, size_t bytes) {
  need_block();
  Block *block = &running->block();
  Thread &thread = running->thread();
  const int thread_index = running->thread_number();
  const size_t warp = static_cast<size_t>(thread_index) / 32;
  const int lane = thread_index % 32;
  if (bytes > kCollectiveBytes) throw Fault{std::string(what) + " of more than 64 bytes"};
  if ((mask >> lane & 1u) == 0) throw Fault{std::string(what) + ": lane " + std::to_string(lane) + " is not in its own mask"};
  if ((mask & ~block->live_lanes[warp]) != 0) throw Fault{std::string(what) + ": the mask names lanes that have ended"};
  auto &meetings = block->meetings[warp];
  auto found = std::find_if(meetings.begin(), meetings.end(), [&](const auto &m) { return m->mask == mask; });
  if (found == meetings.end()) {
    meetings.push_back(std::make_unique<Meeting>());
    meetings.back()->mask = mask;
    found = meetings.end() - 1;
  }
  Meeting &meeting = **found;
  if (meeting.arrived == 0) {
    meeting.what = what;
  } else if (meeting.what != what && std::strcmp(meeting.what, what) != 0) {
    throw Fault{std::string("lanes of one warp diverge: some at ") + meeting.what + ", lane " + std::to_string(lane) + " at " +
                what};
  }
  std::memcpy(meeting.incoming + kCollectiveBytes * lane, value, bytes);
  meeting.arrived |= 1u << lane;
  meeting.phase = std::max(meeting.phase, thread.phase);
  const uint64_t generation = meeting.generation;
  if (meeting.arrived == mask) {
    std::memcpy(meeting.published[generation % 2], meeting.incoming, sizeof meeting.incoming);
    meeting.arrived = 0;
    meeting.published_phase = meeting.phase + 1;
    ++meeting.generation;
  } else {
    thread.waits_for = what;
    running->scheduler.wait_while(&meeting.generation, generation);
    thread.waits_for = nullptr;
  }
  thread.phase = meeting.published_phase;
  return meeting.published[generation % 2];
}

unsigned active_mask() {
  need_block();
  return running->block().live_lanes[static_cast<size_t>(running->thread_number()) / 32];
}

void check_source_lane(const char *what, unsigned mask, int source) {
  if ((mask >> source & 1u) == 0) {
    throw Fault{std::string(what) + " reads lane " + std::to_string(source) + ", which is not in the mask"};
  }
}

void async_copy(void *shared, const void *global, size_t bytes, size_t valid_bytes) {
  need_block();
  if (bytes != 4 && bytes != 8 && bytes != 16) throw Fault{"cp.async of " + std::to_string(bytes) + " bytes"};
  if (reinterpret_cast<uintptr_t>(shared) % bytes != 0 ||
      (valid_bytes > 0 && reinterpret_cast<uintptr_t>(global) % bytes != 0)) {
    throw Fault{"cp.async with an address that is not aligned to its size"};
  }
  /* Until the wait the destination holds neither old nor new data. */
  std::memset(shared, 0xFF, bytes);
  traffic_accessed(global, valid_bytes, false);
  running->thread().open_group.push_back({shared, global, bytes, valid_bytes});
}

void async_commit() {
  need_block();
  Thread &thread = running->thread();
  thread.groups.push_back(std::move(thread.open_group));
  thread.open_group.clear();
}

void async_wait(int groups_left) {
  need_block();
  Thread &thread = running->thread();
  while (static_cast<int>(thread.groups.size()) > groups_left) {
    for (const AsyncCopy &copy : thread.groups.front()) perform(copy);
    thread.groups.erase(thread.groups.begin());
  }
}

bool running_thread(int *thread, uint32_t *phase) {
  if (running == nullptr || running->scheduler.current() < 0) return false;
  *thread = 1024 * running->block_number() + running->thread_number();
  *phase = running->thread().phase;
  return true;
}

namespace {

/* Block `number` of the grid before its first instruction; NULL: no host memory. */
std::unique_ptr<Block> make_block(int64_t number, dim3 grid, dim3 block_dim, size_t shared_bytes) {
  const unsigned thread_count = block_dim.x * block_dim.y * block_dim.z, warps = (thread_count + 31) / 32;
  auto block = std::make_unique<Block>();
  block->live = static_cast<int>(thread_count);
  block->threads.resize(thread_count);
  block->meetings.resize(warps);
  block->live_lanes.resize(warps);
  void *shared = nullptr;
  if (posix_memalign(&shared, 128, shared_bytes + kSharedTail) != 0) return nullptr;
  block->shared_owner.reset(static_cast<unsigned char *>(shared));
  block->shared = block->shared_owner.get();
  std::memset(block->shared, 0xFF, shared_bytes + kSharedTail);
  const uint3 index = {static_cast<unsigned>(number % grid.x), static_cast<unsigned>(number / grid.x % grid.y),
                       static_cast<unsigned>(number / (static_cast<int64_t>(grid.x) * grid.y))};
  for (unsigned i = 0; i < thread_count; ++i) {
    block->threads[i].variables = {
        {i % block_dim.x, i / block_dim.x % block_dim.y, i / (block_dim.x * block_dim.y)}, index, block_dim, grid};
    block->live_lanes[i / 32] |= 1u << (i % 32);
  }
  return block;
}

/* The running thread has come to the end of the kernel. */
void end_thread() {
  Block &block = running->block();
  const Thread &thread = running->thread();
  if (!thread.open_group.empty() || !thread.groups.empty()) {
    throw Fault{"a thread ended with cp.async copies that nobody waited for"};
  }
  const int number = running->thread_number();
  --block.live;
  block.live_lanes[static_cast<size_t>(number) / 32] &= ~(1u << (number % 32));
  for (Barrier &barrier : block.barriers) {
    if (barrier.expected == 0) release_if_complete(barrier, block.live);
  }
}

std::string check_shared_tails(const Flight &flight, size_t shared_bytes) {
  for (const auto &block : flight.blocks) {
    for (size_t i = 0; i < kSharedTail; ++i) {
      if (block->shared[shared_bytes + i] != 0xFF)
        return "a write " + std::to_string(i) + " bytes behind the block's shared memory";
    }
  }
  return "";
}

}  // namespace

std::string run_grid(Scheduler &scheduler, dim3 grid, dim3 block_dim, size_t shared_bytes, const std::function<void()> &body) {
  const int64_t blocks = static_cast<int64_t>(grid.x) * grid.y * grid.z;
  const int thread_count = static_cast<int>(block_dim.x * block_dim.y * block_dim.z);
  /* Blocks in an order of the seed: a start and a stride that visits all of them. And as many at once as it says. */
  const int64_t start = static_cast<int64_t>(scheduler.random() % static_cast<uint64_t>(blocks));
  int64_t stride = static_cast<int64_t>(scheduler.random() % static_cast<uint64_t>(blocks)) + 1;
  while (std::gcd(stride, blocks) != 1) ++stride;
  const int64_t at_once = 1 + static_cast<int64_t>(scheduler.random() % std::min(kMostBlocks, kMostThreads / thread_count));

  for (int64_t visited = 0; visited < blocks; visited += at_once) {
    Flight flight{scheduler, thread_count, {}};
    for (int64_t i = visited; i < std::min(visited + at_once, blocks); ++i) {
      flight.blocks.push_back(make_block((start + i * stride) % blocks, grid, block_dim, shared_bytes));
      if (flight.blocks.back() == nullptr) return "no host memory for a block's shared memory";
    }
    running = &flight;
    const std::string fault = scheduler.run(
        thread_count * static_cast<int>(flight.blocks.size()),
        [&](int) {
          body();
          end_thread();
        },
        describe_waits);
    running = nullptr;
    traffic_blocks_ended();
    if (!fault.empty()) return fault;
    const std::string written = check_shared_tails(flight, shared_bytes);
    if (!written.empty()) return written;
  }
  return "";
}

}  // namespace simulated
