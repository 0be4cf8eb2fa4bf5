// tests/support/test_tensor.h - the tensor of the tests: host memory of its own, any dtype and layout, read and set in double.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#ifndef MO_TESTS_SUPPORT_TEST_TENSOR_H
#define MO_TESTS_SUPPORT_TEST_TENSOR_H

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <random>
#include <vector>

#include "host/rules/float16.h"
#include "modelout/dtype.h"
#include "modelout/tensor.h"

namespace test_support {

using Shape = std::vector<int64_t>;

// `value` as the dtype would store it.
inline double rounded(mo_dtype_t dtype, float value) {
  if (dtype == MO_DTYPE_FLOAT16) return mo_float_from_f16(mo_f16_from_float(value));
  if (dtype == MO_DTYPE_BFLOAT16) return mo_float_from_bf16(mo_bf16_from_float(value));
  return value;
}

// How the elements lie, row-major. Counted in elements.
struct Layout {
  int64_t gap = 0;        // left free behind each row of the last dimension
  int64_t outer_gap = 0;  // left free behind each matrix of the last two
  int64_t spread = 1;     // stride of the last dimension
};

// Every byte starts as 0xFF, which is a NaN in all floating types and -1 in all integers: the elements, what lies between them,
// and a zone before and behind them, so that a write outside is seen. Under the address sanitizer there are no zones: the
// memory ends where the tensor ends, and the sanitizer sees reads outside as well.
class TestTensor {
 public:
  TestTensor() = default;
  TestTensor(mo_dtype_t dtype, const Shape &shape, Layout layout = {}) : TestTensor(dtype, shape, StridesOf(shape, layout)) {}
  // The first element is the one of this number in memory.
  TestTensor(mo_dtype_t dtype, const Shape &shape, const Shape &strides, int64_t offset = 0) {
    int64_t reach = offset + 1;
    for (size_t i = 0; i < shape.size(); ++i) reach += (shape[i] - 1) * strides[i];
    if (std::find(shape.begin(), shape.end(), 0) != shape.end()) reach = offset;
    const size_t element = mo_dtype_bytes(dtype);
    const size_t bytes = static_cast<size_t>(reach + 2 * kZone) * element;
    memory_.assign(std::max<size_t>(bytes, 1), kByte);  // an address that is not NULL, also without elements
    first_ = static_cast<size_t>(kZone + offset) * element;
    tensor_.dtype = dtype;
    tensor_.device = {MO_DEVICE_KIND_CPU, 0};
    tensor_.rank = static_cast<int32_t>(shape.size());
    std::copy(shape.begin(), shape.end(), tensor_.shape);
    std::copy(strides.begin(), strides.end(), tensor_.strides);
    tensor_.data = data();
  }
  TestTensor(const TestTensor &other) { *this = other; }
  TestTensor &operator=(const TestTensor &other) {
    memory_ = other.memory_;
    first_ = other.first_;
    tensor_ = other.tensor_;
    tensor_.data = data();
    return *this;
  }

  static Shape contiguous(const Shape &shape) { return StridesOf(shape, {}); }

  // The descriptor, as the parameters of an op take it.
  mo_tensor *get() { return &tensor_; }
  const mo_tensor *get() const { return &tensor_; }
  const mo_tensor &tensor() const { return tensor_; }
  mo_tensor &tensor() { return tensor_; }
  mo_dtype_t dtype() const { return tensor_.dtype; }
  int64_t count() const { return mo_tensor_count(&tensor_); }
  int64_t columns() const { return tensor_.shape[tensor_.rank - 1]; }
  int64_t rows() const { return columns() == 0 ? 0 : count() / columns(); }

  // Where the first element lies, and all bytes with those around the elements.
  uint8_t *data() { return memory_.data() + first_; }
  const uint8_t *data() const { return memory_.data() + first_; }
  const std::vector<uint8_t> &memory() const { return memory_; }

  // Elements from the first one to the one with this row-major number, or at this index, where extents of 1 broadcast.
  int64_t offset(int64_t number) const {
    int64_t result = 0;
    for (int32_t i = tensor_.rank - 1; i >= 0; --i) {
      result += number % tensor_.shape[i] * tensor_.strides[i];
      number /= tensor_.shape[i];
    }
    return result;
  }
  int64_t offset(const int64_t *index, size_t rank) const {
    int64_t result = 0;
    for (size_t i = 0; i < rank; ++i) result += (tensor_.shape[i] == 1 ? 0 : index[i]) * tensor_.strides[i];
    return result;
  }

  double at(int64_t number) const { return Load(offset(number)); }
  double at(const Shape &index) const { return Load(offset(index.data(), index.size())); }
  double at(std::initializer_list<int64_t> index) const { return Load(offset(index.begin(), index.size())); }
  void set(int64_t number, double value) { Store(offset(number), value); }
  void set(const Shape &index, double value) { Store(offset(index.data(), index.size()), value); }
  void set(std::initializer_list<int64_t> index, double value) { Store(offset(index.begin(), index.size()), value); }

  // Calls `function` with the index of each element.
  template <typename Function>
  void for_each(Function function) const {
    Shape index(static_cast<size_t>(tensor_.rank), 0);
    for (int64_t left = count(); left > 0; --left) {
      function(index);
      for (size_t i = index.size(); i-- > 0;) {
        if (++index[i] != tensor_.shape[i]) break;
        index[i] = 0;
      }
    }
  }

  template <typename Random>
  TestTensor &fill_normal(Random &random, double scale = 1.0, double shift = 0.0) {
    std::normal_distribution<double> draw;
    for (int64_t i = 0; i < count(); ++i) set(i, draw(random) * scale + shift);
    return *this;
  }
  template <typename Random>
  TestTensor &fill_uniform(Random &random, double low, double high) {
    std::uniform_real_distribution<double> draw(low, high);
    for (int64_t i = 0; i < count(); ++i) set(i, draw(random));
    return *this;
  }
  TestTensor &fill_all(double value) {
    for (int64_t i = 0; i < count(); ++i) set(i, value);
    return *this;
  }
  TestTensor &fill_list(std::initializer_list<double> values) {
    int64_t i = 0;
    for (const double value : values) set(i++, value);
    EXPECT_EQ(i, count());
    return *this;
  }
  // Exact in every float dtype: ((i * a) mod m - o) * s.
  TestTensor &fill_pattern(int a, int m, int o, double s) {
    for (int64_t i = 0; i < count(); ++i) set(i, (static_cast<double>(i * a % m) - o) * s);
    return *this;
  }
  // As new.
  TestTensor &poison() {
    std::fill(memory_.begin(), memory_.end(), kByte);
    return *this;
  }

  // Every byte that belongs to no element is as it was made.
  bool outside_is_untouched() const {
    std::vector<bool> inside(memory_.size(), false);
    const size_t element = mo_dtype_bytes(tensor_.dtype);
    for (int64_t i = 0; i < count(); ++i)
      for (size_t b = 0; b < element; ++b) inside[first_ + static_cast<size_t>(offset(i)) * element + b] = true;
    for (size_t i = 0; i < memory_.size(); ++i)
      if (!inside[i] && memory_[i] != kByte) return false;
    return true;
  }
  bool is_untouched() const {
    return std::all_of(memory_.begin(), memory_.end(), [](uint8_t byte) { return byte == kByte; });
  }

 private:
  static constexpr uint8_t kByte = 0xFF;
#ifdef __SANITIZE_ADDRESS__
  static constexpr int64_t kZone = 0;  // elements before and behind
#else
  static constexpr int64_t kZone = 64;
#endif

  static Shape StridesOf(const Shape &shape, Layout layout) {
    Shape strides(shape.size());
    int64_t stride = layout.spread;
    for (size_t i = shape.size(); i-- > 0;) {
      strides[i] = stride;
      stride *= std::max<int64_t>(shape[i], 1);
      if (i + 1 == shape.size()) stride += layout.gap;
      if (i + 2 == shape.size()) stride += layout.outer_gap;
    }
    return strides;
  }

  template <typename T>
  static T Bits(const uint8_t *from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
  template <typename T>
  static void PutBits(uint8_t *to, T value) {
    std::memcpy(to, &value, sizeof value);
  }
  double Load(int64_t offset) const {
    const uint8_t *from = data() + offset * static_cast<int64_t>(mo_dtype_bytes(tensor_.dtype));
    switch (tensor_.dtype) {
      case MO_DTYPE_FLOAT16:
        return mo_float_from_f16(Bits<uint16_t>(from));
      case MO_DTYPE_BFLOAT16:
        return mo_float_from_bf16(Bits<uint16_t>(from));
      case MO_DTYPE_FLOAT32:
        return Bits<float>(from);
      case MO_DTYPE_INT64:
        return static_cast<double>(Bits<int64_t>(from));
      case MO_DTYPE_INT32:
        return Bits<int32_t>(from);
      case MO_DTYPE_INT8:
        return Bits<int8_t>(from);
      default:
        EXPECT_EQ(mo_dtype_bytes(tensor_.dtype), 1u) << "no element of " << mo_dtype_name(tensor_.dtype) << " is read here";
        return *from;
    }
  }
  void Store(int64_t offset, double value) {
    uint8_t *to = data() + offset * static_cast<int64_t>(mo_dtype_bytes(tensor_.dtype));
    switch (tensor_.dtype) {
      case MO_DTYPE_FLOAT16:
        return PutBits(to, mo_f16_from_float(static_cast<float>(value)));
      case MO_DTYPE_BFLOAT16:
        return PutBits(to, mo_bf16_from_float(static_cast<float>(value)));
      case MO_DTYPE_FLOAT32:
        return PutBits(to, static_cast<float>(value));
      case MO_DTYPE_INT64:
        return PutBits(to, static_cast<int64_t>(value));
      case MO_DTYPE_INT32:
        return PutBits(to, static_cast<int32_t>(value));
      case MO_DTYPE_INT8:
        return PutBits(to, static_cast<int8_t>(value));
      default:
        EXPECT_EQ(mo_dtype_bytes(tensor_.dtype), 1u) << "no element of " << mo_dtype_name(tensor_.dtype) << " is set here";
        *to = static_cast<uint8_t>(value);
    }
  }

  std::vector<uint8_t> memory_;
  size_t first_ = 0;
  mo_tensor tensor_{};
};

}  // namespace test_support

#endif
