// bench/attention_merge_bench.cc - the merge of two partial attentions, over the shapes of bench/shapes/attention_merge.txt.
// Beside the time: the floor of bytes, both parts read and the result written once. Operands are cold.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/attention_merge.h"

#include "bench/shape_bench.h"

namespace {

// sizes: batch, heads, queries, head size
void Merge(benchmark::State &state, const BenchShape &shape, mo_dtype_t dtype) {
  const std::vector<int64_t> rows(shape.sizes.begin(), shape.sizes.begin() + 3);
  ColdOperand output(dtype, shape.sizes), a(dtype, shape.sizes), b(dtype, shape.sizes);
  ColdOperand sums(MO_DTYPE_FLOAT32, rows), sums_a(MO_DTYPE_FLOAT32, rows), sums_b(MO_DTYPE_FLOAT32, rows);
  mo_attention_merge_params params = MO_ATTENTION_MERGE_PARAMS_INIT;
  Measure(state, [&] {
    params.output = output.Next(), params.log_sum_exp = sums.Next();
    params.output_a = a.Next(), params.log_sum_exp_a = sums_a.Next();
    params.output_b = b.Next(), params.log_sum_exp_b = sums_b.Next();
    return mo_attention_merge(BenchContext(), &params);
  });
  Report(state, 3 * (output.bytes() + sums.bytes()));
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  for (const BenchShape &shape : ReadShapes("attention_merge.txt", 4)) {
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
      std::string name = std::string("attention_merge/") + mo_dtype_name(dtype) + "/" + shape.name;
      for (const int64_t size : shape.sizes) name += "/" + std::to_string(size);
      RegisterBench(name, Merge, shape, dtype);
    }
  }
  return BenchRun(&argc, argv);
}
