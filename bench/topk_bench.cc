// bench/topk_bench.cc - top-k: one read of the rows is the floor.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/topk.h"

#include "bench/shape_bench.h"

namespace {

void Topk(benchmark::State &state, const BenchShape &shape, mo_dtype_t dtype) {
  const int64_t rows = shape.sizes[0], count = shape.sizes[1], k = shape.sizes[2];
  ColdOperand input(dtype, {rows, count}), values(dtype, {rows, k}, 0);
  const DeviceTensor<int64_t> indices(MO_DTYPE_INT64, std::vector<int64_t>(static_cast<size_t>(rows * k)), {rows, k});
  mo_topk_params params = MO_TOPK_PARAMS_INIT;
  params.values = values.Next();
  params.indices = indices.tensor();
  Measure(state, [&] {
    params.input = input.Next();
    return mo_topk(BenchContext(), &params);
  });
  Report(state, input.bytes());
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  for (const BenchShape &shape : ReadShapes("topk.txt", 3)) {
    const std::string name = shape.name + "/" + std::to_string(shape.sizes[0]) + "x" + std::to_string(shape.sizes[1]) + "/k" +
                             std::to_string(shape.sizes[2]);
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
      RegisterBench(("topk/" + name + "/" + mo_dtype_name(dtype)), Topk, shape, dtype);
    }
  }
  return BenchRun(&argc, argv);
}
