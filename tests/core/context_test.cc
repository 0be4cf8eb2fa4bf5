/* tests/core/context_test.cc - contexts: memory, reuse, scratch, errors, the caller's allocators.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/context.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "host/core/context_internal.h"
#include "host/core/error.h"
#include "host/core/log.h"

namespace {

/* Counts what is out, and fails the call numbered fail_at (from 0; -1: never). */
struct CountingAllocator {
  int64_t calls = 0, live = 0, fail_at = -1;
  size_t live_bytes = 0;
  mo_allocator interface() {
    mo_allocator allocator = {};
    allocator.allocate = [](void *user, size_t bytes, mo_stream) -> void * {
      auto *self = static_cast<CountingAllocator *>(user);
      if (self->calls++ == self->fail_at) return nullptr;
      ++self->live;
      self->live_bytes += bytes;
      return std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    };
    allocator.release = [](void *user, void *memory, size_t bytes, mo_stream) {
      auto *self = static_cast<CountingAllocator *>(user);
      --self->live;
      self->live_bytes -= bytes;
      std::free(memory);
    };
    allocator.user_data = this;
    return allocator;
  }
};

mo_context_t *create(const mo_context_options &options) {
  mo_context_t *context = nullptr;
  EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_OK) << mo_last_error();
  return context;
}

mo_context_options cpu_options() {
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CPU;
  return options;
}

TEST(Context, AnswersWhatItIs) {
  mo_context_t *context = create(cpu_options());
  EXPECT_EQ(mo_context_device(context).kind, MO_DEVICE_KIND_CPU);
  EXPECT_STREQ(mo_context_backend_name(context), "cpu");
  EXPECT_STREQ(mo_context_choice_reason(context), "cpu: asked for");
  EXPECT_GE(mo_context_thread_count(context), 1);
  const std::string isa = mo_context_cpu_features(context);
  EXPECT_TRUE(isa == "generic" || isa == "avx2" || isa == "avx512") << isa;
  EXPECT_EQ(mo_context_synchronize(context), MO_STATUS_OK);
  mo_context_destroy(context);
  mo_context_destroy(nullptr);
}

TEST(Context, AutoAlwaysFindsADeviceAndSaysWhy) {
  mo_context_t *context = nullptr;
  ASSERT_EQ(mo_context_create(nullptr, &context), MO_STATUS_OK);
  const std::string reason = mo_context_choice_reason(context);
  EXPECT_EQ(reason.find(mo_context_backend_name(context)), 0u) << reason;
  EXPECT_GT(reason.size(), 6u);
  mo_context_destroy(context);
}

TEST(Context, RefusesBadOptions) {
  mo_context_t *context = nullptr;
  mo_context_options options = cpu_options();
  options.struct_size = 8;
  EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_INVALID_ARGUMENT);
  options = cpu_options();
  options.device = static_cast<mo_device_choice_t>(3);
  EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_INVALID_ARGUMENT);
  options = cpu_options();
  options.device_index = 1;
  EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_NO_DEVICE);
  options = cpu_options();
  options.device_index = -1;
  EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_INVALID_ARGUMENT);
  options = cpu_options();
  options.thread_count = -3;
  EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_INVALID_ARGUMENT);
  options = cpu_options();
  CountingAllocator counting;
  options.pinned_allocator = counting.interface();
  options.pinned_allocator.release = nullptr;
  EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("pinned_allocator"), std::string::npos);
  EXPECT_EQ(mo_context_create(&options, nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(context, nullptr);
}

/* Keeps what it is told. */
struct Notes {
  std::vector<std::pair<mo_log_level_t, std::string>> lines;
  mo_log_sink sink() {
    return {
        [](void *user, mo_log_level_t level, const char *text) { static_cast<Notes *>(user)->lines.emplace_back(level, text); },
        this};
  }
};

TEST(Context, NotesReachTheLog) {
  Notes notes;
  mo_context_options options = cpu_options();
  options.log = notes.sink();
  mo_context_t *context = create(options);
  EXPECT_TRUE(notes.lines.empty()) << "what was asked for is no news";
  mo_set_error("op: an earlier failure");
  mo_log(context, MO_LOG_LEVEL_WARNING, "%d of \"%s\"", 3, "a\x1b[31m\nb\u009bc\u00e9");
  ASSERT_EQ(notes.lines.size(), 1u);
  EXPECT_EQ(notes.lines[0].first, MO_LOG_LEVEL_WARNING);
  EXPECT_EQ(notes.lines[0].second, "3 of \"a?[31m?b??c\u00e9\"");
  EXPECT_STREQ(mo_last_error(), "op: an earlier failure");
  mo_log(context, MO_LOG_LEVEL_INFO, "%s", std::string(5000, 'x').c_str());
  EXPECT_EQ(notes.lines[1].second, std::string(1023, 'x'));
  mo_context_destroy(context);
}

TEST(Context, TheChoiceOfAutoIsNoted) {
  Notes notes;
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.log = notes.sink();
  mo_context_t *context = create(options);
  ASSERT_EQ(notes.lines.size(), 1u);
  EXPECT_EQ(notes.lines[0].first, MO_LOG_LEVEL_INFO);
  EXPECT_EQ(notes.lines[0].second, mo_context_choice_reason(context));
  mo_context_destroy(context);
}

TEST(Context, BlocksAreAlignedReusedAndCounted) {
  mo_context_t *context = create(cpu_options());
  void *first, *second, *third;
  ASSERT_EQ(mo_context_allocate(context, 1000, &first), MO_STATUS_OK);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 256, 0u);
  EXPECT_EQ(mo_context_get_counters(context).device_allocations, 1u);
  mo_context_release(context, first);
  ASSERT_EQ(mo_context_allocate(context, 900, &second), MO_STATUS_OK);
  EXPECT_EQ(second, first) << "a block a little larger serves";
  ASSERT_EQ(mo_context_allocate(context, 100, &third), MO_STATUS_OK);
  EXPECT_NE(third, first);
  mo_context_release(context, second);
  void *small;
  ASSERT_EQ(mo_context_allocate(context, 500, &small), MO_STATUS_OK);
  EXPECT_NE(small, first) << "a block twice as large would waste half of it";
  EXPECT_EQ(mo_context_get_counters(context).device_allocations, 3u);
  EXPECT_EQ(mo_context_get_counters(context).device_bytes, 1000u + 100u + 500u);
  mo_context_trim(context);
  EXPECT_EQ(mo_context_get_counters(context).device_bytes, 600u);
  EXPECT_EQ(mo_context_get_counters(context).device_bytes_peak, 1600u);
  void *nothing;
  ASSERT_EQ(mo_context_allocate(context, 0, &nothing), MO_STATUS_OK);
  EXPECT_NE(nothing, nullptr);
  mo_context_release(context, nothing);
  mo_context_release(context, third);
  mo_context_release(context, small);
  mo_context_release(context, nullptr);
  mo_context_destroy(context);
}

TEST(Context, ManyBlocksInRandomOrder) {
  CountingAllocator device;
  mo_context_options options = cpu_options();
  options.device_allocator = device.interface();
  options.cached_bytes_limit = 100000;
  mo_context_t *context = create(options);
  std::srand(3);
  std::vector<std::pair<unsigned char *, size_t>> live;
  for (int step = 0; step < 20000; ++step) {
    if (live.empty() || std::rand() % 2 == 0) {
      const size_t bytes = static_cast<size_t>(std::rand() % 5000) + 1;
      void *memory;
      ASSERT_EQ(mo_context_allocate(context, bytes, &memory), MO_STATUS_OK);
      std::memset(memory, step & 0xFF, bytes);
      live.emplace_back(static_cast<unsigned char *>(memory), bytes);
    } else {
      const size_t victim = static_cast<size_t>(std::rand()) % live.size();
      /* whoever shares a block would have overwritten it */
      for (size_t i = 1; i < live[victim].second; ++i) ASSERT_EQ(live[victim].first[i], live[victim].first[0]);
      mo_context_release(context, live[victim].first);
      live[victim] = live.back();
      live.pop_back();
    }
    ASSERT_EQ(mo_context_get_counters(context).device_bytes, device.live_bytes);
  }
  for (auto &block : live) mo_context_release(context, block.first);
  EXPECT_LE(device.live_bytes, 100000u) << "no more is kept than the limit";
  mo_context_destroy(context);
  EXPECT_EQ(device.live, 0);
}

TEST(Context, ExhaustionGivesKeptBlocksBackAndTriesAgain) {
  CountingAllocator device;
  mo_context_options options = cpu_options();
  options.device_allocator = device.interface();
  mo_context_t *context = create(options);
  void *memory = nullptr;
  ASSERT_EQ(mo_context_allocate(context, 10000, &memory), MO_STATUS_OK);
  mo_context_release(context, memory);
  device.fail_at = device.calls;
  ASSERT_EQ(mo_context_allocate(context, 50000, &memory), MO_STATUS_OK) << "the second attempt, after the kept block was freed";
  EXPECT_EQ(device.live, 1);
  device.fail_at = device.calls;
  void *other = nullptr;
  EXPECT_EQ(mo_context_allocate(context, 60000, &other), MO_STATUS_OUT_OF_MEMORY);
  char text[256];
  EXPECT_EQ(mo_context_error(context, text, sizeof text), MO_STATUS_OUT_OF_MEMORY);
  EXPECT_NE(std::string(text).find("60000"), std::string::npos) << text;
  ASSERT_EQ(mo_context_allocate(context, 60000, &other), MO_STATUS_OK) << "the context stays usable";
  mo_context_release(context, other);
  mo_context_release(context, memory);
  mo_context_destroy(context);
  EXPECT_EQ(device.live, 0);
}

TEST(Context, ScratchGrowsAndStays) {
  mo_context_t *context = create(cpu_options());
  void *first, *second, *third;
  ASSERT_EQ(mo_context_scratch(context, 1000, &first), MO_STATUS_OK);
  ASSERT_EQ(mo_context_scratch(context, 10, &second), MO_STATUS_OK);
  EXPECT_EQ(first, second);
  ASSERT_EQ(mo_context_reserve(context, 1 << 20), MO_STATUS_OK);
  const uint64_t allocations = mo_context_get_counters(context).device_allocations;
  EXPECT_GE(mo_context_get_counters(context).scratch_bytes, 1u << 20);
  ASSERT_EQ(mo_context_scratch(context, 1 << 20, &third), MO_STATUS_OK);
  EXPECT_EQ(mo_context_get_counters(context).device_allocations, allocations) << "reserved beforehand, so no allocation";
  EXPECT_EQ(mo_context_scratch(context, SIZE_MAX - 5, &third), MO_STATUS_OUT_OF_MEMORY);
  ASSERT_EQ(mo_context_scratch(context, 64, &third), MO_STATUS_OK);
  mo_context_destroy(context);
}

TEST(Context, HostAllocatorIsHonouredAndItsFailureIsAStatus) {
  CountingAllocator host;
  mo_context_options options = cpu_options();
  options.host_allocator = host.interface();
  mo_context_t *context = create(options);
  EXPECT_EQ(host.live, 1);
  mo_context_destroy(context);
  EXPECT_EQ(host.live, 0);
  host.fail_at = host.calls;
  context = nullptr;
  EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_OUT_OF_MEMORY);
  EXPECT_EQ(context, nullptr);
  EXPECT_EQ(host.live, 0);
}

TEST(Context, LivesAsLongAsItsObjects) {
  CountingAllocator host;
  mo_context_options options = cpu_options();
  options.host_allocator = host.interface();
  mo_context_t *context = create(options);
  mo_context_retain(context);
  mo_context_destroy(context);
  EXPECT_EQ(host.live, 1);
  mo_context_release_reference(context);
  EXPECT_EQ(host.live, 0);
}

TEST(Context, ErrorsBelongToTheThreadAndToTheContext) {
  mo_context_t *context = create(cpu_options());
  char text[128] = "x";
  EXPECT_EQ(mo_context_error(context, text, sizeof text), MO_STATUS_OK);
  EXPECT_STREQ(text, "");
  mo_fail(MO_STATUS_VALUE_ERROR, "mine");
  std::thread other([&] {
    EXPECT_STREQ(mo_last_error(), "");
    mo_context_note(context, mo_fail(MO_STATUS_KEY_ERROR, "theirs %d", 5));
    EXPECT_STREQ(mo_last_error(), "theirs 5");
  });
  other.join();
  EXPECT_STREQ(mo_last_error(), "mine");
  EXPECT_EQ(mo_context_error(context, text, sizeof text), MO_STATUS_KEY_ERROR);
  EXPECT_STREQ(text, "theirs 5");
  mo_fail(MO_STATUS_VALUE_ERROR, "again: %s", mo_last_error());
  EXPECT_STREQ(mo_last_error(), "again: mine") << "the old sentence may be part of the new one";
  const std::string longer(2000, 'a');
  mo_fail(MO_STATUS_VALUE_ERROR, "%s", longer.c_str());
  EXPECT_EQ(std::strlen(mo_last_error()), 1023u);
  mo_context_destroy(context);
}

TEST(Context, CopiesAndPinnedMemory) {
  mo_context_t *context = create(cpu_options());
  void *device, *pinned;
  int32_t host[4] = {1, 2, 3, 4}, back[4] = {};
  ASSERT_EQ(mo_context_allocate(context, sizeof host, &device), MO_STATUS_OK);
  ASSERT_EQ(mo_context_copy_to_device(context, device, host, sizeof host), MO_STATUS_OK);
  ASSERT_EQ(mo_context_copy_to_host(context, back, device, sizeof back), MO_STATUS_OK);
  EXPECT_EQ(std::memcmp(host, back, sizeof host), 0);
  EXPECT_EQ(mo_context_copy_to_host(context, nullptr, device, 4), MO_STATUS_INVALID_ARGUMENT);
  ASSERT_EQ(mo_context_allocate_pinned(context, 100, &pinned), MO_STATUS_OK);
  EXPECT_EQ(mo_context_get_counters(context).pinned_bytes, 100u);
  mo_context_release_pinned(context, pinned);
  mo_context_release(context, device);
  mo_context_destroy(context);
}

TEST(Status, NamesAndTexts) {
  EXPECT_STREQ(mo_status_name(MO_STATUS_OK), "OK");
  EXPECT_STREQ(mo_status_name(MO_STATUS_WORKSPACE_TOO_SMALL), "WORKSPACE_TOO_SMALL");
  EXPECT_STREQ(mo_status_name(static_cast<mo_status_t>(31)), "UNKNOWN");
  EXPECT_STREQ(mo_status_text(MO_STATUS_OUT_OF_MEMORY), "memory could not be allocated");
}

}  // namespace
