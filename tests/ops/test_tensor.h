// tests/ops/test_tensor.h - a host tensor with memory of its own, any dtype and any layout, for the op tests.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#ifndef MO_TESTS_OPS_TEST_TENSOR_H
#define MO_TESTS_OPS_TEST_TENSOR_H

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "modelout/context.h"
#include "tests/support/device_mirror.h"
#include "tests/support/test_context.h"

inline const double kNan = std::numeric_limits<double>::quiet_NaN();
inline const double kInf = std::numeric_limits<double>::infinity();

class TestTensor {
 public:
  // gap: elements between rows; spread: stride of the last dimension. The memory has exactly the reach of the tensor.
  TestTensor(mo_dtype_t dtype, std::vector<int64_t> shape, int64_t spread = 1, int64_t gap = 0) {
    std::vector<int64_t> strides(shape.size());
    int64_t stride = spread;
    for (size_t i = shape.size(); i-- > 0;) {
      strides[i] = stride;
      stride = stride * std::max<int64_t>(shape[i], 1) + (i + 1 == shape.size() ? gap : 0);
    }
    Init(dtype, shape, strides);
  }
  TestTensor(mo_dtype_t dtype, std::vector<int64_t> shape, std::vector<int64_t> strides) { Init(dtype, shape, strides); }
  TestTensor(const TestTensor &) = delete;
  TestTensor &operator=(const TestTensor &) = delete;

  const mo_tensor *get() const { return &tensor_; }
  mo_tensor *mutable_tensor() { return &tensor_; }
  int64_t count() const { return mo_tensor_count(&tensor_); }

  void Set(int64_t index, double value) {
    void *at = Address(index);
    if (tensor_.dtype == MO_DTYPE_INT64) {
      const int64_t v = static_cast<int64_t>(value);
      memcpy(at, &v, sizeof v);
    } else if (tensor_.dtype == MO_DTYPE_INT32) {
      const int32_t v = static_cast<int32_t>(value);
      memcpy(at, &v, sizeof v);
    } else if (mo_dtype_bytes(tensor_.dtype) == 1) {
      *static_cast<uint8_t *>(at) = static_cast<uint8_t>(value);
    } else {
      const float v = static_cast<float>(value);
      EXPECT_EQ(mo_dtype_convert(at, tensor_.dtype, &v, MO_DTYPE_FLOAT32, 1), MO_STATUS_OK);
    }
  }
  double Get(int64_t index) const {
    const void *at = Address(index);
    if (tensor_.dtype == MO_DTYPE_INT64) {
      int64_t v;
      memcpy(&v, at, sizeof v);
      return static_cast<double>(v);
    }
    if (tensor_.dtype == MO_DTYPE_INT32) {
      int32_t v;
      memcpy(&v, at, sizeof v);
      return v;
    }
    if (mo_dtype_bytes(tensor_.dtype) == 1) return *static_cast<const uint8_t *>(at);
    float v = 0;
    EXPECT_EQ(mo_dtype_convert(&v, MO_DTYPE_FLOAT32, at, tensor_.dtype, 1), MO_STATUS_OK);
    return v;
  }
  TestTensor &Fill(std::initializer_list<double> values) {
    int64_t i = 0;
    for (const double value : values) Set(i++, value);
    EXPECT_EQ(i, count());
    return *this;
  }
  TestTensor &FillAll(double value) {
    for (int64_t i = 0; i < count(); ++i) Set(i, value);
    return *this;
  }
  TestTensor &FillNormal(std::mt19937_64 *random, double scale = 1.0, double offset = 0.0) {
    std::normal_distribution<double> normal;
    for (int64_t i = 0; i < count(); ++i) Set(i, offset + scale * normal(*random));
    return *this;
  }
  // Exact in every float dtype: ((i * a) mod m - o) * s.
  TestTensor &FillPattern(int a, int m, int o, double s) {
    for (int64_t i = 0; i < count(); ++i) Set(i, (static_cast<double>(i * a % m) - o) * s);
    return *this;
  }
  // NaN in every byte that is not an element, too.
  TestTensor &Poison() {
    memset(memory_.data(), 0xFF, memory_.size());
    return *this;
  }
  const std::vector<unsigned char> &memory() const { return memory_; }

 private:
  void Init(mo_dtype_t dtype, const std::vector<int64_t> &shape, const std::vector<int64_t> &strides) {
    int64_t reach = 1;
    for (size_t i = 0; i < shape.size(); ++i) reach += shape[i] > 0 ? (shape[i] - 1) * strides[i] : 0;
    memory_.resize(static_cast<size_t>(reach) * mo_dtype_bytes(dtype));
    EXPECT_EQ(mo_tensor_init_strided(&tensor_, memory_.data(), dtype, mo_device{MO_DEVICE_KIND_CPU, 0},
                                     static_cast<int32_t>(shape.size()), shape.data(), strides.data()),
              MO_STATUS_OK)
        << mo_last_error();
  }
  void *Address(int64_t index) const {
    int64_t offset = 0;
    for (int32_t d = tensor_.rank - 1; d >= 0; --d) {
      offset += index % tensor_.shape[d] * tensor_.strides[d];
      index /= tensor_.shape[d];
    }
    return static_cast<char *>(tensor_.data) + offset * static_cast<int64_t>(mo_dtype_bytes(tensor_.dtype));
  }

  std::vector<unsigned char> memory_;
  mo_tensor tensor_;
};

// A context of the tested device per test.
class OpTest : public testing::Test {
 protected:
  void SetUp() override {
    mo_context_options options = test_context_options();
    ASSERT_EQ(test_context_create(&options, &context_), MO_STATUS_OK) << mo_last_error();
  }
  void TearDown() override { mo_context_destroy(context_); }

  // The call failed with INVALID_ARGUMENT, the sentence names what is wrong, and the context noted it.
  void ExpectInvalid(mo_status_t status, const std::string &part) {
    EXPECT_EQ(status, MO_STATUS_INVALID_ARGUMENT);
    EXPECT_NE(std::string(mo_last_error()).find(part), std::string::npos) << mo_last_error();
    if (context_ != nullptr) {
      EXPECT_EQ(mo_context_error(context_, nullptr, 0), status);
    }
  }

  mo_context_t *context_ = nullptr;
  std::mt19937_64 random_{20261122};
};

inline void ExpectNearOrSame(double actual, double expected, double tolerance) {
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(actual)) << actual;
  } else if (std::isinf(expected)) {
    EXPECT_EQ(actual, expected);
  } else {
    EXPECT_NEAR(actual, expected, tolerance);
  }
}

inline void ExpectValues(const TestTensor &tensor, std::initializer_list<double> values, double tolerance) {
  int64_t i = 0;
  for (const double value : values) {
    SCOPED_TRACE(i);
    ExpectNearOrSame(tensor.Get(i++), value, tolerance);
  }
  EXPECT_EQ(i, tensor.count());
}

#endif
