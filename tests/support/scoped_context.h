/* tests/support/scoped_context.h - a context of the device the tests run on for as long as an object lives, and an allocator
 * that counts and fails.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_SUPPORT_SCOPED_CONTEXT_H
#define MO_TESTS_SUPPORT_SCOPED_CONTEXT_H

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "modelout/status.h"
#include "tests/support/test_context.h"

namespace test_support {

/* Counts calls and blocks; new memory holds 0xA5 everywhere. */
struct Heap {
  std::atomic<int64_t> calls{0}, live{0};
  std::atomic<int64_t> fail_at{-1};   /* number of the call that fails; -1: none */
  std::atomic<int64_t> fail_count{1}; /* how many fail from there on */

  static void *Allocate(void *user_data, size_t bytes, mo_stream) {
    Heap *heap = static_cast<Heap *>(user_data);
    const int64_t call = heap->calls++;
    if (heap->fail_at >= 0 && call >= heap->fail_at && call < heap->fail_at + heap->fail_count) return nullptr;
    void *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256 + 256);
    if (memory == nullptr) return nullptr;
    heap->live++;
    return std::memset(memory, 0xA5, bytes);
  }
  static void Release(void *user_data, void *memory, size_t, mo_stream) {
    if (memory != nullptr) static_cast<Heap *>(user_data)->live--;
    std::free(memory);
  }
};

class Context {
 public:
  /* 0 threads: as many as there are. */
  explicit Context(int32_t threads = 2) : Context(threads, nullptr) {}
  /* All its memory from the heap; on a card only that of the host, as this memory is neither a card's nor pinned. */
  explicit Context(Heap *heap) : Context(2, heap) {}
  explicit Context(const mo_context_options &options) {
    EXPECT_EQ(test_context_create(&options, &context_), MO_STATUS_OK) << mo_last_error();
  }
  ~Context() { mo_context_destroy(context_); }
  Context(const Context &) = delete;
  Context &operator=(const Context &) = delete;
  mo_context_t *get() const { return context_; }
  operator mo_context_t *() const { return context_; }

 private:
  Context(int32_t threads, Heap *heap) {
    mo_context_options options = test_context_options();
    options.thread_count = threads;
    if (heap != nullptr) {
      const mo_allocator allocator = {Heap::Allocate, Heap::Release, heap};
      options.host_allocator = allocator;
      if (test_device_is_cpu()) options.device_allocator = options.pinned_allocator = allocator;
    }
    EXPECT_EQ(test_context_create(&options, &context_), MO_STATUS_OK) << mo_last_error();
  }
  mo_context_t *context_ = nullptr;
};

}  // namespace test_support

#endif
