/* tests/simulated_device/traffic.h - counts what kernels read and write in device memory, byte by byte, so that a test can hold
 * them to the byte counts of their floors.
 *
 * Kernels are compiled with the compiler's thread-sanitizer instrumentation, which calls a function before every access
 * (traffic_hooks.cc, in place of the sanitizer's own library). Shared memory, registers that live on the stack and host memory
 * are not counted. Counts are in the terms of a warp, not of instructions, which this compiler cuts differently from nvcc:
 *
 *   - A thread's PHASE is how many barriers and warp collectives it has passed. Lanes of one warp that read the same byte in
 *     one phase count as one read (a broadcast). A lane that reads it twice, another warp, another phase count again.
 *   - What a warp writes into one 128-byte line in one phase is one WRITE OF THAT LINE, whole if it covers the line, by however
 *     many stores. Every byte that a lane writes counts, so two lanes that write the same byte are two writes.
 *   - cp.async reads when it is issued.
 *   - Copies and fills of the runtime between device addresses read and write each byte once; a product of cuBLASLt reads each
 *     operand and writes its result once. Copies from the host are no traffic, but what they bring is no longer unwritten.
 *
 * Caches do not exist here: a byte that two warps read counts twice, whether or not a card would fetch it once. `read_distinct`
 * is what a perfect cache would leave.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATED_DEVICE_TRAFFIC_H
#define SIMULATED_DEVICE_TRAFFIC_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace simulated {

/* All in bytes except the last two. */
struct Traffic {
  uint64_t read = 0, read_distinct = 0;
  uint64_t read_unwritten = 0; /* distinct bytes whose first access was a read: all of an input, none of scratch memory */
  uint64_t written = 0, written_distinct = 0;
  uint64_t copied_to_host = 0;
  uint64_t line_writes = 0, whole_line_writes = 0; /* only of lines that lie wholly in the range asked for */

  Traffic &operator+=(const Traffic &other);
  Traffic &operator-=(const Traffic &other);
};

/* Counts from its construction to stop() (or to its destruction). One at a time. Both ends wait for the whole device. */
class TrafficCounter {
 public:
  TrafficCounter();
  ~TrafficCounter();
  TrafficCounter(const TrafficCounter &) = delete;
  TrafficCounter &operator=(const TrafficCounter &) = delete;

  void stop();
  /* Of a range of one allocation that is still alive; throws std::invalid_argument otherwise. */
  Traffic of(const void *memory, size_t bytes) const;
  /* Of all device memory, also of what was released meanwhile. */
  Traffic all() const;
  /* The kernels and library calls that ran, in order. */
  const std::vector<std::string> &launches() const;
};

/* ---- Called by the simulation ---- */

extern bool traffic_is_counted;

void traffic_allocated(const void *memory, size_t bytes);
void traffic_released(const void *memory);
void traffic_launched(const std::string &name);
/* An access of the running thread of a kernel. Anything outside device memory is ignored. */
void traffic_accessed(const void *memory, size_t bytes, bool is_write);
/* The blocks that ran at once have ended: what their warps did is settled. */
void traffic_blocks_ended();

/* Accesses that no thread makes: of copies, fills and libraries. */
void traffic_read(const void *memory, size_t bytes);
void traffic_written(const void *memory, size_t bytes);
void traffic_came_from_host(const void *memory, size_t bytes);
void traffic_went_to_host(const void *memory, size_t bytes);

}  // namespace simulated

#endif
