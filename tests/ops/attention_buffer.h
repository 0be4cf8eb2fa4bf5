// tests/ops/attention_buffer.h - a tensor with red zones for the attention and softmax tests.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#ifndef MO_TESTS_ATTENTION_BUFFER_H
#define MO_TESTS_ATTENTION_BUFFER_H

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "host/rules/float16.h"
#include "modelout/tensor.h"
#include "tests/support/device_mirror.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/test_context.h"

using Shape = std::vector<int64_t>;

inline float round_to(float value, mo_dtype_t dtype) {
  if (dtype == MO_DTYPE_FLOAT16) return mo_float_from_f16(mo_f16_from_float(value));
  if (dtype == MO_DTYPE_BFLOAT16) return mo_float_from_bf16(mo_bf16_from_float(value));
  return value;
}

// A view into memory of its own. Every byte starts as 0xFF (a NaN in all floating types), before, behind and between the
// elements too.
class Buffer {
 public:
  static constexpr int64_t kZone = 64;  // elements before and behind

  Buffer() = default;
  // Contiguous.
  Buffer(mo_dtype_t dtype, const Shape &shape) : Buffer(dtype, shape, contiguous(shape)) {}
  Buffer(mo_dtype_t dtype, const Shape &shape, const Shape &strides, int64_t offset = 0) {
    int64_t reach = offset + 1;
    for (size_t i = 0; i < shape.size(); ++i) reach += shape[i] > 0 ? (shape[i] - 1) * strides[i] : 0;
    const size_t element = mo_dtype_bytes(dtype);
    bytes_.assign(static_cast<size_t>(reach + 2 * kZone) * element, 0xFF);
    first_ = static_cast<size_t>(kZone + offset) * element;
    view_.dtype = dtype;
    view_.device = {MO_DEVICE_KIND_CPU, 0};
    view_.rank = static_cast<int32_t>(shape.size());
    for (size_t i = 0; i < shape.size(); ++i) view_.shape[i] = shape[i], view_.strides[i] = strides[i];
  }

  static Shape contiguous(const Shape &shape) {
    Shape strides(shape.size(), 1);
    for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * (shape[i] > 0 ? shape[i] : 1);
    return strides;
  }

  mo_tensor tensor() {
    mo_tensor view = view_;
    view.data = bytes_.data() + first_;
    return view;
  }

  // Element at an index; extents of 1 broadcast.
  double at(const Shape &index) const { return load_at(address(index.data(), index.size())); }
  double at(std::initializer_list<int64_t> index) const { return load_at(address(index.begin(), index.size())); }
  void set(const Shape &index, double value) { store_at(address(index.data(), index.size()), value); }
  void set(std::initializer_list<int64_t> index, double value) { store_at(address(index.begin(), index.size()), value); }

  template <typename Function>
  void for_each(Function function) const {
    Shape index(static_cast<size_t>(view_.rank), 0);
    for (int32_t i = 0; i < view_.rank; ++i)
      if (view_.shape[i] == 0) return;
    while (true) {
      function(index);
      int32_t i = view_.rank - 1;
      for (; i >= 0 && ++index[static_cast<size_t>(i)] == view_.shape[i]; --i) index[static_cast<size_t>(i)] = 0;
      if (i < 0) return;
    }
  }

  void fill_random(std::mt19937 &random, double low, double high) {
    std::uniform_real_distribution<double> draw(low, high);
    for_each([&](const Shape &index) { set(index, draw(random)); });
  }

  // Every byte that belongs to no element is as it was.
  bool outside_is_untouched() const {
    std::vector<bool> inside(bytes_.size(), false);
    const size_t element = mo_dtype_bytes(view_.dtype);
    for_each([&](const Shape &index) {
      const size_t at = address(index.data(), index.size());
      for (size_t i = 0; i < element; ++i) inside[at + i] = true;
    });
    for (size_t i = 0; i < bytes_.size(); ++i)
      if (!inside[i] && bytes_[i] != 0xFF) return false;
    return true;
  }

  bool is_untouched() const {
    for (uint8_t byte : bytes_)
      if (byte != 0xFF) return false;
    return true;
  }

  const std::vector<uint8_t> &bytes() const { return bytes_; }
  mo_dtype_t dtype() const { return view_.dtype; }

 private:
  template <typename T>
  static T load(const uint8_t *p) {
    T value;
    std::memcpy(&value, p, sizeof value);
    return value;
  }
  template <typename T>
  static void store(uint8_t *p, T value) {
    std::memcpy(p, &value, sizeof value);
  }
  double load_at(size_t address) const {
    const uint8_t *p = bytes_.data() + address;
    switch (view_.dtype) {
      case MO_DTYPE_FLOAT32:
        return load<float>(p);
      case MO_DTYPE_FLOAT16:
        return mo_float_from_f16(load<uint16_t>(p));
      case MO_DTYPE_BFLOAT16:
        return mo_float_from_bf16(load<uint16_t>(p));
      case MO_DTYPE_INT32:
        return load<int32_t>(p);
      case MO_DTYPE_INT64:
        return static_cast<double>(load<int64_t>(p));
      case MO_DTYPE_INT8:
        return load<int8_t>(p);
      default:
        return *p;
    }
  }

  void store_at(size_t address, double value) {
    uint8_t *p = bytes_.data() + address;
    const float f = static_cast<float>(value);
    switch (view_.dtype) {
      case MO_DTYPE_FLOAT32:
        store<float>(p, f);
        break;
      case MO_DTYPE_FLOAT16:
        store<uint16_t>(p, mo_f16_from_float(f));
        break;
      case MO_DTYPE_BFLOAT16:
        store<uint16_t>(p, mo_bf16_from_float(f));
        break;
      case MO_DTYPE_INT32:
        store<int32_t>(p, static_cast<int32_t>(value));
        break;
      case MO_DTYPE_INT64:
        store<int64_t>(p, static_cast<int64_t>(value));
        break;
      case MO_DTYPE_INT8:
        store<int8_t>(p, static_cast<int8_t>(value));
        break;
      default:
        *p = static_cast<uint8_t>(value);
        break;
    }
  }

  size_t address(const int64_t *index, size_t rank) const {
    int64_t element = 0;
    for (size_t i = 0; i < rank; ++i) element += (view_.shape[i] == 1 ? 0 : index[i]) * view_.strides[i];
    return first_ + static_cast<size_t>(element) * mo_dtype_bytes(view_.dtype);
  }

  std::vector<uint8_t> bytes_;
  size_t first_ = 0;
  mo_tensor view_ = {};
};

#endif
