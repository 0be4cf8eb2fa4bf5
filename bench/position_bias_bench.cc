// bench/position_bias_bench.cc - ALiBi and T5 biases, over the shapes of bench/shapes/position_bias.txt. Beside the time: the
// floor of bytes, the bias written once. Operands are cold.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/position_bias.h"

#include "bench/shape_bench.h"

namespace {

// sizes: heads, queries, keys
void PositionBias(benchmark::State &state, const BenchShape &shape, mo_position_bias_kind_t kind) {
  const std::vector<int64_t> &n = shape.sizes;
  ColdOperand output(MO_DTYPE_FLOAT32, {1, n[0], n[1], n[2]}), slopes(MO_DTYPE_FLOAT32, {n[0]}, 0),
      table(MO_DTYPE_FLOAT32, {32, n[0]}, 0);
  mo_position_bias_params params = MO_POSITION_BIAS_PARAMS_INIT;
  params.kind = kind;
  if (kind == MO_POSITION_BIAS_ALIBI) params.slopes = slopes.Next();
  else params.table = table.Next();
  params.query_offset = n[2] - n[1];
  Measure(state, [&] {
    params.output = output.Next();
    return mo_position_bias(BenchContext(), &params);
  });
  Report(state, output.bytes());
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  for (const BenchShape &shape : ReadShapes("position_bias.txt", 3)) {
    const std::string name = ShapeName(shape);
    RegisterBench(("t5/" + name), PositionBias, shape, MO_POSITION_BIAS_T5);
    RegisterBench(("alibi/" + name), PositionBias, shape, MO_POSITION_BIAS_ALIBI);
  }
  return BenchRun(&argc, argv);
}
