// tests/ops/pooling2d_test.cc - maximum and average over windows beside a plain computation in double.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/pooling2d.h"
#include "tests/ops/op_expectations.h"

namespace {

using test_support::Shape;

TestTensor Image(mo_dtype_t dtype, const Shape &shape, bool channels_last) {
  if (!channels_last) return TestTensor(dtype, shape);
  return TestTensor(dtype, shape, {shape[1] * shape[2] * shape[3], 1, shape[1] * shape[3], shape[1]});
}

struct Case {
  Shape input;
  mo_pooling2d_kind_t kind = MO_POOLING2D_MAX;
  int32_t kernel[2] = {3, 3}, stride[2] = {2, 2}, padding[2] = {1, 1};
  bool counts = false, ceils = false;
  Shape output = {};  // extents, where they are to be given (adaptive)
};

class Pooling2d : public OpTest {
 protected:
  static int64_t Windows(const Case &c, int axis) {
    const int64_t in = c.input[2 + axis], room = in + 2 * c.padding[axis] - c.kernel[axis];
    int64_t count = 0;  // windows begin at -padding, -padding + stride, ...
    while (count * c.stride[axis] <= room) ++count;
    const bool rest = (count - 1) * c.stride[axis] != room;
    if (c.ceils && rest && count * c.stride[axis] < in + c.padding[axis]) ++count;
    return count;
  }

  void Check(const Case &c, mo_dtype_t dtype, bool from_last, bool to_last) {
    SCOPED_TRACE(testing::Message() << testing::PrintToString(c.input) << " kind " << c.kind << " " << mo_dtype_name(dtype)
                                    << from_last << to_last);
    const bool adaptive = c.kind == MO_POOLING2D_ADAPTIVE_AVERAGE;
    const Shape extents = adaptive ? c.output : Shape{Windows(c, 0), Windows(c, 1)};
    TestTensor input = Image(dtype, c.input, from_last);
    TestTensor output = Image(dtype, {c.input[0], c.input[1], extents[0], extents[1]}, to_last);
    input.fill_normal(random_);
    mo_pooling2d_params params = MO_POOLING2D_PARAMS_INIT;
    params.output = output.get();
    params.input = input.get();
    params.kind = c.kind;
    for (int axis = 0; axis < 2; ++axis)
      params.kernel[axis] = c.kernel[axis], params.stride[axis] = c.stride[axis], params.padding[axis] = c.padding[axis];
    params.count_includes_padding = c.counts;
    params.ceil_mode = c.ceils;
    ASSERT_EQ(test_pooling2d(context_, &params), MO_STATUS_OK) << mo_last_error();
    EXPECT_TRUE(output.outside_is_untouched());
    output.for_each([&](const Shape &at) {
      int64_t first[2], end[2], counted = 1;
      for (int axis = 0; axis < 2; ++axis) {
        const int64_t in = c.input[2 + axis], position = at[2 + axis];
        first[axis] = adaptive ? position * in / extents[axis] : position * c.stride[axis] - c.padding[axis];
        end[axis] = adaptive ? ((position + 1) * in + extents[axis] - 1) / extents[axis] : first[axis] + c.kernel[axis];
        if (!adaptive) end[axis] = std::min(end[axis], in + c.padding[axis]);
        if (c.counts) counted *= end[axis] - first[axis];
        first[axis] = std::max<int64_t>(first[axis], 0);
        end[axis] = std::min(end[axis], in);
        if (!c.counts) counted *= end[axis] - first[axis];
      }
      double sum = 0, most = -kInf, magnitude = 0;
      for (int64_t y = first[0]; y < end[0]; ++y)
        for (int64_t x = first[1]; x < end[1]; ++x) {
          const double value = input.at({at[0], at[1], y, x});
          sum += value, magnitude += std::fabs(value), most = std::max(most, value);
        }
      const double expected = c.kind == MO_POOLING2D_MAX ? most : sum / static_cast<double>(counted);
      const double unit = dtype == MO_DTYPE_FLOAT32 ? 0x1p-23 : dtype == MO_DTYPE_FLOAT16 ? 0x1p-10 : 0x1p-7;
      const double bound = c.kind == MO_POOLING2D_MAX ? 0 : unit * std::fabs(expected) + 1e-6 * magnitude + 1e-7;
      EXPECT_NEAR(output.at(at), expected, bound);
    });
  }

  void CheckAll(const Case &c) {
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16})
      for (const bool from_last : {false, true})
        for (const bool to_last : {false, true}) Check(c, dtype, from_last, to_last);
  }
};

TEST_F(Pooling2d, MaximumAndAverageOfWindows) {
  for (const int64_t channels : {1, 7, 16, 24}) {
    Case c{{2, channels, 11, 8}};
    CheckAll(c);
    c.kind = MO_POOLING2D_AVERAGE;
    CheckAll(c);
    c.counts = true;
    c.stride[0] = 1, c.stride[1] = 3;
    CheckAll(c);
    c.ceils = true, c.kernel[1] = 2;
    CheckAll(c);
    c.kind = MO_POOLING2D_MAX;
    CheckAll(c);
  }
}

TEST_F(Pooling2d, AdaptiveAverages) {
  for (const Shape &extents : {Shape{1, 1}, Shape{3, 2}, Shape{7, 5}, Shape{9, 11}}) {
    Case c{{2, 19, 7, 5}, MO_POOLING2D_ADAPTIVE_AVERAGE};
    c.output = extents;
    CheckAll(c);
  }
}

TEST_F(Pooling2d, LargeOnSeveralThreads) {
  if (test_device_is_simulated()) GTEST_SKIP() << "large";
  Check({{2, 64, 113, 97}}, MO_DTYPE_FLOAT32, true, true);
}

TEST_F(Pooling2d, NanAndInfinityStay) {
  for (const bool last : {false, true}) {
    TestTensor input = Image(MO_DTYPE_FLOAT32, {1, 17, 1, 4}, last), output = Image(MO_DTYPE_FLOAT32, {1, 17, 1, 1}, last);
    for (int64_t c = 0; c < 17; ++c) {
      const double values[4] = {1, c % 3 == 0 ? kNan : c % 3 == 1 ? kInf : -kInf, 2, c == 7 ? kNan : -3};
      for (int64_t x = 0; x < 4; ++x) input.set({0, c, 0, x}, values[x]);
    }
    mo_pooling2d_params params = MO_POOLING2D_PARAMS_INIT;
    params.output = output.get(), params.input = input.get();
    params.kernel[0] = 1, params.kernel[1] = 4;
    ASSERT_EQ(test_pooling2d(context_, &params), MO_STATUS_OK) << mo_last_error();
    for (int64_t c = 0; c < 17; ++c)
      ExpectNearOrSame(output.at({0, c, 0, 0}), c % 3 == 0 || c == 7 ? kNan : c % 3 == 1 ? kInf : 2, 0);
  }
}

TEST_F(Pooling2d, Refusals) {
  TestTensor input(MO_DTYPE_FLOAT32, {1, 2, 5, 5}), output(MO_DTYPE_FLOAT32, {1, 2, 3, 3}),
      wrong(MO_DTYPE_FLOAT32, {1, 2, 3, 2});
  input.fill_all(1);
  mo_pooling2d_params params = MO_POOLING2D_PARAMS_INIT;
  const auto refuse = [&](const char *part) { ExpectInvalid(test_pooling2d(context_, &params), part); };
  refuse("output");
  params.output = output.get();
  refuse("input");
  params.input = input.get();
  refuse("kernel 0");
  params.kernel[0] = params.kernel[1] = 3, params.stride[0] = params.stride[1] = 1;
  EXPECT_EQ(test_pooling2d(context_, &params), MO_STATUS_OK) << mo_last_error();
  params.output = wrong.get();
  refuse("there are 3 windows");
  params.output = output.get(), params.padding[0] = 2;
  refuse("padding 2");
  params.padding[0] = 0, params.kernel[0] = 6;
  refuse("shorter than the kernel");
  params.kernel[0] = 3, params.kind = static_cast<mo_pooling2d_kind_t>(3);
  refuse("kind 3");
  TestTensor channels(MO_DTYPE_FLOAT32, {1, 3, 5, 5}), half(MO_DTYPE_FLOAT16, {1, 2, 5, 5});
  params.kind = MO_POOLING2D_MAX, params.input = channels.get();
  refuse("other channels");
  params.input = half.get();
  refuse("input");
}

}  // namespace
