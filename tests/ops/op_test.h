/* tests/ops/op_test.h - what the tests of linear, norm and embedding share: random tensors of any dtype and layout, readings in
 * double.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OPS_OP_TEST_H
#define MO_TESTS_OPS_OP_TEST_H

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "host/rules/float16.h"
#include "modelout/modelout.h"
#include "tests/support/device_mirror.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/test_context.h"

namespace op_test {

inline const mo_device kCpu = {MO_DEVICE_KIND_CPU, 0};

/* A tensor with memory of its own, NaN (or for integers -1) everywhere first, gaps between rows included. `gap`: elements left
 * free after each row of the last dimension; `outer_gap`: the same after each matrix of the last two. */
class Buffer {
 public:
  Buffer() = default;
  Buffer(mo_dtype_t dtype, std::vector<int64_t> shape, int64_t gap = 0, int64_t outer_gap = 0) {
    const auto rank = static_cast<int32_t>(shape.size());
    tensor_ = mo_tensor{};
    tensor_.dtype = dtype;
    tensor_.device = kCpu;
    tensor_.rank = rank;
    int64_t stride = 1;
    for (int32_t i = rank - 1; i >= 0; --i) {
      tensor_.shape[i] = shape[i];
      tensor_.strides[i] = stride;
      stride = stride * (shape[i] > 0 ? shape[i] : 1) + (i == rank - 1 ? gap : i == rank - 2 ? outer_gap : 0);
    }
    memory_.assign(static_cast<size_t>(stride) * mo_dtype_bytes(dtype) + 1, 0xFF);
    memory_.pop_back(); /* never empty, never larger than what is promised */
    tensor_.data = memory_.data();
  }
  Buffer(const Buffer &other) : memory_(other.memory_), tensor_(other.tensor_) { tensor_.data = memory_.data(); }
  Buffer &operator=(const Buffer &other) {
    memory_ = other.memory_;
    tensor_ = other.tensor_;
    tensor_.data = memory_.data();
    return *this;
  }

  mo_tensor *operator&() { return &tensor_; }
  mo_tensor &tensor() { return tensor_; }
  const std::vector<uint8_t> &memory() const { return memory_; }
  int64_t count() const { return mo_tensor_count(&tensor_); }
  int64_t columns() const { return tensor_.shape[tensor_.rank - 1]; }
  int64_t rows() const { return columns() == 0 ? 0 : count() / columns(); }

  /* Offset of the element with this row-major number. */
  int64_t offset(int64_t index) const {
    int64_t result = 0;
    for (int32_t i = tensor_.rank - 1; i >= 0; --i) {
      result += index % tensor_.shape[i] * tensor_.strides[i];
      index /= tensor_.shape[i];
    }
    return result;
  }
  double get(int64_t index) const {
    const void *p = memory_.data() + static_cast<size_t>(offset(index)) * mo_dtype_bytes(tensor_.dtype);
    uint16_t half;
    std::memcpy(&half, p, 2);
    switch (tensor_.dtype) {
      case MO_DTYPE_FLOAT16:
        return mo_float_from_f16(half);
      case MO_DTYPE_BFLOAT16:
        return mo_float_from_bf16(half);
      case MO_DTYPE_INT32:
        return *static_cast<const int32_t *>(p);
      case MO_DTYPE_INT64:
        return static_cast<double>(*static_cast<const int64_t *>(p));
      default:
        return *static_cast<const float *>(p);
    }
  }
  void set(int64_t index, double value) {
    void *p = memory_.data() + static_cast<size_t>(offset(index)) * mo_dtype_bytes(tensor_.dtype);
    const auto single = static_cast<float>(value);
    switch (tensor_.dtype) {
      case MO_DTYPE_FLOAT16:
        *static_cast<uint16_t *>(p) = mo_f16_from_float(single);
        break;
      case MO_DTYPE_BFLOAT16:
        *static_cast<uint16_t *>(p) = mo_bf16_from_float(single);
        break;
      case MO_DTYPE_INT32:
        *static_cast<int32_t *>(p) = static_cast<int32_t>(value);
        break;
      case MO_DTYPE_INT64:
        *static_cast<int64_t *>(p) = static_cast<int64_t>(value);
        break;
      default:
        *static_cast<float *>(p) = single;
        break;
    }
  }
  Buffer &fill(std::mt19937 &random, double scale = 1.0, double shift = 0.0) {
    std::normal_distribution<double> normal;
    for (int64_t i = 0; i < count(); ++i) set(i, normal(random) * scale + shift);
    return *this;
  }
  /* Bytes outside of the view's elements are as they were made. */
  bool gaps_untouched() const {
    std::vector<bool> inside(memory_.size(), false);
    const size_t element = mo_dtype_bytes(tensor_.dtype);
    for (int64_t i = 0; i < count(); ++i) {
      for (size_t b = 0; b < element; ++b) inside[static_cast<size_t>(offset(i)) * element + b] = true;
    }
    for (size_t i = 0; i < memory_.size(); ++i) {
      if (!inside[i] && memory_[i] != 0xFF) return false;
    }
    return true;
  }

 private:
  std::vector<uint8_t> memory_;
  mo_tensor tensor_{};
};

/* Half a unit in the last place at `magnitude`. */
inline double rounding(mo_dtype_t dtype, double magnitude) {
  const double unit = dtype == MO_DTYPE_FLOAT32 ? 0x1p-24 : dtype == MO_DTYPE_FLOAT16 ? 0x1p-11 : 0x1p-8;
  return unit * magnitude + (dtype == MO_DTYPE_FLOAT16 ? 0x1p-25 : 0.0);
}

/* `value` as the dtype would store it. */
inline double rounded(mo_dtype_t dtype, float value) {
  if (dtype == MO_DTYPE_FLOAT16) return mo_float_from_f16(mo_f16_from_float(value));
  if (dtype == MO_DTYPE_BFLOAT16) return mo_float_from_bf16(mo_bf16_from_float(value));
  return value;
}

class OpTest : public ::testing::Test {
 protected:
  void SetUp() override { make_context(3); }
  void TearDown() override { mo_context_destroy(context_); }
  void make_context(int32_t threads) {
    mo_context_destroy(context_);
    context_ = nullptr;
    mo_context_options options = test_context_options();
    options.thread_count = threads;
    ASSERT_EQ(test_context_create(&options, &context_), MO_STATUS_OK);
  }
  /* A refused call: the status, and a sentence that begins with the op and holds `part`. */
  void expect_error(mo_status_t status, mo_status_t expected, const char *op, const char *part) {
    EXPECT_EQ(status, expected) << part;
    EXPECT_EQ(std::string(mo_last_error()).find(op), 0u) << mo_last_error();
    EXPECT_NE(std::string(mo_last_error()).find(part), std::string::npos) << mo_last_error() << " lacks " << part;
    EXPECT_EQ(mo_context_error(context_, nullptr, 0), expected);
  }

  mo_context_t *context_ = nullptr;
  std::mt19937 random_{20260101};
};

}  // namespace op_test

#endif
