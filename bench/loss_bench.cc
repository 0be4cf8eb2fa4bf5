// bench/loss_bench.cc - the losses: one read of the logits is the floor.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/loss.h"

#include "bench/shape_bench.h"

namespace {

void CrossEntropy(benchmark::State &state, const BenchShape &shape, mo_dtype_t dtype) {
  const int64_t rows = shape.sizes[0] * shape.sizes[1], classes = shape.sizes[2];
  ColdOperand logits(dtype, {rows, classes});
  std::vector<int64_t> label_values(static_cast<size_t>(rows));
  for (size_t i = 0; i < label_values.size(); ++i) label_values[i] = static_cast<int64_t>(i * 7919) % classes;
  const DeviceTensor<int64_t> labels(MO_DTYPE_INT64, label_values, {rows});
  const DeviceTensor<float> loss(MO_DTYPE_FLOAT32, {0}, {});
  mo_cross_entropy_params params = MO_CROSS_ENTROPY_PARAMS_INIT;
  params.labels = labels.tensor();
  params.loss = loss.tensor();
  Measure(state, [&] {
    params.logits = logits.Next();
    return mo_cross_entropy(BenchContext(), &params);
  });
  Report(state, logits.bytes());
}

void Bce(benchmark::State &state, const BenchShape &shape) {
  const std::vector<int64_t> sizes = {shape.sizes[0] * shape.sizes[1], shape.sizes[2]};
  ColdOperand logits(MO_DTYPE_FLOAT32, sizes), labels(MO_DTYPE_FLOAT32, sizes);
  const DeviceTensor<float> loss(MO_DTYPE_FLOAT32, {0}, {});
  mo_elementwise_loss_params params = MO_ELEMENTWISE_LOSS_PARAMS_INIT;
  params.loss = loss.tensor();
  Measure(state, [&] {
    params.logits = logits.Next();
    params.labels = labels.Next();
    return mo_bce_with_logits_loss(BenchContext(), &params);
  });
  Report(state, 2 * logits.bytes());
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  for (const BenchShape &shape : ReadShapes("loss.txt", 3)) {
    const std::string name = shape.name + "/" + std::to_string(shape.sizes[0]) + "x" + std::to_string(shape.sizes[1]) + "x" +
                             std::to_string(shape.sizes[2]);
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
      RegisterBench(("cross_entropy/" + name + "/" + mo_dtype_name(dtype)), CrossEntropy, shape, dtype);
    }
  }
  const BenchShape multi_label = {"multi-label", {64, 1, 9605}};
  RegisterBench("bce/multi-label/64x9605", Bce, multi_label);
  return BenchRun(&argc, argv);
}
