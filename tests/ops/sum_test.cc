// tests/ops/sum_test.cc - weighted sums beside a plain computation in double.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/sum.h"
#include "tests/ops/op_expectations.h"

namespace {

using test_support::Shape;

class Sum : public OpTest {
 protected:
  void Check(const TestTensor *a, const TestTensor *b, TestTensor *output, float a_scale, float b_scale, float constant) {
    const TestTensor a_before = a != nullptr ? *a : TestTensor(), b_before = b != nullptr ? *b : TestTensor();
    mo_sum_params params = MO_SUM_PARAMS_INIT;
    params.output = output->get();
    if (a != nullptr) params.a = a->get();
    if (b != nullptr) params.b = b->get();
    params.a_scale = a_scale, params.b_scale = b_scale, params.constant = constant;
    ASSERT_EQ(test_sum(context_, &params), MO_STATUS_OK) << mo_last_error();
    const double unit = output->dtype() == MO_DTYPE_FLOAT32 ? 0x1p-22 : output->dtype() == MO_DTYPE_FLOAT16 ? 0x1p-11 : 0x1p-8;
    for (int64_t i = 0; i < output->count(); ++i) {
      const double x = a != nullptr && a_scale != 0 ? a_scale * a_before.at(i) : 0,
                   y = b != nullptr && b_scale != 0 ? b_scale * b_before.at(i) : 0;
      const double expected = x + y + constant, size = std::fabs(x) + std::fabs(y) + std::fabs(constant);
      ASSERT_NEAR(output->at(i), expected, 1.01 * unit * std::fabs(expected) + 2e-7 * size + 1e-7) << i;
    }
    EXPECT_TRUE(output->outside_is_untouched());
  }
};

TEST_F(Sum, EveryDtypeShapeAndScale) {
  for (const mo_dtype_t to : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16})
    for (const mo_dtype_t from : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16})
      for (const Shape &shape : {Shape{}, Shape{1}, Shape{17}, Shape{3, 64}, Shape{2, 3, 31}, Shape{2, 1, 3, 40}})
        for (const int64_t gap : {0, 8, 3}) {
          TestTensor a(from, shape, Layout{gap}), b(to, shape, Layout{2 * gap}), output(to, shape, Layout{gap});
          a.fill_normal(random_), b.fill_normal(random_);
          Check(&a, &b, &output, 1, 1, 0);
          Check(&a, &b, &output, -0.5f, 2, 0.25f);
          Check(&a, nullptr, &output, 3, 1, 0);
          Check(nullptr, &b, &output, 1, 1, -1);
          Check(nullptr, nullptr, &output, 1, 1, 0);
        }
}

TEST_F(Sum, InPlaceAndBroadcast) {
  TestTensor output(MO_DTYPE_FLOAT32, {3, 5, 48}), row(MO_DTYPE_FLOAT32, {3, 5, 48}, Shape{0, 0, 1}),
      one(MO_DTYPE_FLOAT16, {3, 5, 48}, Shape{0, 0, 0});
  output.fill_normal(random_), row.fill_normal(random_), one.fill_all(2.5);
  Check(&output, &row, &output, 1, 1, 0);
  Check(&one, &output, &output, 1, -1, 0);
}

TEST_F(Sum, AScaleOfZeroReadsNothing) {
  TestTensor nan(MO_DTYPE_FLOAT32, {70}), b(MO_DTYPE_FLOAT32, {70}), output(MO_DTYPE_FLOAT32, {70});
  nan.fill_all(kNan), b.fill_normal(random_);
  Check(&nan, &b, &output, 0, 1, 0);
}

TEST_F(Sum, LargeOnSeveralThreads) {
  if (test_device_is_simulated()) GTEST_SKIP() << "large";
  TestTensor a(MO_DTYPE_FLOAT32, {301, 1000}), b(MO_DTYPE_FLOAT32, {301, 1000}), output(MO_DTYPE_FLOAT32, {301, 1000});
  a.fill_normal(random_), b.fill_normal(random_);
  Check(&a, &b, &output, 1, 1, 0);
}

TEST_F(Sum, Refusals) {
  TestTensor output(MO_DTYPE_FLOAT32, {4, 6}), a(MO_DTYPE_FLOAT32, {4, 5}), spread(MO_DTYPE_FLOAT32, {4, 6}, Layout{0, 0, 2});
  TestTensor integers(MO_DTYPE_INT32, {4, 6});
  a.fill_all(1), spread.fill_all(1), integers.fill_all(1);
  mo_sum_params params = MO_SUM_PARAMS_INIT;
  const auto refuse = [&](const char *part) { ExpectInvalid(test_sum(context_, &params), part); };
  refuse("output");
  params.output = output.get(), params.a = a.get();
  refuse("a");
  params.a = spread.get();
  refuse("last stride of a");
  params.a = nullptr, params.b = integers.get();
  refuse("b");
  params.b = nullptr, params.output = spread.get();
  refuse("output");
}

}  // namespace
