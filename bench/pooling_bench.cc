// bench/pooling_bench.cc - pooling: one read of the hidden states is the floor (of the weight, for the dense first token).
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/pooling.h"

#include "bench/shape_bench.h"

namespace {

void Pool(benchmark::State &state, const BenchShape &shape, mo_pooling_mode_t mode, mo_dtype_t dtype) {
  const int64_t batch = shape.sizes[0], length = shape.sizes[1], channels = shape.sizes[2];
  ColdOperand input(dtype, {batch, length, channels});
  ColdOperand output(dtype, {batch, channels * (mode == MO_POOLING_MEAN_STD ? 2 : 1)}, 0);
  const DeviceTensor<uint8_t> mask(MO_DTYPE_BOOL, std::vector<uint8_t>(static_cast<size_t>(batch * length), 1),
                                   {batch, length});
  mo_pooling_params params = MO_POOLING_PARAMS_INIT;
  params.mode = mode;
  params.output = output.Next();
  params.mask = mask.tensor();
  params.l2_normalize = true;
  Measure(state, [&] {
    params.input = input.Next();
    return mo_pooling(BenchContext(), &params);
  });
  Report(state, input.bytes());
}

void Dense(benchmark::State &state, const BenchShape &shape) {
  const int64_t batch = shape.sizes[0], channels = shape.sizes[2];
  ColdOperand input(MO_DTYPE_FLOAT32, {batch, 1, channels}), weight(MO_DTYPE_FLOAT32, {channels, channels});
  ColdOperand bias(MO_DTYPE_FLOAT32, {channels}, 0), output(MO_DTYPE_FLOAT32, {batch, channels}, 0);
  mo_pooling_params params = MO_POOLING_PARAMS_INIT;
  params.mode = MO_POOLING_FIRST;
  params.output = output.Next();
  params.bias = bias.Next();
  Measure(state, [&] {
    params.input = input.Next();
    params.weight = weight.Next();
    return mo_pooling(BenchContext(), &params);
  });
  Report(state, weight.bytes());
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  const struct {
    const char *name;
    mo_pooling_mode_t mode;
  } modes[] = {{"mean", MO_POOLING_MEAN}, {"max", MO_POOLING_MAX}, {"mean_std", MO_POOLING_MEAN_STD}};
  for (const BenchShape &shape : ReadShapes("pooling.txt", 3)) {
    const std::string name = shape.name + "/" + std::to_string(shape.sizes[0]) + "x" + std::to_string(shape.sizes[1]) + "x" +
                             std::to_string(shape.sizes[2]);
    for (const auto &mode : modes) {
      for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
        RegisterBench((std::string(mode.name) + "/" + name + "/" + mo_dtype_name(dtype)), Pool, shape, mode.mode, dtype);
      }
    }
    RegisterBench(("first_dense/" + name), Dense, shape);
  }
  return BenchRun(&argc, argv);
}
