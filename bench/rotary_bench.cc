// bench/rotary_bench.cc - rotary embedding of queries and keys, over the shapes of bench/shapes/rotary.txt. Beside the time:
// the floor of bytes, every head read and written once. Operands are cold.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/rotary.h"

#include "bench/shape_bench.h"

namespace {

// sizes: batch, heads, key heads, length, head size
void Rotary(benchmark::State &state, const BenchShape &shape, mo_dtype_t dtype) {
  const std::vector<int64_t> &n = shape.sizes;
  ColdOperand query(dtype, {n[0], n[1], n[3], n[4]}), query_output(dtype, {n[0], n[1], n[3], n[4]});
  ColdOperand key(dtype, {n[0], n[2], n[3], n[4]}), key_output(dtype, {n[0], n[2], n[3], n[4]});
  ColdOperand cosine(MO_DTYPE_FLOAT32, {n[3], n[4] / 2}, 0), sine(MO_DTYPE_FLOAT32, {n[3], n[4] / 2}, 0);
  mo_rotary_params params = MO_ROTARY_PARAMS_INIT;
  params.rotary.cosine = cosine.Next();
  params.rotary.sine = sine.Next();
  Measure(state, [&] {
    params.query = query.Next(), params.query_output = query_output.Next();
    params.key = key.Next(), params.key_output = key_output.Next();
    return mo_rotary_embedding(BenchContext(), &params);
  });
  Report(state, 2 * (query.bytes() + key.bytes()) + cosine.bytes() + sine.bytes());
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  for (const BenchShape &shape : ReadShapes("rotary.txt", 5)) {
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
      std::string name = std::string("rotary/") + mo_dtype_name(dtype) + "/" + shape.name;
      for (const int64_t size : shape.sizes) name += "/" + std::to_string(size);
      RegisterBench(name, Rotary, shape, dtype);
    }
  }
  return BenchRun(&argc, argv);
}
