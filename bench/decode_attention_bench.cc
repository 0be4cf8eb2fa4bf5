// bench/decode_attention_bench.cc - decode attention over the shapes of bench/shapes/decode_attention.txt: a step that appends
// its tokens, with and without weights, with the cache in float32, bfloat16, int8 and float8 e4m3; and cross attention.
//
// Beside the time: the floor of bytes. Keys and values that are seen are read once, as they are stored; weights are written
// once. Caches are cold.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/decode_attention.h"

#include "bench/shape_bench.h"

namespace {

struct Variant {
  const char *name;
  mo_dtype_t dtype, stored;
  bool weights, appends;
};

// On a device more than its cache several times over.
size_t Cold() { return size_t{TheOptions().cuda ? 256u : 96u} << 20; }

// sizes: batch, query heads, key heads, new tokens, keys after the step, head size
void Decode(benchmark::State &state, const BenchShape &shape, const Variant &variant) {
  const std::vector<int64_t> &n = shape.sizes;
  const std::vector<int64_t> queries = {n[0], n[1], n[3], n[5]}, fresh = {n[0], n[2], n[3], n[5]},
                             cached = {n[0], n[2], n[4], n[5]}, scales = {n[0], n[2], n[4], 1};
  const bool quantised = variant.stored != variant.dtype;
  ColdOperand query(variant.dtype, queries, 0), key(variant.dtype, fresh, 0), value(variant.dtype, fresh, 0),
      output(variant.dtype, queries, 0), weights(variant.dtype, {n[0], n[1], n[3], n[4]}, 0);
  // A cache of int8 is filled as float8 would be: its codes are read, whatever they mean.
  const mo_dtype_t filled = variant.stored == MO_DTYPE_INT8 ? MO_DTYPE_FLOAT8_E4M3 : variant.stored;
  ColdOperand cache_key(filled, cached, Cold()), cache_value(filled, cached, Cold());
  ColdOperand key_scale(MO_DTYPE_FLOAT32, scales, quantised ? Cold() / 16 : 0),
      value_scale(MO_DTYPE_FLOAT32, scales, quantised ? Cold() / 16 : 0);
  mo_decode_attention_params params = MO_DECODE_ATTENTION_PARAMS_INIT;
  params.query = query.Next(), params.output = output.Next();
  if (variant.appends) params.key = key.Next(), params.value = value.Next();
  if (variant.weights) params.weights = weights.Next();
  params.length = variant.appends ? n[4] - n[3] : n[4];
  mo_tensor stored[2];
  Measure(state, [&] {
    stored[0] = *cache_key.Next(), stored[1] = *cache_value.Next();
    stored[0].dtype = stored[1].dtype = variant.stored;
    params.cache.key = &stored[0], params.cache.value = &stored[1];
    if (quantised) params.cache.key_scale = key_scale.Next(), params.cache.value_scale = value_scale.Next();
    return mo_decode_attention(BenchContext(), &params);
  });
  Report(state, 2 * cache_key.bytes() + (quantised ? 2 * key_scale.bytes() : 0) + query.bytes() + output.bytes() +
                    (variant.weights ? weights.bytes() : 0));
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  const Variant variants[] = {{"float32", MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT32, false, true},
                              {"float32_weights", MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT32, true, true},
                              {"float32_cross", MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT32, false, false},
                              {"bfloat16", MO_DTYPE_BFLOAT16, MO_DTYPE_BFLOAT16, false, true},
                              {"bfloat16_weights", MO_DTYPE_BFLOAT16, MO_DTYPE_BFLOAT16, true, true},
                              {"bfloat16_int8", MO_DTYPE_BFLOAT16, MO_DTYPE_INT8, false, true},
                              {"bfloat16_e4m3", MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT8_E4M3, false, true}};
  for (const BenchShape &shape : ReadShapes("decode_attention.txt", 6)) {
    for (const Variant &variant : variants) {
      RegisterBench(std::string("decode_attention/") + variant.name + "/" + ShapeName(shape), Decode, shape, variant);
    }
  }
  return BenchRun(&argc, argv);
}
