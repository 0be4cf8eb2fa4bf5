// bench/pooling2d_bench.cc - maximum and mean over windows, over the shapes of bench/shapes/pooling2d.txt. The floor is one
// read of the input and one write of the output. Channels lie last, operands are cold.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/pooling2d.h"

#include "bench/shape_bench.h"

namespace {

std::vector<int64_t> ChannelsLast(const std::vector<int64_t> &shape) {
  return {shape[1] * shape[2] * shape[3], 1, shape[3] * shape[1], shape[1]};
}

void Pool(benchmark::State &state, const BenchShape &shape, mo_pooling2d_kind_t kind, mo_dtype_t dtype) {
  const std::vector<int64_t> &size = shape.sizes;
  const std::vector<int64_t> input_shape(size.begin(), size.begin() + 4);
  std::vector<int64_t> output_shape = input_shape;
  for (const size_t axis : {2, 3}) output_shape[axis] = (size[axis] + 2 * size[6] - size[4]) / size[5] + 1;
  ColdOperand input(dtype, input_shape, ChannelsLast(input_shape), size_t{256} << 20);
  ColdOperand output(dtype, output_shape, ChannelsLast(output_shape), 0);
  mo_pooling2d_params params = MO_POOLING2D_PARAMS_INIT;
  params.kind = kind;
  params.output = output.Next();
  for (int axis = 0; axis < 2; ++axis) {
    params.kernel[axis] = static_cast<int32_t>(size[4]);
    params.stride[axis] = static_cast<int32_t>(size[5]);
    params.padding[axis] = static_cast<int32_t>(size[6]);
  }
  Measure(state, [&] {
    params.input = input.Next();
    return mo_pooling2d(BenchContext(), &params);
  });
  Report(state, input.bytes() + output.bytes());
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  for (const BenchShape &shape : ReadShapes("pooling2d.txt", 7)) {
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
      const std::string name = std::string(mo_dtype_name(dtype)) + "/" + ShapeName(shape);
      RegisterBench("max/" + name, Pool, shape, MO_POOLING2D_MAX, dtype);
      RegisterBench("average/" + name, Pool, shape, MO_POOLING2D_AVERAGE, dtype);
    }
  }
  return BenchRun(&argc, argv);
}
