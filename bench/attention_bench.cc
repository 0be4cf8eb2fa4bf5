// bench/attention_bench.cc - attention over the shapes of bench/shapes/attention.txt, float32, with and without weights.
//
// Beside the time: flop/s (two products, 2 flops a multiply-add), and the floor of bytes, every tensor moved once. Operands are
// those of the layer before, so they are as warm as repeated calls leave them.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/attention.h"

#include "bench/shape_bench.h"

namespace {

enum class Weights { kNone, kAll, kHeadMean, kColumnSum };

// Random heads that lie as a projection leaves them: a view of (batch, length, heads * dim).
class Heads {
 public:
  Heads(int64_t batch, int64_t heads, int64_t length, int64_t dim)
      : values_(static_cast<size_t>(batch * heads * length * dim)) {
    std::mt19937 random(20261122);
    std::uniform_real_distribution<float> draw(-1, 1);
    for (float &number : values_) number = draw(random);
    const int64_t shape[] = {batch, heads, length, dim}, strides[] = {length * heads * dim, dim, heads * dim, 1};
    Require(mo_tensor_init_strided(&tensor_, values_.data(), MO_DTYPE_FLOAT32, mo_device{MO_DEVICE_KIND_CPU, 0}, 4, shape,
                                   strides));
  }
  const mo_tensor *tensor() const { return &tensor_; }

 private:
  std::vector<float> values_;
  mo_tensor tensor_;
};

void Attention(benchmark::State &state, const BenchShape &shape, Weights which) {
  const int64_t batch = shape.sizes[0], heads = shape.sizes[1], kv_heads = shape.sizes[2], queries = shape.sizes[3],
                keys = shape.sizes[4], dim = shape.sizes[5];
  const Heads query(batch, heads, queries, dim), key(batch, kv_heads, keys, dim), values(batch, kv_heads, keys, dim),
      output(batch, heads, queries, dim);
  const int64_t weight_shape[] = {batch, which == Weights::kHeadMean ? 1 : heads, which == Weights::kColumnSum ? 1 : queries,
                                  keys};
  std::vector<float> weight_memory(static_cast<size_t>(batch * weight_shape[1] * weight_shape[2] * keys));
  const mo_tensor weights = mo_tensor_cpu(weight_memory.data(), MO_DTYPE_FLOAT32, 4, weight_shape);
  mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
  params.query = query.tensor(), params.key = key.tensor(), params.value = values.tensor(), params.output = output.tensor();
  if (which != Weights::kNone) params.weights = &weights;
  if (which == Weights::kHeadMean) params.weights_reduction = MO_WEIGHTS_REDUCTION_HEAD_MEAN;
  if (which == Weights::kColumnSum) params.weights_reduction = MO_WEIGHTS_REDUCTION_COLUMN_SUM;
  for (auto _ : state) Require(mo_attention(BenchContext(), &params));
  const double flops = 4.0 * static_cast<double>(batch * heads * queries) * static_cast<double>(keys * dim);
  const int64_t bytes = mo_tensor_bytes(query.tensor()) + mo_tensor_bytes(key.tensor()) + mo_tensor_bytes(values.tensor()) +
                        mo_tensor_bytes(output.tensor()) + (which == Weights::kNone ? 0 : mo_tensor_bytes(&weights));
  state.counters["flop/s"] = benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
  Report(state, bytes);
}

}  // namespace

int main(int argc, char **argv) {
  const struct {
    const char *name;
    Weights which;
  } variants[] = {{"no_weights", Weights::kNone},
                  {"weights", Weights::kAll},
                  {"head_mean", Weights::kHeadMean},
                  {"column_sum", Weights::kColumnSum}};
  for (const BenchShape &shape : ReadShapes("attention.txt", 6)) {
    std::string name = shape.name;
    for (const int64_t size : shape.sizes) name += "/" + std::to_string(size);
    for (const auto &variant : variants) {
      benchmark::RegisterBenchmark(("attention/" + std::string(variant.name) + "/" + name).c_str(), Attention, shape,
                                   variant.which)
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
