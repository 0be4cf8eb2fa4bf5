/* tests/simulated_device/traffic_images_test.cc - memory traffic of convolutions, of pooling over windows, and of sums. Each
 * states the bytes of its floor, from the shape.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/simulated_device/traffic_case.h"

namespace simulated {
namespace {

constexpr mo_dtype_t kFloat = MO_DTYPE_FLOAT32, kBrain = MO_DTYPE_BFLOAT16;
constexpr int64_t kBlock = 64; /* output pixels and output channels of a block of the convolution */

/* Memory (batch, height, width, channels), seen as (batch, channels, height, width). */
mo_tensor ChannelsInside(const DeviceTensor &memory) {
  mo_tensor seen = memory.tensor;
  const int64_t *shape = memory.tensor.shape, *strides = memory.tensor.strides;
  const int order[4] = {0, 3, 1, 2};
  for (int i = 0; i < 4; ++i) seen.shape[i] = shape[order[i]], seen.strides[i] = strides[order[i]];
  return seen;
}

/* Positions inside of the input that the windows of one axis have together. */
int64_t InsideOf(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding) {
  int64_t count = 0;
  for (int64_t at = 0; at < out; ++at)
    for (int64_t k = 0; k < kernel; ++k) {
      const int64_t place = at * stride - padding + k;
      count += place >= 0 && place < in;
    }
  return count;
}

/* Every byte is read, `most` bytes in all: a warp that asks for a pixel of two windows at once counts once. */
void ExpectReadAtMost(const DeviceTensor &tensor, const Traffic &traffic, int64_t most, bool overlapping) {
  EXPECT_EQ(traffic.read_distinct, tensor.bytes());
  EXPECT_EQ(traffic.written, 0u);
  if (overlapping) EXPECT_LE(traffic.read, static_cast<uint64_t>(most));
  else EXPECT_EQ(traffic.read, static_cast<uint64_t>(most));
}

struct Layer {
  int64_t side, channels, outputs, kernel, stride, padding;
};

class TrafficConvolution : public TrafficCase {
 protected:
  void Check(mo_dtype_t dtype, const Layer &layer) {
    SCOPED_TRACE(testing::Message() << mo_dtype_name(dtype) << " " << layer.side << " " << layer.channels << " "
                                    << layer.outputs << " " << layer.kernel);
    const int64_t out = (layer.side + 2 * layer.padding - layer.kernel) / layer.stride + 1;
    const int64_t element = static_cast<int64_t>(mo_dtype_bytes(dtype)), depth = layer.channels * layer.kernel * layer.kernel;
    DeviceTensor &input = Random("input", dtype, {1, layer.side, layer.side, layer.channels});
    DeviceTensor &weight = Random("weight", dtype, {layer.outputs, layer.channels, layer.kernel, layer.kernel});
    DeviceTensor &bias = Random("bias", kFloat, {layer.outputs});
    DeviceTensor &residual = Random("residual", dtype, {1, out, out, layer.outputs});
    DeviceTensor &output = Empty("output", dtype, {1, out, out, layer.outputs});
    const mo_tensor from = ChannelsInside(input), to = ChannelsInside(output), added = ChannelsInside(residual);
    mo_convolution_geometry geometry = MO_CONVOLUTION_GEOMETRY_INIT;
    for (int axis = 0; axis < 2; ++axis) {
      geometry.stride[axis] = static_cast<int32_t>(layer.stride);
      geometry.padding_before[axis] = geometry.padding_after[axis] = static_cast<int32_t>(layer.padding);
    }
    mo_packed_convolution_t *packed = nullptr;
    ASSERT_EQ(mo_convolution_pack(context_, weight, &geometry, &packed), MO_STATUS_OK) << mo_last_error();
    mo_convolution_params p = MO_CONVOLUTION_PARAMS_INIT;
    p.output = &to, p.input = &from, p.weight = packed, p.bias = bias, p.residual = &added;
    p.activation = MO_ACTIVATION_RELU;
    Count([&] { return mo_convolution(context_, &p); });
    ExpectOneLaunch();
    const int64_t pixel_blocks = (out * out + kBlock - 1) / kBlock, channel_blocks = (layer.outputs + kBlock - 1) / kBlock;
    /* Each pixel of each window, once per 64 channels; zeros around the image are not read. */
    const int64_t taps = InsideOf(layer.side, out, layer.kernel, layer.stride, layer.padding);
    ExpectReadAtMost(input, Of(input), taps * taps * layer.channels * element * channel_blocks, layer.kernel > layer.stride);
    EXPECT_EQ(Of(weight).read, 0u) << "it was packed";
    /* The packed weight, once per 64 pixels; there is no other memory. */
    EXPECT_EQ(Rest().read, static_cast<uint64_t>(layer.outputs * depth * element * pixel_blocks));
    EXPECT_EQ(Rest().written, 0u);
    ExpectRead(residual);
    ExpectWritten(output);
    mo_packed_convolution_destroy(packed);
  }
};

TEST_F(TrafficConvolution, InputAndWeightOncePerTile) {
  for (const mo_dtype_t dtype : {kFloat, kBrain}) {
    Check(dtype, {8, 64, 64, 1, 1, 0});  /* one block */
    Check(dtype, {8, 32, 128, 3, 1, 1}); /* two blocks of channels, a border of zeros */
    Check(dtype, {16, 16, 64, 3, 2, 1});
    Check(dtype, {32, 8, 64, 4, 4, 0});  /* patches: every pixel once */
    Check(dtype, {12, 64, 64, 1, 1, 0}); /* two and a quarter blocks of pixels */
  }
}

TEST_F(TrafficConvolution, DepthwiseReadsTheInputOncePerTap) {
  for (const mo_dtype_t dtype : {kFloat, kBrain}) {
    DeviceTensor &input = Random("input", dtype, {1, 8, 8, 64}), &weight = Random("weight", dtype, {64, 1, 3, 3});
    DeviceTensor &output = Empty("output", dtype, {1, 8, 8, 64});
    const mo_tensor from = ChannelsInside(input), to = ChannelsInside(output);
    mo_convolution_geometry geometry = MO_CONVOLUTION_GEOMETRY_INIT;
    geometry.groups = 64;
    for (int axis = 0; axis < 2; ++axis) geometry.padding_before[axis] = geometry.padding_after[axis] = 1;
    mo_packed_convolution_t *packed = nullptr;
    ASSERT_EQ(mo_convolution_pack(context_, weight, &geometry, &packed), MO_STATUS_OK) << mo_last_error();
    mo_convolution_params p = MO_CONVOLUTION_PARAMS_INIT;
    p.output = &to, p.input = &from, p.weight = packed;
    Count([&] { return mo_convolution(context_, &p); });
    ExpectOneLaunch();
    const int64_t taps = InsideOf(8, 8, 3, 1, 1);
    ExpectReadAtMost(input, Of(input), taps * taps * 64 * static_cast<int64_t>(mo_dtype_bytes(dtype)), true);
    EXPECT_EQ(Rest().read, 64 * 9 * mo_dtype_bytes(dtype));
    ExpectWritten(output);
    mo_packed_convolution_destroy(packed);
  }
}

TEST_F(TrafficCase, Pooling2dReadsEachWindowOnce) {
  const struct {
    mo_pooling2d_kind_t kind;
    int64_t side, kernel, stride, padding;
  } cases[] = {{MO_POOLING2D_MAX, 8, 2, 2, 0},
               {MO_POOLING2D_MAX, 9, 3, 2, 1},
               {MO_POOLING2D_AVERAGE, 8, 3, 1, 1},
               {MO_POOLING2D_ADAPTIVE_AVERAGE, 8, 8, 8, 0}};
  for (const mo_dtype_t dtype : {kFloat, kBrain}) {
    for (const auto &c : cases) {
      SCOPED_TRACE(testing::Message() << mo_dtype_name(dtype) << " kernel " << c.kernel);
      const int64_t out = (c.side + 2 * c.padding - c.kernel) / c.stride + 1;
      DeviceTensor &input = Random("input", dtype, {2, c.side, c.side, 64});
      DeviceTensor &output = Empty("output", dtype, {2, out, out, 64});
      const mo_tensor from = ChannelsInside(input), to = ChannelsInside(output);
      mo_pooling2d_params p = MO_POOLING2D_PARAMS_INIT;
      p.output = &to, p.input = &from, p.kind = c.kind;
      for (int axis = 0; axis < 2; ++axis) {
        p.kernel[axis] = static_cast<int32_t>(c.kernel);
        p.stride[axis] = static_cast<int32_t>(c.stride);
        p.padding[axis] = static_cast<int32_t>(c.padding);
      }
      Count([&] { return mo_pooling2d(context_, &p); });
      ExpectOneLaunch();
      const int64_t inside = InsideOf(c.side, out, c.kernel, c.stride, c.padding);
      ExpectReadAtMost(input, Of(input), 2 * inside * inside * 64 * static_cast<int64_t>(mo_dtype_bytes(dtype)),
                       c.kernel > c.stride);
      ExpectWritten(output);
      ExpectNoScratch();
    }
  }
}

TEST_F(TrafficCase, SumReadsItsTermsOnce) {
  for (const mo_dtype_t dtype : {kFloat, kBrain}) {
    DeviceTensor &a = Random("a", dtype, {3, 1024}), &b = Random("b", dtype, {3, 1024});
    DeviceTensor &output = Empty("output", dtype, {3, 1024});
    mo_sum_params p = MO_SUM_PARAMS_INIT;
    p.output = output, p.a = a, p.b = b;
    Count([&] { return mo_sum(context_, &p); });
    ExpectOneLaunch();
    ExpectRead(a);
    ExpectRead(b);
    ExpectWritten(output);
    ExpectNoScratch();
    p.b_scale = 0; /* not read */
    Count([&] { return mo_sum(context_, &p); });
    ExpectRead(a);
    EXPECT_EQ(Of(b).read, 0u);
    ExpectWritten(output);
  }
}

}  // namespace
}  // namespace simulated
