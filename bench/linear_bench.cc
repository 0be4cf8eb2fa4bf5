// bench/linear_bench.cc - the dense layer with bias and gelu over the shapes of bench/shapes/linear.txt: packed weights in each
// dtype, and float32 weights as they are.
//
// Beside the time: flop/s (2 flops a multiply-add) and the floor of bytes, every tensor moved once. Weights are cold, as they
// are when a model runs one layer after the other; the input is as warm as repeated calls leave it.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/linear.h"

#include "bench/shape_bench.h"

namespace {

void Linear(benchmark::State &state, const BenchShape &shape, mo_dtype_t dtype, bool packs) {
  const int64_t rows = shape.sizes[0], columns = shape.sizes[1], depth = shape.sizes[2];
  ColdOperand input(dtype, {rows, depth}, 0), output(dtype, {rows, columns}, 0), bias(dtype, {columns}, 0);
  ColdOperand weights(dtype, {columns, depth}, size_t{128} << 20);
  const size_t copies = packs ? weights.copies() : 0;
  std::vector<mo_packed_weight_t *> packed(copies);
  for (mo_packed_weight_t *&weight : packed) {
    const mo_tensor *const parts[] = {weights.Next()};
    Require(mo_linear_pack(BenchContext(), parts, 1, &weight));
  }
  mo_linear_params params = MO_LINEAR_PARAMS_INIT;
  params.input = input.Next(), params.output = output.Next(), params.bias = bias.Next();
  params.activation = MO_ACTIVATION_GELU;
  size_t next = 0;
  Measure(state, [&] {
    if (packs) params.packed_weight = packed[next++ % packed.size()];
    else params.weight = weights.Next();
    return mo_linear(BenchContext(), &params);
  });
  for (mo_packed_weight_t *weight : packed) mo_packed_weight_destroy(weight);
  const double flops = 2.0 * static_cast<double>(rows * columns) * static_cast<double>(depth);
  Report(state, input.bytes() + weights.bytes() + bias.bytes() + output.bytes(), flops, dtype);
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  const struct {
    const char *name;
    mo_dtype_t dtype;
    bool packs;
  } variants[] = {{"packed", MO_DTYPE_FLOAT32, true},
                  {"unpacked", MO_DTYPE_FLOAT32, false},
                  {"packed_bfloat16", MO_DTYPE_BFLOAT16, true},
                  {"packed_float16", MO_DTYPE_FLOAT16, true}};
  for (const BenchShape &shape : ReadShapes("linear.txt", 3)) {
    const std::string name = ShapeName(shape);
    for (const auto &variant : variants) {
      RegisterBench(("linear/" + std::string(variant.name) + "/" + name), Linear, shape, variant.dtype, variant.packs);
    }
  }
  return BenchRun(&argc, argv);
}
