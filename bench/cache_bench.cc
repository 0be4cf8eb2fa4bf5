// bench/cache_bench.cc - a step over all layers of a cache, per kind, over the shapes of bench/shapes/cache.txt: one token, and
// a prompt. Beside the time: the floor of bytes, every new element read once and written once as it is stored; what else a kind
// moves (a full static sliding layer is shifted) is its own loss. New tokens are cold.
//
// Kinds with room make both halves of an update at the same slots again and again, as counting is the host's and costs nothing;
// sliding kinds go on for ever.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/cache.h"

#include "bench/shape_bench.h"

namespace {

constexpr int64_t kPageSize = 64;

struct Variant {
  const char *name;
  mo_cache_kind_t kind;
  mo_dtype_t storage;
};

const Variant kVariants[] = {
    {"dynamic", MO_CACHE_DYNAMIC, MO_DTYPE_NONE}, {"static", MO_CACHE_STATIC, MO_DTYPE_NONE},
    {"sliding", MO_CACHE_SLIDING, MO_DTYPE_NONE}, {"static_sliding", MO_CACHE_STATIC_SLIDING, MO_DTYPE_NONE},
    {"int8", MO_CACHE_QUANTIZED, MO_DTYPE_INT8},  {"e4m3", MO_CACHE_QUANTIZED, MO_DTYPE_FLOAT8_E4M3},
    {"paged", MO_CACHE_PAGED, MO_DTYPE_NONE},     {"paged_int8", MO_CACHE_PAGED, MO_DTYPE_INT8}};

struct Sizes {
  int64_t batch, heads, tokens, head_dim, layers, held;
};

mo_page_pool_t *MakePool(const Sizes &n, mo_dtype_t storage) {
  mo_page_pool_options options = MO_PAGE_POOL_OPTIONS_INIT;
  options.page_count = n.batch * ((n.held + n.tokens + kPageSize - 1) / kPageSize);
  options.page_size = kPageSize;
  options.layer_count = n.layers;
  options.num_key_value_heads = n.heads;
  options.head_dim = n.head_dim;
  options.dtype = MO_DTYPE_FLOAT32;
  options.storage_dtype = storage;
  mo_page_pool_t *pool = nullptr;
  Require(mo_page_pool_create(BenchContext(), &options, &pool));
  return pool;
}

// With `held` tokens and room for the step.
mo_cache_t *MakeCache(const Sizes &n, const Variant &variant, mo_page_pool_t *pool) {
  const bool is_static = variant.kind == MO_CACHE_STATIC || variant.kind == MO_CACHE_STATIC_SLIDING;
  const bool slides = variant.kind == MO_CACHE_SLIDING || variant.kind == MO_CACHE_STATIC_SLIDING;
  mo_cache_options options = MO_CACHE_OPTIONS_INIT;
  options.kind = variant.kind;
  options.layer_count = pool != nullptr ? 0 : n.layers;
  options.max_length = is_static ? n.held + n.tokens : 0;
  options.window = slides ? n.held : 0;
  options.storage_dtype = variant.kind == MO_CACHE_QUANTIZED ? variant.storage : MO_DTYPE_NONE;
  options.page_pool = pool;
  mo_cache_t *cache = nullptr;
  Require(mo_cache_create(BenchContext(), &options, &cache));
  ColdOperand tokens(MO_DTYPE_FLOAT32, {n.batch, n.heads, n.held, n.head_dim}, 0);
  for (int64_t l = 0; l < n.layers; ++l)
    Require(mo_cache_update(cache, l, tokens.Next(), tokens.Next(), nullptr, nullptr, nullptr));
  Require(mo_cache_reserve(cache, variant.kind == MO_CACHE_SLIDING ? 2 * n.held + n.tokens : n.tokens));
  return cache;
}

mo_status_t Step(mo_cache_t *cache, int64_t layer, bool slides, const mo_tensor *key, const mo_tensor *value, int64_t count) {
  if (slides) return mo_cache_update(cache, layer, key, value, nullptr, nullptr, nullptr);
  mo_cache_entry entry;
  mo_kv_update_layer update = {};
  mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
  const mo_status_t status = mo_cache_prepare(cache, layer, count, &entry, &params.offset);
  if (status != MO_STATUS_OK) return status;
  update.cache = entry.view, update.key = key, update.value = value;
  params.layers = &update;
  params.layer_count = 1;
  return mo_kv_update(BenchContext(), &params);
}

void Cache(benchmark::State &state, const BenchShape &shape, const Variant &variant) {
  const Sizes n = {shape.sizes[0], shape.sizes[1], shape.sizes[2], shape.sizes[3], shape.sizes[4], shape.sizes[5]};
  const bool slides = variant.kind == MO_CACHE_SLIDING || variant.kind == MO_CACHE_STATIC_SLIDING;
  mo_page_pool_t *pool = variant.kind == MO_CACHE_PAGED ? MakePool(n, variant.storage) : nullptr;
  mo_cache_t *cache = MakeCache(n, variant, pool);
  ColdOperand key(MO_DTYPE_FLOAT32, {n.batch, n.heads, n.tokens, n.head_dim}),
      value(MO_DTYPE_FLOAT32, {n.batch, n.heads, n.tokens, n.head_dim});
  Measure(state, [&] {
    for (int64_t l = 0; l < n.layers; ++l) {
      const mo_status_t status = Step(cache, l, slides, key.Next(), value.Next(), n.tokens);
      if (status != MO_STATUS_OK) return status;
    }
    return MO_STATUS_OK;
  });
  const int64_t heads = n.batch * n.heads * n.tokens;
  const int64_t stored = variant.storage == MO_DTYPE_NONE ? n.head_dim * static_cast<int64_t>(sizeof(float))
                                                          : n.head_dim + static_cast<int64_t>(sizeof(float));
  Report(state, 2 * n.layers * heads * (n.head_dim * static_cast<int64_t>(sizeof(float)) + stored));
  state.counters["cache_bytes"] = static_cast<double>(mo_cache_bytes(cache, -1));
  mo_cache_release(cache);
  mo_page_pool_release(pool);
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  for (const BenchShape &shape : ReadShapes("cache.txt", 6)) {
    for (const Variant &variant : kVariants)
      RegisterBench(std::string("cache/") + variant.name + "/" + ShapeName(shape), Cache, shape, variant);
  }
  return BenchRun(&argc, argv);
}
