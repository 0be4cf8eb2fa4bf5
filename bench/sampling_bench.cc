// bench/sampling_bench.cc - sampling: one read of the logits is the floor.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/sampling.h"

#include "bench/shape_bench.h"

namespace {

// Sizes: rows, vocabulary, temperature in percent (0: greedy), top_k, top_p in percent.
void Sample(benchmark::State &state, const BenchShape &shape, mo_dtype_t dtype) {
  const int64_t rows = shape.sizes[0], count = shape.sizes[1];
  ColdOperand logits(dtype, {rows, count});
  const DeviceTensor<int64_t> tokens(MO_DTYPE_INT64, std::vector<int64_t>(static_cast<size_t>(rows)), {rows});
  mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
  params.tokens = tokens.tensor();
  params.temperature = static_cast<float>(shape.sizes[2]) / 100;
  params.top_k = shape.sizes[3];
  params.top_p = static_cast<float>(shape.sizes[4]) / 100;
  Measure(state, [&] {
    params.logits = logits.Next();
    params.step++;
    return mo_sample(BenchContext(), &params);
  });
  Report(state, logits.bytes());
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  for (const BenchShape &shape : ReadShapes("sampling.txt", 5)) {
    const std::string name = shape.name + "/" + std::to_string(shape.sizes[0]) + "x" + std::to_string(shape.sizes[1]);
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
      RegisterBench(("sampling/" + name + "/" + mo_dtype_name(dtype)), Sample, shape, dtype);
    }
  }
  return BenchRun(&argc, argv);
}
