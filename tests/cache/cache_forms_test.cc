// tests/cache/cache_forms_test.cc - caches as fields in each framework's form, encoder-decoder pairs, and calls that are
// refused.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <string>

#include "cache_tensors.h"

namespace {

using namespace cache_test;
using Floats = std::vector<float>;

class CacheForms : public CacheTest {
 protected:
  /* (B, H, T, D) with the number of each element. */
  std::unique_ptr<DeviceTensor> Numbers(std::vector<int64_t> shape, float from = 0, mo_dtype_t dtype = MO_DTYPE_FLOAT32) {
    return std::make_unique<DeviceTensor>(context_, dtype, shape, [from](int64_t i) { return from + static_cast<float>(i); });
  }
  const mo_tensor &TensorOf(const mo_field *field) {
    EXPECT_EQ(mo_field_kind(field), MO_FIELD_TENSOR);
    return *mo_field_tensor(field);
  }
};

/* Views: no allocation, no copy; what was shown stays as it was when the cache goes on, or goes away. */
TEST_F(CacheForms, PyTorch) {
  mo_cache_t *cache = Make(MO_CACHE_DYNAMIC);
  const auto key = Numbers({2, 3, 5, 4}), value = Numbers({2, 3, 5, 6}, 1000);
  for (int64_t l = 0; l < 2; ++l) {
    ASSERT_EQ(mo_cache_update(cache, 2 * l, key->get(), value->get(), nullptr, nullptr, nullptr), MO_STATUS_OK)
        << mo_last_error();
  }
  const uint64_t allocations = mo_context_get_counters(context_).device_allocations;
  mo_field *field = nullptr;
  ASSERT_EQ(mo_cache_field(cache, MO_FRAMEWORK_PT, &field), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_context_get_counters(context_).device_allocations, allocations);
  EXPECT_EQ(mo_field_kind(field), MO_FIELD_CACHE);
  EXPECT_EQ(mo_field_length(field), 3);
  EXPECT_EQ(mo_tensor_count(&TensorOf(mo_field_item(mo_field_item(field, 1), 0))), 0) << "a layer that was skipped is empty";
  const mo_field *layer = mo_field_item(field, 2);
  EXPECT_EQ(mo_field_length(layer), 2);
  mo_cache_entry entry;
  ASSERT_EQ(mo_cache_read(cache, 2, &entry), MO_STATUS_OK);
  EXPECT_EQ(TensorOf(mo_field_item(layer, 0)).data, entry.key.data);
  EXPECT_EQ(mo_field_cache(field), cache);
  EXPECT_EQ(mo_field_cache(layer), nullptr);
  EXPECT_EQ(mo_field_cache(nullptr), nullptr);
  const Floats before_key = Read(context_, TensorOf(mo_field_item(layer, 0))),
               before_value = Read(context_, TensorOf(mo_field_item(layer, 1)));
  EXPECT_EQ(before_key, Read(context_, *key->get()));
  EXPECT_EQ(before_value, Read(context_, *value->get()));
  const auto other = Numbers({2, 3, 90, 4}, -500), other_value = Numbers({2, 3, 90, 6}, -500);
  ASSERT_EQ(mo_cache_crop(cache, 3), MO_STATUS_OK);
  ASSERT_EQ(mo_cache_update(cache, 2, other->get(), other_value->get(), nullptr, nullptr, nullptr), MO_STATUS_OK);
  ASSERT_EQ(mo_cache_reset(cache), MO_STATUS_OK);
  mo_cache_release(cache); /* the field keeps it, and keeps the blocks */
  EXPECT_EQ(mo_cache_length(mo_field_cache(field), 2), 0);
  EXPECT_EQ(Read(context_, TensorOf(mo_field_item(layer, 0))), before_key);
  EXPECT_EQ(Read(context_, TensorOf(mo_field_item(layer, 1))), before_value);
  Floats read(before_key.size());
  EXPECT_EQ(mo_field_read_float32(mo_field_item(layer, 0), nullptr, 0, read.data(), static_cast<int64_t>(read.size())),
            MO_STATUS_OK);
  EXPECT_EQ(read, before_key);
  mo_field_release(field);
}

TEST_F(CacheForms, TensorFlow) {
  mo_cache_t *cache = Make(MO_CACHE_DYNAMIC);
  const auto key = Numbers({2, 3, 5, 4}), value = Numbers({2, 3, 5, 4}, 1000);
  ASSERT_EQ(mo_cache_update(cache, 0, key->get(), value->get(), nullptr, nullptr, nullptr), MO_STATUS_OK);
  mo_field *field = nullptr;
  ASSERT_EQ(mo_cache_field(cache, MO_FRAMEWORK_TF, &field), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_field_kind(field), MO_FIELD_TUPLE);
  ASSERT_EQ(mo_field_length(field), 1);
  const mo_tensor &pair = TensorOf(mo_field_item(field, 0));
  ASSERT_EQ(pair.rank, 5);
  const int64_t shape[5] = {2, 2, 3, 5, 4};
  for (int d = 0; d < 5; ++d) EXPECT_EQ(pair.shape[d], shape[d]);
  Floats expected = Read(context_, *key->get());
  const Floats values = Read(context_, *value->get());
  expected.insert(expected.end(), values.begin(), values.end());
  EXPECT_EQ(Read(context_, pair), expected);
  EXPECT_EQ(mo_field_cache(field), cache);
  mo_field_release(field);
  mo_cache_release(cache);

  cache = Make(MO_CACHE_DYNAMIC);
  const auto wide = Numbers({2, 3, 5, 8});
  ASSERT_EQ(mo_cache_update(cache, 0, key->get(), wide->get(), nullptr, nullptr, nullptr), MO_STATUS_OK);
  ExpectError(mo_cache_field(cache, MO_FRAMEWORK_TF, &field), MO_STATUS_UNSUPPORTED, "keys of 4 and values of 8");
  mo_cache_release(cache);
}

TEST_F(CacheForms, Flax) {
  mo_cache_t *cache = Make(MO_CACHE_STATIC, 2, 6);
  const auto key = Numbers({1, 2, 3, 2}, 1);
  for (int64_t l = 0; l < 2; ++l) {
    ASSERT_EQ(mo_cache_update(cache, l, key->get(), key->get(), nullptr, nullptr, nullptr), MO_STATUS_OK);
  }
  mo_field *field = nullptr;
  ASSERT_EQ(mo_cache_field(cache, MO_FRAMEWORK_FLAX, &field), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_field_kind(field), MO_FIELD_DICT);
  ASSERT_EQ(mo_field_length(field), 6);
  EXPECT_STREQ(mo_field_key(field, 3), "1.cached_key");
  const mo_tensor &shown = TensorOf(mo_field_item_by_key(field, "1.cached_key"));
  const int64_t shape[4] = {1, 6, 2, 2};
  for (int d = 0; d < 4; ++d) EXPECT_EQ(shown.shape[d], shape[d]);
  EXPECT_EQ(Read(context_, shown),
            Floats({1, 2, 7, 8, 3, 4, 9, 10, 5, 6, 11, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})); /* heads within tokens */
  EXPECT_EQ(mo_field_integer(mo_field_item_by_key(field, "1.cache_index")), 3);
  mo_field_release(field);
  ExpectError(mo_cache_field(cache, MO_FRAMEWORK_BASE, &field), MO_STATUS_INVALID_ARGUMENT, "has no form");
  mo_cache_release(cache);
}

TEST_F(CacheForms, EncoderDecoder) {
  mo_cache_t *self = Make(MO_CACHE_DYNAMIC), *cross = Make(MO_CACHE_DYNAMIC), *pair = nullptr, *copy = nullptr;
  const auto encoder = Numbers({2, 1, 4, 1}, 100), token = Numbers({2, 1, 1, 1});
  ASSERT_EQ(mo_cache_update(cross, 1, encoder->get(), encoder->get(), nullptr, nullptr, nullptr), MO_STATUS_OK);
  ASSERT_EQ(mo_cache_create_encoder_decoder(self, cross, &pair), MO_STATUS_OK) << mo_last_error();
  EXPECT_FALSE(mo_cache_is_updated(pair, 0)) << "skipped";
  EXPECT_TRUE(mo_cache_is_updated(pair, 1));
  EXPECT_FALSE(mo_cache_is_updated(pair, 2));
  EXPECT_FALSE(mo_cache_is_updated(self, 1));
  ASSERT_EQ(mo_cache_update(cross, 0, encoder->get(), encoder->get(), nullptr, nullptr, nullptr), MO_STATUS_OK);
  ASSERT_EQ(mo_cache_set_updated(pair, 0, true), MO_STATUS_OK);
  EXPECT_TRUE(mo_cache_is_updated(pair, 0));
  EXPECT_EQ(mo_cache_self(pair), self);
  EXPECT_EQ(mo_cache_cross(pair), cross);
  EXPECT_EQ(mo_cache_self(self), self);
  EXPECT_EQ(mo_cache_cross(self), nullptr);
  for (int64_t l = 0; l < 2; ++l) {
    for (int step = 0; step < 3; ++step) {
      ASSERT_EQ(mo_cache_update(mo_cache_self(pair), l, token->get(), token->get(), nullptr, nullptr, nullptr), MO_STATUS_OK);
    }
  }
  EXPECT_EQ(mo_cache_length(pair, 0), 3);
  EXPECT_EQ(mo_cache_layer_count(pair), 2);
  int64_t length = 0, offset = 0;
  mo_cache_mask_sizes(pair, 2, 0, &length, &offset);
  EXPECT_EQ(length, 5);
  EXPECT_EQ(mo_cache_bytes(pair, -1), mo_cache_bytes(self, -1) + mo_cache_bytes(cross, -1));

  mo_field *field = nullptr;
  ASSERT_EQ(mo_cache_field(pair, MO_FRAMEWORK_PT, &field), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_field_length(mo_field_item(field, 0)), 4);
  EXPECT_EQ(Read(context_, TensorOf(mo_field_item(mo_field_item(field, 1), 2))), Read(context_, *encoder->get()));
  EXPECT_EQ(mo_field_cache(field), pair);
  mo_field_release(field);
  ASSERT_EQ(mo_cache_field(pair, MO_FRAMEWORK_FLAX, &field), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_field_length(field), 6) << "the self cache alone";
  mo_field_release(field);

  mo_cache_entry entry;
  ExpectError(mo_cache_update(pair, 0, token->get(), token->get(), nullptr, nullptr, nullptr), MO_STATUS_INVALID_ARGUMENT,
              "mo_cache_self");
  ExpectError(mo_cache_read(pair, 0, &entry), MO_STATUS_INVALID_ARGUMENT, "mo_cache_self");
  ExpectError(mo_cache_set_updated(self, 0, true), MO_STATUS_INVALID_ARGUMENT, "no encoder-decoder cache");
  ExpectError(mo_cache_set_updated(pair, -1, true), MO_STATUS_INDEX_ERROR, "layer -1");
  ExpectError(mo_cache_create_encoder_decoder(pair, cross, &copy), MO_STATUS_INVALID_ARGUMENT, "is one itself");
  ExpectError(mo_cache_create_encoder_decoder(self, self, &copy), MO_STATUS_INVALID_ARGUMENT, "the same");

  ASSERT_EQ(mo_cache_copy(pair, &copy), MO_STATUS_OK) << mo_last_error();
  const int64_t rows[2] = {1, 1};
  ASSERT_EQ(mo_cache_reorder(pair, rows, 2), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Stored(cross, 0), Floats({104, 105, 106, 107, 104, 105, 106, 107}));
  EXPECT_EQ(Stored(self, 0), Floats({1, 1, 1, 1, 1, 1}));
  ASSERT_EQ(mo_cache_batch_repeat(pair, 2), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_cache_batch_size(cross), 4);
  ASSERT_EQ(mo_cache_crop(pair, 1), MO_STATUS_OK);
  EXPECT_EQ(mo_cache_length(self, 1), 2);
  EXPECT_EQ(mo_cache_length(cross, 1), 4) << "crop acts on the self cache";
  ASSERT_EQ(mo_cache_reset(pair), MO_STATUS_OK);
  EXPECT_EQ(mo_cache_length(cross, 1), 0);
  EXPECT_FALSE(mo_cache_is_updated(pair, 1));
  EXPECT_TRUE(mo_cache_is_updated(copy, 1));
  EXPECT_EQ(Stored(mo_cache_self(copy), 0), Floats({0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(Stored(mo_cache_cross(copy), 1), Floats({100, 101, 102, 103, 104, 105, 106, 107}));
  for (mo_cache_t *cache : {self, cross, pair, copy}) mo_cache_release(cache);
}

/* ---- Layers of different kinds and extents ---- */

TEST_F(CacheForms, LayersOfTheirOwn) {
  mo_cache_layer_options layers[3] = {};
  layers[1].kind = MO_CACHE_SLIDING;
  layers[1].window = 3;
  layers[2].num_key_value_heads = 1;
  layers[2].head_dim = 8;
  mo_cache_options options = MO_CACHE_OPTIONS_INIT;
  options.kind = MO_CACHE_DYNAMIC;
  options.layer_count = 3;
  options.layers = layers;
  options.num_key_value_heads = 2;
  options.head_dim = 4;
  options.dtype = MO_DTYPE_FLOAT32;
  mo_cache_t *cache = Make(options);
  EXPECT_FALSE(mo_cache_is_sliding(cache, 0));
  EXPECT_TRUE(mo_cache_is_sliding(cache, 1));
  EXPECT_EQ(mo_cache_max_length(cache, 1), 3);
  ASSERT_EQ(mo_cache_initialize(cache, 2, 0, 0, MO_DTYPE_NONE), MO_STATUS_OK) << mo_last_error();
  EXPECT_TRUE(mo_cache_is_initialized(cache));
  mo_cache_entry entry;
  ASSERT_EQ(mo_cache_read(cache, 2, &entry), MO_STATUS_OK);
  EXPECT_EQ(entry.key.shape[1], 1);
  EXPECT_EQ(entry.key.shape[3], 8);
  const auto tokens = Numbers({2, 2, 9, 4}), last = Numbers({2, 1, 9, 8});
  for (int64_t l = 0; l < 3; ++l) {
    mo_tensor *given = l == 2 ? last->get() : tokens->get();
    ASSERT_EQ(mo_cache_update(cache, l, given, given, nullptr, nullptr, nullptr), MO_STATUS_OK) << mo_last_error();
  }
  EXPECT_EQ(mo_cache_length(cache, 1), 9);
  EXPECT_EQ(mo_cache_stored_length(cache, 1), 2);
  EXPECT_EQ(mo_cache_stored_length(cache, 2), 9);
  int64_t length = 0, offset = 0;
  mo_cache_mask_sizes(cache, 1, 1, &length, &offset);
  EXPECT_EQ(length, 3);
  EXPECT_EQ(offset, 7);
  mo_cache_mask_sizes(cache, 4, 9, &length, &offset);
  EXPECT_EQ(length, 4) << "a layer that does not exist";
  EXPECT_EQ(offset, 0);
  mo_cache_release(cache);
}

/* Turned keys: by the positions given, else by the number of tokens seen, also where a window has dropped some. */
TEST_F(CacheForms, PositionsOfNewTokens) {
  constexpr int64_t kPositions = 40;
  std::vector<float> tables[2] = {std::vector<float>(kPositions), std::vector<float>(kPositions)};
  mo_rotary_config config = MO_ROTARY_CONFIG_INIT;
  config.rotary_dim = 2;
  ASSERT_EQ(mo_rotary_fill_tables(&config, kPositions, 0, tables[0].data(), tables[1].data()), MO_STATUS_OK);
  const auto table = [&](int which) {
    return std::make_unique<DeviceTensor>(context_, MO_DTYPE_FLOAT32, std::vector<int64_t>{kPositions, 1},
                                          [&, which](int64_t i) { return tables[which][static_cast<size_t>(i)]; });
  };
  const auto cosine = table(0), sine = table(1);
  mo_rotary rotary = {};
  rotary.cosine = cosine->get(), rotary.sine = sine->get();
  const auto unit = std::make_unique<DeviceTensor>(context_, MO_DTYPE_FLOAT32, std::vector<int64_t>{1, 1, 1, 2},
                                                   [](int64_t i) { return i == 0 ? 1.0f : 0.0f; });
  for (const mo_cache_kind_t kind : {MO_CACHE_DYNAMIC, MO_CACHE_SLIDING, MO_CACHE_STATIC_SLIDING}) {
    const bool is_static = kind == MO_CACHE_STATIC_SLIDING;
    mo_cache_t *cache = Make(kind, is_static ? 1 : 0, is_static ? 30 : 0, kind == MO_CACHE_DYNAMIC ? 0 : 4);
    mo_cache_entry entry;
    for (int64_t position = 0; position < 12; ++position) {
      ASSERT_EQ(mo_cache_update(cache, 0, unit->get(), unit->get(), &rotary, nullptr, &entry), MO_STATUS_OK) << mo_last_error();
      const Floats keys = Read(context_, entry.key);
      const size_t last = static_cast<size_t>(2 * (entry.token_count - 1));
      EXPECT_NEAR(keys[last], tables[0][static_cast<size_t>(position)], 1e-6);
      EXPECT_NEAR(keys[last + 1], tables[1][static_cast<size_t>(position)], 1e-6);
    }
    DeviceTensor ids(context_, MO_DTYPE_INT64, {1, 1}, [](int64_t) { return 33.0f; });
    ASSERT_EQ(mo_cache_update(cache, 0, unit->get(), unit->get(), &rotary, ids.get(), &entry), MO_STATUS_OK) << mo_last_error();
    EXPECT_NEAR(Read(context_, entry.key)[static_cast<size_t>(2 * (entry.token_count - 1))], tables[0][33], 1e-6);
    if (test_device_is_cpu()) {
      const Floats before = Stored(cache);
      DeviceTensor outside(context_, MO_DTYPE_INT64, {1, 1}, [](int64_t) { return 40.0f; });
      ExpectError(mo_cache_update(cache, 0, unit->get(), unit->get(), &rotary, outside.get(), &entry),
                  MO_STATUS_INVALID_ARGUMENT, "position 40");
      EXPECT_EQ(Stored(cache), before);
      EXPECT_EQ(mo_cache_length(cache, 0), 13);
    }
    mo_cache_release(cache);
  }
}

/* ---- Refusals ---- */

TEST_F(CacheForms, RefusesOptionsThatBreakARule) {
  const auto refused = [&](const char *part, auto change) {
    mo_cache_options options = MO_CACHE_OPTIONS_INIT;
    options.kind = MO_CACHE_DYNAMIC;
    change(options);
    mo_cache_t *cache = nullptr;
    ExpectError(mo_cache_create(context_, &options, &cache), MO_STATUS_INVALID_ARGUMENT, part);
    EXPECT_EQ(cache, nullptr);
  };
  using O = mo_cache_options;
  refused("struct_size", [](O &o) { o.struct_size = 1; });
  refused("kind 0", [](O &o) { o.kind = static_cast<mo_cache_kind_t>(0); });
  refused("kind 7", [](O &o) { o.kind = static_cast<mo_cache_kind_t>(7); });
  refused("-1 layers", [](O &o) { o.layer_count = -1; });
  refused("layer_count is 0", [](O &o) { o.kind = MO_CACHE_STATIC, o.max_length = 4; });
  refused("max_length 0", [](O &o) { o.kind = MO_CACHE_STATIC, o.layer_count = 1; });
  refused("max_length 4 for a dynamic", [](O &o) { o.max_length = 4; });
  refused("window 0", [](O &o) { o.kind = MO_CACHE_SLIDING; });
  refused("window -2", [](O &o) { o.kind = MO_CACHE_SLIDING, o.window = -2; });
  refused("batch_size -1", [](O &o) { o.batch_size = -1; });
  refused("an extent is negative", [](O &o) { o.head_dim = -1; });
  refused("dtype int32", [](O &o) { o.dtype = MO_DTYPE_INT32; });
  refused("storage_dtype int8 for a dynamic", [](O &o) { o.storage_dtype = MO_DTYPE_INT8; });
  refused("storage_dtype float16", [](O &o) { o.kind = MO_CACHE_QUANTIZED, o.storage_dtype = MO_DTYPE_FLOAT16; });
  refused("group_size 4 for a dynamic", [](O &o) { o.group_size = 4; });
  refused("group_size 3 does not divide", [](O &o) { o.kind = MO_CACHE_QUANTIZED, o.head_dim = 8, o.group_size = 3; });
  refused("needs a page_pool", [](O &o) { o.kind = MO_CACHE_PAGED; });
  static mo_cache_layer_options layer;
  layer = {};
  refused("layers are given", [](O &o) { o.layers = &layer; });
  layer.kind = MO_CACHE_STATIC;
  refused("may be mixed", [](O &o) { o.layers = &layer, o.layer_count = 1; });
  ExpectError(mo_cache_create(context_, nullptr, nullptr), MO_STATUS_INVALID_ARGUMENT, "NULL");
}

/* After every refused call the cache holds what it held: bytes of its blocks included. */
TEST_F(CacheForms, RefusedCallsChangeNothing) {
  mo_cache_t *cache = Make(MO_CACHE_STATIC, 2, 8);
  const auto tokens = Numbers({2, 2, 3, 4}, 1);
  for (int64_t l = 0; l < 2; ++l) {
    ASSERT_EQ(mo_cache_update(cache, l, tokens->get(), tokens->get(), nullptr, nullptr, nullptr), MO_STATUS_OK);
  }
  const Floats before[2] = {Stored(cache, 0), Stored(cache, 1)};
  const auto unchanged = [&] {
    for (int64_t l = 0; l < 2; ++l) {
      EXPECT_EQ(Stored(cache, l), before[l]);
      EXPECT_EQ(mo_cache_length(cache, l), 3);
    }
    EXPECT_EQ(mo_cache_batch_size(cache), 2);
  };
  const auto refused = [&](mo_status_t status, mo_status_t expected, const char *part) {
    ExpectError(status, expected, part);
    unchanged();
  };
  const auto update = [&](int64_t layer, mo_tensor *key, mo_tensor *value) {
    return mo_cache_update(cache, layer, key, value, nullptr, nullptr, nullptr);
  };
  mo_tensor *good = tokens->get();
  const auto batch = Numbers({3, 2, 3, 4}), heads = Numbers({2, 1, 3, 4}), size = Numbers({2, 2, 3, 5}),
             longer = Numbers({2, 2, 6, 4}), half = Numbers({2, 2, 3, 4}, 0, MO_DTYPE_FLOAT16), flat = Numbers({2, 2, 3});
  refused(update(2, good, good), MO_STATUS_INDEX_ERROR, "layer 2, the cache has 2");
  refused(update(-1, good, good), MO_STATUS_INDEX_ERROR, "layer -1");
  refused(update(0, nullptr, good), MO_STATUS_INVALID_ARGUMENT, "key is missing");
  refused(update(0, good, nullptr), MO_STATUS_INVALID_ARGUMENT, "value is missing");
  refused(update(0, flat->get(), good), MO_STATUS_INVALID_ARGUMENT, "rank 3");
  refused(update(0, batch->get(), batch->get()), MO_STATUS_INVALID_ARGUMENT, "3 rows of keys, the cache has 2");
  refused(update(0, good, batch->get()), MO_STATUS_INVALID_ARGUMENT, "3 rows of values");
  refused(update(0, heads->get(), heads->get()), MO_STATUS_INVALID_ARGUMENT, "1 heads of keys, the cache has 2");
  refused(update(0, size->get(), good), MO_STATUS_INVALID_ARGUMENT, "5 elements in a head of keys, the cache has 4");
  refused(update(0, good, size->get()), MO_STATUS_INVALID_ARGUMENT, "5 elements in a head of values");
  refused(update(0, half->get(), half->get()), MO_STATUS_INVALID_ARGUMENT, "key is float16, the cache holds float32");
  refused(update(0, good, longer->get()), MO_STATUS_INVALID_ARGUMENT, "3 tokens of keys and 6 of values");
  refused(update(0, longer->get(), longer->get()), MO_STATUS_INDEX_ERROR, "a static layer has 8 slots");
  mo_tensor elsewhere = *good;
  elsewhere.device = {mo_context_device(context_).kind, 5};
  refused(update(0, &elsewhere, good), MO_STATUS_INVALID_ARGUMENT, "not on the cache's device");
  mo_cache_entry entry;
  ASSERT_EQ(mo_cache_read(cache, 0, &entry), MO_STATUS_OK);
  mo_tensor inside = entry.key;
  inside.shape[2] = 3;
  refused(update(0, &inside, good), MO_STATUS_INVALID_ARGUMENT, "overlaps");
  const auto positions = Numbers({4, 2});
  mo_rotary rotary = {};
  rotary.cosine = rotary.sine = positions->get();
  refused(mo_cache_update(cache, 0, good, good, &rotary, nullptr, nullptr), MO_STATUS_INVALID_ARGUMENT, "4 positions");
  refused(mo_cache_prepare(cache, 0, 6, &entry, nullptr), MO_STATUS_INDEX_ERROR, "8 slots");
  refused(mo_cache_prepare(cache, 0, 1, nullptr, nullptr), MO_STATUS_INVALID_ARGUMENT, "entry is NULL");
  refused(mo_cache_commit(cache, 0, 6), MO_STATUS_WRONG_STATE, "there is room for 5");
  refused(mo_cache_commit(cache, -1, 6), MO_STATUS_WRONG_STATE, "there is room for 5");
  refused(mo_cache_commit(cache, 4, 1), MO_STATUS_INDEX_ERROR, "layer 4");
  refused(mo_cache_commit(cache, 0, -1), MO_STATUS_INVALID_ARGUMENT, "-1 tokens");
  refused(mo_cache_read(cache, 2, &entry), MO_STATUS_INDEX_ERROR, "layer 2");
  refused(mo_cache_reserve(cache, 6), MO_STATUS_INDEX_ERROR, "8 slots");
  refused(mo_cache_reserve(cache, -1), MO_STATUS_INVALID_ARGUMENT, "-1 tokens");
  refused(mo_cache_crop(cache, -1), MO_STATUS_INVALID_ARGUMENT, "-1 tokens");
  const int64_t rows[2] = {0, 2}, below[1] = {-1};
  refused(mo_cache_reorder(cache, rows, 2), MO_STATUS_INDEX_ERROR, "row 2 (entry 1), the cache has 2 rows");
  refused(mo_cache_batch_select(cache, below, 1), MO_STATUS_INDEX_ERROR, "row -1");
  refused(mo_cache_reorder(cache, nullptr, 2), MO_STATUS_INVALID_ARGUMENT, "no rows");
  refused(mo_cache_reorder(cache, rows, 0), MO_STATUS_INVALID_ARGUMENT, "no rows");
  refused(mo_cache_batch_repeat(cache, 0), MO_STATUS_INVALID_ARGUMENT, "0 times");
  refused(mo_cache_batch_repeat(cache, INT64_MAX), MO_STATUS_INVALID_ARGUMENT, "too many");
  refused(mo_cache_initialize(cache, 3, 0, 0, MO_DTYPE_NONE), MO_STATUS_INVALID_ARGUMENT, "batch_size 3, the cache has 2");
  refused(mo_cache_field(cache, MO_FRAMEWORK_PT, nullptr), MO_STATUS_INVALID_ARGUMENT, "field is NULL");
  mo_cache_release(cache);

  cache = Make(MO_CACHE_DYNAMIC, 1);
  ExpectError(mo_cache_prepare(cache, 0, 1, &entry, nullptr), MO_STATUS_WRONG_STATE, "not known yet");
  ExpectError(mo_cache_commit(cache, 0, 1), MO_STATUS_WRONG_STATE, "not allocated");
  ExpectError(mo_cache_initialize(cache, 0, 2, 4, MO_DTYPE_FLOAT32), MO_STATUS_INVALID_ARGUMENT, "batch_size is known nowhere");
  ExpectError(mo_cache_initialize(cache, 2, 2, 4, MO_DTYPE_NONE), MO_STATUS_INVALID_ARGUMENT, "dtype is known nowhere");
  mo_tensor lengths;
  ExpectError(mo_cache_lengths(cache, &lengths), MO_STATUS_WRONG_STATE, "not known yet");
  ASSERT_EQ(mo_cache_read(cache, 0, &entry), MO_STATUS_OK);
  EXPECT_EQ(entry.view.key, nullptr);
  EXPECT_EQ(mo_cache_batch_size(cache), -1);
  mo_cache_release(cache);
  mo_cache_release(nullptr);
  EXPECT_EQ(mo_cache_retain(nullptr), nullptr);
}

/* Growth is geometric, and what is reserved is not allocated again. */
TEST_F(CacheForms, GrowthIsGeometric) {
  mo_cache_t *cache = Make(MO_CACHE_DYNAMIC);
  const auto token = Numbers({1, 1, 1, 8});
  int moves = 0;
  uint64_t bytes = 0;
  const int steps = test_device_is_simulated() ? 200 : 3000;
  for (int i = 0; i < steps; ++i) {
    ASSERT_EQ(mo_cache_update(cache, 0, token->get(), token->get(), nullptr, nullptr, nullptr), MO_STATUS_OK);
    moves += mo_cache_bytes(cache, 0) != bytes ? 1 : 0;
    bytes = mo_cache_bytes(cache, 0);
  }
  EXPECT_LT(moves, 16);
  EXPECT_LE(bytes, static_cast<uint64_t>(steps) * 8 * 4 * 2 * 3 / 2 + 8192);
  ASSERT_EQ(mo_cache_reserve(cache, 500), MO_STATUS_OK);
  mo_cache_entry before, entry;
  ASSERT_EQ(mo_cache_read(cache, 0, &before), MO_STATUS_OK);
  const uint64_t allocations = mo_context_get_counters(context_).device_allocations;
  for (int i = 0; i < 500; ++i) {
    int64_t slot = -1;
    ASSERT_EQ(mo_cache_prepare(cache, 0, 1, &entry, &slot), MO_STATUS_OK);
    ASSERT_EQ(slot, steps + i);
    ASSERT_EQ(entry.key.data, before.key.data);
    ASSERT_EQ(mo_cache_commit(cache, 0, 1), MO_STATUS_OK);
  }
  EXPECT_EQ(mo_context_get_counters(context_).device_allocations, allocations);
  mo_cache_release(cache);
}

/* A sliding layer's tokens move once per window; after a long prompt its memory comes back. */
TEST_F(CacheForms, SlidingLayersStaySmall) {
  mo_cache_t *cache = Make(MO_CACHE_SLIDING, 0, 0, 10);
  const auto prompt = Numbers({1, 1, 900, 8}), token = Numbers({1, 1, 1, 8});
  ASSERT_EQ(mo_cache_update(cache, 0, prompt->get(), prompt->get(), nullptr, nullptr, nullptr), MO_STATUS_OK);
  const uint64_t large = mo_cache_bytes(cache, 0);
  int moves = 0;
  const char *start = nullptr;
  for (int i = 0; i < 100; ++i) {
    mo_cache_entry entry;
    ASSERT_EQ(mo_cache_update(cache, 0, token->get(), token->get(), nullptr, nullptr, &entry), MO_STATUS_OK);
    ASSERT_EQ(entry.length, 10);
    const char *now = static_cast<const char *>(entry.key.data);
    moves += start != nullptr && now < start ? 1 : 0;
    start = now;
  }
  EXPECT_LT(mo_cache_bytes(cache, 0), large / 10);
  EXPECT_LE(moves, 12);
  mo_cache_release(cache);
}

/* ---- What a layer keeps when it is emptied, and what reading it may touch ---- */

/* As torch.cat does in the original, a cropped layer takes the rows it had only; a reset one takes any. */
TEST_F(CacheForms, CroppedLayersKeepTheirRows) {
  for (const mo_cache_kind_t kind : {MO_CACHE_DYNAMIC, MO_CACHE_SLIDING, MO_CACHE_QUANTIZED}) {
    SCOPED_TRACE(kind);
    mo_cache_t *cache = Make(kind, 0, 0, kind == MO_CACHE_SLIDING ? 8 : 0);
    const auto two = Numbers({2, 3, 5, 4}), six = Numbers({6, 3, 5, 4});
    const auto update = [&](DeviceTensor &tokens) {
      return mo_cache_update(cache, 0, tokens.get(), tokens.get(), nullptr, nullptr, nullptr);
    };
    ASSERT_EQ(update(*two), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(mo_cache_crop(cache, 5), MO_STATUS_OK);
    EXPECT_EQ(update(*six), MO_STATUS_INVALID_ARGUMENT);
    ASSERT_EQ(mo_cache_batch_repeat(cache, 3), MO_STATUS_OK);
    EXPECT_EQ(mo_cache_batch_size(cache), 2) << "there is nothing to repeat";
    EXPECT_EQ(update(*six), MO_STATUS_INVALID_ARGUMENT);
    mo_cache_t *copy = nullptr;
    ASSERT_EQ(mo_cache_copy(cache, &copy), MO_STATUS_OK);
    EXPECT_EQ(mo_cache_update(copy, 0, six->get(), six->get(), nullptr, nullptr, nullptr), MO_STATUS_INVALID_ARGUMENT);
    mo_cache_release(copy);
    ASSERT_EQ(update(*two), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(mo_cache_length(cache, 0), 5);
    ASSERT_EQ(mo_cache_reset(cache), MO_STATUS_OK);
    ASSERT_EQ(update(*six), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(mo_cache_batch_size(cache), 6);
    mo_cache_release(cache);
  }
}

/* A prepared entry says where to write: reading the layer, or another one, does not lead it elsewhere. */
TEST_F(CacheForms, ReadingLeavesAPreparedEntryAsItIs) {
  const struct {
    mo_cache_kind_t kind;
    int64_t held;
  } cases[] = {{MO_CACHE_DYNAMIC, 5},        {MO_CACHE_SLIDING, 9},        {MO_CACHE_STATIC, 5},
               {MO_CACHE_STATIC_SLIDING, 8}, {MO_CACHE_STATIC_SLIDING, 7}, {MO_CACHE_QUANTIZED, 5}};
  for (const auto &one : cases) {
    SCOPED_TRACE(testing::Message() << "kind " << one.kind << " holding " << one.held);
    const bool is_static = one.kind == MO_CACHE_STATIC || one.kind == MO_CACHE_STATIC_SLIDING;
    const bool slides = one.kind == MO_CACHE_SLIDING || one.kind == MO_CACHE_STATIC_SLIDING;
    mo_cache_t *cache = Make(one.kind, 2, is_static ? 32 : 0, slides ? 8 : 0);
    const auto tokens = Numbers({2, 3, one.held, 4});
    for (int64_t l = 0; l < 2; ++l)
      ASSERT_EQ(mo_cache_update(cache, l, tokens->get(), tokens->get(), nullptr, nullptr, nullptr), MO_STATUS_OK)
          << mo_last_error();
    mo_cache_entry prepared, read;
    int64_t slot = 0;
    ASSERT_EQ(mo_cache_prepare(cache, 0, 2, &prepared, &slot), MO_STATUS_OK) << mo_last_error();
    const mo_tensor key = *prepared.view.key, value = *prepared.view.value;
    for (int64_t l = 0; l < 2; ++l) ASSERT_EQ(mo_cache_read(cache, l, &read), MO_STATUS_OK);
    EXPECT_EQ(prepared.view.key->data, key.data);
    EXPECT_EQ(prepared.view.value->data, value.data);
    for (int d = 0; d < 4; ++d) {
      EXPECT_EQ(prepared.view.key->shape[d], key.shape[d]);
      EXPECT_EQ(prepared.view.key->strides[d], key.strides[d]);
    }
    /* What is written through it is what the layer holds afterwards. */
    const auto fresh = Numbers({2, 3, 2, 4}, 500);
    mo_kv_update_layer update = {};
    update.cache = prepared.view;
    update.key = update.value = fresh->get();
    mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
    params.layers = &update, params.layer_count = 1, params.offset = slot;
    ASSERT_EQ(mo_kv_update(context_, &params), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(mo_cache_commit(cache, 0, 2), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(mo_cache_length(cache, 0), one.held + 2);
    ASSERT_EQ(mo_cache_read(cache, 0, &read), MO_STATUS_OK);
    const Floats all = Gather(context_, read.view, 2, read.token_count, false, MO_DTYPE_FLOAT32);
    EXPECT_NEAR(all[static_cast<size_t>(read.token_count) * 4 - 1], 507.0f, 2.0f) << "the last token of the first head";
    mo_cache_release(cache);
  }
}

}  // namespace
