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
  std::vector<int64_t> chosen(static_cast<size_t>(rows));
  const mo_tensor tokens = mo_tensor_cpu(chosen.data(), MO_DTYPE_INT64, 1, &rows);
  mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
  params.tokens = &tokens;
  params.temperature = static_cast<float>(shape.sizes[2]) / 100;
  params.top_k = shape.sizes[3];
  params.top_p = static_cast<float>(shape.sizes[4]) / 100;
  for (auto _ : state) {
    params.logits = logits.Next();
    params.step++;
    Require(mo_sample(BenchContext(), &params));
  }
  Report(state, logits.bytes());
}

}  // namespace

int main(int argc, char **argv) {
  for (const BenchShape &shape : ReadShapes("sampling.txt", 5)) {
    const std::string name = shape.name + "/" + std::to_string(shape.sizes[0]) + "x" + std::to_string(shape.sizes[1]);
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
      benchmark::RegisterBenchmark(("sampling/" + name + "/" + mo_dtype_name(dtype)).c_str(), Sample, shape, dtype)
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
