/* tests/output/container_case.h - the fixture of the tests of output containers.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OUTPUT_CONTAINER_CASE_H
#define MO_TESTS_OUTPUT_CONTAINER_CASE_H

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "container_shim.h"
#include "tests/support/output_behaviour_replay.h"

namespace container_case {

int g_released = 0;
inline void CountRelease(void *) { ++g_released; }

// Host memory through a counting allocator: leaks, and the number of allocations of a call.
struct HostMemory {
  int64_t live = 0;
  int64_t calls = 0;
  int64_t fail_at = -1;  // this call gets no memory
};
inline void *AllocateHost(void *user_data, size_t bytes, mo_stream) {
  auto *memory = static_cast<HostMemory *>(user_data);
  if (memory->calls++ == memory->fail_at) return nullptr;
  ++memory->live;
  return std::aligned_alloc(256, (bytes / 256 + 1) * 256);
}
inline void ReleaseHost(void *user_data, void *address, size_t, mo_stream) {
  --static_cast<HostMemory *>(user_data)->live;
  std::free(address);
}

class Container : public ::testing::Test {
 protected:
  void SetUp() override {
    mo_context_options options = shim_cpu_options();
    options.host_allocator = {AllocateHost, ReleaseHost, &memory_};
    ASSERT_EQ(mo_context_create(&options, &context_), MO_STATUS_OK) << mo_last_error();
    for (auto &tensor : tensors_) tensor = Tensor({1});
  }

  void TearDown() override {
    for (mo_output *output : outputs_) mo_output_destroy(output);
    for (mo_field *field : fields_) mo_field_release(field);
    mo_context_destroy(context_);
    EXPECT_EQ(memory_.live, 0) << "host memory leaked";
  }

  mo_field *Keep(mo_status_t status, mo_field *field) {
    EXPECT_EQ(status, MO_STATUS_OK) << mo_last_error();
    fields_.push_back(field);
    return field;
  }
  mo_field *Tensor(std::vector<int64_t> shape) {
    mo_field *field = nullptr;
    int64_t count = 1;
    for (int64_t extent : shape) count *= extent;
    data_.emplace_back(static_cast<size_t>(count) + 1, 0.5f);
    const mo_status_t status =
        shim_tensor(context_, data_.back().data(), static_cast<int32_t>(shape.size()), shape.data(), nullptr, nullptr, &field);
    return Keep(status, field);
  }
  mo_field *Tuple(std::vector<mo_field *> items) {
    mo_field *field = nullptr;
    const mo_status_t status = mo_field_create_tuple(context_, items.data(), static_cast<int64_t>(items.size()), &field);
    return Keep(status, field);
  }
  mo_field *Integer(int64_t value) {
    mo_field *field = nullptr;
    const mo_status_t status = mo_field_create_integer(context_, value, &field);
    return Keep(status, field);
  }
  mo_field *String(const char *value) {
    mo_field *field = nullptr;
    const mo_status_t status = mo_field_create_string(context_, value, &field);
    return Keep(status, field);
  }
  mo_field *Dict(std::vector<const char *> keys, std::vector<mo_field *> values) {
    mo_field *field = nullptr;
    const mo_status_t status =
        mo_field_create_dict(context_, keys.data(), values.data(), static_cast<int64_t>(keys.size()), &field);
    return Keep(status, field);
  }
  mo_output *Keep(mo_output *output) {
    outputs_.push_back(output);
    return output;
  }
  static const mo_class *Class(const char *name) { return mo_class_find(name); }

  mo_status_t TryFields(const char *name, std::vector<mo_item> items, mo_output **output) {
    return mo_output_create_from_fields(context_, Class(name), items.data(), static_cast<int64_t>(items.size()), output);
  }
  mo_status_t TryItems(const char *name, std::vector<mo_item> items, mo_output **output) {
    return mo_output_create_from_items(context_, Class(name), items.data(), static_cast<int64_t>(items.size()), output);
  }
  mo_status_t TryValues(const char *name, std::vector<mo_field *> values, mo_output **output) {
    return mo_output_create_from_values(context_, Class(name), values.data(), static_cast<int64_t>(values.size()), output);
  }
  mo_output *Fields(const char *name, std::vector<mo_item> items) {
    mo_output *output = nullptr;
    EXPECT_EQ(TryFields(name, items, &output), MO_STATUS_OK) << mo_last_error();
    return Keep(output);
  }
  mo_output *Items(const char *name, std::vector<mo_item> items) {
    mo_output *output = nullptr;
    EXPECT_EQ(TryItems(name, items, &output), MO_STATUS_OK) << mo_last_error();
    return Keep(output);
  }
  mo_output *Values(const char *name, std::vector<mo_field *> values) {
    mo_output *output = nullptr;
    EXPECT_EQ(TryValues(name, values, &output), MO_STATUS_OK) << mo_last_error();
    return Keep(output);
  }
  mo_output *Copy(const mo_output *source) {
    mo_output *copy = nullptr;
    EXPECT_EQ(mo_output_copy(source, &copy), MO_STATUS_OK) << mo_last_error();
    return Keep(copy);
  }

  static std::string Keys(const mo_output *output) {
    std::string keys;
    for (int64_t i = 0; i < mo_output_length(output); ++i) keys += std::string(i == 0 ? "" : " ") + mo_output_key_at(output, i);
    return keys;
  }
  static mo_field *Attribute(const mo_output *output, const char *name) {
    mo_field *field = nullptr;
    EXPECT_EQ(mo_output_attribute(output, name, &field), MO_STATUS_OK) << mo_last_error();
    return field;
  }

  HostMemory memory_;
  mo_context_t *context_ = nullptr;
  mo_field *tensors_[6];
  mo_field *&t0_ = tensors_[0], *&t1_ = tensors_[1], *&t2_ = tensors_[2], *&t3_ = tensors_[3];

 private:
  std::vector<mo_field *> fields_;
  std::vector<mo_output *> outputs_;
  std::vector<std::vector<float>> data_;
};

}  // namespace container_case

#endif
