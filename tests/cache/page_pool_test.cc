// tests/cache/page_pool_test.cc - pages: storage in both layouts, references, and a million random allocations, shares and
// returns, by hand and by caches.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "cache_tensors.h"

namespace {

using namespace cache_test;

class PagePool : public CacheTest {
 protected:
  static mo_page_pool_options Options(int64_t pages, int64_t page_size = 16) {
    mo_page_pool_options options = MO_PAGE_POOL_OPTIONS_INIT;
    options.page_count = pages;
    options.page_size = page_size;
    options.layer_count = 2;
    options.num_key_value_heads = 3;
    options.head_dim = 8;
    options.dtype = MO_DTYPE_FLOAT32;
    return options;
  }
  mo_page_pool_t *MakePool(const mo_page_pool_options &options) {
    mo_page_pool_t *pool = nullptr;
    EXPECT_EQ(mo_page_pool_create(context_, &options, &pool), MO_STATUS_OK) << mo_last_error();
    return pool;
  }
  mo_cache_t *MakePaged(mo_page_pool_t *pool, int64_t batch = 0, int64_t max_length = 0) {
    mo_cache_options options = MO_CACHE_OPTIONS_INIT;
    options.kind = MO_CACHE_PAGED;
    options.page_pool = pool;
    options.batch_size = batch;
    options.max_length = max_length;
    return Make(options);
  }
};

TEST_F(PagePool, StorageInBothLayouts) {
  for (const int64_t page_size : {16, 32, 64, 128, 256}) {
    for (const bool tokens_first : {false, true}) {
      for (const mo_dtype_t storage : {MO_DTYPE_NONE, MO_DTYPE_INT8}) {
        mo_page_pool_options options = Options(5, page_size);
        options.value_head_dim = 4;
        options.tokens_first = tokens_first;
        options.storage_dtype = storage;
        options.group_size = storage == MO_DTYPE_NONE ? 0 : 2;
        mo_page_pool_t *pool = MakePool(options);
        mo_kv_view first, second;
        ASSERT_EQ(mo_page_pool_view(pool, 0, &first), MO_STATUS_OK);
        ASSERT_EQ(mo_page_pool_view(pool, 1, &second), MO_STATUS_OK);
        ExpectError(mo_page_pool_view(pool, 2, &second), MO_STATUS_INDEX_ERROR, "the pool has 2");
        EXPECT_NE(first.key->data, second.key->data);
        EXPECT_EQ(first.key->shape[0], 5);
        EXPECT_EQ(first.key->shape[2], page_size);
        EXPECT_EQ(first.value->shape[3], 4);
        EXPECT_EQ(first.key->strides[tokens_first ? 1 : 2], 8) << "the inner of heads and tokens";
        EXPECT_EQ(first.key->strides[tokens_first ? 2 : 1], 8 * (tokens_first ? 3 : page_size));
        EXPECT_EQ(first.key_scale != nullptr, storage != MO_DTYPE_NONE);
        if (storage != MO_DTYPE_NONE) {
          EXPECT_EQ(first.key_scale->shape[3], 4);
        }
        mo_page_pool_release(pool);
      }
    }
  }
}

TEST_F(PagePool, RefusesOptionsThatBreakARule) {
  const auto refused = [&](const char *part, auto change) {
    mo_page_pool_options options = Options(4);
    change(options);
    mo_page_pool_t *pool = nullptr;
    ExpectError(mo_page_pool_create(context_, &options, &pool), MO_STATUS_INVALID_ARGUMENT, part);
    EXPECT_EQ(pool, nullptr);
  };
  using O = mo_page_pool_options;
  refused("struct_size", [](O &o) { o.struct_size = 8; });
  refused("pages of 8 tokens", [](O &o) { o.page_size = 8; });
  refused("pages of 512 tokens", [](O &o) { o.page_size = 512; });
  refused("pages of 48 tokens", [](O &o) { o.page_size = 48; });
  refused("0 pages", [](O &o) { o.page_count = 0; });
  refused("0 layers", [](O &o) { o.layer_count = 0; });
  refused("0 key/value heads", [](O &o) { o.num_key_value_heads = 0; });
  refused("dtype int8", [](O &o) { o.dtype = MO_DTYPE_INT8; });
  refused("storage_dtype float16", [](O &o) { o.storage_dtype = MO_DTYPE_FLOAT16; });
  refused("group_size 2 without", [](O &o) { o.group_size = 2; });
  refused("group_size 3 does not divide", [](O &o) { o.storage_dtype = MO_DTYPE_INT8, o.group_size = 3; });
  mo_page_pool_options huge = Options(INT32_MAX, 256);
  huge.head_dim = int64_t{1} << 40;
  mo_page_pool_t *pool = nullptr;
  ExpectError(mo_page_pool_create(context_, &huge, &pool), MO_STATUS_OUT_OF_MEMORY, "cannot be addressed");
}

/* Outside the pool, free, mentioned too often: a status, and no page changed. */
TEST_F(PagePool, RefusesPagesThatAreNotHeld) {
  mo_page_pool_t *pool = MakePool(Options(4));
  int32_t pages[5];
  ExpectError(mo_page_pool_allocate(pool, 5, pages), MO_STATUS_OUT_OF_MEMORY, "5 pages asked for, 4 are free");
  ASSERT_EQ(mo_page_pool_allocate(pool, 2, pages), MO_STATUS_OK);
  const int32_t held = pages[0], other = pages[1];
  int32_t free_page = 0;
  while (free_page == held || free_page == other) free_page++;
  const int32_t outside[] = {held, 4}, below[] = {held, -1}, freed[] = {held, free_page}, twice[] = {held, other, held};
  ExpectError(mo_page_pool_share(pool, outside, 2), MO_STATUS_INDEX_ERROR, "page 4, the pool has 4");
  ExpectError(mo_page_pool_share(pool, freed, 2), MO_STATUS_WRONG_STATE, "is free");
  ExpectError(mo_page_pool_give_back(pool, below, 2), MO_STATUS_INDEX_ERROR, "page -1");
  ExpectError(mo_page_pool_give_back(pool, freed, 2), MO_STATUS_WRONG_STATE, "is free");
  ExpectError(mo_page_pool_give_back(pool, twice, 3), MO_STATUS_WRONG_STATE, "is free");
  ExpectError(mo_page_pool_give_back(pool, nullptr, 1), MO_STATUS_INVALID_ARGUMENT, "no list");
  EXPECT_EQ(mo_page_pool_references(pool, held), 1);
  EXPECT_EQ(mo_page_pool_references(pool, other), 1);
  EXPECT_EQ(mo_page_pool_references(pool, free_page), 0);
  EXPECT_EQ(mo_page_pool_references(pool, 4), -1);
  EXPECT_EQ(mo_page_pool_references(pool, -1), -1);
  EXPECT_EQ(mo_page_pool_free_pages(pool), 2);
  ASSERT_EQ(mo_page_pool_share(pool, &held, 1), MO_STATUS_OK);
  ASSERT_EQ(mo_page_pool_give_back(pool, twice, 3), MO_STATUS_OK);
  EXPECT_EQ(mo_page_pool_free_pages(pool), 4);
  mo_page_pool_release(pool);
}

TEST_F(PagePool, AMillionOperationsByHand) {
  const int operations = test_device_is_simulated() ? 20000 : 1000000;
  constexpr int64_t kPages = 61;
  mo_page_pool_t *pool = MakePool(Options(kPages));
  std::mt19937 random(7);
  std::vector<int32_t> held; /* one entry per reference */
  std::vector<int64_t> references(kPages, 0);
  int64_t exhausted = 0, allocated = 0;
  for (int i = 0; i < operations; ++i) {
    const uint32_t choice = random() % 8;
    if (choice < 3) {
      int32_t pages[8];
      const auto count = static_cast<int64_t>(random() % 8 + 1);
      const int64_t free_before = mo_page_pool_free_pages(pool);
      const mo_status_t status = mo_page_pool_allocate(pool, count, pages);
      if (count > free_before) {
        ASSERT_EQ(status, MO_STATUS_OUT_OF_MEMORY);
        ASSERT_EQ(mo_page_pool_free_pages(pool), free_before);
        ++exhausted;
        continue;
      }
      ASSERT_EQ(status, MO_STATUS_OK);
      for (int64_t k = 0; k < count; ++k) {
        ASSERT_EQ(references[static_cast<size_t>(pages[k])]++, 0) << "page " << pages[k] << " was handed out twice";
        held.push_back(pages[k]);
        ++allocated;
      }
    } else if (choice < 5 && !held.empty()) {
      const int32_t page = held[random() % held.size()];
      if (held.size() > 300) continue;
      ASSERT_EQ(mo_page_pool_share(pool, &page, 1), MO_STATUS_OK);
      references[static_cast<size_t>(page)]++;
      held.push_back(page);
    } else if (choice < 7) {
      std::vector<int32_t> back;
      for (uint32_t k = random() % 10; k > 0 && !held.empty(); --k) {
        std::swap(held[random() % held.size()], held.back());
        back.push_back(held.back());
        held.pop_back();
        references[static_cast<size_t>(back.back())]--;
      }
      ASSERT_EQ(mo_page_pool_give_back(pool, back.data(), static_cast<int64_t>(back.size())), MO_STATUS_OK) << mo_last_error();
    } else {
      const auto page = static_cast<int32_t>(random() % kPages);
      if (references[static_cast<size_t>(page)] != 0) continue;
      ASSERT_EQ(mo_page_pool_give_back(pool, &page, 1), MO_STATUS_WRONG_STATE);
      ASSERT_EQ(mo_page_pool_share(pool, &page, 1), MO_STATUS_WRONG_STATE);
    }
    ASSERT_EQ(mo_page_pool_free_pages(pool), std::count(references.begin(), references.end(), 0));
    const auto probe = static_cast<int32_t>(random() % kPages);
    ASSERT_EQ(mo_page_pool_references(pool, probe), references[static_cast<size_t>(probe)]);
  }
  printf("%d operations, %lld pages handed out, %lld times none left\n", operations, static_cast<long long>(allocated),
         static_cast<long long>(exhausted));
  EXPECT_GT(exhausted, operations / 1000);
  ASSERT_EQ(mo_page_pool_give_back(pool, held.data(), static_cast<int64_t>(held.size())), MO_STATUS_OK);
  EXPECT_EQ(mo_page_pool_free_pages(pool), kPages);
  mo_page_pool_release(pool);
}

/* Rows of two caches and pages by hand compete for a pool. The lengths are the model; the pages must add up. */
TEST_F(PagePool, AMillionOperationsOfCaches) {
  const int operations = test_device_is_simulated() ? 20000 : 1000000, check_every = operations / 500;
  constexpr int64_t kPages = 14, kRows = 4;
  mo_page_pool_options options = Options(kPages);
  options.num_key_value_heads = options.head_dim = 1;
  mo_page_pool_t *pool = MakePool(options);
  mo_cache_t *caches[2] = {MakePaged(pool, kRows), MakePaged(pool, kRows, 300)};
  int64_t lengths[2][kRows] = {}, exhausted = 0, appended = 0, shared = 0;
  const auto longest = [&](int which) { return *std::max_element(lengths[which], lengths[which] + kRows); };
  std::vector<int32_t> by_hand;
  std::mt19937 random(11);
  for (int i = 0; i < operations; ++i) {
    const int which = static_cast<int>(random() % 2);
    const auto row = static_cast<int64_t>(random() % kRows);
    mo_cache_t *cache = caches[which];
    switch (random() % 9) {
      case 0:
      case 1:
      case 2: { /* a step of all rows and both layers */
        const auto count = static_cast<int64_t>(random() % (random() % 8 == 0 ? 40 : 3)),
                   limit = which == 1 ? 300 : kPages * 16;
        const int64_t free_before = mo_page_pool_free_pages(pool);
        mo_cache_entry entry;
        const mo_status_t status = mo_cache_prepare(cache, 0, count, &entry, nullptr);
        if (longest(which) + count > limit) {
          ASSERT_EQ(status, MO_STATUS_INDEX_ERROR) << mo_last_error();
        } else if (status == MO_STATUS_OUT_OF_MEMORY) {
          ++exhausted;
          ASSERT_EQ(mo_page_pool_free_pages(pool), free_before);
          ASSERT_EQ(mo_cache_reset_row(cache, row), MO_STATUS_OK); /* a sequence ends, the others go on */
          lengths[which][row] = 0;
        } else {
          ASSERT_EQ(status, MO_STATUS_OK) << mo_last_error();
          ASSERT_EQ(mo_cache_prepare(cache, 1, count, &entry, nullptr), MO_STATUS_OK) << mo_last_error();
          ASSERT_EQ(mo_cache_commit(cache, -1, count), MO_STATUS_OK) << mo_last_error();
          for (int64_t &length : lengths[which]) length += count;
          appended += count;
        }
        break;
      }
      case 3: {
        const int from = static_cast<int>(random() % 2);
        const auto source = static_cast<int64_t>(random() % kRows);
        const int64_t length = lengths[from][source] == 0 ? 0 : static_cast<int64_t>(random()) % (lengths[from][source] + 1);
        const mo_status_t status = mo_cache_share_prefix(cache, row, caches[from], source, length);
        if (which == 1 && length > 300) {
          ASSERT_EQ(status, MO_STATUS_INDEX_ERROR);
          break;
        }
        ASSERT_EQ(status, MO_STATUS_OK) << mo_last_error();
        lengths[which][row] = length;
        ++shared;
        break;
      }
      case 4:
        ASSERT_EQ(mo_cache_reset_row(cache, row), MO_STATUS_OK) << mo_last_error();
        lengths[which][row] = 0;
        break;
      case 5: {
        const auto count = static_cast<int64_t>(random() % 6);
        ASSERT_EQ(mo_cache_crop(cache, count), MO_STATUS_OK) << mo_last_error();
        for (int64_t &length : lengths[which]) length = std::max<int64_t>(length - count, 0);
        break;
      }
      case 6: {
        int64_t rows[kRows], next[kRows];
        for (int64_t b = 0; b < kRows; ++b) rows[b] = static_cast<int64_t>(random() % kRows), next[b] = lengths[which][rows[b]];
        const bool tokens = longest(which) > 0;
        ASSERT_EQ(mo_cache_reorder(cache, rows, kRows), MO_STATUS_OK) << mo_last_error();
        if (tokens) std::copy(next, next + kRows, lengths[which]);
        break;
      }
      case 7: {
        int32_t page;
        if (by_hand.size() < 4 && mo_page_pool_allocate(pool, 1, &page) == MO_STATUS_OK) by_hand.push_back(page);
        break;
      }
      default:
        if (by_hand.empty()) break;
        ASSERT_EQ(mo_page_pool_give_back(pool, &by_hand.back(), 1), MO_STATUS_OK);
        by_hand.pop_back();
        break;
    }
    ASSERT_EQ(mo_cache_row_length(cache, row), lengths[which][row]);
    ASSERT_EQ(mo_cache_length(cache, 1), longest(which));
    if (i % check_every != 0) continue;
    std::map<int32_t, int64_t> mentions;
    for (const int32_t page : by_hand) mentions[page]++;
    for (int c = 0; c < 2; ++c) {
      mo_tensor table, device_lengths;
      ASSERT_EQ(mo_cache_block_table(caches[c], &table, &device_lengths), MO_STATUS_OK) << mo_last_error();
      for (const float page : Read(context_, table)) {
        if (page >= 0) mentions[static_cast<int32_t>(page)]++;
      }
      const std::vector<float> counts = Read(context_, device_lengths);
      for (int64_t b = 0; b < kRows; ++b) ASSERT_EQ(counts[static_cast<size_t>(b)], static_cast<float>(lengths[c][b]));
    }
    for (int32_t page = 0; page < kPages; ++page) ASSERT_EQ(mo_page_pool_references(pool, page), mentions[page]) << page;
  }
  printf("%d operations, %lld tokens appended to each row, %lld prefixes shared, %lld times no page left\n", operations,
         static_cast<long long>(appended), static_cast<long long>(shared), static_cast<long long>(exhausted));
  EXPECT_GT(exhausted, operations / 1000);
  if (!by_hand.empty()) {
    ASSERT_EQ(mo_page_pool_give_back(pool, by_hand.data(), static_cast<int64_t>(by_hand.size())), MO_STATUS_OK);
  }
  for (mo_cache_t *cache : caches) mo_cache_release(cache);
  EXPECT_EQ(mo_page_pool_free_pages(pool), kPages);
  mo_page_pool_release(pool);
}

/* Beams that share a prompt: pages are counted once, the page that is written to is copied, the others stay shared. */
TEST_F(PagePool, CopyOnWriteOfTheLastPage) {
  mo_page_pool_t *pool = MakePool(Options(16));
  mo_cache_t *cache = MakePaged(pool);
  const auto tokens = [&](int64_t rows, int64_t count, float value) {
    return std::make_unique<DeviceTensor>(context_, MO_DTYPE_FLOAT32, std::vector<int64_t>{rows, 3, count, 8},
                                          [value](int64_t) { return value; });
  };
  const auto prompt = tokens(1, 20, 1.0f);
  for (int64_t l = 0; l < 2; ++l) {
    ASSERT_EQ(mo_cache_update(cache, l, prompt->get(), prompt->get(), nullptr, nullptr, nullptr), MO_STATUS_OK)
        << mo_last_error();
  }
  EXPECT_EQ(mo_page_pool_free_pages(pool), 14);
  ASSERT_EQ(mo_cache_batch_repeat(cache, 3), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_page_pool_free_pages(pool), 14);
  const uint64_t bytes = mo_cache_bytes(cache, 0);
  EXPECT_EQ(mo_cache_bytes(cache, -1), 2 * bytes);
  const auto step = tokens(3, 1, 2.0f);
  mo_cache_entry entry;
  for (int64_t l = 0; l < 2; ++l) {
    ASSERT_EQ(mo_cache_update(cache, l, step->get(), step->get(), nullptr, nullptr, &entry), MO_STATUS_OK) << mo_last_error();
  }
  EXPECT_EQ(mo_page_pool_free_pages(pool), 12) << "one full page is shared, of the last page there are three";
  EXPECT_EQ(mo_cache_bytes(cache, 0), 2 * bytes);
  const std::vector<float> values = Gather(context_, entry.view, 3, 21, true, MO_DTYPE_FLOAT32);
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], i / 8 % 21 < 20 ? 1.0f : 2.0f) << i;
  mo_cache_release(cache);
  EXPECT_EQ(mo_page_pool_free_pages(pool), 16);
  mo_page_pool_release(pool);
}

/* Rows of different lengths: reading a layer, prepared or not, leaves where a prepared entry writes to, and its lengths. */
TEST_F(PagePool, ReadingLeavesAPreparedEntryAsItIs) {
  mo_page_pool_t *pool = MakePool(Options(8));
  mo_cache_t *cache = MakePaged(pool);
  DeviceTensor tokens(context_, MO_DTYPE_FLOAT32, {2, 3, 5, 8}, [](int64_t i) { return static_cast<float>(i); });
  for (int64_t l = 0; l < 2; ++l) {
    ASSERT_EQ(mo_cache_update(cache, l, tokens.get(), tokens.get(), nullptr, nullptr, nullptr), MO_STATUS_OK)
        << mo_last_error();
  }
  ASSERT_EQ(mo_cache_share_prefix(cache, 1, cache, 1, 2), MO_STATUS_OK) << mo_last_error();
  /* Layer 1 is a token ahead. */
  DeviceTensor step(context_, MO_DTYPE_FLOAT32, {2, 3, 1, 8}, [](int64_t i) { return static_cast<float>(i); });
  ASSERT_EQ(mo_cache_update(cache, 1, step.get(), step.get(), nullptr, nullptr, nullptr), MO_STATUS_OK) << mo_last_error();
  mo_cache_entry prepared, read;
  int64_t slot = 0;
  ASSERT_EQ(mo_cache_prepare(cache, 0, 1, &prepared, &slot), MO_STATUS_OK) << mo_last_error();
  const mo_kv_view view = prepared.view;
  const mo_tensor key = *view.key, value = *view.value, table = *view.block_table;
  const std::vector<float> pages = Read(context_, table), before = {5, 2};
  ASSERT_EQ(Read(context_, prepared.lengths), before);
  for (int64_t l = 0; l < 2; ++l) {
    ASSERT_EQ(mo_cache_read(cache, l, &read), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(read.token_count, 5 + l);
  }
  EXPECT_EQ(view.key->data, key.data);
  EXPECT_EQ(view.value->data, value.data);
  EXPECT_EQ(view.block_table->data, table.data);
  EXPECT_EQ(Read(context_, *view.block_table), pages);
  EXPECT_EQ(Read(context_, prepared.lengths), before);
  /* The lengths that count the new token are others than the prepared ones. */
  mo_cache_entry written = prepared;
  ASSERT_EQ(mo_cache_written(cache, 0, 1, &written), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Read(context_, written.lengths), (std::vector<float>{6, 3}));
  EXPECT_EQ(Read(context_, prepared.lengths), before);
  mo_cache_release(cache);
  mo_page_pool_release(pool);
}

TEST_F(PagePool, RowsByHandAreChecked) {
  mo_page_pool_t *pool = MakePool(Options(8)), *other_pool = MakePool(Options(8));
  mo_cache_t *cache = MakePaged(pool), *other = MakePaged(other_pool, 2), *dynamic = Make(MO_CACHE_DYNAMIC);
  mo_tensor table, lengths;
  ExpectError(mo_cache_reset_row(cache, 0), MO_STATUS_WRONG_STATE, "not known yet");
  ExpectError(mo_cache_block_table(cache, &table, &lengths), MO_STATUS_WRONG_STATE, "not known yet");
  ExpectError(mo_cache_reset_row(dynamic, 0), MO_STATUS_INVALID_ARGUMENT, "not paged");
  EXPECT_EQ(mo_cache_row_length(dynamic, 0), -1);
  DeviceTensor key(context_, MO_DTYPE_FLOAT32, {2, 3, 17, 8}, [](int64_t i) { return static_cast<float>(i); });
  for (int64_t l = 0; l < 2; ++l) {
    ASSERT_EQ(mo_cache_update(cache, l, key.get(), key.get(), nullptr, nullptr, nullptr), MO_STATUS_OK) << mo_last_error();
  }
  ExpectError(mo_cache_share_prefix(cache, 0, cache, 1, 18), MO_STATUS_INDEX_ERROR, "row 1 holds 17");
  ExpectError(mo_cache_share_prefix(cache, 2, cache, 1, 1), MO_STATUS_INDEX_ERROR, "2 rows");
  ExpectError(mo_cache_share_prefix(cache, 0, cache, -1, 1), MO_STATUS_INDEX_ERROR, "2 rows");
  ExpectError(mo_cache_share_prefix(other, 0, cache, 1, 1), MO_STATUS_INVALID_ARGUMENT, "different page pools");
  ExpectError(mo_cache_share_prefix(dynamic, 0, cache, 1, 1), MO_STATUS_INVALID_ARGUMENT, "not paged");
  ExpectError(mo_cache_reset_row(cache, 2), MO_STATUS_INDEX_ERROR, "2 rows");
  EXPECT_EQ(mo_cache_row_length(cache, 1), 17);
  EXPECT_EQ(mo_page_pool_free_pages(pool), 4);
  mo_cache_release(cache);
  mo_cache_release(other);
  mo_cache_release(dynamic);
  mo_page_pool_release(pool);
  mo_page_pool_release(other_pool);
}

}  // namespace
