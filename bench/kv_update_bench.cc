// bench/kv_update_bench.cc - cache update, over the shapes of bench/shapes/kv_update.txt. Beside the time: the floor of bytes,
// every new element read once and written once as it is stored. New keys and values are cold.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/kv_update.h"

#include <memory>

#include "bench/shape_bench.h"

namespace {

// What the layers read and write, each in memory of its own.
struct Layer {
  Layer(const std::vector<int64_t> &n, mo_dtype_t dtype, mo_dtype_t stored, size_t cold_bytes)
      : key(dtype, {n[0], n[1], n[2], n[3]}, cold_bytes),
        value(dtype, {n[0], n[1], n[2], n[3]}, cold_bytes),
        cache_key(stored, {n[0], n[1], n[4], n[3]}, 0),
        cache_value(stored, {n[0], n[1], n[4], n[3]}, 0),
        key_scale(MO_DTYPE_FLOAT32, {n[0], n[1], n[4], 1}, 0),
        value_scale(MO_DTYPE_FLOAT32, {n[0], n[1], n[4], 1}, 0) {}
  ColdOperand key, value, cache_key, cache_value, key_scale, value_scale;
};

// sizes: batch, key heads, new tokens, head size, capacity, layers
void KvUpdate(benchmark::State &state, const BenchShape &shape, mo_dtype_t dtype, mo_dtype_t stored) {
  const std::vector<int64_t> &n = shape.sizes;
  const bool quantised = stored != dtype;
  std::vector<std::unique_ptr<Layer>> operands;
  std::vector<mo_kv_update_layer> layers;
  for (int64_t i = 0; i < n[5]; ++i) {
    operands.push_back(std::make_unique<Layer>(n, dtype, stored, (size_t{256} << 20) / static_cast<size_t>(2 * n[5])));
    mo_kv_update_layer layer = {};
    layer.cache.key = operands.back()->cache_key.Next(), layer.cache.value = operands.back()->cache_value.Next();
    if (quantised) {
      layer.cache.key_scale = operands.back()->key_scale.Next();
      layer.cache.value_scale = operands.back()->value_scale.Next();
    }
    layers.push_back(layer);
  }
  mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
  params.layers = layers.data();
  params.layer_count = static_cast<int32_t>(layers.size());
  int64_t slot = 0;
  Measure(state, [&] {
    for (size_t i = 0; i < layers.size(); ++i)
      layers[i].key = operands[i]->key.Next(), layers[i].value = operands[i]->value.Next();
    params.offset = slot;
    slot = slot + 2 * n[2] <= n[4] ? slot + n[2] : 0;
    return mo_kv_update(BenchContext(), &params);
  });
  const int64_t heads = n[0] * n[1] * n[2], read = static_cast<int64_t>(mo_dtype_bytes(dtype)),
                written = static_cast<int64_t>(mo_dtype_bytes(stored));
  Report(state, 2 * n[5] * heads * (n[3] * (read + written) + (quantised ? static_cast<int64_t>(sizeof(float)) : 0)));
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  const struct {
    const char *name;
    mo_dtype_t dtype, stored;
  } variants[] = {{"float32", MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT32},
                  {"bfloat16", MO_DTYPE_BFLOAT16, MO_DTYPE_BFLOAT16},
                  {"bfloat16_as_e4m3", MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT8_E4M3},
                  {"bfloat16_as_int8", MO_DTYPE_BFLOAT16, MO_DTYPE_INT8},
                  {"float32_as_int8", MO_DTYPE_FLOAT32, MO_DTYPE_INT8}};
  for (const BenchShape &shape : ReadShapes("kv_update.txt", 6)) {
    const std::string name = ShapeName(shape);
    for (const auto &variant : variants) {
      RegisterBench((std::string("kv_update/") + variant.name + "/" + name), KvUpdate, shape, variant.dtype, variant.stored);
    }
  }
  return BenchRun(&argc, argv);
}
