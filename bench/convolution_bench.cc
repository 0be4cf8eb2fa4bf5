// bench/convolution_bench.cc - convolution with bias and relu over the shapes of bench/shapes/convolution.txt, channels last
// and channels first.
//
// Beside the time: flop/s (2 flops a multiply-add) and the floor of bytes, every tensor moved once. Inputs are cold, as those
// of a large image are; the weight is as warm as repeated calls leave it.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/convolution.h"

#include "bench/shape_bench.h"

namespace {

// Strides of (batch, C, height, width).
std::vector<int64_t> Strides(const std::vector<int64_t> &shape, bool channels_last) {
  if (!channels_last) return {};
  return {shape[1] * shape[2] * shape[3], 1, shape[3] * shape[1], shape[1]};
}

void Convolution(benchmark::State &state, const BenchShape &shape, mo_dtype_t dtype, bool channels_last) {
  const std::vector<int64_t> &size = shape.sizes;
  const std::vector<int64_t> input_shape(size.begin(), size.begin() + 4);
  const int64_t outputs = size[4], stride = size[7], groups = size[8], depth = size[1] / groups;
  ColdOperand bias(dtype, {outputs}, 0);
  ColdOperand weight(dtype, {outputs, depth, size[5], size[6]}, 0),
      input(dtype, input_shape, Strides(input_shape, channels_last), size_t{256} << 20);
  mo_convolution_geometry geometry = MO_CONVOLUTION_GEOMETRY_INIT;
  geometry.groups = static_cast<int32_t>(groups);
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t kernel = size[5 + axis];
    geometry.stride[axis] = static_cast<int32_t>(axis == 0 && size[2] == 1 ? 1 : stride);
    if (kernel != stride) geometry.padding_before[axis] = geometry.padding_after[axis] = static_cast<int32_t>(kernel / 2);
  }
  mo_packed_convolution_t *packed = nullptr;
  Require(mo_convolution_pack(BenchContext(), weight.Next(), &geometry, &packed));
  std::vector<int64_t> output_shape(4);
  Require(mo_convolution_output_shape(packed, 4, input_shape.data(), output_shape.data()));
  ColdOperand output(dtype, output_shape, Strides(output_shape, channels_last), 0);
  mo_convolution_params params = MO_CONVOLUTION_PARAMS_INIT;
  params.weight = packed;
  params.bias = bias.Next();
  params.activation = MO_ACTIVATION_RELU;
  params.output = output.Next();
  Measure(state, [&] {
    params.input = input.Next();
    return mo_convolution(BenchContext(), &params);
  });
  mo_packed_convolution_destroy(packed);
  const int64_t pixels = output_shape[0] * output_shape[2] * output_shape[3];
  const double flops = 2.0 * static_cast<double>(pixels * outputs) * static_cast<double>(depth * size[5] * size[6]);
  Report(state, input.bytes() + weight.bytes() + bias.bytes() + output.bytes(), flops, dtype);
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  for (const BenchShape &shape : ReadShapes("convolution.txt", 9)) {
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
      const std::string name = std::string(mo_dtype_name(dtype)) + "/" + ShapeName(shape);
      RegisterBench("channels_last/" + name, Convolution, shape, dtype, true);
      RegisterBench("channels_first/" + name, Convolution, shape, dtype, false);
    }
  }
  return BenchRun(&argc, argv);
}
