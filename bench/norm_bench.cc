// bench/norm_bench.cc - layer norm with residual, and RMS norm, over the shapes of bench/shapes/norm.txt. Beside the time: the
// floor of bytes, every tensor moved once. Operands are cold.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/norm.h"

#include "bench/shape_bench.h"

namespace {

void Norm(benchmark::State &state, const BenchShape &shape, mo_dtype_t dtype, bool rms) {
  const std::vector<int64_t> rows = {shape.sizes[0], shape.sizes[1]}, row = {shape.sizes[1]};
  ColdOperand input(dtype, rows), residual(dtype, rows), output(dtype, rows), weight(dtype, row, 0), bias(dtype, row, 0);
  mo_norm_params params = MO_NORM_PARAMS_INIT;
  params.weight = weight.Next();
  params.epsilon = 1e-12f;
  if (!rms) params.bias = bias.Next();
  Measure(state, [&] {
    params.input = input.Next(), params.output = output.Next();
    if (!rms) params.residual = residual.Next();
    return rms ? mo_rms_norm(BenchContext(), &params) : mo_layer_norm(BenchContext(), &params);
  });
  Report(state, input.bytes() * (rms ? 2 : 3) + weight.bytes() * (rms ? 1 : 2));
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  const struct {
    const char *name;
    mo_dtype_t dtype;
    bool rms;
  } variants[] = {{"layer_norm_residual", MO_DTYPE_FLOAT32, false},
                  {"layer_norm_residual_bfloat16", MO_DTYPE_BFLOAT16, false},
                  {"rms_norm", MO_DTYPE_FLOAT32, true}};
  for (const BenchShape &shape : ReadShapes("norm.txt", 2)) {
    const std::string name = ShapeName(shape);
    for (const auto &variant : variants) {
      RegisterBench((std::string(variant.name) + "/" + name), Norm, shape, variant.dtype, variant.rms);
    }
  }
  return BenchRun(&argc, argv);
}
