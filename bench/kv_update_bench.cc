// bench/kv_update_bench.cc - cache update, over the shapes of bench/shapes/kv_update.txt. Beside the time: the floor of bytes,
// every new element read once and written once as it is stored. Operands are cold.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/kv_update.h"

#include "bench/shape_bench.h"

namespace {

// sizes: batch, key heads, new tokens, head size, capacity
void KvUpdate(benchmark::State &state, const BenchShape &shape, mo_dtype_t dtype, mo_dtype_t stored) {
  const std::vector<int64_t> &n = shape.sizes;
  const std::vector<int64_t> fresh = {n[0], n[1], n[2], n[3]}, cached = {n[0], n[1], n[4], n[3]},
                             scales = {n[0], n[1], n[4], 1};
  ColdOperand key(dtype, fresh), value(dtype, fresh);
  // int8 and float8 are filled as bytes of another type would be: their content is written, not read
  const bool quantised = stored != dtype;
  ColdOperand cache_key(quantised ? MO_DTYPE_FLOAT8_E4M3 : dtype, cached, 0),
      cache_value(quantised ? MO_DTYPE_FLOAT8_E4M3 : dtype, cached, 0);
  ColdOperand key_scale(MO_DTYPE_FLOAT32, scales, 0), value_scale(MO_DTYPE_FLOAT32, scales, 0);
  mo_kv_update_layer layer = {};
  layer.cache.key = cache_key.Next();
  layer.cache.value = cache_value.Next();
  if (quantised) layer.cache.key_scale = key_scale.Next(), layer.cache.value_scale = value_scale.Next();
  mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
  params.layers = &layer;
  params.layer_count = 1;
  int64_t slot = 0;
  Measure(state, [&] {
    layer.key = key.Next(), layer.value = value.Next();
    params.offset = slot;
    slot = slot + 2 * n[2] <= n[4] ? slot + n[2] : 0;
    return mo_kv_update(BenchContext(), &params);
  });
  const int64_t elements = n[0] * n[1] * n[2] * n[3];
  Report(state, 2 * (key.bytes() + elements * static_cast<int64_t>(mo_dtype_bytes(stored)) +
                     (quantised ? n[0] * n[1] * n[2] * static_cast<int64_t>(sizeof(float)) : 0)));
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  const struct {
    const char *name;
    mo_dtype_t dtype, stored;
  } variants[] = {{"float32", MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT32},
                  {"bfloat16", MO_DTYPE_BFLOAT16, MO_DTYPE_BFLOAT16},
                  {"bfloat16_as_e4m3", MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT8_E4M3}};
  for (const BenchShape &shape : ReadShapes("kv_update.txt", 5)) {
    const std::string name = ShapeName(shape);
    for (const auto &variant : variants) {
      RegisterBench((std::string("kv_update/") + variant.name + "/" + name), KvUpdate, shape, variant.dtype, variant.stored);
    }
  }
  return BenchRun(&argc, argv);
}
