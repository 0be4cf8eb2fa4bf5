// tests/ops/convolution_test.cc - convolutions, plain and transposed, beside a plain computation in double.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "modelout/convolution.h"
#include "tests/ops/op_expectations.h"
#include "tests/support/device_mirror.h"

namespace {

using test_support::Shape;

enum class Order { kChannelsFirst, kChannelsLast, kGaps };

// A tensor (batch, channels, [height,] width) with its channels where `order` says.
TestTensor Image(mo_dtype_t dtype, const Shape &shape, Order order) {
  if (order == Order::kChannelsFirst) return TestTensor(dtype, shape);
  const int64_t gap = order == Order::kGaps ? 3 : 0;
  Shape strides(shape.size());
  strides[1] = 1;
  int64_t stride = shape[1] + gap;
  for (size_t i = shape.size() - 1; i >= 2; --i) {
    strides[i] = stride;
    stride = stride * shape[i] + gap;
  }
  strides[0] = stride;
  return TestTensor(dtype, shape, strides);
}

double Activate(double x, mo_activation_t activation) {
  if (activation == MO_ACTIVATION_RELU) return std::max(x, 0.0);
  if (activation == MO_ACTIVATION_GELU) return 0.5 * x * std::erfc(-x * M_SQRT1_2);
  return x;
}

struct Case {
  Shape input;   // (batch, C, ...)
  Shape weight;  // as PyTorch has it
  mo_convolution_geometry geometry = MO_CONVOLUTION_GEOMETRY_INIT;
  mo_dtype_t dtype = MO_DTYPE_FLOAT32;
  mo_dtype_t output_dtype = MO_DTYPE_NONE;  // that of dtype
  Order from = Order::kChannelsFirst, to = Order::kChannelsFirst;
  bool bias = true, residual = false, residual_first = false;
  mo_activation_t activation = MO_ACTIVATION_NONE;
};

mo_convolution_geometry Geometry(int32_t stride, int32_t padding, int32_t dilation = 1, int32_t groups = 1) {
  mo_convolution_geometry g = MO_CONVOLUTION_GEOMETRY_INIT;
  g.groups = groups;
  for (int axis = 0; axis < 2; ++axis) {
    g.stride[axis] = stride;
    g.dilation[axis] = dilation;
    g.padding_before[axis] = g.padding_after[axis] = padding;
  }
  return g;
}

struct PackedDelete {
  void operator()(mo_packed_convolution_t *packed) const { mo_packed_convolution_destroy(packed); }
};
using Packed = std::unique_ptr<mo_packed_convolution_t, PackedDelete>;

class Convolution : public OpTest {
 protected:
  Packed Pack(const TestTensor &weight, const mo_convolution_geometry &geometry) {
    mo_packed_convolution_t *packed = nullptr;
    EXPECT_EQ(test_convolution_pack(context_, weight.get(), &geometry, &packed), MO_STATUS_OK) << mo_last_error();
    return Packed(packed);
  }

  // All sums, (batch, O, height, width), by the definition.
  static std::vector<double> Sums(const Case &c, const TestTensor &input, const TestTensor &weight, const Shape &output,
                                  std::vector<double> *magnitudes) {
    const bool flat = c.input.size() == 3;
    const auto at = [&](const TestTensor &t, int64_t a, int64_t b, int64_t y, int64_t x) {
      return flat ? t.at({a, b, x}) : t.at({a, b, y, x});
    };
    const int64_t height = flat ? 1 : c.input[2], width = c.input.back();
    const int64_t out_height = flat ? 1 : output[2], out_width = output.back();
    const int64_t kernel[2] = {flat ? 1 : c.weight[2], c.weight.back()};
    const auto &g = c.geometry;
    const int first = flat ? 0 : 1;  // where the width's numbers stand
    const int64_t stride[2] = {flat ? 1 : g.stride[0], g.stride[first]},
                  dilation[2] = {flat ? 1 : g.dilation[0], g.dilation[first]};
    const int64_t before[2] = {flat ? 0 : g.padding_before[0], g.padding_before[first]};
    const int64_t groups = std::max(g.groups, 1);
    const int64_t in_group = c.input[1] / groups, out_group = output[1] / groups;
    std::vector<double> sums(static_cast<size_t>(output[0] * output[1] * out_height * out_width), 0.0);
    *magnitudes = sums;
    const auto add = [&](int64_t b, int64_t o, int64_t y, int64_t x, double product) {
      if (y < 0 || y >= out_height || x < 0 || x >= out_width) return;
      const auto i = static_cast<size_t>(((b * output[1] + o) * out_height + y) * out_width + x);
      sums[i] += product;
      (*magnitudes)[i] += std::fabs(product);
    };
    for (int64_t b = 0; b < output[0]; ++b)
      for (int64_t o = 0; o < output[1]; ++o)
        for (int64_t k = 0; k < in_group; ++k)
          for (int64_t i = 0; i < kernel[0]; ++i)
            for (int64_t j = 0; j < kernel[1]; ++j) {
              const int64_t channel = o / out_group * in_group + k;
              if (g.transposed) {
                const double w = at(weight, channel, o % out_group, i, j);
                for (int64_t y = 0; y < height; ++y)
                  for (int64_t x = 0; x < width; ++x)
                    add(b, o, y * stride[0] + i * dilation[0] - before[0], x * stride[1] + j * dilation[1] - before[1],
                        at(input, b, channel, y, x) * w);
                continue;
              }
              const double w = at(weight, o, k, i, j);
              for (int64_t y = 0; y < out_height; ++y)
                for (int64_t x = 0; x < out_width; ++x) {
                  const int64_t from_y = y * stride[0] + i * dilation[0] - before[0];
                  const int64_t from_x = x * stride[1] + j * dilation[1] - before[1];
                  if (from_y < 0 || from_y >= height || from_x < 0 || from_x >= width) continue;
                  add(b, o, y, x, at(input, b, channel, from_y, from_x) * w);
                }
            }
    return sums;
  }

  void Check(const Case &c) {
    SCOPED_TRACE(testing::Message() << testing::PrintToString(c.input) << " " << testing::PrintToString(c.weight) << " "
                                    << mo_dtype_name(c.dtype) << " groups " << c.geometry.groups << " stride "
                                    << c.geometry.stride[0] << " order " << int(c.from) << int(c.to));
    const mo_dtype_t output_dtype = c.output_dtype == MO_DTYPE_NONE ? c.dtype : c.output_dtype;
    TestTensor input = Image(c.dtype, c.input, c.from), weight(c.dtype, c.weight);
    input.fill_normal(random_);
    weight.fill_normal(random_, 0.2);
    Packed packed = Pack(weight, c.geometry);
    ASSERT_NE(packed, nullptr);
    Shape shape(c.input.size());
    ASSERT_EQ(mo_convolution_output_shape(packed.get(), static_cast<int32_t>(shape.size()), c.input.data(), shape.data()),
              MO_STATUS_OK)
        << mo_last_error();
    TestTensor output = Image(output_dtype, shape, c.to), residual = Image(output_dtype, shape, c.to);
    TestTensor bias(MO_DTYPE_FLOAT32, {shape[1]});
    residual.fill_normal(random_);
    bias.fill_normal(random_);
    mo_convolution_params params = MO_CONVOLUTION_PARAMS_INIT;
    params.output = output.get();
    params.input = input.get();
    params.weight = packed.get();
    if (c.bias) params.bias = bias.get();
    if (c.residual) params.residual = residual.get();
    params.residual_first = c.residual_first;
    params.activation = c.activation;
    ASSERT_EQ(test_convolution(context_, &params), MO_STATUS_OK) << mo_last_error();
    EXPECT_TRUE(output.outside_is_untouched());

    std::vector<double> magnitudes;
    const std::vector<double> sums = Sums(c, input, weight, shape, &magnitudes);
    const double unit = output_dtype == MO_DTYPE_FLOAT32 ? 0x1p-23 : output_dtype == MO_DTYPE_FLOAT16 ? 0x1p-10 : 0x1p-7;
    for (int64_t i = 0; i < output.count(); ++i) {
      double x = sums[static_cast<size_t>(i)];
      const double added = c.residual ? residual.at(i) : 0.0;
      if (c.bias) x += bias.at(i / (output.count() / shape[0] / shape[1]) % shape[1]);
      if (c.residual_first) x += added;
      x = Activate(x, c.activation);
      if (!c.residual_first) x += added;
      const double bound = unit * (std::fabs(x) + 1e-3) + 3e-6 * (magnitudes[static_cast<size_t>(i)] + 1);
      ASSERT_NEAR(output.at(i), x, bound) << "element " << i;
    }
  }
};

TEST_F(Convolution, ShapesOfRealLayersMadeSmall) {
  Check({{2, 3, 19, 22}, {17, 3, 7, 7}, Geometry(2, 3)});         // stem of a ResNet
  Check({{2, 16, 9, 7}, {40, 16, 3, 3}, Geometry(1, 1)});         // 3 x 3
  Check({{2, 40, 9, 7}, {33, 40, 1, 1}, Geometry(1, 0)});         // 1 x 1
  Check({{1, 24, 8, 8}, {24, 24, 1, 1}, Geometry(2, 0)});         // shortcut
  Check({{2, 3, 12, 8}, {20, 3, 4, 4}, Geometry(4, 0)});          // patches
  Check({{1, 1, 403}, {24, 1, 10}, Geometry(5, 0)});              // first layer of Wav2Vec2
  Check({{2, 20, 31}, {24, 20, 3}, Geometry(2, 1)});              // Whisper
  Check({{2, 32, 37}, {32, 8, 16}, Geometry(1, 8, 1, 4)});        // positions of Wav2Vec2
  Check({{1, 12, 29}, {16, 12, 5}, Geometry(1, 0, 3)});           // TDNN
  Check({{1, 70, 11, 9}, {70, 1, 7, 7}, Geometry(1, 3, 1, 70)});  // ConvNeXt
}

TEST_F(Convolution, EveryDtypeOrderAndEpilogue) {
  for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16})
    for (const Order from : {Order::kChannelsFirst, Order::kChannelsLast, Order::kGaps})
      for (const Order to : {Order::kChannelsFirst, Order::kChannelsLast, Order::kGaps}) {
        Case c{{2, 24, 6, 5}, {40, 24, 3, 3}, Geometry(1, 1)};
        c.dtype = dtype, c.from = from, c.to = to;
        c.residual = to != from, c.residual_first = from == Order::kChannelsLast;
        c.activation = to == Order::kChannelsLast ? MO_ACTIVATION_GELU : MO_ACTIVATION_RELU;
        Check(c);
        c.weight = {48, 1, 3, 3}, c.geometry = Geometry(2, 1, 1, 24);  // two outputs for each input channel
        Check(c);
        c.weight = {24, 1, 5, 3}, c.geometry = Geometry(1, 2, 1, 24);
        Check(c);
        c.weight = {8, 24, 1, 1}, c.geometry = Geometry(1, 0), c.bias = false;
        Check(c);
        c.output_dtype = MO_DTYPE_FLOAT32;
        Check(c);
      }
}

TEST_F(Convolution, SizesAroundTheTiles) {
  for (const int64_t channels : {1, 7, 8, 16, 31, 33})
    for (const int64_t width : {1, 5, 12, 13, 63, 64, 65}) {
      Case c{{1, channels, width}, {channels + 1, channels, 3}, Geometry(1, 1)};
      c.from = c.to = width % 2 == 0 ? Order::kChannelsLast : Order::kChannelsFirst;
      Check(c);
      c.dtype = MO_DTYPE_BFLOAT16;
      Check(c);
    }
  for (const int64_t out : {63, 64, 65, 130}) Check({{1, 16, 4, 5}, {out, 16, 2, 2}, Geometry(1, 0)});
  Check({{1, 1600, 3}, {5, 1600, 1}, Geometry(1, 0)});  // a sum in pieces
  Check({{1, 300, 3, 3}, {5, 300, 3, 3}, Geometry(1, 1)});
}

TEST_F(Convolution, PaddingsStridesAndDilationsOfTheirOwn) {
  Case c{{2, 6, 11, 14}, {9, 6, 3, 4}};
  c.geometry.stride[0] = 2, c.geometry.stride[1] = 3;
  c.geometry.dilation[0] = 3, c.geometry.dilation[1] = 2;
  c.geometry.padding_before[0] = 4, c.geometry.padding_after[0] = 1;
  c.geometry.padding_after[1] = 5;
  Check(c);
  c.from = Order::kChannelsLast;
  Check(c);
  Check({{1, 4, 2, 2}, {4, 4, 1, 1}, Geometry(1, 3)});  // more padding than input
  Check({{1, 4, 3, 3}, {4, 4, 3, 3}, Geometry(5, 0)});
}

TEST_F(Convolution, Groups) {
  for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16}) {
    for (const int32_t groups : {2, 3, 4}) {
      Case c{{2, 24, 5, 6}, {int64_t{groups} * 11, 24 / groups, 3, 3}, Geometry(1, 1, 1, groups)};
      c.dtype = dtype;
      Check(c);
      c.from = c.to = Order::kChannelsLast;
      Check(c);
    }
  }
}

TEST_F(Convolution, Transposed) {
  for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16})
    for (const int32_t stride : {1, 2, 3, 4})
      for (const int32_t kernel : {1, 2, 3, 4})
        for (const int32_t dilation : {1, 2, 3}) {
          Case c{{2, 10, 4, 5}, {10, 7, kernel, kernel}, Geometry(stride, 0, dilation)};
          c.dtype = dtype;
          c.geometry.transposed = true;
          if (dilation * (kernel - 1) > 1) c.geometry.padding_before[0] = c.geometry.padding_after[1] = 1;
          if (stride > 1) c.geometry.output_padding[1] = 1;
          c.from = kernel % 2 == 0 ? Order::kChannelsLast : Order::kChannelsFirst;
          c.to = stride % 2 == 0 ? Order::kChannelsLast : Order::kChannelsFirst;
          c.residual = stride == 2, c.activation = MO_ACTIVATION_RELU;
          Check(c);
        }
  Case grouped{{1, 12, 9}, {12, 5, 4}, Geometry(2, 1, 1, 3)};
  grouped.geometry.transposed = true;
  Check(grouped);
}

TEST_F(Convolution, LargeOnSeveralThreads) {
  if (test_device_is_simulated()) GTEST_SKIP() << "large";
  Check({{1, 32, 97, 61}, {64, 32, 3, 3}, Geometry(1, 1)});
  Case wide{{1, 1, 70000}, {8, 1, 10}, Geometry(5, 0)};
  Check(wide);
  wide.from = wide.to = Order::kChannelsLast;
  Check(wide);
  Check({{1, 128, 300}, {128, 32, 64}, Geometry(1, 32, 1, 4)});
}

TEST_F(Convolution, InPlaceResidualAndEmpty) {
  TestTensor weight(MO_DTYPE_FLOAT32, {6, 4, 1, 1}), input(MO_DTYPE_FLOAT32, {2, 4, 3, 3}),
      output(MO_DTYPE_FLOAT32, {2, 6, 3, 3});
  weight.fill_all(0), input.fill_all(1), output.fill_pattern(3, 17, 8, 1);
  const TestTensor before = output;
  Packed packed = Pack(weight, Geometry(1, 0));
  mo_convolution_params params = MO_CONVOLUTION_PARAMS_INIT;
  params.output = params.residual = output.get();
  params.input = input.get();
  params.weight = packed.get();
  ASSERT_EQ(test_convolution(context_, &params), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(output.memory(), before.memory());
  TestTensor none(MO_DTYPE_FLOAT32, {0, 4, 3, 3}), nothing(MO_DTYPE_FLOAT32, {0, 6, 3, 3});
  params.output = nothing.get(), params.input = none.get(), params.residual = nullptr;
  EXPECT_EQ(test_convolution(context_, &params), MO_STATUS_OK) << mo_last_error();
}

TEST_F(Convolution, Refusals) {
  TestTensor weight(MO_DTYPE_FLOAT32, {6, 4, 3, 3}), input(MO_DTYPE_FLOAT32, {2, 4, 5, 5}),
      output(MO_DTYPE_FLOAT32, {2, 6, 3, 3});
  weight.fill_all(1), input.fill_all(1);
  mo_packed_convolution_t *none = nullptr;
  const auto pack = [&](const mo_convolution_geometry &g, const char *part) {
    ExpectInvalid(test_convolution_pack(context_, weight.get(), &g, &none), part);
    EXPECT_EQ(none, nullptr);
  };
  pack(Geometry(-1, 0), "stride -1");
  pack(Geometry(1, -1), "padding -1");
  pack(Geometry(1, 0, 1, 4), "4 groups");
  mo_convolution_geometry g = Geometry(1, 0);
  g.output_padding[0] = 1;
  pack(g, "output_padding 1");
  ExpectInvalid(mo_convolution_pack(context_, nullptr, nullptr, &none), "weight is NULL");
  EXPECT_EQ(mo_convolution_pack(nullptr, weight.get(), nullptr, &none), MO_STATUS_INVALID_ARGUMENT);
  mo_packed_convolution_destroy(nullptr);

  /* Places of taps outside of the longest input. */
  int64_t shape[4];
  Packed padded = Pack(weight, Geometry(1, 1));
  const int64_t longest[] = {1, 4, INT32_MAX - 2, 5}, longer[] = {1, 4, INT32_MAX - 1, 5};
  EXPECT_EQ(mo_convolution_output_shape(padded.get(), 4, longest, shape), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(shape[2], INT32_MAX - 2);
  EXPECT_EQ(mo_convolution_output_shape(padded.get(), 4, longer, shape), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("2 of padding"), std::string::npos) << mo_last_error();

  Packed packed = Pack(weight, Geometry(1, 0));
  mo_convolution_params params = MO_CONVOLUTION_PARAMS_INIT;
  const auto refuse = [&](const char *part) { ExpectInvalid(test_convolution(context_, &params), part); };
  params.output = output.get(), params.input = input.get();
  refuse("weight is NULL");
  params.weight = packed.get();
  TestTensor channels(MO_DTYPE_FLOAT32, {2, 5, 5, 5}), small(MO_DTYPE_FLOAT32, {2, 4, 5, 2}), flat(MO_DTYPE_FLOAT32, {2, 4, 5});
  TestTensor wrong(MO_DTYPE_FLOAT32, {2, 6, 3, 4}), half(MO_DTYPE_FLOAT16, {2, 4, 5, 5}), bias(MO_DTYPE_FLOAT32, {5});
  params.input = channels.get();
  refuse("5 channels");
  params.input = small.get();
  refuse("shorter than the kernel");
  params.input = flat.get();
  refuse("input");
  params.input = half.get();
  refuse("input");
  params.input = input.get(), params.output = wrong.get();
  refuse("output");
  params.output = output.get(), params.bias = bias.get();
  refuse("bias");
  params.bias = nullptr, params.residual = wrong.get();
  refuse("residual");
  params.residual = nullptr, params.activation = static_cast<mo_activation_t>(77);
  refuse("activation 77");
  params.activation = MO_ACTIVATION_NONE;
  EXPECT_EQ(test_convolution(context_, &params), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_convolution_output_shape(packed.get(), 3, shape, shape), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_convolution_output_shape(nullptr, 4, shape, shape), MO_STATUS_INVALID_ARGUMENT);
}

}  // namespace
