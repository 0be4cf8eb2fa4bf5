/* tests/output/read_test.cc - lazy reads on the delayed test device, and on the CPU (pointers).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/output/read_case.h"

namespace {

using namespace read_case;

class ReadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.backend = &mo_delayed_backend;
    options.own_stream = true;
    ASSERT_EQ(mo_context_create(&options, &context), MO_STATUS_OK) << mo_last_error();
    mo_dimensions d = MO_DIMENSIONS_INIT;
    d.batch_size = 2, d.sequence_length = 6, d.hidden_size = 8, d.num_layers = 2, d.num_heads = 4, d.vocab_size = 50;
    mo_request r = MO_REQUEST_INIT;
    r.output_hidden_states = r.output_attentions = true;
    ASSERT_EQ(mo_output_create(context, mo_class_find("MaskedLMOutput"), &d, &r, nullptr, 0, &output), MO_STATUS_OK);
    logits = mo_output_get(output, "logits");
    hidden = mo_output_get(output, "hidden_states");
  }
  void TearDown() override {
    mo_output_destroy(output);
    mo_context_destroy(context);
    EXPECT_EQ(mo_delayed_open_count(), 0) << "a context is still alive";
  }

  // A "kernel" that fills the field on the context's stream, late.
  std::vector<float> Fill(mo_field *field, uint32_t seed) {
    const mo_tensor *tensor = mo_field_tensor(field);
    const std::vector<float> values = Random(mo_tensor_count(tensor), seed);
    EXPECT_EQ(mo_delayed_enqueue_fill(context, tensor->data, values.data(), values.size() * 4, mo_context_stream(context)),
              MO_STATUS_OK);
    return values;
  }
  void Mark() { ASSERT_EQ(mo_output_mark_written(output, mo_context_stream(context)), MO_STATUS_OK); }
  uint64_t Copies() { return mo_delayed_get_counters(context).copies_to_host; }
  uint64_t CopiedBytes() { return mo_delayed_get_counters(context).bytes_to_host; }

  mo_context_t *context = nullptr;
  mo_output *output = nullptr;
  mo_field *logits = nullptr;
  mo_field *hidden = nullptr;
};

TEST_F(ReadTest, NothingWrittenIsAWrongState) {
  mo_host_view view;
  EXPECT_EQ(mo_output_generation(output), 0u);
  EXPECT_EQ(mo_field_read(logits, &view), MO_STATUS_WRONG_STATE);
  EXPECT_EQ(mo_field_prefetch(hidden), MO_STATUS_WRONG_STATE);
  EXPECT_FALSE(mo_field_is_ready(logits));
  EXPECT_EQ(mo_field_read(hidden, &view), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(mo_field_read(nullptr, &view), MO_STATUS_TYPE_ERROR);
}

TEST_F(ReadTest, TheFirstReadCopiesLaterOnesAreFree) {
  const std::vector<float> expected = Fill(logits, 1);
  Mark();
  EXPECT_EQ(Copies(), 0u);
  mo_host_view view, again;
  ASSERT_EQ(mo_field_read(logits, &view), MO_STATUS_OK) << mo_last_error();
  EXPECT_FALSE(mo_delayed_is_device_memory(context, view.data));
  EXPECT_EQ(Elements<float>(view), expected);
  EXPECT_EQ(view.generation, 1u);
  ASSERT_EQ(mo_field_read(logits, &again), MO_STATUS_OK);
  EXPECT_EQ(again.data, view.data);
  const mo_field_counters counters = mo_field_get_counters(logits);
  EXPECT_EQ(counters.host_copies, 1u);
  EXPECT_EQ(counters.host_copy_bytes, expected.size() * 4);
  EXPECT_EQ(Copies(), 1u) << "the counters agree with the device";
  EXPECT_EQ(CopiedBytes(), expected.size() * 4);
  EXPECT_EQ(mo_context_get_counters(context).host_copies, 1u);
  EXPECT_EQ(mo_context_get_counters(context).host_copy_bytes, expected.size() * 4);
  EXPECT_EQ(mo_field_get_counters(hidden).host_copy_bytes, 0u) << "an unread field costs nothing";
}

TEST_F(ReadTest, OnlyItsOwnCopyIsWaitedFor) {
  Fill(logits, 2);
  Mark();
  // Work behind the mark stays queued: the read must not wait for the whole stream.
  const std::vector<float> later = Random(8, 99);
  mo_field *entry = mo_field_item(hidden, 0);
  ASSERT_EQ(mo_delayed_enqueue_fill(context, mo_field_tensor(entry)->data, later.data(), 32, mo_context_stream(context)),
            MO_STATUS_OK);
  mo_host_view view;
  ASSERT_EQ(mo_field_read(logits, &view), MO_STATUS_OK);
  const auto *memory = static_cast<const float *>(mo_delayed_alias(context, mo_field_tensor(entry)->data));
  EXPECT_TRUE(std::isnan(memory[0])) << "the later kernel ran already";
}

TEST_F(ReadTest, SlicesCopyTheirBytesOnly) {
  const std::vector<float> expected = Fill(logits, 3);
  Mark();
  const mo_slice slices[] = {MO_SLICE_AT(1), {-5, MO_SLICE_UNSET, 2}, {3, 40, 6}};
  const auto check = [&](const mo_host_view &view) {
    EXPECT_EQ(std::vector<int64_t>(view.shape, view.shape + 3), (std::vector<int64_t>{1, 3, 7}));
    std::vector<float> part;
    for (int64_t s : {1, 3, 5}) {
      for (int64_t v = 3; v < 40; v += 6) part.push_back(expected[static_cast<size_t>((6 + s) * 50 + v)]);
    }
    EXPECT_EQ(Elements<float>(view), part);
  };
  mo_host_view view;
  ASSERT_EQ(mo_field_read_slice(logits, slices, 3, &view), MO_STATUS_OK) << mo_last_error();
  check(view);
  ASSERT_EQ(mo_field_read_slice(logits, slices, 3, &view), MO_STATUS_OK);
  EXPECT_EQ(Copies(), 1u) << "the same slice again";
  EXPECT_EQ(CopiedBytes(), 21u * 4);
  // One row is contiguous, the whole then serves every slice.
  ASSERT_EQ(mo_field_read_slice(logits, slices, 1, &view), MO_STATUS_OK);
  EXPECT_EQ(CopiedBytes(), (21u + 300) * 4);
  ASSERT_EQ(mo_field_read(logits, &view), MO_STATUS_OK);
  EXPECT_EQ(Copies(), 3u);
  ASSERT_EQ(mo_field_read_slice(logits, slices, 3, &view), MO_STATUS_OK);
  check(view);
  const mo_slice other[] = {MO_SLICE_ALL, MO_SLICE_AT(-1)};
  ASSERT_EQ(mo_field_read_slice(logits, other, 2, &view), MO_STATUS_OK);
  EXPECT_EQ(view.shape[1], 1);
  EXPECT_EQ(Copies(), 3u) << "a part of what is here costs nothing";
  // Nothing at all.
  const mo_slice empty[] = {MO_SLICE_RANGE(2, 2)};
  ASSERT_EQ(mo_field_read_slice(logits, empty, 1, &view), MO_STATUS_OK);
  EXPECT_EQ(view.shape[0], 0);
  const mo_slice backwards[] = {{MO_SLICE_UNSET, MO_SLICE_UNSET, -1}};
  EXPECT_EQ(mo_field_read_slice(logits, backwards, 1, &view), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_field_read_slice(logits, slices, 4, &view), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(Copies(), 3u);
}

TEST_F(ReadTest, GenerationsMakeViewsStaleAndRefreshMirrors) {
  Fill(logits, 4);
  Mark();
  mo_host_view old, fresh;
  ASSERT_EQ(mo_field_read(logits, &old), MO_STATUS_OK);
  EXPECT_EQ(mo_field_check_view(logits, &old), MO_STATUS_OK);
  const uint64_t pinned = mo_delayed_get_counters(context).pinned_bytes;
  const std::vector<float> second = Fill(logits, 5);
  Mark();
  EXPECT_EQ(mo_output_generation(output), 2u);
  EXPECT_EQ(mo_field_check_view(logits, &old), MO_STATUS_STALE_VIEW);
  EXPECT_FALSE(mo_field_is_ready(logits));
  ASSERT_EQ(mo_field_read(logits, &fresh), MO_STATUS_OK);
  EXPECT_EQ(Elements<float>(fresh), second);
  EXPECT_EQ(mo_field_check_view(logits, &fresh), MO_STATUS_OK);
  EXPECT_EQ(fresh.data, old.data) << "the buffer is used again";
  EXPECT_EQ(mo_delayed_get_counters(context).pinned_bytes, pinned);
  EXPECT_EQ(mo_field_get_counters(logits).host_copies, 2u);
}

TEST_F(ReadTest, ChangingSlicesOverGenerationsDoNotCollectMemory) {
  mo_host_view view;
  for (int step = 0; step < 40; ++step) {
    const std::vector<float> expected = Fill(logits, static_cast<uint32_t>(step));
    Mark();
    const int64_t row = step % 6;
    const mo_slice slices[] = {MO_SLICE_AT(0), MO_SLICE_AT(row)};
    ASSERT_EQ(mo_field_read_slice(logits, slices, 2, &view), MO_STATUS_OK);
    const std::vector<float> part(expected.begin() + row * 50, expected.begin() + row * 50 + 50);
    EXPECT_EQ(Elements<float>(view), part);
  }
  EXPECT_EQ(mo_delayed_get_counters(context).pinned_bytes, 200u) << "one buffer serves all steps";
}

TEST_F(ReadTest, PrefetchReturnsAtOnceAndReadsOnlyWait) {
  std::vector<std::vector<float>> expected;
  for (int64_t i = 0; i < 3; ++i) expected.push_back(Fill(mo_field_item(hidden, i), static_cast<uint32_t>(i)));
  Mark();
  ASSERT_EQ(mo_field_prefetch(hidden), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Copies(), 3u);
  EXPECT_FALSE(mo_field_is_ready(hidden)) << "nothing has run yet";
  mo_host_view view;
  ASSERT_EQ(mo_field_read(mo_field_item(hidden, 0), &view), MO_STATUS_OK);
  EXPECT_EQ(Elements<float>(view), expected[0]);
  mo_delayed_progress(context);
  EXPECT_TRUE(mo_field_is_ready(hidden));
  ASSERT_EQ(mo_field_read(mo_field_item(hidden, 2), &view), MO_STATUS_OK);
  EXPECT_EQ(Elements<float>(view), expected[2]);
  std::vector<float> values(expected[1].size(), NAN);
  ASSERT_EQ(mo_field_read_float32(mo_field_item(hidden, 1), nullptr, 0, values.data(), static_cast<int64_t>(values.size())),
            MO_STATUS_OK);
  EXPECT_EQ(values, expected[1]);
  EXPECT_EQ(Copies(), 3u);
}

TEST_F(ReadTest, DestroyingWithACopyUnderWayWaitsForIt) {
  Fill(logits, 6);
  Mark();
  ASSERT_EQ(mo_field_prefetch(logits), MO_STATUS_OK);
  EXPECT_GT(mo_delayed_get_counters(context).pending, 0u);
  mo_output_destroy(output);
  output = nullptr;
  EXPECT_EQ(mo_delayed_get_counters(context).pending, 0u) << "memory went back to the pools while a copy was using it";
}

TEST_F(ReadTest, ReadIntoKeepsNothing) {
  const std::vector<float> expected = Fill(logits, 7);
  Mark();
  std::vector<float> whole(expected.size(), NAN);
  ASSERT_EQ(mo_field_read_into(logits, nullptr, 0, whole.data(), whole.size() * 4), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(whole, expected);
  EXPECT_EQ(mo_delayed_get_counters(context).pinned_bytes, 0u);
  EXPECT_FALSE(mo_field_is_ready(logits));
  const mo_slice slices[] = {MO_SLICE_ALL, MO_SLICE_ALL, {1, MO_SLICE_UNSET, 7}};
  std::vector<float> part(2 * 6 * 7, NAN), reference;
  for (size_t row = 0; row < 12; ++row) {
    for (size_t v = 1; v < 50; v += 7) reference.push_back(expected[row * 50 + v]);
  }
  ASSERT_EQ(mo_field_read_into(logits, slices, 3, part.data(), part.size() * 4), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(part, reference);
  EXPECT_EQ(Copies(), 2u);
  EXPECT_EQ(CopiedBytes(), (expected.size() + part.size()) * 4);
  EXPECT_EQ(mo_field_read_into(logits, slices, 3, part.data(), part.size() * 4 - 1), MO_STATUS_WORKSPACE_TOO_SMALL);
  EXPECT_EQ(mo_field_read_into(logits, slices, 3, part.data(), part.size() * 4 + 1), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_field_read_float32(logits, slices, 3, part.data(), 5), MO_STATUS_WORKSPACE_TOO_SMALL);
  EXPECT_EQ(Copies(), 2u);
}

TEST_F(ReadTest, HalfPrecisionCrossesAsHalf) {
  mo_dimensions d = MO_DIMENSIONS_INIT;
  d.batch_size = 3, d.num_labels = 5, d.dtype = MO_DTYPE_BFLOAT16;
  mo_output *half;
  ASSERT_EQ(mo_output_create(context, mo_class_find("SequenceClassifierOutput"), &d, nullptr, nullptr, 0, &half), MO_STATUS_OK);
  mo_field *field = mo_output_get(half, "logits");
  const std::vector<float> values = Random(15, 8);
  std::vector<uint16_t> stored(15);
  ASSERT_EQ(mo_dtype_convert(stored.data(), MO_DTYPE_BFLOAT16, values.data(), MO_DTYPE_FLOAT32, 15), MO_STATUS_OK);
  mo_delayed_enqueue_fill(context, mo_field_tensor(field)->data, stored.data(), 30, mo_context_stream(context));
  ASSERT_EQ(mo_output_mark_written(half, mo_context_stream(context)), MO_STATUS_OK);
  std::vector<float> read(6, NAN), expected(15);
  mo_dtype_convert(expected.data(), MO_DTYPE_FLOAT32, stored.data(), MO_DTYPE_BFLOAT16, 15);
  const mo_slice slices[] = {MO_SLICE_ALL, {0, MO_SLICE_UNSET, 3}};
  ASSERT_EQ(mo_field_read_float32(field, slices, 2, read.data(), 6), MO_STATUS_OK) << mo_last_error();
  for (size_t row = 0; row < 3; ++row) {
    EXPECT_EQ(read[2 * row], expected[5 * row]);
    EXPECT_EQ(read[2 * row + 1], expected[5 * row + 3]);
  }
  EXPECT_EQ(CopiedBytes(), 12u);
  mo_output_destroy(half);
}

TEST_F(ReadTest, TopKIsTakenOnTheDevice) {
  std::vector<float> expected = Fill(logits, 9);
  Mark();
  mo_host_view values, indices;
  ASSERT_EQ(mo_field_read_top_k(logits, 3, &values, &indices), MO_STATUS_OK) << mo_last_error();
  ExpectTopK(expected, 50, 3, values, indices);
  EXPECT_EQ(std::vector<int64_t>(values.shape, values.shape + 3), (std::vector<int64_t>{2, 6, 3}));
  EXPECT_EQ(CopiedBytes(), 12u * 3 * (4 + 8)) << "k values and k positions per row";
  ASSERT_EQ(mo_field_read_top_k(logits, 3, &values, &indices), MO_STATUS_OK);
  EXPECT_EQ(Copies(), 1u) << "kept";
  ASSERT_EQ(mo_field_read_top_k(logits, 50, &values, &indices), MO_STATUS_OK);
  ExpectTopK(expected, 50, 50, values, indices);
  expected = Fill(logits, 10);
  Mark();
  EXPECT_EQ(mo_field_check_view(logits, &values), MO_STATUS_STALE_VIEW);
  ASSERT_EQ(mo_field_read_top_k(logits, 3, &values, &indices), MO_STATUS_OK);
  ExpectTopK(expected, 50, 3, values, indices);
  for (int64_t k : {int64_t{0}, int64_t{-1}, int64_t{51}}) {
    EXPECT_EQ(mo_field_read_top_k(logits, k, &values, &indices), MO_STATUS_INVALID_ARGUMENT);
  }
  EXPECT_EQ(mo_field_read_top_k(hidden, 1, &values, &indices), MO_STATUS_TYPE_ERROR);
}

TEST_F(ReadTest, WrappedTensorsWaitForTheStream) {
  void *memory;
  ASSERT_EQ(mo_context_allocate(context, 400, &memory), MO_STATUS_OK);
  mo_tensor tensor;
  const int64_t shape[] = {10, 10}, strides[] = {1, 10};
  ASSERT_EQ(mo_tensor_init_strided(&tensor, memory, MO_DTYPE_FLOAT32, mo_context_device(context), 2, shape, strides),
            MO_STATUS_OK);
  mo_field *field;
  ASSERT_EQ(mo_field_create_tensor(context, &tensor, nullptr, nullptr, &field), MO_STATUS_OK);
  const std::vector<float> values = Random(100, 11);
  // Written after the field was made, marked by nobody.
  mo_delayed_enqueue_fill(context, memory, values.data(), 400, mo_context_stream(context));
  mo_host_view view;
  ASSERT_EQ(mo_field_read(field, &view), MO_STATUS_OK) << mo_last_error();
  const std::vector<float> got = Elements<float>(view);
  for (size_t i = 0; i < 10; ++i) {
    for (size_t j = 0; j < 10; ++j) EXPECT_EQ(got[i * 10 + j], values[j * 10 + i]);
  }
  mo_field_release(field);
  mo_context_release(context, memory);
}

TEST_F(ReadTest, WrappedHostTensorsAreReadInPlace) {
  std::vector<float> values = Random(12, 12);
  const int64_t shape[] = {3, 4};
  const mo_tensor tensor = mo_tensor_cpu(values.data(), MO_DTYPE_FLOAT32, 2, shape);
  mo_field *field;
  ASSERT_EQ(mo_field_create_tensor(context, &tensor, nullptr, nullptr, &field), MO_STATUS_OK);
  mo_host_view view, indices;
  EXPECT_TRUE(mo_field_is_ready(field));
  ASSERT_EQ(mo_field_read(field, &view), MO_STATUS_OK);
  EXPECT_EQ(view.data, values.data());
  EXPECT_EQ(Copies(), 0u);
  ASSERT_EQ(mo_field_read_top_k(field, 2, &view, &indices), MO_STATUS_OK) << mo_last_error();
  ExpectTopK(values, 4, 2, view, indices);
  mo_field_release(field);
}

TEST_F(ReadTest, OutputsMadeByHandMarkTheirFields) {
  void *memory;
  ASSERT_EQ(mo_context_allocate(context, 16, &memory), MO_STATUS_OK);
  mo_tensor tensor;
  const int64_t shape[] = {4};
  ASSERT_EQ(mo_tensor_init(&tensor, memory, MO_DTYPE_FLOAT32, mo_context_device(context), 1, shape), MO_STATUS_OK);
  mo_field *field;
  ASSERT_EQ(mo_field_create_tensor(context, &tensor, nullptr, nullptr, &field), MO_STATUS_OK);
  const mo_item item = {"logits", field};
  mo_output *made;
  ASSERT_EQ(mo_output_create_from_fields(context, mo_class_find("MaskedLMOutput"), &item, 1, &made), MO_STATUS_OK);
  for (uint32_t step = 0; step < 3; ++step) {
    const std::vector<float> values = Random(4, step);
    mo_delayed_enqueue_fill(context, memory, values.data(), 16, mo_context_stream(context));
    ASSERT_EQ(mo_output_mark_written(made, mo_context_stream(context)), MO_STATUS_OK);
    mo_host_view view;
    ASSERT_EQ(mo_field_read(field, &view), MO_STATUS_OK);
    EXPECT_EQ(Elements<float>(view), values);
  }
  EXPECT_EQ(mo_output_synchronize(made), MO_STATUS_OK);
  mo_output_destroy(made);
  mo_field_release(field);
  mo_context_release(context, memory);
}

TEST_F(ReadTest, SynchronizeWaitsForWhatWasMarked) {
  const std::vector<float> expected = Fill(logits, 13);
  Mark();
  ASSERT_EQ(mo_output_synchronize(output), MO_STATUS_OK);
  const void *memory = mo_delayed_alias(context, mo_field_tensor(logits)->data);
  EXPECT_EQ(memcmp(memory, expected.data(), expected.size() * 4), 0);
}

// Many readers of whole fields, slices, top-k and counters at once; run under ThreadSanitizer too.
TEST_F(ReadTest, ManyThreads) {
  constexpr int kThreads = 8, kSteps = 12;
  for (int step = 0; step < kSteps; ++step) {
    const std::vector<float> expected = Fill(logits, static_cast<uint32_t>(100 + step));
    std::vector<std::vector<float>> layers;
    for (int64_t i = 0; i < 3; ++i) layers.push_back(Fill(mo_field_item(hidden, i), static_cast<uint32_t>(200 + step + i)));
    Mark();
    const uint64_t copies = Copies();
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        mo_host_view view, indices;
        if (t % 4 == 0 && mo_field_prefetch(hidden) != MO_STATUS_OK) ++wrong;
        if (mo_field_read(logits, &view) != MO_STATUS_OK || Elements<float>(view) != expected) ++wrong;
        for (int64_t i = 0; i < 3; ++i) {
          mo_field *entry = mo_field_item(hidden, (i + t) % 3);
          (void)mo_field_is_ready(entry);
          if (mo_field_read(entry, &view) != MO_STATUS_OK) ++wrong;
          if (Elements<float>(view) != layers[static_cast<size_t>((i + t) % 3)]) ++wrong;
        }
        const mo_slice row[] = {MO_SLICE_AT(1), MO_SLICE_AT(t % 6)};
        if (mo_field_read_slice(logits, row, 2, &view) != MO_STATUS_OK) ++wrong;
        const size_t start = static_cast<size_t>(6 + t % 6) * 50;
        if (Elements<float>(view) != std::vector<float>(expected.begin() + start, expected.begin() + start + 50)) ++wrong;
        if (mo_field_read_top_k(logits, 2, &view, &indices) != MO_STATUS_OK) ++wrong;
        if (mo_field_check_view(logits, &view) != MO_STATUS_OK) ++wrong;
        (void)mo_field_get_counters(logits);
        mo_field_release(mo_field_retain(logits));
      });
    }
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(wrong.load(), 0);
    EXPECT_EQ(Copies() - copies, 5u) << "logits, three layers and one top-k, whoever asked";
  }
}

// Every call into the device fails once, in every way of reading; afterwards the same read works and nothing is lost.
TEST_F(ReadTest, EveryDeviceCallMayFail) {
  using Read = mo_status_t (*)(mo_field *);
  const Read reads[] = {
      [](mo_field *f) {
        mo_host_view view;
        return mo_field_read(f, &view);
      },
      [](mo_field *f) {
        mo_host_view view;
        const mo_slice slices[] = {MO_SLICE_ALL, MO_SLICE_AT(2)};
        return mo_field_read_slice(f, slices, 2, &view);
      },
      [](mo_field *f) {
        mo_host_view values, indices;
        return mo_field_read_top_k(f, 4, &values, &indices);
      },
      [](mo_field *f) {
        std::vector<float> all(600);
        return mo_field_read_into(f, nullptr, 0, all.data(), 2400);
      },
      [](mo_field *f) {
        std::vector<float> part(100);
        const mo_slice slices[] = {MO_SLICE_ALL, MO_SLICE_AT(3)};
        return mo_field_read_float32(f, slices, 2, part.data(), 100);
      },
      [](mo_field *f) { return mo_field_prefetch(f); },
  };
  int failures = 0;
  for (const Read read : reads) {
    for (int64_t n = 0;; ++n) {
      const std::vector<float> expected = Fill(logits, static_cast<uint32_t>(n));
      Mark();
      mo_context_trim(context);
      mo_delayed_fail_after(context, n, MO_STATUS_DEVICE_ERROR);
      const mo_status_t status = read(logits);
      const bool pending = mo_delayed_failure_is_pending(context);
      mo_delayed_fail_after(context, -1, MO_STATUS_OK);
      if (status != MO_STATUS_OK) {
        ++failures;
        EXPECT_EQ(status, MO_STATUS_DEVICE_ERROR);
        EXPECT_NE(std::string(mo_last_error()).find("injected"), std::string::npos);
        EXPECT_EQ(mo_context_error(context, nullptr, 0), MO_STATUS_DEVICE_ERROR);
      }
      EXPECT_EQ(read(logits), MO_STATUS_OK) << mo_last_error();
      mo_host_view view;
      ASSERT_EQ(mo_field_read(logits, &view), MO_STATUS_OK);
      EXPECT_EQ(Elements<float>(view), expected);
      if (pending) break;
    }
  }
  EXPECT_GE(failures, 20);
}

TEST_F(ReadTest, MarkingMayFail) {
  mo_delayed_fail_after(context, 0, MO_STATUS_DEVICE_ERROR);
  EXPECT_EQ(mo_output_mark_written(output, mo_context_stream(context)), MO_STATUS_DEVICE_ERROR);
  EXPECT_EQ(mo_output_generation(output), 0u);
  mo_delayed_fail_after(context, 1, MO_STATUS_DEVICE_ERROR);
  EXPECT_EQ(mo_output_mark_written(output, mo_context_stream(context)), MO_STATUS_DEVICE_ERROR);
  EXPECT_EQ(mo_output_generation(output), 0u);
  Mark();
  EXPECT_EQ(mo_output_generation(output), 1u);
}

// ---- On the CPU a read is a pointer ----

TEST(ReadOnCpuTest, AReadIsAPointer) {
  TEST_ON_CPU_ONLY("memory of other devices is not the host's");
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CPU;
  mo_context_t *context;
  ASSERT_EQ(mo_context_create(&options, &context), MO_STATUS_OK);
  mo_dimensions d = MO_DIMENSIONS_INIT;
  d.batch_size = 2, d.sequence_length = 6, d.hidden_size = 8, d.num_layers = 2, d.num_heads = 4, d.vocab_size = 50;
  mo_output *output;
  ASSERT_EQ(mo_output_create(context, mo_class_find("MaskedLMOutput"), &d, nullptr, nullptr, 0, &output), MO_STATUS_OK);
  mo_field *logits = mo_output_get(output, "logits");
  const std::vector<float> expected = Random(600, 1);
  memcpy(mo_field_tensor(logits)->data, expected.data(), 2400);
  mo_host_view view, indices;
  EXPECT_EQ(mo_field_read(logits, &view), MO_STATUS_WRONG_STATE);
  ASSERT_EQ(mo_output_mark_written(output, nullptr), MO_STATUS_OK);
  EXPECT_TRUE(mo_field_is_ready(logits));
  ASSERT_EQ(mo_field_read(logits, &view), MO_STATUS_OK);
  EXPECT_EQ(view.data, mo_field_tensor(logits)->data);
  const mo_slice slices[] = {MO_SLICE_AT(1), {0, MO_SLICE_UNSET, 2}};
  ASSERT_EQ(mo_field_read_slice(logits, slices, 2, &view), MO_STATUS_OK);
  EXPECT_EQ(view.data, static_cast<float *>(mo_field_tensor(logits)->data) + 300);
  EXPECT_EQ(view.strides[1], 100);
  EXPECT_EQ(mo_field_prefetch(logits), MO_STATUS_OK);
  std::vector<float> copy(600, NAN);
  ASSERT_EQ(mo_field_read_into(logits, nullptr, 0, copy.data(), 2400), MO_STATUS_OK);
  EXPECT_EQ(copy, expected);
  mo_host_view top;
  ASSERT_EQ(mo_field_read_top_k(logits, 5, &top, &indices), MO_STATUS_OK) << mo_last_error();
  ExpectTopK(expected, 50, 5, top, indices);
  const mo_context_counters counters = mo_context_get_counters(context);
  EXPECT_EQ(counters.host_copies, 0u);
  EXPECT_EQ(counters.host_copy_bytes, 0u);
  ASSERT_EQ(mo_output_mark_written(output, nullptr), MO_STATUS_OK);
  EXPECT_EQ(mo_field_check_view(logits, &view), MO_STATUS_STALE_VIEW);
  EXPECT_EQ(mo_field_check_view(logits, &top), MO_STATUS_STALE_VIEW);
  mo_output_destroy(output);
  mo_context_destroy(context);
}

}  // namespace
