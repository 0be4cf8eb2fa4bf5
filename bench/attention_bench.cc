// bench/attention_bench.cc - attention over the shapes of bench/shapes/attention.txt, with and without weights.
//
// Beside the time: flop/s (two products, 2 flops a multiply-add), and the floor: every tensor moved once, or the products at
// the rate of a large one, whichever takes longer. Heads lie as a projection leaves them, views of (batch, length, heads *
// dim). On the CPU they are as warm as repeated calls leave them, as operands of the layer before are; on a device they are
// cold.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/attention.h"

#include "bench/shape_bench.h"

namespace {

enum class Weights { kNone, kAll, kHeadMean, kColumnSum };

// Longer ones would be gigabytes of weights (batch 1, 32 heads: 2 GiB at 4096 x 4096 in bfloat16).
constexpr double kLargestWeights = 2.2e9;

ColdOperand Heads(mo_dtype_t dtype, int64_t batch, int64_t heads, int64_t length, int64_t dim) {
  return ColdOperand(dtype, {batch, heads, length, dim}, {length * heads * dim, dim, heads * dim, 1},
                     TheOptions().cuda ? size_t{256} << 20 : 0);
}

void Attention(benchmark::State &state, const BenchShape &shape, Weights which, mo_dtype_t dtype) {
  const int64_t batch = shape.sizes[0], heads = shape.sizes[1], kv_heads = shape.sizes[2], queries = shape.sizes[3],
                keys = shape.sizes[4], dim = shape.sizes[5];
  ColdOperand query = Heads(dtype, batch, heads, queries, dim), key = Heads(dtype, batch, kv_heads, keys, dim),
              value = Heads(dtype, batch, kv_heads, keys, dim), output = Heads(dtype, batch, heads, queries, dim);
  const std::vector<int64_t> weight_shape = {batch, which == Weights::kHeadMean ? 1 : heads,
                                             which == Weights::kColumnSum ? 1 : queries, keys};
  ColdOperand weights(dtype, which == Weights::kNone ? std::vector<int64_t>{1} : weight_shape, 0);
  mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
  if (which != Weights::kNone) params.weights = weights.Next();
  if (which == Weights::kHeadMean) params.weights_reduction = MO_WEIGHTS_REDUCTION_HEAD_MEAN;
  if (which == Weights::kColumnSum) params.weights_reduction = MO_WEIGHTS_REDUCTION_COLUMN_SUM;
  Measure(state, [&] {
    params.query = query.Next(), params.key = key.Next(), params.value = value.Next(), params.output = output.Next();
    return mo_attention(BenchContext(), &params);
  });
  const double flops = 4.0 * static_cast<double>(batch * heads * queries) * static_cast<double>(keys * dim);
  Report(state, query.bytes() + key.bytes() + value.bytes() + output.bytes() + (which == Weights::kNone ? 0 : weights.bytes()),
         flops, dtype);
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  const struct {
    const char *name;
    Weights which;
  } variants[] = {{"no_weights", Weights::kNone},
                  {"weights", Weights::kAll},
                  {"head_mean", Weights::kHeadMean},
                  {"column_sum", Weights::kColumnSum}};
  const std::vector<mo_dtype_t> dtypes = TheOptions().cuda ? std::vector<mo_dtype_t>{MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT32}
                                                           : std::vector<mo_dtype_t>{MO_DTYPE_FLOAT32};
  for (const BenchShape &shape : ReadShapes("attention.txt", 6)) {
    const double scores =
        static_cast<double>(shape.sizes[0] * shape.sizes[1] * shape.sizes[3]) * static_cast<double>(shape.sizes[4]);
    for (const auto &variant : variants) {
      for (const mo_dtype_t dtype : dtypes) {
        if (variant.which == Weights::kAll && scores * static_cast<double>(mo_dtype_bytes(dtype)) > kLargestWeights) continue;
        const std::string type = TheOptions().cuda ? std::string(mo_dtype_name(dtype)) + "/" : "";
        RegisterBench("attention/" + std::string(variant.name) + "/" + type + ShapeName(shape), Attention, shape, variant.which,
                      dtype);
      }
    }
  }
  return BenchRun(&argc, argv);
}
