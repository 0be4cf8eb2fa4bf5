/* tests/simulated_device/traffic_hooks.cc - the functions that the compiler's thread-sanitizer instrumentation calls, in place
 * of the sanitizer's library: each passes an access of a kernel on to the counts.
 *
 * Atomics of the simulation are plain reads and writes. Without instrumented kernels (other sanitizers, other compilers)
 * nothing calls these.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#if !defined(__SANITIZE_THREAD__)

#include <cstddef>
#include <cstring>

#include "tests/simulated_device/traffic.h"

namespace {
inline void access(const void *memory, size_t bytes, bool is_write) {
  if (simulated::traffic_is_counted) simulated::traffic_accessed(memory, bytes, is_write);
}
}  // namespace

extern "C" {

#define SIMULATED_ACCESS(name, bytes)                                                                                          \
  void __tsan_read##name(void *memory) { access(memory, bytes, false); }                                                       \
  void __tsan_write##name(void *memory) { access(memory, bytes, true); }                                                       \
  void __tsan_unaligned_read##name(void *memory) { access(memory, bytes, false); }                                             \
  void __tsan_unaligned_write##name(void *memory) { access(memory, bytes, true); }

SIMULATED_ACCESS(1, 1)
SIMULATED_ACCESS(2, 2)
SIMULATED_ACCESS(4, 4)
SIMULATED_ACCESS(8, 8)
SIMULATED_ACCESS(16, 16)

void __tsan_read_range(void *memory, size_t bytes) { access(memory, bytes, false); }
void __tsan_write_range(void *memory, size_t bytes) { access(memory, bytes, true); }

void *__tsan_memcpy(void *to, const void *from, size_t bytes) {
  access(from, bytes, false);
  access(to, bytes, true);
  return std::memcpy(to, from, bytes);
}
void *__tsan_memmove(void *to, const void *from, size_t bytes) {
  access(from, bytes, false);
  access(to, bytes, true);
  return std::memmove(to, from, bytes);
}
void *__tsan_memset(void *to, int value, size_t bytes) {
  access(to, bytes, true);
  return std::memset(to, value, bytes);
}

void __tsan_init(void) {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit(void) {}
void __tsan_vptr_read(void **) {}
void __tsan_vptr_update(void **, void *) {}

}  // extern "C"

#endif
