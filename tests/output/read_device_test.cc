/* tests/output/read_device_test.cc - lazy reads on the device under test, through its own streams, events and copies.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/output/read_case.h"

namespace {

using namespace read_case;

// ---- On the device under test, through its own streams, events and copies ----

class ReadOnDeviceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(test_context_create(nullptr, &context_), MO_STATUS_OK) << mo_last_error();
    mo_dimensions d = MO_DIMENSIONS_INIT;
    d.batch_size = 2, d.sequence_length = 6, d.hidden_size = 8, d.num_layers = 2, d.num_heads = 4, d.vocab_size = 50;
    mo_request r = MO_REQUEST_INIT;
    r.output_hidden_states = true;
    ASSERT_EQ(mo_output_create(context_, mo_class_find("MaskedLMOutput"), &d, &r, nullptr, 0, &output_), MO_STATUS_OK);
    logits_ = mo_output_get(output_, "logits");
    hidden_ = mo_output_get(output_, "hidden_states");
  }
  void TearDown() override {
    mo_output_destroy(output_);
    mo_context_destroy(context_);
  }
  // Written on the context's stream: nothing has waited for it when the field is marked.
  std::vector<float> Fill(mo_field *field, uint32_t seed) {
    const mo_tensor *tensor = mo_field_tensor(field);
    const std::vector<float> values = Random(mo_tensor_count(tensor), seed);
    EXPECT_EQ(mo_context_copy_to_device(context_, tensor->data, values.data(), values.size() * 4), MO_STATUS_OK);
    return values;
  }
  void Mark() { ASSERT_EQ(mo_output_mark_written(output_, mo_context_stream(context_)), MO_STATUS_OK) << mo_last_error(); }
  uint64_t Copies() const { return mo_context_get_counters(context_).host_copies; }
  uint64_t CopiedBytes() const { return mo_context_get_counters(context_).host_copy_bytes; }
  // The CPU's memory is read where it is.
  static uint64_t OffTheCpu(uint64_t cost) { return test_device_is_cpu() ? 0 : cost; }

  mo_context_t *context_ = nullptr;
  mo_output *output_ = nullptr;
  mo_field *logits_ = nullptr;
  mo_field *hidden_ = nullptr;
};

TEST_F(ReadOnDeviceTest, TheFirstReadCopiesLaterOnesAreFree) {
  mo_host_view view, again;
  EXPECT_EQ(mo_field_read(logits_, &view), MO_STATUS_WRONG_STATE);
  for (uint32_t generation = 1; generation <= 3; ++generation) {
    const std::vector<float> expected = Fill(logits_, generation);
    Mark();
    EXPECT_EQ(mo_output_generation(output_), generation);
    EXPECT_EQ(Copies(), OffTheCpu(generation - 1));
    ASSERT_EQ(mo_field_read(logits_, &view), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(Elements<float>(view), expected);
    ASSERT_EQ(mo_field_read(logits_, &again), MO_STATUS_OK);
    EXPECT_EQ(again.data, view.data);
    EXPECT_EQ(Copies(), OffTheCpu(generation));
    EXPECT_EQ(CopiedBytes(), OffTheCpu(generation * expected.size() * 4));
  }
  EXPECT_EQ(mo_field_get_counters(hidden_).host_copy_bytes, 0u) << "an unread field costs nothing";
}

TEST_F(ReadOnDeviceTest, SlicesOfEveryDtypeCrossAsTheyAreStored) {
  std::mt19937 random(3);
  for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16, MO_DTYPE_INT64, MO_DTYPE_UINT8}) {
    const int64_t shape[3] = {3, 7, 11};
    const size_t element = mo_dtype_bytes(dtype);
    std::vector<uint8_t> content(231 * element);
    for (uint8_t &byte : content) byte = static_cast<uint8_t>(random());
    void *memory = nullptr;
    mo_tensor tensor;
    mo_field *field = nullptr;
    ASSERT_EQ(mo_context_allocate(context_, content.size(), &memory), MO_STATUS_OK);
    ASSERT_EQ(mo_context_copy_to_device(context_, memory, content.data(), content.size()), MO_STATUS_OK);
    ASSERT_EQ(mo_tensor_init(&tensor, memory, dtype, mo_context_device(context_), 3, shape), MO_STATUS_OK);
    ASSERT_EQ(mo_field_create_tensor(context_, &tensor, nullptr, nullptr, &field), MO_STATUS_OK);
    const mo_slice all = MO_SLICE_ALL;
    const mo_slice slices[][3] = {{MO_SLICE_AT(1), all, all},
                                  {all, MO_SLICE_AT(-1), all},
                                  {all, {1, MO_SLICE_UNSET, 2}, {10, MO_SLICE_UNSET, 1}},
                                  {{0, 3, 2}, MO_SLICE_RANGE(2, 6), {MO_SLICE_UNSET, MO_SLICE_UNSET, 3}},
                                  {all, all, MO_SLICE_RANGE(4, 4)}};
    for (const auto &slice : slices) {
      mo_tensor view;
      ASSERT_EQ(mo_tensor_slice(&tensor, slice, 3, &view), MO_STATUS_OK);
      std::vector<uint8_t> expected;
      const int64_t first = (static_cast<char *>(view.data) - static_cast<char *>(memory)) / static_cast<int64_t>(element);
      for (int64_t i = 0; i < view.shape[0]; ++i)
        for (int64_t j = 0; j < view.shape[1]; ++j)
          for (int64_t k = 0; k < view.shape[2]; ++k) {
            const int64_t at = first + i * view.strides[0] + j * view.strides[1] + k * view.strides[2];
            const uint8_t *from = content.data() + static_cast<size_t>(at) * element;
            expected.insert(expected.end(), from, from + element);
          }
      std::vector<uint8_t> got(expected.size(), 0x5A);
      const uint64_t before = CopiedBytes();
      ASSERT_EQ(mo_field_read_into(field, slice, 3, got.data(), got.size()), MO_STATUS_OK) << mo_last_error();
      EXPECT_EQ(got, expected) << mo_dtype_name(dtype);
      EXPECT_EQ(CopiedBytes() - before, OffTheCpu(expected.size()));
    }
    mo_field_release(field);
    mo_context_release(context_, memory);
  }
}

TEST_F(ReadOnDeviceTest, TopKPrefetchAndTuples) {
  const std::vector<float> expected = Fill(logits_, 8);
  std::vector<std::vector<float>> states;
  for (int64_t i = 0; i < mo_field_length(hidden_); ++i)
    states.push_back(Fill(mo_field_item(hidden_, i), 20 + static_cast<uint32_t>(i)));
  Mark();
  mo_host_view values, indices, view;
  ASSERT_EQ(mo_field_prefetch(hidden_), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_field_read_top_k(logits_, 5, &values, &indices), MO_STATUS_OK) << mo_last_error();
  ExpectTopK(expected, 50, 5, values, indices);
  for (size_t i = 0; i < states.size(); ++i) {
    ASSERT_EQ(mo_field_read(mo_field_item(hidden_, static_cast<int64_t>(i)), &view), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(Elements<float>(view), states[i]) << i;
  }
  EXPECT_TRUE(mo_field_is_ready(hidden_));
  const uint64_t bytes = CopiedBytes();
  Fill(logits_, 9);
  Mark();
  EXPECT_EQ(mo_field_check_view(logits_, &values), MO_STATUS_STALE_VIEW);
  EXPECT_EQ(mo_field_check_view(mo_field_item(hidden_, 0), &view), MO_STATUS_STALE_VIEW);
  EXPECT_EQ(CopiedBytes(), bytes) << "marking copies nothing";
}

TEST_F(ReadOnDeviceTest, ManyThreadsReadOneField) {
  const std::vector<float> expected = Fill(logits_, 30);
  Mark();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int worker = 0; worker < 4; ++worker) {
    threads.emplace_back([&] {
      mo_host_view view;
      const mo_status_t status = mo_field_read(logits_, &view);
      if (status != MO_STATUS_OK || Elements<float>(view) != expected) ++wrong;
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(Copies(), OffTheCpu(1));
}

}  // namespace
