// tests/ops/op_expectations.h - the fixture and the comparisons of the tests of losses, pooling, top-k, sampling and score
// edits.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#ifndef MO_TESTS_OPS_OP_EXPECTATIONS_H
#define MO_TESTS_OPS_OP_EXPECTATIONS_H

#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>
#include <limits>
#include <random>
#include <string>

#include "modelout/context.h"
#include "tests/support/device_mirror.h"
#include "tests/support/test_context.h"
#include "tests/support/test_tensor.h"

using test_support::Layout;
using test_support::TestTensor;

inline const double kNan = std::numeric_limits<double>::quiet_NaN();
inline const double kInf = std::numeric_limits<double>::infinity();

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
    ExpectNearOrSame(tensor.at(i++), value, tolerance);
  }
  EXPECT_EQ(i, tensor.count());
}

#endif
