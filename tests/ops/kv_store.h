/* tests/ops/kv_store.h - the storage of a layer's keys and values, of any kind that a cache may have, for the tests of ops on
 * caches.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OPS_KV_STORE_H
#define MO_TESTS_OPS_KV_STORE_H

#include <algorithm>
#include <memory>
#include <numeric>

#include "op_test.h"

namespace kv_store {

using op_test::Buffer;

struct Shape {
  int64_t batch, heads, key_size, value_size, capacity;
  int64_t page_size = 0;  // 0: contiguous
  int64_t groups = 1;
  bool tokens_first = false;  // pages (or rows) are NHD
  int64_t gap = 0;
};

/* The storage of one layer, with pages in random order and some that belong to nobody. */
struct Store {
  Shape shape;
  mo_dtype_t dtype;
  Buffer key, value, key_scale, value_scale, table;
  bool quantised;

  Store(const Shape &given, mo_dtype_t stored, std::mt19937 &random)
      : shape(given), dtype(stored), quantised(stored == MO_DTYPE_INT8 || stored == MO_DTYPE_FLOAT8_E4M3) {
    const int64_t pages = given.page_size == 0 ? 0 : (given.capacity + given.page_size - 1) / given.page_size;
    const int64_t blocks = given.page_size == 0 ? given.batch : given.batch * pages + 3;
    const int64_t slots = given.page_size == 0 ? given.capacity : given.page_size;
    const auto make = [&](mo_dtype_t type, int64_t size) {
      if (!given.tokens_first) return Buffer(type, {blocks, given.heads, slots, size}, given.gap);
      Buffer buffer(type, {blocks, slots, given.heads, size}, given.gap);
      std::swap(buffer.tensor().shape[1], buffer.tensor().shape[2]);
      std::swap(buffer.tensor().strides[1], buffer.tensor().strides[2]);
      return buffer;
    };
    key = make(stored, given.key_size);
    value = make(stored, given.value_size);
    if (quantised) {
      key_scale = make(MO_DTYPE_FLOAT32, given.groups);
      value_scale = make(MO_DTYPE_FLOAT32, given.groups);
    }
    if (given.page_size == 0) return;
    table = Buffer(MO_DTYPE_INT32, {given.batch, pages}, 2);
    std::vector<int64_t> order(static_cast<size_t>(blocks));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    for (int64_t i = 0; i < table.count(); ++i) table.set(i, static_cast<double>(order[static_cast<size_t>(i)]));
  }
  Store(const Store &) = default;

  mo_kv_view view() {
    mo_kv_view v = {};
    v.key = &key, v.value = &value;
    if (quantised) v.key_scale = &key_scale, v.value_scale = &value_scale;
    if (shape.page_size != 0) v.block_table = &table;
    return v;
  }
  /* Address of a head's first element. */
  const uint8_t *at(const Buffer &buffer, int64_t row, int64_t head, int64_t token) const {
    const mo_tensor &t = const_cast<Buffer &>(buffer).tensor();
    int64_t block = row, slot = token;
    if (shape.page_size != 0) {
      block = static_cast<int64_t>(
          table.get(row * ((shape.capacity + shape.page_size - 1) / shape.page_size) + token / shape.page_size));
      slot = token % shape.page_size;
    }
    const int64_t offset = block * t.strides[0] + head * t.strides[1] + slot * t.strides[2];
    return buffer.memory().data() + static_cast<size_t>(offset) * mo_dtype_bytes(t.dtype);
  }
  float scale(const Buffer &scales, int64_t row, int64_t head, int64_t token, int64_t group) const {
    float result;
    std::memcpy(&result, at(scales, row, head, token) + 4 * group, 4);
    return result;
  }
  bool untouched(int64_t row, int64_t head, int64_t token) const {
    const uint8_t *k = at(key, row, head, token), *v = at(value, row, head, token);
    const auto element = static_cast<int64_t>(mo_dtype_bytes(dtype));
    for (int64_t i = 0; i < shape.key_size * element; ++i)
      if (k[i] != 0xFF) return false;
    for (int64_t i = 0; i < shape.value_size * element; ++i)
      if (v[i] != 0xFF) return false;
    return true;
  }
};

inline double Stored(mo_dtype_t dtype, const uint8_t *at, int64_t i) {
  float value = 0;
  EXPECT_EQ(mo_dtype_convert(&value, MO_DTYPE_FLOAT32, at + static_cast<size_t>(i) * mo_dtype_bytes(dtype), dtype, 1),
            MO_STATUS_OK);
  return value;
}

/* The parameters of one layer's update. They point into each other, so they stay where they are. */
struct OneLayer {
  mo_kv_update_layer layer = {};
  mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;

  OneLayer(const mo_kv_view &cache, Buffer &key, Buffer &value) {
    layer.cache = cache, layer.key = &key, layer.value = &value;
    params.layers = std::addressof(layer), params.layer_count = 1;
  }
  OneLayer(const OneLayer &) = delete;
};

}  // namespace kv_store

#endif
