/* tests/ops/kv_update_limits_test.cc - cache update and gather at their limits: tables and positions that point outside,
 * refusals, every number of layers, heads of no elements.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/kv_update_case.h"

namespace {

using namespace kv_update_case;

/* A table entry that is no page: nothing is written there, zeros are read. On a GPU any entry outside the pool is. */
TEST_F(KvUpdate, EntriesThatAreNoPages) {
  const Shape shape = {2, 2, 16, 16, 32, 16};
  for (const mo_dtype_t stored : {MO_DTYPE_FLOAT32, MO_DTYPE_INT8}) {
    Store store(shape, stored, random_);
    store.table.set(0, -1);
    store.table.set(3, test_device_is_cpu() ? -1 : 1000000);
    const Store before = store;
    Buffer key(MO_DTYPE_FLOAT32, {2, 2, 32, 16}), value(MO_DTYPE_FLOAT32, {2, 2, 32, 16});
    key.fill(random_), value.fill(random_);
    OneLayer call(store.view(), key, value);
    ASSERT_EQ(test_kv_update(context_, &call.params), MO_STATUS_OK) << mo_last_error();
    Shape plain = shape;
    plain.page_size = 0;
    Store result(plain, MO_DTYPE_FLOAT32, random_);
    mo_kv_gather_params gather = MO_KV_GATHER_PARAMS_INIT;
    gather.source = store.view();
    gather.destination = result.view();
    ASSERT_EQ(test_kv_gather(context_, &gather), MO_STATUS_OK) << mo_last_error();
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t t = 0; t < 32; ++t) {
        const bool there = (b == 0) != (t < 16);
        bool any = false;
        for (int64_t i = 0; i < 16; ++i) {
          const double found = Stored(MO_DTYPE_FLOAT32, result.at(result.value, b, 1, t), i);
          ASSERT_FALSE(std::isnan(found));
          any |= found != 0;
        }
        EXPECT_EQ(any, there) << "row " << b << " token " << t;
      }
    }
  }
}

/* Only the data know of them: the CPU looks at the entries that are used, of all layers, before it writes. */
TEST_F(KvUpdate, TablesThatPointOutside) {
  TEST_ON_CPU_ONLY("a GPU takes such entries for no page: EntriesThatAreNoPages");
  const Shape shape = {2, 2, 16, 16, 64, 16, 2}; /* the pool has 11 pages */
  Shape plain = shape;
  plain.page_size = 0, plain.capacity = 20;
  for (const mo_dtype_t stored : {MO_DTYPE_FLOAT32, MO_DTYPE_INT8}) {
    Store first(shape, stored, random_), second(shape, stored, random_), result(plain, MO_DTYPE_FLOAT32, random_);
    Buffer key(MO_DTYPE_FLOAT32, {2, 2, 20, 16}), value(MO_DTYPE_FLOAT32, {2, 2, 20, 16}), offsets(MO_DTYPE_INT32, {2}),
        counts(MO_DTYPE_INT32, {2}), rows(MO_DTYPE_INT32, {2});
    key.fill(random_), value.fill(random_);
    offsets.set(0, 16), offsets.set(1, 40), counts.set(0, 17), counts.set(1, 0); /* entries 1 and 2 of row 0, none of row 1 */
    rows.set(0, 1), rows.set(1, 1);
    mo_kv_update_layer layers[2] = {};
    layers[0].cache = first.view(), layers[1].cache = second.view();
    layers[0].key = layers[1].key = &key, layers[0].value = layers[1].value = &value;
    mo_kv_update_params update = MO_KV_UPDATE_PARAMS_INIT;
    update.layers = layers, update.layer_count = 2, update.offsets = &offsets, update.counts = &counts;
    mo_kv_gather_params gather = MO_KV_GATHER_PARAMS_INIT;
    gather.source = first.view(), gather.destination = result.view(), gather.rows = &rows, gather.start = 31;

    const auto refused = [&](Store &store, int64_t index, double entry, bool updates, const char *part) {
      const double own = store.table.get(index);
      store.table.set(index, entry);
      const mo_status_t status = updates ? test_kv_update(context_, &update) : test_kv_gather(context_, &gather);
      expect_error(status, MO_STATUS_INVALID_ARGUMENT, updates ? "cache update" : "cache gather", part);
      for (const Store *s : {&first, &second, &result}) {
        for (const Buffer *b : {&s->key, &s->value, &s->key_scale, &s->value_scale})
          EXPECT_EQ(b->memory(), std::vector<uint8_t>(b->memory().size(), 0xFF)) << part;
      }
      store.table.set(index, own);
    };
    refused(first, 1, -2, true, "block_table holds -2 (row 0, entry 1), the pool has 11 pages and -1 stands for none");
    refused(first, 2, 11, true, "block_table holds 11 (row 0, entry 2)");
    refused(second, 2, INT32_MAX, true, "block_table holds 2147483647 (row 0, entry 2)"); /* the first layer is not written */
    refused(first, 5, INT32_MIN, false, "block_table holds -2147483648 (row 1, entry 1), the pool has 11 pages");
    refused(first, 7, 11, false, "block_table holds 11 (row 1, entry 3)");

    /* What is not used may be anything. */
    for (const int64_t index : {0, 3, 4, 5, 6, 7}) first.table.set(index, 11 + index), second.table.set(index, -2 - index);
    EXPECT_EQ(test_kv_update(context_, &update), MO_STATUS_OK) << mo_last_error();
    for (const int64_t index : {5, 6, 7}) first.table.set(index, static_cast<double>(index));
    EXPECT_EQ(test_kv_gather(context_, &gather), MO_STATUS_OK) << mo_last_error();
  }
}

/* Positions outside the tables: the CPU refuses; a GPU makes what turns of the key NaN and leaves all else right. */
TEST_F(KvUpdate, PositionsOutsideTheTables) {
  const int64_t positions = 8, pairs = 4, size = 16;
  const Shape shape = {1, 1, size, size, 12};
  for (const double bad : {-1.0, 8.0, static_cast<double>(INT32_MAX)}) {
    Store store(shape, MO_DTYPE_FLOAT32, random_);
    Buffer key(MO_DTYPE_FLOAT32, {1, 1, 3, size}), value(MO_DTYPE_FLOAT32, {1, 1, 3, size}), ids(MO_DTYPE_INT32, {1, 3}),
        offsets(MO_DTYPE_INT32, {1}), cosine(MO_DTYPE_FLOAT32, {positions, pairs}), sine(MO_DTYPE_FLOAT32, {positions, pairs});
    key.fill(random_), value.fill(random_), cosine.fill(random_), sine.fill(random_);
    ids.set(0, 7), ids.set(1, bad), ids.set(2, 0), offsets.set(0, 6);
    const mo_rotary rotary = {&cosine, &sine, MO_ROTARY_HALVES};
    mo_kv_update_layer layer = {};
    layer.cache = store.view(), layer.key = &key, layer.value = &value;
    mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
    params.layers = &layer, params.layer_count = 1, params.rotary = &rotary, params.position_ids = &ids;
    if (test_device_is_cpu()) {
      const std::string rule = "position " + std::to_string(static_cast<int32_t>(bad)) + " (row 0, token 1)";
      expect_error(test_kv_update(context_, &params), MO_STATUS_INVALID_ARGUMENT, "cache update", rule.c_str());
      params.position_ids = nullptr, params.offsets = &offsets; /* slots 6, 7, 8 */
      expect_error(test_kv_update(context_, &params), MO_STATUS_INVALID_ARGUMENT, "cache update",
                   "position 8 (row 0, token 2), outside the tables' range 0..7");
      for (int64_t slot = 0; slot < shape.capacity; ++slot) EXPECT_TRUE(store.untouched(0, 0, slot));
      continue;
    }
    ASSERT_EQ(test_kv_update(context_, &params), MO_STATUS_OK) << mo_last_error();
    for (int64_t slot = 0; slot < 3; ++slot) {
      for (int64_t i = 0; i < size; ++i) {
        const double stored = Stored(MO_DTYPE_FLOAT32, store.at(store.key, 0, 0, slot), i);
        EXPECT_EQ(std::isnan(stored), slot == 1 && i < 2 * pairs) << "slot " << slot << " element " << i;
        EXPECT_EQ(Stored(MO_DTYPE_FLOAT32, store.at(store.value, 0, 0, slot), i), value.get(slot * size + i));
      }
    }
    EXPECT_TRUE(store.untouched(0, 0, 3));
  }
}

/* One call for all layers, and on a GPU one launch for as many as any model has. */
class DeepModel : public KvUpdate {
 protected:
  static constexpr int64_t kHeads = 2, kCapacity = 3, kSize = 4;

  void make(int32_t count) {
    layers_.assign(static_cast<size_t>(count), {});
    tensors_.clear();
    for (int32_t i = 0; i < count; ++i) {
      for (int which = 0; which < 4; ++which) {
        tensors_.push_back(
            std::make_unique<Buffer>(MO_DTYPE_FLOAT32, std::vector<int64_t>{1, kHeads, which < 2 ? kCapacity : 1, kSize}));
        if (which >= 2) tensors_.back()->fill(random_);
      }
      mo_kv_update_layer &layer = layers_[static_cast<size_t>(i)];
      layer.cache.key = &buffer(i, 0).tensor(), layer.cache.value = &buffer(i, 1).tensor();
      layer.key = &buffer(i, 2).tensor(), layer.value = &buffer(i, 3).tensor();
    }
  }
  Buffer &buffer(int32_t layer, int which) { return *tensors_[static_cast<size_t>(4 * layer + which)]; }
  mo_status_t update(int64_t slot) {
    mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
    params.layers = layers_.data();
    params.layer_count = static_cast<int32_t>(layers_.size());
    params.offset = slot;
    return test_kv_update(context_, &params);
  }

  std::vector<mo_kv_update_layer> layers_;
  std::vector<std::unique_ptr<Buffer>> tensors_; /* of each layer: cached keys and values, new keys and values */
};

TEST_F(DeepModel, EveryNumberOfLayersInOneLaunch) {
  for (int32_t count : {1, 2, 12, 13, 16, 17, 48, 49, 80, 128, 129}) {
    SCOPED_TRACE(count);
    make(count);
    const bool counts = simulated_launch_count != nullptr && !test_device_is_cpu();
    const uint64_t before = counts ? simulated_launch_count() : 0;
    ASSERT_EQ(update(1), MO_STATUS_OK) << mo_last_error();
    if (counts) {
      EXPECT_EQ(simulated_launch_count() - before, count > 128 ? 2u : 1u);
    }
    for (int32_t layer = 0; layer < count; ++layer) {
      for (int which = 0; which < 2; ++which) {
        for (int64_t i = 0; i < kHeads * kCapacity * kSize; ++i) {
          const int64_t head = i / (kCapacity * kSize), slot = i / kSize % kCapacity, element = i % kSize;
          const double stored = buffer(layer, which).get(i);
          if (slot == 1) ASSERT_EQ(stored, buffer(layer, 2 + which).get(head * kSize + element)) << "layer " << layer;
          else ASSERT_TRUE(std::isnan(stored)) << "layer " << layer << " slot " << slot;
        }
      }
    }
  }
}

TEST_F(DeepModel, RefusesCachesThatReachIntoOtherLayers) {
  make(129);
  const auto refused = [&](int32_t layer, const mo_tensor *&member, const mo_tensor *other) {
    const mo_tensor *const own = member;
    member = other;
    expect_error(update(0), MO_STATUS_INVALID_ARGUMENT, "cache update", "overlap");
    member = own;
    EXPECT_TRUE(std::isnan(buffer(layer, 0).get(0)));
  };
  refused(100, layers_[100].cache.value, &buffer(3, 1).tensor());
  refused(128, layers_[128].cache.key, &buffer(127, 1).tensor());
  mo_tensor slot = buffer(5, 0).tensor(); /* the new key of a layer where another one stores its own */
  slot.shape[2] = 1;
  refused(70, layers_[70].key, &slot);
  refused(6, layers_[6].value, &slot);
  EXPECT_EQ(update(0), MO_STATUS_OK) << mo_last_error();
}

TEST_F(KvUpdate, RefusesWhatItCannotDo) {
  const Shape shape = {2, 2, 8, 8, 10}, paged = {2, 2, 8, 8, 32, 16}, eight = {2, 2, 8, 8, 32, 8}, wide = {2, 2, 16, 8, 10};
  Store store(shape, MO_DTYPE_FLOAT32, random_), quantised(shape, MO_DTYPE_INT8, random_),
      pages(paged, MO_DTYPE_FLOAT32, random_), small(eight, MO_DTYPE_FLOAT32, random_), other(wide, MO_DTYPE_FLOAT32, random_);
  Buffer key(MO_DTYPE_FLOAT32, {2, 2, 3, 8}), value(MO_DTYPE_FLOAT32, {2, 2, 3, 8}), half(MO_DTYPE_FLOAT16, {2, 2, 3, 8}),
      batch(MO_DTYPE_FLOAT32, {3, 2, 3, 8}), three(MO_DTYPE_INT32, {3}), groups(MO_DTYPE_FLOAT32, {2, 2, 10, 3}),
      wide_key(MO_DTYPE_FLOAT32, {2, 2, 3, 16}), offsets(MO_DTYPE_INT32, {2}), counts(MO_DTYPE_INT32, {2}),
      table(MO_DTYPE_FLOAT32, {8, 4}), long_table(MO_DTYPE_FLOAT32, {8, 5});
  key.fill(random_), value.fill(random_);
  const auto refused = [&](const char *part, auto change) {
    mo_kv_update_layer layers[2] = {};
    layers[0].cache = store.view();
    layers[0].key = &key, layers[0].value = &value;
    layers[1] = layers[0];
    mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
    params.layers = layers;
    params.layer_count = 1;
    change(params, layers);
    expect_error(test_kv_update(context_, &params), MO_STATUS_INVALID_ARGUMENT, "cache update", part);
    EXPECT_TRUE(store.untouched(0, 0, 0) && store.untouched(1, 1, 9));
  };
  using P = mo_kv_update_params;
  using L = mo_kv_update_layer;
  refused("struct_size", [](P &p, L *) { p.struct_size = 1; });
  refused("no list", [](P &p, L *) { p.layers = nullptr; });
  refused("cache key", [](P &, L *l) { l->cache.key = nullptr; });
  refused("cache value", [&](P &, L *l) { l->cache.value = &quantised.value; });
  refused("key", [](P &, L *l) { l->key = nullptr; });
  refused("key has dtype float16", [&](P &, L *l) { l->key = &half; });
  refused("key", [&](P &, L *l) { l->key = &batch; });
  refused("key_scale is missing", [&](P &, L *l) { l->cache = quantised.view(), l->cache.key_scale = nullptr; });
  refused("key_scale was given", [&](P &, L *l) { l->cache.key_scale = &quantised.key_scale; });
  refused("3 groups", [&](P &, L *l) { l->cache = quantised.view(), l->cache.value_scale = &groups; });
  refused("pages of 8 tokens", [&](P &, L *l) { l->cache = small.view(); });
  refused("block_table", [&](P &, L *l) { l->cache = pages.view(), l->cache.block_table = &three; });
  refused("3 tokens from slot 8", [](P &p, L *) { p.offset = 8; });
  refused("from slot -1", [](P &p, L *) { p.offset = -1; });
  refused("offsets", [&](P &p, L *) { p.offsets = &three; });
  refused("counts", [&](P &p, L *) { p.counts = &three; });
  refused("overlap", [](P &p, L *) { p.layer_count = 2; });
  refused("later layer", [&](P &p, L *l) { p.layer_count = 2, l[1].cache = other.view(), l[1].key = &wide_key; });
  refused("overlap", [&](P &, L *l) {
    static mo_tensor inside;
    inside = *(&store.key);
    inside.shape[2] = 3;
    l->key = &inside;
  });
  static mo_rotary rotary;
  rotary = {};
  rotary.cosine = rotary.sine = &table;
  refused("the tables have 8 positions", [&](P &p, L *) { p.rotary = &rotary, p.offset = 6; });
  rotary.cosine = rotary.sine = &long_table;
  refused("turn 5 pairs", [&](P &p, L *) { p.rotary = &rotary; });
  if (test_device_is_cpu()) {
    offsets.set(0, 0), offsets.set(1, 8);
    refused("3 tokens from slot 8", [&](P &p, L *) { p.offsets = &offsets; });
    counts.set(0, 4), counts.set(1, 0);
    refused("counts holds 4", [&](P &p, L *) { p.counts = &counts; });
  }
}

TEST_F(KvUpdate, GatherRefusesWhatItCannotDo) {
  const Shape shape = {2, 2, 8, 8, 10}, wide = {2, 2, 16, 8, 10};
  Store store(shape, MO_DTYPE_FLOAT32, random_), result(shape, MO_DTYPE_FLOAT32, random_),
      quantised(shape, MO_DTYPE_INT8, random_), other(wide, MO_DTYPE_FLOAT32, random_), half(shape, MO_DTYPE_FLOAT16, random_);
  Buffer rows(MO_DTYPE_INT32, {2}), three(MO_DTYPE_INT32, {3});
  const auto refused = [&](const char *part, auto change) {
    mo_kv_gather_params params = MO_KV_GATHER_PARAMS_INIT;
    params.source = store.view();
    params.destination = result.view();
    change(params);
    expect_error(test_kv_gather(context_, &params), MO_STATUS_INVALID_ARGUMENT, "cache gather", part);
    EXPECT_TRUE(result.untouched(0, 0, 0) && result.untouched(1, 1, 9));
  };
  using P = mo_kv_gather_params;
  refused("struct_size", [](P &p) { p.struct_size = 1; });
  refused("from float32 to float16", [&](P &p) { p.destination = half.view(); });
  refused("from float32 to int8", [&](P &p) { p.destination = quantised.view(); });
  refused("heads of 16", [&](P &p) { p.destination = other.view(); });
  refused("10 tokens from 1", [](P &p) { p.start = 1; });
  refused("from -1", [](P &p) { p.start = -1; });
  refused("rows", [&](P &p) { p.rows = &three; });
  refused("overlap", [&](P &p) { p.destination = store.view(); });
  if (test_device_is_cpu()) {
    rows.set(0, 1), rows.set(1, 2);
    refused("rows holds 2", [&](P &p) { p.rows = &rows; });
  }
}

// Plain host memory of a pool of pages of 16 tokens, one head of 4 elements, and a table of 4 rows with 3 pages each.
struct Pages {
  explicit Pages(int64_t count) : keys(static_cast<size_t>(count) * 64), values(keys.size()), fresh(4 * 8 * 4, 1.0f) {
    key = Cpu(keys.data(), MO_DTYPE_FLOAT32, {count, 1, 16, 4});
    value = Cpu(values.data(), MO_DTYPE_FLOAT32, {count, 1, 16, 4});
    block_table = Cpu(table, MO_DTYPE_INT32, {4, 3});
    per_row = Cpu(slots, MO_DTYPE_INT32, {4});
    view.key = &key, view.value = &value, view.block_table = &block_table;
  }
  static mo_tensor Cpu(void *data, mo_dtype_t dtype, std::vector<int64_t> shape) {
    return mo_tensor_cpu(data, dtype, static_cast<int32_t>(shape.size()), shape.data());
  }
  bool IsUntouched() const {
    return std::all_of(keys.begin(), keys.end(), [](float x) { return x == 0; });
  }
  mo_status_t Update(mo_context_t *context, int64_t tokens) {
    mo_tensor source = Cpu(fresh.data(), MO_DTYPE_FLOAT32, {4, 1, tokens, 4});
    mo_kv_update_layer layer = {};
    layer.cache = view, layer.key = layer.value = &source;
    mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
    params.layers = &layer, params.layer_count = 1, params.offsets = &per_row;
    return mo_kv_update(context, &params);
  }
  mo_status_t Attend(mo_context_t *context, int64_t tokens, bool appends = true) {
    std::vector<float> result(static_cast<size_t>(4 * tokens * 4));
    mo_tensor source = Cpu(fresh.data(), MO_DTYPE_FLOAT32, {4, 1, tokens, 4});
    mo_tensor output = Cpu(result.data(), MO_DTYPE_FLOAT32, {4, 1, tokens, 4});
    std::vector<float> query(result.size(), 0.5f);
    mo_tensor queries = Cpu(query.data(), MO_DTYPE_FLOAT32, {4, 1, tokens, 4});
    std::vector<float> other(fresh);
    mo_tensor others = Cpu(other.data(), MO_DTYPE_FLOAT32, {4, 1, tokens, 4});
    mo_decode_attention_params params = MO_DECODE_ATTENTION_PARAMS_INIT;
    params.output = &output, params.query = &queries, params.cache = view, params.lengths = &per_row;
    if (appends) params.key = &source, params.value = &others;
    return mo_decode_attention(context, &params);
  }
  std::vector<float> keys, values, fresh;
  int32_t table[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  int32_t slots[4] = {20, 3, 31, 16};
  mo_tensor key, value, block_table, per_row;
  mo_kv_view view = {};
};

TEST_F(KvUpdate, NewTokensNeverGoToAPageThatStandsTwice) {
  TEST_ON_CPU_ONLY("a card cannot refuse what only the data show");
  for (const int64_t pool : {12, 40000, 70000}) { /* one pass over the pool, two, three */
    SCOPED_TRACE(pool);
    const auto last = static_cast<int32_t>(pool - 1);
    Pages good(pool);
    good.table[1] = last;
    good.table[5] = last - 1 > 11 ? last - 1 : 5;
    good.table[11] = pool == 12 ? 1 : 11; /* not in use, so it may be anything */
    EXPECT_EQ(good.Update(context_, 2), MO_STATUS_OK) << mo_last_error();
    EXPECT_FALSE(good.IsUntouched());
    EXPECT_EQ(good.Attend(context_, 2), MO_STATUS_OK) << mo_last_error();

    Pages shared(pool); /* rows 0 and 3 append to one page */
    shared.table[1] = shared.table[10] = last;
    EXPECT_EQ(shared.Update(context_, 2), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_NE(std::string(mo_last_error()).find("lists twice"), std::string::npos) << mo_last_error();
    EXPECT_EQ(shared.Attend(context_, 2), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_TRUE(shared.IsUntouched());
    EXPECT_EQ(shared.Attend(context_, 2, false), MO_STATUS_OK) << "reading is free to share: " << mo_last_error();

    Pages second(pool); /* row 2 ends one page and begins another, which row 1 appends to */
    second.table[8] = second.table[3] = last;
    EXPECT_EQ(second.Update(context_, 1), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(second.Update(context_, 2), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(second.Attend(context_, 2), MO_STATUS_INVALID_ARGUMENT);

    Pages prefix(pool); /* row 0 appends to what row 3 holds as its first page */
    prefix.table[1] = prefix.table[9] = last;
    EXPECT_EQ(prefix.Attend(context_, 1), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_TRUE(prefix.IsUntouched());

    Pages twice(pool); /* within one row */
    twice.table[0] = twice.table[1] = last;
    EXPECT_EQ(twice.Attend(context_, 1), MO_STATUS_INVALID_ARGUMENT);

    Pages prefixes(pool); /* a full page that several rows begin with, none appends to it */
    prefixes.table[0] = prefixes.table[6] = prefixes.table[9] = last;
    EXPECT_EQ(prefixes.Attend(context_, 1), MO_STATUS_OK) << mo_last_error();
    Pages none(pool); /* no page at all, twice: dropped */
    none.table[1] = none.table[10] = -1;
    EXPECT_EQ(none.Update(context_, 2), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(none.Attend(context_, 2), MO_STATUS_OK) << mo_last_error();
  }
}

// Heads of no elements have no memory; nothing is computed from the address they do not have.
TEST_F(KvUpdate, HeadsWithoutElements) {
  TEST_ON_CPU_ONLY("the tensors are the host's");
  const auto empty = Pages::Cpu(nullptr, MO_DTYPE_FLOAT32, {2, 3, 4, 0});
  float data[2 * 3 * 4 * 5] = {}, fresh[2 * 3 * 2 * 5];
  std::fill(std::begin(fresh), std::end(fresh), 2.0f);
  const auto value = Pages::Cpu(data, MO_DTYPE_FLOAT32, {2, 3, 4, 5}),
             source = Pages::Cpu(fresh, MO_DTYPE_FLOAT32, {2, 3, 2, 5});
  const auto no_source = Pages::Cpu(nullptr, MO_DTYPE_FLOAT32, {2, 3, 2, 0});
  mo_kv_update_layer layer = {};
  layer.cache.key = &empty, layer.cache.value = &value, layer.key = &no_source, layer.value = &source;
  mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
  params.layers = &layer, params.layer_count = 1, params.offset = 1;
  ASSERT_EQ(mo_kv_update(context_, &params), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(data[5], 2.0f);
  float copied[2 * 3 * 4 * 5] = {};
  const auto destination = Pages::Cpu(copied, MO_DTYPE_FLOAT32, {2, 3, 4, 5});
  mo_kv_gather_params gather = MO_KV_GATHER_PARAMS_INIT;
  gather.source = layer.cache;
  gather.destination.key = &empty, gather.destination.value = &destination;
  ASSERT_EQ(mo_kv_gather(context_, &gather), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(copied[5], 2.0f);
}

TEST_F(KvUpdate, EveryInstructionSet) { run_again_per_isa(); }

}  // namespace
