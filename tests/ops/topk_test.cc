// tests/ops/topk_test.cc - top-k against a stable sort, and values of PyTorch.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/topk.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <string>

#include "tests/ops/op_expectations.h"

extern "C" mo_status_t mo_test_topk(mo_context_t *context, float *row, int64_t count, int64_t k, float *values,
                                    int64_t *indices);

namespace {

using TopkTest = OpTest;
const mo_dtype_t kFloats[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};

mo_topk_params Topk(const TestTensor &values, const TestTensor &indices, const TestTensor &input) {
  mo_topk_params params = MO_TOPK_PARAMS_INIT;
  params.values = values.get();
  params.indices = indices.get();
  params.input = input.get();
  return params;
}

// Runs and compares every row with a stable sort; the values must be the very elements.
void Check(mo_context_t *context, const TestTensor &input, int64_t k) {
  const mo_tensor *tensor = input.get();
  const int64_t count = tensor->shape[tensor->rank - 1];
  std::vector<int64_t> shape(tensor->shape, tensor->shape + tensor->rank);
  shape.back() = k;
  TestTensor values(tensor->dtype, shape), indices(MO_DTYPE_INT64, shape);
  const mo_topk_params params = Topk(values.poison(), indices.poison(), input);
  ASSERT_EQ(test_topk(context, &params), MO_STATUS_OK) << mo_last_error();
  for (int64_t row = 0; row < input.count() / std::max<int64_t>(count, 1); ++row) {
    std::vector<double> x(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) x[static_cast<size_t>(i)] = input.at(row * count + i);
    std::vector<int64_t> order(static_cast<size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&x](int64_t a, int64_t b) {
      const double left = x[static_cast<size_t>(a)], right = x[static_cast<size_t>(b)];
      return std::isnan(left) ? !std::isnan(right) : left > right;
    });
    for (int64_t i = 0; i < k; ++i) {
      const int64_t expected = order[static_cast<size_t>(i)];
      ASSERT_EQ(indices.at(row * k + i), expected) << "row " << row << " place " << i;
      const double value = values.at(row * k + i), wanted = x[static_cast<size_t>(expected)];
      ASSERT_TRUE(value == wanted || (std::isnan(value) && std::isnan(wanted))) << value << " " << wanted;
      ASSERT_EQ(std::signbit(value), std::signbit(wanted));
    }
  }
}

TEST_F(TopkTest, CalledFromCWithTheValuesOfPyTorch) {
  float row[8] = {3, NAN, -INFINITY, INFINITY, 3, -0.0f, 0, 1}, values[8];
  int64_t indices[8];
  ASSERT_EQ(mo_test_topk(context_, row, 8, 8, values, indices), MO_STATUS_OK) << mo_last_error();
  // PyTorch: 1 3 4 0 7 6 5 2; of equal values the earlier comes first here.
  EXPECT_EQ(std::vector<int64_t>(indices, indices + 8), (std::vector<int64_t>{1, 3, 0, 4, 7, 5, 6, 2}));
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_EQ(std::vector<float>(values + 1, values + 8), (std::vector<float>{INFINITY, 3, 3, 1, 0, 0, -INFINITY}));
  float pattern[23];
  for (int i = 0; i < 23; ++i) pattern[i] = static_cast<float>(i * 37 % 23 - 11) * 0.25f;
  ASSERT_EQ(mo_test_topk(context_, pattern, 23, 5, values, indices), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(std::vector<int64_t>(indices, indices + 5), (std::vector<int64_t>{18, 13, 8, 3, 21}));
  EXPECT_EQ(std::vector<float>(values, values + 5), (std::vector<float>{2.75, 2.5, 2.25, 2, 1.75}));
}

TEST_F(TopkTest, EverySizeDtypeAndLayout) {
  const int64_t counts[] = {1, 2, 7, 16, 127, 128, 129, 130, 255, 257, 1000, 4099};
  for (const mo_dtype_t dtype : kFloats) {
    int64_t turn = dtype;
    for (const int64_t count : counts) {
      ++turn;
      if (count == 4099 && test_device_is_simulated()) continue;
      for (const int64_t spread : {1, 3}) {
        TestTensor input(dtype, {3, count}, Layout{.gap = spread, .spread = spread});
        for (const int kind : {0, 1, 2}) {  // all different; many ties; special values
          if (test_device_is_simulated() && (kind + turn + spread / 2) % 3 != 0) continue;  // of three kinds one, in turn
          if (kind == 0) input.fill_normal(random_, 10);
          for (int64_t i = 0; i < input.count() && kind == 1; ++i) input.set(i, static_cast<double>(random_() % 5) - 2);
          for (int64_t i = 0; i < input.count() && kind == 2; ++i) {
            const double special[] = {kNan, -kNan, kInf, -kInf, 0.0, -0.0, 1e-7, -6e4, 1, 2};
            input.set(i, special[random_() % 10]);
          }
          std::set<int64_t> ks = {1, 2, 5, 64, 127, 128, 129, count / 2, count - 1, count};
          for (const int64_t k : ks) {
            if (k < 1 || k > count) continue;
            SCOPED_TRACE(std::string(mo_dtype_name(dtype)) + " " + std::to_string(count) + " k " + std::to_string(k) +
                         " kind " + std::to_string(kind) + " spread " + std::to_string(spread));
            Check(context_, input, k);
          }
        }
      }
    }
  }
}

TEST_F(TopkTest, OrdersThatAreHardForTheScan) {
  const int64_t count = 5000;
  TestTensor input(MO_DTYPE_FLOAT32, {count});
  for (const int64_t k : {1, 3, 50, 128, 129, 2500}) {
    SCOPED_TRACE(k);
    for (int64_t i = 0; i < count; ++i) input.set(i, static_cast<double>(i));
    Check(context_, input, k);
    for (int64_t i = 0; i < count; ++i) input.set(i, static_cast<double>(-i));
    Check(context_, input, k);
    input.fill_all(-kInf);
    Check(context_, input, k);
    input.set(count - 1, -3e38);
    Check(context_, input, k);
    input.fill_all(kNan);
    Check(context_, input, k);
    input.fill_all(kInf).set(count - 2, kNan);
    Check(context_, input, k);
    input.fill_all(0.0);
    for (int64_t i = 1; i < count; i += 2) input.set(i, -0.0);
    Check(context_, input, k);
    for (int64_t i = 0; i < count; ++i) input.set(i, std::ldexp(static_cast<double>(i % 7 - 3), -149));  // subnormal
    Check(context_, input, k);
  }
}

TEST_F(TopkTest, ManyRowsManyDimensionsAndBroadcastRows) {
  TestTensor deep(MO_DTYPE_FLOAT32, {2, 3, 1, 5, 2, 1, 3, 301});
  deep.fill_normal(random_);
  Check(context_, deep, 4);
  TestTensor rows(MO_DTYPE_BFLOAT16, {200, 999});
  rows.fill_normal(random_);
  Check(context_, rows, 10);
  Check(context_, rows, 300);
  TestTensor repeated(MO_DTYPE_FLOAT32, {4, 50}, std::vector<int64_t>{0, 1}),
      turned(MO_DTYPE_FLOAT16, {40, 70}, std::vector<int64_t>{1, 40}),
      one_value(MO_DTYPE_FLOAT32, {3, 200}, std::vector<int64_t>{1, 0});
  repeated.fill_normal(random_);
  turned.fill_normal(random_);
  one_value.fill_normal(random_);
  Check(context_, repeated, 7);
  Check(context_, turned, 9);
  Check(context_, one_value, 150);
  TestTensor none(MO_DTYPE_FLOAT32, {0, 5});
  Check(context_, none, 2);
}

TEST_F(TopkTest, Refuses) {
  TestTensor input(MO_DTYPE_FLOAT32, {2, 9}), values(MO_DTYPE_FLOAT32, {2, 4}), indices(MO_DTYPE_INT64, {2, 4}),
      half(MO_DTYPE_FLOAT16, {2, 4}), narrow(MO_DTYPE_INT32, {2, 4}), zero(MO_DTYPE_FLOAT32, {2, 0}),
      ten(MO_DTYPE_FLOAT32, {2, 10}), three(MO_DTYPE_INT64, {2, 3}), tall(MO_DTYPE_FLOAT32, {3, 4}),
      flat(MO_DTYPE_FLOAT32, {8}), gap(MO_DTYPE_FLOAT32, {2, 4}, Layout{.gap = 2}),
      gap_indices(MO_DTYPE_INT64, {2, 4}, Layout{.spread = 2}), ids(MO_DTYPE_INT64, {2, 9}),
      scalar(MO_DTYPE_FLOAT32, std::vector<int64_t>{}), empty(MO_DTYPE_FLOAT32, {2, 0});
  input.fill_all(1);
  const mo_topk_params good = Topk(values, indices, input);
  ASSERT_EQ(test_topk(context_, &good), MO_STATUS_OK) << mo_last_error();
  values.poison();
  using P = mo_topk_params *;
  const auto refuse = [&](const std::string &part, auto change) {
    SCOPED_TRACE(part);
    mo_topk_params params = good;
    change(&params);
    ExpectInvalid(test_topk(context_, &params), "topk: ");
    EXPECT_NE(std::string(mo_last_error()).find(part), std::string::npos) << mo_last_error();
    EXPECT_TRUE(std::isnan(values.at(0)));
  };
  EXPECT_EQ(test_topk(nullptr, &good), MO_STATUS_INVALID_ARGUMENT);
  ExpectInvalid(test_topk(context_, nullptr), "NULL");
  refuse("struct_size", [](P p) { p->struct_size = 0; });
  refuse("input is NULL", [](P p) { p->input = nullptr; });
  refuse("values is NULL", [](P p) { p->values = nullptr; });
  refuse("indices is NULL", [](P p) { p->indices = nullptr; });
  refuse("input has dtype int64", [&](P p) { p->input = ids.get(); });
  refuse("input has rank 0", [&](P p) { p->input = scalar.get(); });
  refuse("values asks for 0 of 9", [&](P p) { p->values = zero.get(); });
  refuse("values asks for 10 of 9", [&](P p) { p->values = ten.get(); });
  refuse("values asks for 4 of 0", [&](P p) { p->input = empty.get(); });
  refuse("values has dtype float16", [&](P p) { p->values = half.get(); });
  refuse("values has extent 3", [&](P p) { p->values = tall.get(); });
  refuse("values has rank 1", [&](P p) { p->values = flat.get(); });
  refuse("values is not contiguous", [&](P p) { p->values = gap.get(); });
  refuse("indices has dtype int32", [&](P p) { p->indices = narrow.get(); });
  refuse("indices is not contiguous", [&](P p) { p->indices = gap_indices.get(); });
  refuse("indices has extent 3", [&](P p) { p->indices = three.get(); });
  mo_tensor inside = *values.get();
  inside.data = input.get()->data;
  refuse("values overlaps input", [&](P p) { p->values = &inside; });
  mo_tensor shared = *values.get();
  shared.data = indices.get()->data;
  refuse("values overlaps indices", [&](P p) { p->values = &shared; });
}

}  // namespace
