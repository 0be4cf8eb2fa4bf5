// tests/cache/cache_test.cc - the worked cases of the original's tests, and what the header promises beyond them.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "cache_shim.h"
#include "cache_tensors.h"

namespace {

using cache_test::CacheTest;
using cache_test::DeviceTensor;
using cache_test::Read;
using Floats = std::vector<float>;

/* ---- The worked cases ---- */

TEST_F(CacheTest, Dynamic) {
  mo_cache_t *cache = Make(MO_CACHE_DYNAMIC);
  EXPECT_EQ(mo_cache_length(cache, 0), 0);
  EXPECT_FALSE(mo_cache_is_initialized(cache));
  EXPECT_EQ(Append(cache, {1, 2}), Floats({1, 2}));
  EXPECT_EQ(Append(cache, {3}), Floats({1, 2, 3}));
  EXPECT_EQ(Append(cache, {4}), Floats({1, 2, 3, 4}));
  EXPECT_EQ(Append(cache, {10, 20}, 1), Floats({10, 20}));
  EXPECT_EQ(Stored(cache), Floats({1, 2, 3, 4}));
  EXPECT_EQ(mo_cache_length(cache, 0), 4);
  EXPECT_EQ(mo_cache_length(cache, 1), 2);
  EXPECT_EQ(mo_cache_length(cache, 7), 0);
  EXPECT_EQ(mo_cache_layer_count(cache), 2);
  EXPECT_EQ(mo_cache_max_length(cache, 0), -1);
  mo_cache_release(cache);
}

TEST_F(CacheTest, SelectingRowsKeepsThemInOrder) {
  mo_cache_t *cache = Make(MO_CACHE_DYNAMIC);
  DeviceTensor key(context_, MO_DTYPE_FLOAT32, {3, 1, 2, 1}, [](int64_t i) { return static_cast<float>(i); });
  ASSERT_EQ(mo_cache_update(cache, 0, key.get(), key.get(), nullptr, nullptr, nullptr), MO_STATUS_OK) << mo_last_error();
  const int64_t rows[2] = {0, 2};
  ASSERT_EQ(mo_cache_batch_select(cache, rows, 2), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Stored(cache), Floats({0, 1, 4, 5}));
  EXPECT_EQ(mo_cache_batch_size(cache), 2);
  ASSERT_EQ(mo_cache_batch_repeat(cache, 2), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Stored(cache), Floats({0, 1, 0, 1, 4, 5, 4, 5}));
  mo_cache_release(cache);
}

TEST_F(CacheTest, Static) {
  mo_cache_t *cache = Make(MO_CACHE_STATIC, 1, 4);
  EXPECT_EQ(Append(cache, {1, 2}), Floats({1, 2, 0, 0}));
  EXPECT_EQ(Append(cache, {3}), Floats({1, 2, 3, 0}));
  EXPECT_EQ(Append(cache, {4}), Floats({1, 2, 3, 4}));
  DeviceTensor key(context_, MO_DTYPE_FLOAT32, {1, 1, 1, 1}, [](int64_t) { return 5.0f; });
  ExpectError(mo_cache_update(cache, 0, key.get(), key.get(), nullptr, nullptr, nullptr), MO_STATUS_INDEX_ERROR, "4 slots");
  EXPECT_EQ(Stored(cache), Floats({1, 2, 3, 4}));
  ASSERT_EQ(mo_cache_crop(cache, 1), MO_STATUS_OK);
  EXPECT_EQ(Stored(cache), Floats({1, 2, 3, 0}));
  ASSERT_EQ(mo_cache_reset(cache), MO_STATUS_OK);
  EXPECT_EQ(Stored(cache), Floats({0, 0, 0, 0}));
  EXPECT_EQ(mo_cache_length(cache, 0), 0);
  EXPECT_TRUE(mo_cache_is_compileable(cache));
  mo_cache_release(cache);
}

TEST_F(CacheTest, StaticSliding) {
  mo_cache_t *cache = Make(MO_CACHE_STATIC_SLIDING, 1, 16, 4);
  Append(cache, {1, 2, 3, 4});
  EXPECT_EQ(Append(cache, {5}), Floats({2, 3, 4, 5}));
  EXPECT_EQ(Stored(cache), Floats({2, 3, 4, 5}));
  mo_cache_release(cache);
  cache = Make(MO_CACHE_STATIC_SLIDING, 1, 16, 4);
  EXPECT_EQ(Append(cache, {1, 2, 3, 4, 5, 6}), Floats({1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(Stored(cache), Floats({3, 4, 5, 6}));
  mo_cache_release(cache);
  cache = Make(MO_CACHE_STATIC_SLIDING, 1, 16, 2);
  EXPECT_EQ(Append(cache, {10, 20, 30}), Floats({10, 20, 30}));
  EXPECT_EQ(Stored(cache), Floats({20, 30}));
  EXPECT_EQ(Append(cache, {50}), Floats({30, 50}));
  EXPECT_EQ(Append(cache, {60, 70}), Floats({50, 60, 70}));
  EXPECT_EQ(Stored(cache), Floats({60, 70}));
  EXPECT_EQ(mo_cache_length(cache, 0), 6);
  mo_cache_release(cache);
  cache = Make(MO_CACHE_STATIC_SLIDING, 1, 16, 3);
  EXPECT_EQ(Append(cache, {10, 20}), Floats({10, 20, 0}));
  EXPECT_EQ(Append(cache, {30, 40}), Floats({10, 20, 30, 40}));
  EXPECT_EQ(Stored(cache), Floats({20, 30, 40}));
  mo_cache_release(cache);
}

/* 45 tokens, window 12: the reference crops with recorded past; without it a layer that has dropped tokens refuses. */
TEST_F(CacheTest, Sliding) {
  mo_cache_t *cache = Make(MO_CACHE_SLIDING, 0, 0, 4);
  EXPECT_EQ(Append(cache, {1, 2}), Floats({1, 2}));
  ASSERT_EQ(mo_cache_crop(cache, 1), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Append(cache, {2, 3, 4, 5, 6}), Floats({1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(Stored(cache), Floats({4, 5, 6}));
  for (int token = 7; token < 60; ++token) {
    const auto t = static_cast<float>(token);
    EXPECT_EQ(Append(cache, {t}), Floats({t - 3, t - 2, t - 1, t}));
    EXPECT_EQ(Stored(cache), Floats({t - 2, t - 1, t}));
  }
  EXPECT_EQ(mo_cache_length(cache, 0), 59);
  EXPECT_EQ(mo_cache_stored_length(cache, 0), 3);
  ExpectError(mo_cache_crop(cache, 3), MO_STATUS_WRONG_STATE, "has dropped tokens");
  EXPECT_EQ(Stored(cache), Floats({57, 58, 59}));
  ASSERT_EQ(mo_cache_crop(cache, 60), MO_STATUS_OK);
  EXPECT_EQ(mo_cache_length(cache, 0), 0);
  EXPECT_EQ(Append(cache, {1}), Floats({1}));
  mo_cache_release(cache);
  cache = Make(MO_CACHE_SLIDING, 0, 0, 1);
  EXPECT_EQ(Append(cache, {1, 2}), Floats({1, 2}));
  EXPECT_EQ(Append(cache, {3}), Floats({3}));
  mo_cache_release(cache);
}

TEST_F(CacheTest, CropOfAFullLayer) {
  mo_cache_t *cache = Make(MO_CACHE_DYNAMIC);
  Floats tokens;
  for (int i = 0; i < 45; ++i) tokens.push_back(static_cast<float>(i + 1));
  Append(cache, tokens);
  ASSERT_EQ(mo_cache_crop(cache, 3), MO_STATUS_OK);
  EXPECT_EQ(Stored(cache), Floats(tokens.begin(), tokens.begin() + 42));
  ASSERT_EQ(mo_cache_crop(cache, 0), MO_STATUS_OK);
  EXPECT_EQ(mo_cache_length(cache, 0), 42);
  ASSERT_EQ(mo_cache_crop(cache, 46), MO_STATUS_OK);
  EXPECT_EQ(mo_cache_length(cache, 0), 0);
  EXPECT_EQ(Stored(cache), Floats());
  mo_cache_release(cache);
}

/* The static buffer has the number of key/value heads and the full length. */
TEST_F(CacheTest, StaticBuffersOfEveryNumberOfHeads) {
  for (const int64_t heads : {1, 2, 8}) {
    mo_cache_options options = MO_CACHE_OPTIONS_INIT;
    options.kind = MO_CACHE_STATIC;
    options.layer_count = 2;
    options.max_length = 10;
    mo_cache_t *cache = Make(options);
    ASSERT_EQ(mo_cache_initialize(cache, 3, heads, 6, MO_DTYPE_FLOAT16), MO_STATUS_OK) << mo_last_error();
    EXPECT_TRUE(mo_cache_is_initialized(cache));
    mo_cache_entry entry;
    ASSERT_EQ(mo_cache_read(cache, 1, &entry), MO_STATUS_OK);
    EXPECT_EQ(Read(context_, entry.value), Floats(static_cast<size_t>(3 * heads * 10 * 6), 0.0f));
    EXPECT_EQ(entry.key.shape[1], heads);
    EXPECT_EQ(entry.key.shape[2], 10);
    EXPECT_EQ(entry.token_count, 0);
    EXPECT_EQ(mo_cache_bytes(cache, -1), 2 * mo_cache_bytes(cache, 0));
    EXPECT_GE(mo_cache_bytes(cache, 0), static_cast<uint64_t>(2 * 3 * heads * 10 * 6 * 2));
    mo_cache_release(cache);
  }
}

/* A copy of a filled static cache serves several prompts. */
TEST_F(CacheTest, CopiesGoTheirOwnWay) {
  for (const mo_cache_kind_t kind : {MO_CACHE_DYNAMIC, MO_CACHE_STATIC}) {
    mo_cache_t *cache = Make(kind, 1, kind == MO_CACHE_STATIC ? 6 : 0), *copy = nullptr;
    Append(cache, {1, 2, 3});
    ASSERT_EQ(mo_cache_copy(cache, &copy), MO_STATUS_OK) << mo_last_error();
    const auto held = [&](mo_cache_t *which) {
      Floats tokens = Stored(which);
      tokens.resize(static_cast<size_t>(mo_cache_length(which, 0)));
      return tokens;
    };
    Append(cache, {4});
    Append(copy, {50});
    EXPECT_EQ(held(cache), Floats({1, 2, 3, 4}));
    EXPECT_EQ(held(copy), Floats({1, 2, 3, 50}));
    ASSERT_EQ(mo_cache_crop(cache, 3), MO_STATUS_OK);
    Append(cache, {7});
    EXPECT_EQ(held(cache), Floats({1, 7}));
    EXPECT_EQ(held(copy), Floats({1, 2, 3, 50}));
    mo_cache_release(cache);
    EXPECT_EQ(held(copy), Floats({1, 2, 3, 50}));
    mo_cache_release(copy);
  }
}

/* What a captured step needs of a reordered cache; a layer that somebody else looks at may not be written over. */
TEST_F(CacheTest, RowsChangeInPlaceByOption) {
  for (const bool keeps : {false, true}) {
    mo_cache_options options = MO_CACHE_OPTIONS_INIT;
    options.kind = MO_CACHE_DYNAMIC;
    options.keeps_addresses = keeps;
    mo_cache_t *cache = Make(options), *copy = nullptr;
    DeviceTensor key(context_, MO_DTYPE_FLOAT32, {2, 1, 2, 1}, [](int64_t i) { return static_cast<float>(i); });
    for (int64_t layer = 0; layer < 2; ++layer)
      ASSERT_EQ(mo_cache_update(cache, layer, key.get(), key.get(), nullptr, nullptr, nullptr), MO_STATUS_OK);
    const int64_t swap[2] = {1, 0};
    const auto address = [cache](int64_t layer) {
      mo_cache_entry entry;
      EXPECT_EQ(mo_cache_read(cache, layer, &entry), MO_STATUS_OK) << mo_last_error();
      return entry.view.key->data;
    };
    const void *before[2] = {address(0), address(1)};
    ASSERT_EQ(mo_cache_reorder(cache, swap, 2), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(address(0) == before[0] && address(1) == before[1], keeps);
    EXPECT_EQ(Stored(cache), Floats({2, 3, 0, 1}));
    EXPECT_EQ(Stored(cache, 1), Floats({2, 3, 0, 1}));
    ASSERT_EQ(mo_cache_copy(cache, &copy), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(mo_cache_reorder(cache, swap, 2), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(Stored(cache), Floats({0, 1, 2, 3}));
    EXPECT_EQ(Stored(copy), Floats({2, 3, 0, 1}));
    mo_cache_release(cache);
    mo_cache_release(copy);
  }
}

TEST_F(CacheTest, FromC) { EXPECT_EQ(shim_use_cache(context_), MO_STATUS_OK) << mo_last_error(); }

}  // namespace
