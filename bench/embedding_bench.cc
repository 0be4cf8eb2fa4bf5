// bench/embedding_bench.cc - BERT's embeddings over the shapes of bench/shapes/embedding.txt: random ids, position and type
// rows, layer norm. Beside the time: the floor of bytes (each gathered word row and the output once, the position rows once).
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/embedding.h"

#include "bench/shape_bench.h"

namespace {

void Embedding(benchmark::State &state, const BenchShape &shape, mo_dtype_t dtype) {
  const int64_t batch = shape.sizes[0], length = shape.sizes[1], columns = shape.sizes[2], vocabulary = shape.sizes[3];
  ColdOperand word(dtype, {vocabulary, columns}, 0), position(dtype, {length, columns}, 0), type(dtype, {2, columns}, 0);
  ColdOperand output(dtype, {batch, length, columns}), weight(dtype, {columns}, 0), bias(dtype, {columns}, 0);
  std::mt19937_64 random(20261122);
  std::vector<int64_t> ids(static_cast<size_t>(batch * length));
  for (int64_t &id : ids) id = static_cast<int64_t>(random() % static_cast<uint64_t>(vocabulary));
  const DeviceTensor<int64_t> ids_tensor(MO_DTYPE_INT64, ids, {batch, length});
  mo_embedding_params params = MO_EMBEDDING_PARAMS_INIT;
  params.ids = ids_tensor.tensor(), params.word = word.Next(), params.position = position.Next(), params.type = type.Next();
  params.norm_weight = weight.Next(), params.norm_bias = bias.Next(), params.epsilon = 1e-12f;
  Measure(state, [&] {
    params.output = output.Next();
    return mo_embedding(BenchContext(), &params);
  });
  Report(state, 2 * output.bytes() + position.bytes() + static_cast<int64_t>(ids.size() * sizeof ids[0]));
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  for (const BenchShape &shape : ReadShapes("embedding.txt", 4)) {
    const std::string name = ShapeName(shape);
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
      RegisterBench(("embedding/" + std::string(mo_dtype_name(dtype)) + "/" + name), Embedding, shape, dtype);
    }
  }
  return BenchRun(&argc, argv);
}
