// bench/sum_bench.cc - the sum of two tensors over the shapes of bench/shapes/sum.txt. The floor is two reads and one write.
// Operands are cold.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/sum.h"

#include "bench/shape_bench.h"

namespace {

void Sum(benchmark::State &state, const BenchShape &shape, mo_dtype_t dtype) {
  ColdOperand a(dtype, shape.sizes), b(dtype, shape.sizes), output(dtype, shape.sizes);
  mo_sum_params params = MO_SUM_PARAMS_INIT;
  Measure(state, [&] {
    params.a = a.Next(), params.b = b.Next(), params.output = output.Next();
    return mo_sum(BenchContext(), &params);
  });
  Report(state, a.bytes() * 3);
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  for (const BenchShape &shape : ReadShapes("sum.txt", 2)) {
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
      RegisterBench(std::string(mo_dtype_name(dtype)) + "/" + ShapeName(shape), Sum, shape, dtype);
    }
  }
  return BenchRun(&argc, argv);
}
