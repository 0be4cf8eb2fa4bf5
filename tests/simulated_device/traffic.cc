/* tests/simulated_device/traffic.cc - counts of every byte and every 128-byte line of device memory.
 *
 * Accesses of a block are logged as they come and settled when it ends, because only then all lanes of a phase have been seen.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/simulated_device/traffic.h"

#include <algorithm>
#include <bitset>
#include <map>
#include <stdexcept>
#include <tuple>

#include "cuda_runtime_api.h"
#include "tests/simulated_device/block.h"

namespace simulated {

bool traffic_is_counted = false;

namespace {

constexpr size_t kLine = 128, kGranule = 16, kGranulesOfLine = kLine / kGranule;

/* The counts of one allocation. Empty until its first access. */
struct Shadow {
  size_t bytes = 0;
  std::vector<uint32_t> reads, writes, to_host; /* per byte */
  std::vector<bool> touched, read_first;        /* per byte */
  std::vector<uint32_t> line_writes, whole_line_writes;

  void open() {
    if (!reads.empty()) return;
    reads.resize(bytes), writes.resize(bytes), to_host.resize(bytes), touched.resize(bytes), read_first.resize(bytes);
    line_writes.resize(bytes / kLine + 1), whole_line_writes.resize(bytes / kLine + 1);
  }
  void note_order(size_t offset, size_t count, bool is_write) {
    for (size_t i = offset; i < offset + count; ++i) {
      if (!touched[i] && !is_write) read_first[i] = true;
      touched[i] = true;
    }
  }
  Traffic sum(size_t offset, size_t count) const {
    Traffic result;
    if (reads.empty()) return result;
    for (size_t i = offset; i < offset + count; ++i) {
      result.read += reads[i], result.read_distinct += reads[i] > 0, result.read_unwritten += read_first[i];
      result.written += writes[i], result.written_distinct += writes[i] > 0;
      result.copied_to_host += to_host[i];
    }
    for (size_t line = (offset + kLine - 1) / kLine; (line + 1) * kLine <= offset + count; ++line) {
      result.line_writes += line_writes[line], result.whole_line_writes += whole_line_writes[line];
    }
    return result;
  }
};

/* Bytes of one granule that one lane accessed at once. */
struct Access {
  uintptr_t granule; /* address / kGranule */
  uint32_t phase;
  uint16_t mask;
  uint8_t warp, lane;

  std::tuple<uint8_t, uint32_t, uintptr_t, uint8_t> key() const { return {warp, phase, granule, lane}; }
  bool meets(const Access &other) const { return warp == other.warp && phase == other.phase && granule == other.granule; }
};

struct Counts {
  std::map<uintptr_t, Shadow> shadows; /* of all device memory that is alive, by first byte */
  std::map<uintptr_t, Shadow>::iterator latest = shadows.end();
  Traffic released;
  std::vector<std::string> launches;
  std::vector<Access> block_reads, block_writes;
};

Counts &counts() {
  static Counts *the_counts = new Counts; /* as long as the device */
  return *the_counts;
}

/* The allocation that holds all of the bytes, or NULL. Kernels stay in one for a while. */
std::pair<const uintptr_t, Shadow> *find(const void *memory, size_t bytes) {
  Counts &c = counts();
  const auto address = reinterpret_cast<uintptr_t>(memory);
  const auto holds = [&](const auto &entry) {
    return address >= entry->first && address - entry->first + bytes <= entry->second.bytes;
  };
  if (c.latest != c.shadows.end() && holds(c.latest)) return &*c.latest;
  auto next = c.shadows.upper_bound(address);
  if (next == c.shadows.begin() || !holds(--next)) return nullptr;
  c.latest = next;
  next->second.open();
  return &*next;
}

Shadow *find_granule(uintptr_t granule, size_t *offset) {
  /* An allocation may end within a granule; it begins at a whole line. */
  auto *found = find(reinterpret_cast<const void *>(granule * kGranule), 1);
  if (found == nullptr) return nullptr;
  *offset = granule * kGranule - found->first;
  return &found->second;
}

void settle_reads(std::vector<Access> &accesses) {
  std::sort(accesses.begin(), accesses.end(), [](const Access &a, const Access &b) { return a.key() < b.key(); });
  for (size_t begin = 0, end = 0; begin < accesses.size(); begin = end) {
    uint32_t most[kGranule] = {}, mine[kGranule] = {};
    for (end = begin; end < accesses.size() && accesses[end].meets(accesses[begin]); ++end) {
      if (end > begin && accesses[end].lane != accesses[end - 1].lane) std::fill(mine, mine + kGranule, 0u);
      for (size_t i = 0; i < kGranule; ++i) {
        if ((accesses[end].mask >> i & 1u) != 0) most[i] = std::max(most[i], ++mine[i]);
      }
    }
    size_t offset = 0;
    if (Shadow *shadow = find_granule(accesses[begin].granule, &offset)) {
      for (size_t i = 0; i < kGranule; ++i) {
        if (most[i] > 0) shadow->reads[offset + i] += most[i];
      }
    }
  }
  accesses.clear();
}

void settle_writes(std::vector<Access> &accesses) {
  std::sort(accesses.begin(), accesses.end(), [](const Access &a, const Access &b) { return a.key() < b.key(); });
  for (size_t begin = 0, end = 0; begin < accesses.size(); begin = end) {
    const uintptr_t line = accesses[begin].granule / kGranulesOfLine;
    std::bitset<kLine> covered;
    size_t offset = 0;
    Shadow *shadow = find_granule(line * kGranulesOfLine, &offset);
    for (end = begin; end < accesses.size() && accesses[end].granule / kGranulesOfLine == line &&
                      accesses[end].warp == accesses[begin].warp && accesses[end].phase == accesses[begin].phase;
         ++end) {
      const size_t in_line = accesses[end].granule % kGranulesOfLine * kGranule;
      for (size_t i = in_line; i < in_line + kGranule; ++i) {
        if ((accesses[end].mask >> (i - in_line) & 1u) == 0) continue;
        covered.set(i);
        if (shadow != nullptr) ++shadow->writes[offset + i];
      }
    }
    if (shadow == nullptr) continue;
    ++shadow->line_writes[offset / kLine];
    shadow->whole_line_writes[offset / kLine] += covered.all();
  }
  accesses.clear();
}

}  // namespace

Traffic &Traffic::operator+=(const Traffic &other) {
  read += other.read, read_distinct += other.read_distinct, read_unwritten += other.read_unwritten;
  written += other.written, written_distinct += other.written_distinct, copied_to_host += other.copied_to_host;
  line_writes += other.line_writes, whole_line_writes += other.whole_line_writes;
  return *this;
}

Traffic &Traffic::operator-=(const Traffic &other) {
  read -= other.read, read_distinct -= other.read_distinct, read_unwritten -= other.read_unwritten;
  written -= other.written, written_distinct -= other.written_distinct, copied_to_host -= other.copied_to_host;
  line_writes -= other.line_writes, whole_line_writes -= other.whole_line_writes;
  return *this;
}

/* ---- The counter ---- */

TrafficCounter::TrafficCounter() {
  if (traffic_is_counted) throw std::logic_error("two counters of traffic at a time");
  (void)cudaDeviceSynchronize();
  Counts &c = counts();
  for (auto &entry : c.shadows) {
    const size_t bytes = entry.second.bytes;
    entry.second = Shadow{};
    entry.second.bytes = bytes;
  }
  c.latest = c.shadows.end();
  c.released = Traffic{};
  c.launches.clear();
  traffic_is_counted = true;
}

TrafficCounter::~TrafficCounter() { stop(); }

void TrafficCounter::stop() {
  if (traffic_is_counted) (void)cudaDeviceSynchronize();
  traffic_is_counted = false;
}

Traffic TrafficCounter::of(const void *memory, size_t bytes) const {
  const auto *found = find(memory, bytes);
  if (found == nullptr) throw std::invalid_argument("traffic asked of what is not device memory that is alive");
  return found->second.sum(reinterpret_cast<uintptr_t>(memory) - found->first, bytes);
}

Traffic TrafficCounter::all() const {
  Traffic result = counts().released;
  for (const auto &entry : counts().shadows) result += entry.second.sum(0, entry.second.bytes);
  return result;
}

const std::vector<std::string> &TrafficCounter::launches() const { return counts().launches; }

/* ---- The simulation's side ---- */

void traffic_allocated(const void *memory, size_t bytes) {
  Shadow shadow;
  shadow.bytes = bytes;
  counts().shadows[reinterpret_cast<uintptr_t>(memory)] = std::move(shadow);
}

void traffic_released(const void *memory) {
  Counts &c = counts();
  const auto found = c.shadows.find(reinterpret_cast<uintptr_t>(memory));
  if (found == c.shadows.end()) return;
  if (traffic_is_counted) c.released += found->second.sum(0, found->second.bytes);
  c.shadows.erase(found);
  c.latest = c.shadows.end();
}

void traffic_launched(const std::string &name) {
  if (traffic_is_counted) counts().launches.push_back(name);
}

void traffic_accessed(const void *memory, size_t bytes, bool is_write) {
  if (!traffic_is_counted || bytes == 0) return;
  int thread = 0;
  uint32_t phase = 0;
  if (!running_thread(&thread, &phase)) return;
  auto *found = find(memory, bytes);
  if (found == nullptr) return;
  const auto address = reinterpret_cast<uintptr_t>(memory);
  found->second.note_order(address - found->first, bytes, is_write);
  auto &log = is_write ? counts().block_writes : counts().block_reads;
  for (uintptr_t granule = address / kGranule; granule * kGranule < address + bytes; ++granule) {
    const uintptr_t from = std::max(address, granule * kGranule), to = std::min(address + bytes, (granule + 1) * kGranule);
    const auto mask = static_cast<uint16_t>(((1u << (to - from)) - 1) << (from - granule * kGranule));
    log.push_back({granule, phase, mask, static_cast<uint8_t>(thread / 32), static_cast<uint8_t>(thread % 32)});
  }
}

void traffic_blocks_ended() {
  settle_reads(counts().block_reads);
  settle_writes(counts().block_writes);
}

void traffic_read(const void *memory, size_t bytes) {
  auto *found = traffic_is_counted && bytes > 0 ? find(memory, bytes) : nullptr;
  if (found == nullptr) return;
  const size_t offset = reinterpret_cast<uintptr_t>(memory) - found->first;
  found->second.note_order(offset, bytes, false);
  for (size_t i = offset; i < offset + bytes; ++i) ++found->second.reads[i];
}

void traffic_written(const void *memory, size_t bytes) {
  auto *found = traffic_is_counted && bytes > 0 ? find(memory, bytes) : nullptr;
  if (found == nullptr) return;
  const size_t offset = reinterpret_cast<uintptr_t>(memory) - found->first;
  found->second.note_order(offset, bytes, true);
  for (size_t i = offset; i < offset + bytes; ++i) ++found->second.writes[i];
  for (size_t line = offset / kLine; line * kLine < offset + bytes; ++line) {
    ++found->second.line_writes[line];
    found->second.whole_line_writes[line] += line * kLine >= offset && (line + 1) * kLine <= offset + bytes;
  }
}

void traffic_came_from_host(const void *memory, size_t bytes) {
  auto *found = traffic_is_counted && bytes > 0 ? find(memory, bytes) : nullptr;
  if (found != nullptr) found->second.note_order(reinterpret_cast<uintptr_t>(memory) - found->first, bytes, true);
}

void traffic_went_to_host(const void *memory, size_t bytes) {
  auto *found = traffic_is_counted && bytes > 0 ? find(memory, bytes) : nullptr;
  if (found == nullptr) return;
  const size_t offset = reinterpret_cast<uintptr_t>(memory) - found->first;
  for (size_t i = offset; i < offset + bytes; ++i) ++found->second.to_host[i];
}

}  // namespace simulated
