/* tests/simulated_device/traffic_case.h - what the tests of memory traffic share: tensors in device memory, each an allocation
 * of its own, and the statements they make about the bytes of a call.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATED_DEVICE_TRAFFIC_CASE_H
#define SIMULATED_DEVICE_TRAFFIC_CASE_H

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "tests/simulated_device/control.h"
#include "tests/simulated_device/traffic.h"

namespace simulated {

class DeviceTensor {
 public:
  DeviceTensor(mo_context_t *context, const std::string &name, mo_dtype_t dtype, const std::vector<int64_t> &shape)
      : context_(context), name_(name) {
    int64_t count = 1;
    for (const int64_t extent : shape) count *= extent;
    bytes_ = static_cast<size_t>(count) * mo_dtype_bytes(dtype);
    EXPECT_EQ(mo_context_allocate(context, bytes_, &memory_), MO_STATUS_OK) << mo_last_error();
    tensor = mo_tensor_cpu(memory_, dtype, static_cast<int32_t>(shape.size()), shape.data());
    tensor.device = mo_context_device(context);
  }
  ~DeviceTensor() { mo_context_release(context_, memory_); }
  DeviceTensor(const DeviceTensor &) = delete;
  DeviceTensor &operator=(const DeviceTensor &) = delete;

  operator const mo_tensor *() const { return &tensor; }
  const std::string &name() const { return name_; }
  uint64_t bytes() const { return bytes_; }
  const char *memory() const { return static_cast<const char *>(memory_); }
  void Upload(const void *values) {
    ASSERT_EQ(mo_context_copy_to_device(context_, memory_, values, bytes_), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(mo_context_synchronize(context_), MO_STATUS_OK);
  }

  mo_tensor tensor = {};

 private:
  mo_context_t *context_;
  std::string name_;
  void *memory_ = nullptr;
  size_t bytes_ = 0;
};

class TrafficCase : public ::testing::Test {
 protected:
  void SetUp() override {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.device = MO_DEVICE_CHOICE_CUDA;
    options.own_stream = true;
    options.thread_count = 1;
    ASSERT_EQ(mo_context_create(&options, &context_), MO_STATUS_OK) << mo_last_error();
  }
  void TearDown() override {
    counter_.reset();
    tensors_.clear();
    mo_context_destroy(context_);
    EXPECT_STREQ(simulated_take_report(), "");
    EXPECT_EQ(simulated_live_objects(), 0);
  }

  /* Memory that nobody has written, and normally distributed numbers. */
  DeviceTensor &Empty(const std::string &name, mo_dtype_t dtype, const std::vector<int64_t> &shape) {
    tensors_.push_back(std::make_unique<DeviceTensor>(context_, name, dtype, shape));
    return *tensors_.back();
  }
  DeviceTensor &Random(const std::string &name, mo_dtype_t dtype, const std::vector<int64_t> &shape) {
    DeviceTensor &result = Empty(name, dtype, shape);
    std::normal_distribution<float> normal;
    std::vector<float> values(static_cast<size_t>(mo_tensor_count(result)));
    for (float &value : values) value = normal(random_);
    std::vector<unsigned char> stored(result.bytes());
    EXPECT_EQ(mo_dtype_convert(stored.data(), dtype, values.data(), MO_DTYPE_FLOAT32, static_cast<int64_t>(values.size())),
              MO_STATUS_OK);
    result.Upload(stored.data());
    return result;
  }
  template <typename T>
  DeviceTensor &Values(const std::string &name, mo_dtype_t dtype, const std::vector<int64_t> &shape,
                       const std::vector<T> &values) {
    DeviceTensor &result = Empty(name, dtype, shape);
    EXPECT_EQ(result.bytes(), values.size() * sizeof(T)) << name;
    result.Upload(values.data());
    return result;
  }

  /* Runs the call and counts its traffic. */
  void Count(const std::function<mo_status_t()> &call) {
    counter_.reset();
    counter_ = std::make_unique<TrafficCounter>();
    EXPECT_EQ(call(), MO_STATUS_OK) << mo_last_error();
    counter_->stop();
  }
  Traffic Of(const DeviceTensor &tensor) const { return counter_->of(tensor.memory(), tensor.bytes()); }
  Traffic Of(const DeviceTensor &tensor, uint64_t offset, uint64_t bytes) const {
    return counter_->of(tensor.memory() + offset, bytes);
  }
  /* All device memory but these tensors: scratch, and what no call should touch. */
  Traffic Rest() const {
    Traffic rest = counter_->all();
    for (const auto &tensor : tensors_) {
      Traffic part = Of(*tensor);
      rest -= part;
    }
    return rest;
  }
  Traffic All() const { return counter_->all(); }
  /* Bytes that a kernel or a copy to the host has read. */
  uint64_t Fetched(const DeviceTensor &tensor, uint64_t offset, uint64_t bytes) const {
    const Traffic traffic = Of(tensor, offset, bytes);
    return traffic.read + traffic.copied_to_host;
  }
  size_t Launches() const { return counter_->launches().size(); }
  std::string Kernels() const {
    std::string text;
    for (const std::string &name : counter_->launches()) text += name + "\n";
    return text;
  }

  /* ---- Statements ---- */

  /* Every byte is read exactly `times` times, and none is written. */
  void ExpectRead(const DeviceTensor &tensor, uint64_t times = 1) {
    SCOPED_TRACE(tensor.name());
    const Traffic traffic = Of(tensor);
    EXPECT_EQ(traffic.read, times * tensor.bytes());
    EXPECT_EQ(traffic.read_distinct, tensor.bytes());
    EXPECT_EQ(traffic.written, 0u);
  }
  /* Every byte is written once, in whole lines, and none is read. The tensor is a whole number of lines. */
  void ExpectWritten(const DeviceTensor &tensor) {
    SCOPED_TRACE(tensor.name());
    ExpectWrittenInPieces(tensor);
    EXPECT_EQ(tensor.bytes() % 128, 0u);
    EXPECT_EQ(Of(tensor).line_writes, tensor.bytes() / 128);
    EXPECT_EQ(Of(tensor).whole_line_writes, tensor.bytes() / 128);
  }
  /* The same without a word about lines, for results that are a few bytes or whose rows are shorter than a line. */
  void ExpectWrittenInPieces(const DeviceTensor &tensor) {
    SCOPED_TRACE(tensor.name());
    const Traffic traffic = Of(tensor);
    EXPECT_EQ(traffic.written, tensor.bytes());
    EXPECT_EQ(traffic.written_distinct, tensor.bytes());
    EXPECT_EQ(traffic.read, 0u);
  }
  /* Read by every block or warp that needs it (weights of a norm, tables): all of it, and nothing is written. */
  void ExpectShared(const DeviceTensor &tensor, uint64_t most_times) {
    SCOPED_TRACE(tensor.name());
    const Traffic traffic = Of(tensor);
    EXPECT_EQ(traffic.read_distinct, tensor.bytes());
    EXPECT_LE(traffic.read, most_times * tensor.bytes());
    EXPECT_EQ(traffic.written, 0u);
  }
  void ExpectUntouched(const DeviceTensor &tensor) {
    SCOPED_TRACE(tensor.name());
    EXPECT_EQ(Of(tensor).read + Of(tensor).written, 0u);
  }
  /* Scratch: at most so many bytes written and as often read, nothing read before it was written. */
  void ExpectScratch(uint64_t most_written, uint64_t most_read) {
    const Traffic rest = Rest();
    EXPECT_LE(rest.written, most_written);
    EXPECT_LE(rest.read, most_read);
    EXPECT_EQ(rest.read_unwritten, 0u);
  }
  void ExpectNoScratch() { ExpectScratch(0, 0); }
  void ExpectOneLaunch() { EXPECT_EQ(Launches(), 1u) << Kernels(); }

  mo_context_t *context_ = nullptr;
  std::mt19937 random_{20261124};

 private:
  std::vector<std::unique_ptr<DeviceTensor>> tensors_;
  std::unique_ptr<TrafficCounter> counter_;
};

}  // namespace simulated

#endif
