// bench/softmax_bench.cc - softmax: the input read once and the output written once is the floor.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/softmax.h"

#include "bench/shape_bench.h"

namespace {

void Softmax(benchmark::State &state, const BenchShape &shape, mo_dtype_t dtype) {
  const int64_t rows = shape.sizes[0], columns = shape.sizes[1];
  ColdOperand input(dtype, {rows, columns}), output(dtype, {rows, columns});
  mo_softmax_params params = MO_SOFTMAX_PARAMS_INIT;
  Measure(state, [&] {
    params.input = input.Next();
    params.output = output.Next();
    return mo_softmax(BenchContext(), &params);
  });
  Report(state, input.bytes() + output.bytes());
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  for (const BenchShape &shape : ReadShapes("softmax.txt", 2)) {
    const std::string name = shape.name + "/" + std::to_string(shape.sizes[0]) + "x" + std::to_string(shape.sizes[1]);
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
      RegisterBench(("softmax/" + name + "/" + mo_dtype_name(dtype)), Softmax, shape, dtype);
    }
  }
  return BenchRun(&argc, argv);
}
