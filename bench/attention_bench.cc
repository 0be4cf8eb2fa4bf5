// bench/attention_bench.cc - attention over the shapes of bench/shapes/attention.txt, with and without weights, and prefill of
// sequences of different lengths over those of bench/shapes/attention_prefill.txt: keys packed, and in caches.
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

// Keys packed along the tokens, or in a cache: contiguous (page 0) or paged.
struct Prefill {
  const char *name;
  bool packed;
  int64_t page;
  mo_dtype_t stored;  // NONE: as queries
};

// sizes: sequences, heads, key/value heads, new tokens, largest past, head dim
void AttentionPrefill(benchmark::State &state, const BenchShape &shape, const Prefill &variant, mo_dtype_t dtype) {
  const int64_t count = shape.sizes[0], heads = shape.sizes[1], kv_heads = shape.sizes[2], fresh = shape.sizes[3],
                dim = shape.sizes[5];
  std::vector<int32_t> queries = {0}, keys = {0}, lengths;
  double pairs = 0;
  int64_t longest = 0;
  for (int64_t n = 0; n < count; ++n) {
    const int64_t past = shape.sizes[4] * (n + 1) / count;
    lengths.push_back(static_cast<int32_t>(past + fresh));
    queries.push_back(queries.back() + static_cast<int32_t>(fresh));
    keys.push_back(keys.back() + lengths.back());
    longest = std::max(longest, past + fresh);
    pairs += static_cast<double>(fresh) * (static_cast<double>(past) + static_cast<double>(fresh + 1) / 2);
  }
  const DeviceTensor<int32_t> cumulative_queries(MO_DTYPE_INT32, queries, {count + 1}),
      cumulative_keys(MO_DTYPE_INT32, keys, {count + 1}), key_lengths(MO_DTYPE_INT32, lengths, {count});
  const mo_dtype_t stored = variant.stored == MO_DTYPE_NONE ? dtype : variant.stored;
  const bool quantised = variant.stored != MO_DTYPE_NONE;
  const int64_t pages = variant.page == 0 ? 0 : (longest + variant.page - 1) / variant.page;
  std::vector<int32_t> entries;  // neighbours in the table are far apart in memory
  for (int64_t i = 0; i < count * pages; ++i) entries.push_back(static_cast<int32_t>(i % count * pages + i / count));
  const DeviceTensor<int32_t> table(MO_DTYPE_INT32, pages > 0 ? entries : std::vector<int32_t>{0},
                                    {pages > 0 ? count : 1, pages > 0 ? pages : 1});
  ColdOperand query = Heads(dtype, 1, heads, queries.back(), dim), output = Heads(dtype, 1, heads, queries.back(), dim);
  const size_t cold = TheOptions().cuda ? size_t{256} << 20 : 0;
  std::vector<int64_t> storage = {1, kv_heads, keys.back(), dim};
  if (!variant.packed) storage = {count, kv_heads, longest, dim};
  if (variant.page > 0) storage = {count * pages, kv_heads, variant.page, dim};
  std::vector<int64_t> scales = storage;
  scales[3] = 1;
  // A cache of int8 is filled as float8 would be: its codes are read, whatever they mean.
  const mo_dtype_t filled = stored == MO_DTYPE_INT8 ? MO_DTYPE_FLOAT8_E4M3 : stored;
  ColdOperand key(filled, storage, cold), value(filled, storage, cold), key_scale(MO_DTYPE_FLOAT32, scales, 0),
      value_scale(MO_DTYPE_FLOAT32, scales, 0);
  mo_tensor tensors[2];
  mo_kv_view cache = {};
  mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
  params.causal = true;
  params.cumulative_query_lengths = cumulative_queries.tensor();
  params.max_query_length = fresh, params.max_key_length = longest;
  Measure(state, [&] {
    params.query = query.Next(), params.output = output.Next();
    tensors[0] = *key.Next(), tensors[1] = *value.Next();
    tensors[0].dtype = tensors[1].dtype = stored;
    if (variant.packed) {
      params.key = &tensors[0], params.value = &tensors[1], params.cumulative_key_lengths = cumulative_keys.tensor();
    } else {
      cache.key = &tensors[0], cache.value = &tensors[1];
      if (quantised) cache.key_scale = key_scale.Next(), cache.value_scale = value_scale.Next();
      if (variant.page > 0) cache.block_table = table.tensor();
      params.cache = &cache, params.key_lengths = key_lengths.tensor();
    }
    return mo_attention(BenchContext(), &params);
  });
  const int64_t seen = 2 * keys.back() * kv_heads * (dim * static_cast<int64_t>(mo_dtype_bytes(stored)) + (quantised ? 4 : 0));
  Report(state, query.bytes() + output.bytes() + seen, 4.0 * static_cast<double>(heads * dim) * pairs, dtype);
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
  const Prefill prefills[] = {{"packed", true, 0, MO_DTYPE_NONE},
                              {"contiguous", false, 0, MO_DTYPE_NONE},
                              {"pages_of_16", false, 16, MO_DTYPE_NONE},
                              {"pages_of_64", false, 64, MO_DTYPE_NONE},
                              {"pages_of_64_int8", false, 64, MO_DTYPE_INT8},
                              {"pages_of_64_e4m3", false, 64, MO_DTYPE_FLOAT8_E4M3}};
  for (const BenchShape &shape : ReadShapes("attention_prefill.txt", 6)) {
    for (const Prefill &variant : prefills) {
      for (const mo_dtype_t dtype : dtypes) {
        const std::string type = TheOptions().cuda ? std::string(mo_dtype_name(dtype)) + "/" : "";
        RegisterBench("attention/prefill_" + std::string(variant.name) + "/" + type + ShapeName(shape), AttentionPrefill, shape,
                      variant, dtype);
      }
    }
  }
  return BenchRun(&argc, argv);
}
