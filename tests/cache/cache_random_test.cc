// tests/cache/cache_random_test.cc - random sequences of operations on caches of every kind, step by step against the model.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <array>
#include <map>
#include <numeric>

#include "cache_model.h"

namespace {

using namespace cache_test;

constexpr int64_t kPageSize = 16;

/* A cache and what it must hold. `layers` is empty before the first update. */
struct Subject {
  mo_cache_t *cache = nullptr;
  std::vector<Layer> layers;
  bool is_reset = false; /* and not updated since */
};

/* A view handed out, and what it showed then. */
struct Snapshot {
  mo_field *field;
  std::vector<std::vector<float>> content;
};

class Sequence {
 public:
  Sequence(mo_context_t *context, uint64_t seed, mo_cache_kind_t kind) : context_(context), random_(seed) {
    setup_.kind = kind;
    setup_.layers = Pick(1, 3);
    setup_.batch = Pick(1, 4);
    setup_.heads = Pick(1, 3);
    setup_.group_size = kind == MO_CACHE_QUANTIZED || kind == MO_CACHE_PAGED ? 2 * Pick(0, 2) : 0;
    setup_.key_size = setup_.group_size > 0 ? setup_.group_size * Pick(1, 3) : Pick(1, 9);
    setup_.value_size = Pick(0, 2) > 0 ? setup_.key_size : setup_.group_size > 0 ? setup_.group_size : Pick(1, 9);
    setup_.window = Pick(1, 9);
    setup_.max_length = Pick(3, 24);
    setup_.dtype = std::array<mo_dtype_t, 3>{MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16}[Index(3)];
    setup_.storage = MO_DTYPE_NONE;
    if (kind == MO_CACHE_QUANTIZED || (kind == MO_CACHE_PAGED && Pick(0, 1) == 1))
      setup_.storage = Pick(0, 1) == 1 ? MO_DTYPE_INT8 : MO_DTYPE_FLOAT8_E4M3;
    if (setup_.storage == MO_DTYPE_NONE) setup_.group_size = 0;
    setup_.keeps_addresses = Once(2);
    if (kind == MO_CACHE_PAGED) MakePool();
    subjects_.reserve(3); /* references stay good */
    subjects_.push_back({});
    const mo_cache_options options = OptionsOf(setup_, pool_);
    EXPECT_EQ(mo_cache_create(context_, &options, &subjects_[0].cache), MO_STATUS_OK) << mo_last_error();
  }

  ~Sequence() {
    for (const Snapshot &snapshot : snapshots_) mo_field_release(snapshot.field);
    for (const Subject &subject : subjects_) mo_cache_release(subject.cache);
    if (pool_ != nullptr) {
      EXPECT_EQ(mo_page_pool_free_pages(pool_), pages_) << "pages are lost";
    }
    mo_page_pool_release(pool_);
  }

  void Run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFatalFailure(); ++i) {
      const size_t which = Index(subjects_.size());
      Step(subjects_[which]);
      if (::testing::Test::HasFatalFailure()) return;
      if (which < subjects_.size()) CheckLayer(subjects_[which], Index(static_cast<size_t>(setup_.layers)));
    }
    for (Subject &subject : subjects_) {
      for (size_t l = 0; l < static_cast<size_t>(setup_.layers); ++l) CheckLayer(subject, l);
    }
    for (const Snapshot &snapshot : snapshots_) CheckSnapshot(snapshot);
    if (pool_ != nullptr) CheckPool();
  }

  int64_t refusals = 0, exhaustions = 0, operations = 0;

 private:
  int64_t Pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }
  size_t Index(size_t count) { return static_cast<size_t>(Pick(0, static_cast<int64_t>(count) - 1)); }
  bool Once(int64_t in) { return Pick(1, in) == 1; }
  bool IsStatic() const { return setup_.kind == MO_CACHE_STATIC || setup_.kind == MO_CACHE_STATIC_SLIDING; }

  void MakePool() {
    mo_page_pool_options options = MO_PAGE_POOL_OPTIONS_INIT;
    options.page_count = pages_ = Pick(2, 24);
    options.page_size = kPageSize;
    options.layer_count = setup_.layers;
    options.num_key_value_heads = setup_.heads;
    options.head_dim = setup_.key_size;
    options.value_head_dim = setup_.value_size;
    options.dtype = setup_.dtype;
    options.storage_dtype = setup_.storage;
    options.group_size = setup_.group_size;
    options.tokens_first = Once(2);
    EXPECT_EQ(mo_page_pool_create(context_, &options, &pool_), MO_STATUS_OK) << mo_last_error();
  }

  void Step(Subject &subject) {
    ++operations;
    const bool filled = !subject.layers.empty();
    switch (filled ? Pick(0, 15) : 0) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return Update(subject);
      case 5:
        return Halves(subject);
      case 6:
        return Crop(subject, Once(4) ? Pick(0, 60) : Pick(0, 4));
      case 7:
      case 8:
        return Rows(subject);
      case 9:
        return Repeat(subject);
      case 10:
        if (Once(4)) return Reset(subject);
        return Refuse(subject);
      case 11:
        return Copy(subject);
      case 12:
        return Reserve(subject);
      case 13:
        return TakeSnapshot(subject);
      case 14:
        return setup_.kind == MO_CACHE_PAGED ? Share(subject) : Update(subject);
      default:
        return Refuse(subject);
    }
  }

  std::vector<Row> FreshTokens(size_t rows, int64_t count) {
    std::vector<Row> fresh(rows);
    for (Row &row : fresh) {
      for (int64_t i = 0; i < count; ++i) row.push_back(next_token_++ % 4000 + 1);
    }
    return fresh;
  }

  int64_t RowLimit() const { return setup_.kind == MO_CACHE_STATIC ? setup_.max_length : pages_ * kPageSize; }
  bool FitsLimit(const Layer &rows, int64_t count) const {
    if (setup_.kind != MO_CACHE_STATIC && setup_.kind != MO_CACHE_PAGED) return true;
    for (const Row &row : rows) {
      if (static_cast<int64_t>(row.size()) + count > RowLimit()) return false;
    }
    return true;
  }

  /* A step: every layer gets as many tokens. A paged step that the pool has no pages for ends at its first layer. */
  void Update(Subject &subject) {
    const int64_t count = Once(6) ? Pick(0, 40) : Pick(1, 4);
    /* A cache that grows takes another number of rows after a reset. */
    const bool anew = subject.is_reset && !HasTokens(subject) && !IsStatic() && Once(3);
    const bool first = subject.layers.empty() || anew;
    const size_t rows = anew    ? static_cast<size_t>(Pick(1, 5))
                        : first ? static_cast<size_t>(setup_.batch)
                                : subject.layers[0].size();
    std::vector<Layer> layers = first ? std::vector<Layer>(static_cast<size_t>(setup_.layers), Layer(rows)) : subject.layers;
    const bool fits = FitsLimit(layers[0], count);
    for (size_t l = 0; l < layers.size(); ++l) {
      const std::vector<Row> fresh = FreshTokens(rows, count);
      NewTokens tokens(context_, setup_, fresh);
      mo_cache_entry entry;
      const mo_status_t status =
          mo_cache_update(subject.cache, static_cast<int64_t>(l), tokens.key(), tokens.value(), nullptr, nullptr, &entry);
      if (!fits) {
        ASSERT_EQ(status, MO_STATUS_INDEX_ERROR) << mo_last_error();
        ++refusals;
        return;
      }
      if (status == MO_STATUS_OUT_OF_MEMORY && pool_ != nullptr && l == 0) {
        ++exhaustions;
        if (anew) return;
        return MakeSpace(subject);
      }
      ASSERT_EQ(status, MO_STATUS_OK) << mo_last_error() << " layer " << l;
      Layer returned;
      for (size_t b = 0; b < rows; ++b) {
        layers[l][b].insert(layers[l][b].end(), fresh[b].begin(), fresh[b].end());
        returned.push_back(Returned(setup_, layers[l][b], count));
      }
      subject.layers = first ? std::vector<Layer>(layers.size(), Layer(rows)) : subject.layers;
      ExpectEntry(context_, setup_, entry, returned);
      if (::testing::Test::HasFatalFailure()) return;
    }
    subject.layers = layers;
    subject.is_reset = false;
  }

  /* The pool is empty: rows end, and the sequence goes on. */
  void MakeSpace(Subject &subject) {
    if (subject.layers.empty()) {
      for (Subject &other : subjects_) {
        if (!other.layers.empty()) return Reset(other);
      }
      return;
    }
    const auto row = static_cast<int64_t>(Index(subject.layers[0].size()));
    ASSERT_EQ(mo_cache_reset_row(subject.cache, row), MO_STATUS_OK) << mo_last_error();
    for (Layer &layer : subject.layers) layer[static_cast<size_t>(row)].clear();
    if (subjects_.size() > 1) {
      mo_cache_release(subjects_.back().cache);
      subjects_.pop_back();
    }
  }

  /* prepare, the write by hand, commit; now and then the step is given up. */
  void Halves(Subject &subject) {
    const int64_t count = Pick(0, 5);
    if (!FitsLimit(subject.layers[0], count)) return;
    for (size_t l = 0; l < subject.layers.size(); ++l) {
      const auto layer = static_cast<int64_t>(l);
      const std::vector<Row> fresh = FreshTokens(subject.layers[l].size(), count);
      NewTokens tokens(context_, setup_, fresh);
      mo_cache_entry entry;
      int64_t slot = -1;
      const mo_status_t status = mo_cache_prepare(subject.cache, layer, count, &entry, &slot);
      if (status == MO_STATUS_OUT_OF_MEMORY && pool_ != nullptr && l == 0) {
        ++exhaustions;
        return MakeSpace(subject);
      }
      ASSERT_EQ(status, MO_STATUS_OK) << mo_last_error();
      if (l == 0 && Once(5)) return;
      mo_kv_update_layer update = {};
      update.cache = entry.view;
      update.key = tokens.key(), update.value = tokens.value();
      mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
      params.layers = &update;
      params.layer_count = 1;
      params.offset = slot;
      if (entry.lengths.dtype != MO_DTYPE_NONE) params.offsets = &entry.lengths;
      ASSERT_EQ(mo_kv_update(context_, &params), MO_STATUS_OK) << mo_last_error();
      Layer returned;
      for (size_t b = 0; b < fresh.size(); ++b) {
        Row &row = subject.layers[l][b];
        row.insert(row.end(), fresh[b].begin(), fresh[b].end());
        returned.push_back(Returned(setup_, row, count));
      }
      ExpectEntry(context_, setup_, entry, returned);
      if (::testing::Test::HasFatalFailure()) return;
      ASSERT_EQ(mo_cache_commit(subject.cache, layer, count), MO_STATUS_OK) << mo_last_error();
      subject.is_reset = false;
    }
  }

  void Crop(Subject &subject, int64_t count) {
    bool dropped = false;
    const int64_t seen = mo_cache_length(subject.cache, 0);
    for (const Row &row : subject.layers[0]) {
      const auto held = static_cast<int64_t>(setup_.kind == MO_CACHE_STATIC_SLIDING ? Last(row, StaticSlots(setup_)).size()
                                                                                    : Held(setup_, row).size());
      if (setup_.kind == MO_CACHE_SLIDING || setup_.kind == MO_CACHE_STATIC_SLIDING)
        dropped |= held < static_cast<int64_t>(row.size());
    }
    const mo_status_t status = mo_cache_crop(subject.cache, count);
    if (dropped && count > 0 && count < seen) {
      ASSERT_EQ(status, MO_STATUS_WRONG_STATE);
      ++refusals;
      return;
    }
    ASSERT_EQ(status, MO_STATUS_OK) << mo_last_error();
    for (Layer &layer : subject.layers) {
      for (Row &row : layer) row.resize(row.size() - std::min(row.size(), static_cast<size_t>(count)));
    }
  }

  static bool HasTokens(const Subject &subject) {
    for (const Layer &layer : subject.layers) {
      for (const Row &row : layer) {
        if (!row.empty()) return true;
      }
    }
    return false;
  }

  void Rows(Subject &subject) {
    const size_t before = subject.layers[0].size();
    const size_t count = Once(2) ? before : static_cast<size_t>(Pick(1, 5));
    std::vector<int64_t> rows;
    for (size_t i = 0; i < count; ++i) rows.push_back(static_cast<int64_t>(Index(before)));
    const mo_status_t status = Once(2) ? mo_cache_reorder(subject.cache, rows.data(), static_cast<int64_t>(count))
                                       : mo_cache_batch_select(subject.cache, rows.data(), static_cast<int64_t>(count));
    ASSERT_EQ(status, MO_STATUS_OK) << mo_last_error();
    if (!HasTokens(subject)) return;
    for (Layer &layer : subject.layers) {
      Layer next;
      for (const int64_t row : rows) next.push_back(layer[static_cast<size_t>(row)]);
      layer = next;
    }
  }

  void Repeat(Subject &subject) {
    if (subject.layers[0].size() > 6) return Rows(subject);
    const int64_t count = Pick(1, 3);
    ASSERT_EQ(mo_cache_batch_repeat(subject.cache, count), MO_STATUS_OK) << mo_last_error();
    if (!HasTokens(subject)) return;
    for (Layer &layer : subject.layers) {
      Layer next;
      for (const Row &row : layer) next.insert(next.end(), static_cast<size_t>(count), row);
      layer = next;
    }
  }

  void Reset(Subject &subject) {
    ASSERT_EQ(mo_cache_reset(subject.cache), MO_STATUS_OK) << mo_last_error();
    subject.is_reset = true;
    for (Layer &layer : subject.layers) {
      for (Row &row : layer) row.clear();
    }
  }

  void Copy(Subject &subject) {
    Subject copy = {nullptr, subject.layers, subject.is_reset};
    ASSERT_EQ(mo_cache_copy(subject.cache, &copy.cache), MO_STATUS_OK) << mo_last_error();
    if (subjects_.size() < 3) {
      subjects_.push_back(copy);
      return;
    }
    std::swap(subject.cache, copy.cache); /* the copy stays, the one it was made of goes */
    mo_cache_release(copy.cache);
  }

  /* Room: what follows allocates nothing on the device (the CPU's scratch memory was made before). */
  void Reserve(Subject &subject) {
    const int64_t count = Pick(1, 12);
    if (!FitsLimit(subject.layers[0], count)) return;
    const mo_status_t status = mo_cache_reserve(subject.cache, count);
    if (status == MO_STATUS_OUT_OF_MEMORY && pool_ != nullptr) {
      ++exhaustions;
      return MakeSpace(subject);
    }
    ASSERT_EQ(status, MO_STATUS_OK) << mo_last_error();
    const uint64_t bytes = mo_cache_bytes(subject.cache, -1);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t l = 0; l < setup_.layers; ++l) {
        mo_cache_entry entry;
        ASSERT_EQ(mo_cache_prepare(subject.cache, l, count, &entry, nullptr), MO_STATUS_OK) << mo_last_error();
        if (!(setup_.kind == MO_CACHE_SLIDING)) {
          ASSERT_EQ(mo_cache_bytes(subject.cache, -1), bytes);
        }
      }
      break;
    }
  }

  void TakeSnapshot(Subject &subject) {
    mo_field *field = nullptr;
    const mo_status_t status = mo_cache_field(subject.cache, MO_FRAMEWORK_PT, &field);
    if (setup_.kind == MO_CACHE_QUANTIZED || setup_.kind == MO_CACHE_PAGED) {
      ASSERT_EQ(status, MO_STATUS_UNSUPPORTED);
      ++refusals;
      return;
    }
    ASSERT_EQ(status, MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(mo_field_cache(field), subject.cache);
    if (IsStatic() || snapshots_.size() >= 3) {
      mo_field_release(field);
      return;
    }
    Snapshot snapshot = {field, {}};
    for (const Layer &layer : subject.layers) {
      Layer held;
      for (const Row &row : layer) held.push_back(Held(setup_, row));
      snapshot.content.push_back(Elements(setup_, held, false));
      snapshot.content.push_back(Elements(setup_, held, true));
    }
    snapshots_.push_back(snapshot);
    CheckSnapshot(snapshot);
  }

  void CheckSnapshot(const Snapshot &snapshot) {
    for (size_t i = 0; i < snapshot.content.size(); ++i) {
      const mo_field *tensor =
          mo_field_item(mo_field_item(snapshot.field, static_cast<int64_t>(i / 2)), static_cast<int64_t>(i % 2));
      ASSERT_EQ(Read(context_, *mo_field_tensor(tensor)), snapshot.content[i]) << "a view handed out has changed";
    }
  }

  void Share(Subject &subject) {
    Subject &source = subjects_[Index(subjects_.size())];
    if (source.layers.empty()) return;
    const size_t row = Index(subject.layers[0].size()), from = Index(source.layers[0].size());
    const int64_t length = Pick(0, static_cast<int64_t>(source.layers[0][from].size()));
    ASSERT_EQ(mo_cache_share_prefix(subject.cache, static_cast<int64_t>(row), source.cache, static_cast<int64_t>(from), length),
              MO_STATUS_OK)
        << mo_last_error();
    for (size_t l = 0; l < subject.layers.size(); ++l) {
      const Row prefix(source.layers[l][from].begin(), source.layers[l][from].begin() + length);
      subject.layers[l][row] = prefix;
    }
  }

  /* Calls that must be refused; the check of the layer after every step finds it if they change anything. */
  void Refuse(Subject &subject) {
    ++refusals;
    const size_t rows = subject.layers[0].size();
    const auto refused = [&](const Setup &setup, size_t batch, int64_t layer, mo_status_t expected) {
      NewTokens tokens(context_, setup, std::vector<Row>(batch, Row{1}));
      ASSERT_EQ(mo_cache_update(subject.cache, layer, tokens.key(), tokens.value(), nullptr, nullptr, nullptr), expected)
          << mo_last_error();
    };
    Setup other = setup_;
    const int64_t outside = static_cast<int64_t>(rows);
    mo_cache_entry entry;
    switch (Pick(0, 9)) {
      case 0:
        if (!HasTokens(subject) && !IsStatic()) return;
        return refused(setup_, rows + 1, 0, MO_STATUS_INVALID_ARGUMENT);
      case 1:
        other.heads++;
        return refused(other, rows, 0, MO_STATUS_INVALID_ARGUMENT);
      case 2:
        other.key_size++;
        return refused(other, rows, 0, MO_STATUS_INVALID_ARGUMENT);
      case 3:
        other.dtype = setup_.dtype == MO_DTYPE_FLOAT32 ? MO_DTYPE_FLOAT16 : MO_DTYPE_FLOAT32;
        return refused(other, rows, 0, MO_STATUS_INVALID_ARGUMENT);
      case 4:
        return refused(setup_, rows, -1, MO_STATUS_INDEX_ERROR);
      case 5:
        return refused(setup_, rows, IsStatic() || pool_ != nullptr ? setup_.layers : int64_t{1} << 20, MO_STATUS_INDEX_ERROR);
      case 6:
        ASSERT_EQ(mo_cache_reorder(subject.cache, &outside, 1), HasTokens(subject) ? MO_STATUS_INDEX_ERROR : MO_STATUS_OK);
        return;
      case 7:
        ASSERT_EQ(mo_cache_crop(subject.cache, -1), MO_STATUS_INVALID_ARGUMENT);
        return;
      case 8:
        ASSERT_EQ(mo_cache_batch_repeat(subject.cache, 0), MO_STATUS_INVALID_ARGUMENT);
        return;
      default:
        ASSERT_EQ(mo_cache_prepare(subject.cache, 0, -1, &entry, nullptr), MO_STATUS_INVALID_ARGUMENT);
        return;
    }
  }

  void CheckLayer(Subject &subject, size_t l) {
    if (subject.layers.empty()) return;
    Layer held;
    size_t seen = 0, stored = 0;
    for (const Row &row : subject.layers[l]) {
      held.push_back(Held(setup_, row));
      seen = std::max(seen, row.size());
      stored = std::max(stored, IsStatic() ? std::min(row.size(), held.back().size()) : held.back().size());
    }
    const auto layer = static_cast<int64_t>(l);
    mo_cache_entry entry;
    ASSERT_EQ(mo_cache_read(subject.cache, layer, &entry), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(mo_cache_length(subject.cache, layer), static_cast<int64_t>(seen));
    ASSERT_EQ(mo_cache_stored_length(subject.cache, layer), static_cast<int64_t>(stored));
    ASSERT_EQ(entry.token_count, static_cast<int64_t>(stored));
    ASSERT_EQ(mo_cache_batch_size(subject.cache), static_cast<int64_t>(held.size()));
    ExpectEntry(context_, setup_, entry, held);
  }

  /* Every page is free or named by as many rows as it has references; tables on the device are the host's. */
  void CheckPool() {
    std::map<int32_t, int64_t> mentions;
    for (Subject &subject : subjects_) {
      if (subject.layers.empty()) continue;
      mo_tensor table, lengths;
      ASSERT_EQ(mo_cache_block_table(subject.cache, &table, &lengths), MO_STATUS_OK) << mo_last_error();
      for (const float page : Read(context_, table)) {
        if (page >= 0) mentions[static_cast<int32_t>(page)]++;
      }
      const std::vector<float> counts = Read(context_, lengths);
      for (size_t b = 0; b < counts.size(); ++b) {
        ASSERT_EQ(counts[b], static_cast<float>(subject.layers[0][b].size()));
        ASSERT_EQ(mo_cache_row_length(subject.cache, static_cast<int64_t>(b)), static_cast<int64_t>(counts[b]));
      }
    }
    for (int32_t page = 0; page < pages_; ++page) ASSERT_EQ(mo_page_pool_references(pool_, page), mentions[page]) << page;
    ASSERT_EQ(mo_page_pool_free_pages(pool_),
              pages_ - std::count_if(mentions.begin(), mentions.end(), [](const auto &mention) { return mention.second > 0; }));
  }

  mo_context_t *context_;
  std::mt19937_64 random_;
  Setup setup_{};
  mo_page_pool_t *pool_ = nullptr;
  int64_t pages_ = 0;
  int next_token_ = 0;
  std::vector<Subject> subjects_;
  std::vector<Snapshot> snapshots_;
};

class CacheRandom : public CacheTest, public ::testing::WithParamInterface<mo_cache_kind_t> {};

TEST_P(CacheRandom, SequencesAgainstTheModel) {
#if defined(__SANITIZE_ADDRESS__)
  const int most = 150; /* time */
#else
  const int most = 500;
#endif
  const int sequences = test_device_is_simulated() ? 8 : most, steps = test_device_is_simulated() ? 20 : 30;
  int64_t operations = 0, refusals = 0, exhaustions = 0;
  for (int i = 0; i < sequences; ++i) {
    const uint64_t seed = 1000 * static_cast<uint64_t>(GetParam()) + static_cast<uint64_t>(i);
    SCOPED_TRACE(testing::Message() << "sequence with seed " << seed);
    Sequence sequence(context_, seed, GetParam());
    sequence.Run(steps);
    if (HasFatalFailure()) return;
    operations += sequence.operations, refusals += sequence.refusals, exhaustions += sequence.exhaustions;
  }
  RecordProperty("operations", static_cast<int>(operations));
  printf("%d sequences, %lld operations, %lld refused calls, %lld times no page left\n", sequences,
         static_cast<long long>(operations), static_cast<long long>(refusals), static_cast<long long>(exhaustions));
  if (!test_device_is_simulated()) {
    EXPECT_GT(refusals, 100);
    EXPECT_TRUE(GetParam() != MO_CACHE_PAGED || exhaustions > 100);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, CacheRandom,
                         ::testing::Values(MO_CACHE_DYNAMIC, MO_CACHE_STATIC, MO_CACHE_SLIDING, MO_CACHE_STATIC_SLIDING,
                                           MO_CACHE_QUANTIZED, MO_CACHE_PAGED));

}  // namespace
