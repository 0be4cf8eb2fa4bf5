// bench/gate_bench.cc - the gate of feed-forward layers over the shapes of bench/shapes/gate.txt, in the halves of one product
// and into the first of them, as models call it. Beside the time: the floor of bytes, every element moved once. Operands are
// cold.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/gate.h"

#include "bench/shape_bench.h"

namespace {

void Gate(benchmark::State &state, const BenchShape &shape, mo_dtype_t dtype) {
  const int64_t columns = shape.sizes[1];
  ColdOperand product(dtype, {shape.sizes[0], 2 * columns});
  mo_gate_params params = MO_GATE_PARAMS_INIT;
  params.activation = MO_ACTIVATION_SILU;
  Measure(state, [&] {
    mo_tensor gate = *product.Next();
    gate.shape[1] = columns;
    mo_tensor input = gate;
    input.data = static_cast<char *>(gate.data) + columns * static_cast<int64_t>(mo_dtype_bytes(dtype));
    params.output = &gate, params.gate = &gate, params.input = &input;
    return mo_gate(BenchContext(), &params);
  });
  Report(state, product.bytes() / 2 * 3);
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  const struct {
    const char *name;
    mo_dtype_t dtype;
  } variants[] = {{"gate_silu", MO_DTYPE_FLOAT32}, {"gate_silu_bfloat16", MO_DTYPE_BFLOAT16}};
  for (const BenchShape &shape : ReadShapes("gate.txt", 2)) {
    const std::string name = ShapeName(shape);
    for (const auto &variant : variants) RegisterBench(std::string(variant.name) + "/" + name, Gate, shape, variant.dtype);
  }
  return BenchRun(&argc, argv);
}
