/* tests/simulated_device/traffic_cache_test.cc - memory traffic around caches and outputs: cache updates and gathers, decode
 * attention, merging, casts, and the reads of a field by the host.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/simulated_device/traffic_case.h"

namespace simulated {
namespace {

constexpr mo_dtype_t kFloat = MO_DTYPE_FLOAT32, kHalf = MO_DTYPE_FLOAT16, kBrain = MO_DTYPE_BFLOAT16;

/* A cache of one layer, filled with something. Pages lie in the order 7 i + 3 of the pool. */
class TrafficCache : public TrafficCase {
 protected:
  void PrepareCache(mo_dtype_t dtype, mo_dtype_t stored, int64_t batch, int64_t heads, int64_t capacity, int64_t size,
                    int64_t page) {
    stored_ = stored, heads_ = static_cast<uint64_t>(heads), size_ = size;
    const bool quantised = stored != dtype;
    const int64_t pages = page > 0 ? capacity / page : 1;
    blocks_ = batch * pages, slots_ = page > 0 ? page : capacity;
    const std::vector<int64_t> shape = {blocks_, heads, slots_, size};
    if (quantised) {
      const std::vector<int8_t> codes(static_cast<size_t>(blocks_ * heads * slots_ * size), 3);
      cached_key_ = &Values("cached key", stored, shape, codes);
      cached_value_ = &Values("cached value", stored, shape, codes);
      key_scale_ = &Random("key scale", kFloat, {blocks_, heads, slots_, 1});
      value_scale_ = &Random("value scale", kFloat, {blocks_, heads, slots_, 1});
    } else {
      cached_key_ = &Random("cached key", stored, shape);
      cached_value_ = &Random("cached value", stored, shape);
      key_scale_ = value_scale_ = nullptr;
    }
    table_.clear();
    view_ = {*cached_key_, *cached_value_, nullptr, nullptr, nullptr};
    if (quantised) view_.key_scale = *key_scale_, view_.value_scale = *value_scale_;
    if (page == 0) return;
    for (int64_t i = 0; i < blocks_; ++i) table_.push_back(static_cast<int32_t>((7 * i + 3) % blocks_));
    view_.block_table = Values("table", MO_DTYPE_INT32, {batch, pages}, table_);
  }
  /* What lies at a slot of a row, of one of the tensors whose heads have `bytes`. */
  Traffic At(const DeviceTensor &tensor, uint64_t row, uint64_t head, int64_t slot, uint64_t bytes) const {
    uint64_t block = row;
    if (!table_.empty()) {
      const uint64_t pages = static_cast<uint64_t>(blocks_) / 2; /* of a row: there are two */
      block = static_cast<uint64_t>(table_[row * pages + static_cast<uint64_t>(slot / slots_)]);
    }
    return Of(tensor, ((block * heads_ + head) * static_cast<uint64_t>(slots_) + static_cast<uint64_t>(slot % slots_)) * bytes,
              bytes);
  }
  uint64_t HeadBytes() const { return static_cast<uint64_t>(size_) * mo_dtype_bytes(stored_); }

  mo_dtype_t stored_ = kFloat;
  uint64_t heads_ = 0;
  int64_t blocks_ = 0, slots_ = 0, size_ = 0;
  std::vector<int32_t> table_;
  DeviceTensor *cached_key_ = nullptr, *cached_value_ = nullptr, *key_scale_ = nullptr, *value_scale_ = nullptr;
  mo_kv_view view_ = {};
};

/* ---- Update and gather ---- */

TEST_F(TrafficCache, UpdatesReadNewTokensOnceAndWriteTheirSlotsOnce) {
  const struct {
    mo_dtype_t dtype, stored;
    int64_t page;
    bool turns;
  } cases[] = {{kFloat, kFloat, 0, false},
               {kBrain, kBrain, 16, false},
               {kBrain, kBrain, 0, true},
               {kHalf, MO_DTYPE_INT8, 0, true},
               {kBrain, MO_DTYPE_FLOAT8_E4M3, 16, false}};
  constexpr int64_t batch = 2, heads = 2, tokens = 5, size = 64, offset = 29;
  for (const auto &c : cases) {
    SCOPED_TRACE(testing::Message() << mo_dtype_name(c.dtype) << " in " << mo_dtype_name(c.stored) << " page " << c.page);
    PrepareCache(c.dtype, c.stored, batch, heads, 48, size, c.page);
    DeviceTensor &key = Random("key", c.dtype, {batch, heads, tokens, size});
    DeviceTensor &value = Random("value", c.dtype, {batch, heads, tokens, size});
    DeviceTensor &cosine = Random("cosine", kFloat, {48, size / 2}), &sine = Random("sine", kFloat, {48, size / 2});
    const mo_rotary rotary = {cosine, sine, MO_ROTARY_HALVES};
    const mo_kv_update_layer layer = {view_, key, value};
    mo_kv_update_params p = MO_KV_UPDATE_PARAMS_INIT;
    p.layers = &layer, p.layer_count = 1, p.offset = offset;
    if (c.turns) p.rotary = &rotary;
    Count([&] { return mo_kv_update(context_, &p); });
    ExpectOneLaunch();
    ExpectNoScratch();
    ExpectRead(key);
    ExpectRead(value);
    const uint64_t written = static_cast<uint64_t>(batch * heads * tokens) * HeadBytes();
    for (const DeviceTensor *side : {cached_key_, cached_value_}) {
      EXPECT_EQ(Of(*side).written, written);
      EXPECT_EQ(Of(*side).read, 0u);
      for (uint64_t row = 0; row < batch; ++row) {
        for (uint64_t head = 0; head < heads; ++head) {
          for (int64_t slot = 0; slot < 48; ++slot) {
            const bool is_new = slot >= offset && slot < offset + tokens;
            ASSERT_EQ(At(*side, row, head, slot, HeadBytes()).written, is_new ? HeadBytes() : 0u) << "slot " << slot;
          }
        }
      }
    }
    if (key_scale_ != nullptr) {
      EXPECT_EQ(Of(*key_scale_).written, static_cast<uint64_t>(batch * heads * tokens) * 4);
      EXPECT_EQ(Of(*value_scale_).written, static_cast<uint64_t>(batch * heads * tokens) * 4);
    }
  }
}

TEST_F(TrafficCache, LayersOfAStepAreOneLaunch) {
  constexpr int32_t layers = 12;
  std::vector<mo_kv_update_layer> all;
  std::vector<const DeviceTensor *> sources, caches;
  for (int32_t i = 0; i < layers; ++i) {
    PrepareCache(kBrain, kBrain, 2, 2, 32, 64, 0);
    DeviceTensor &key = Random("key", kBrain, {2, 2, 1, 64}), &value = Random("value", kBrain, {2, 2, 1, 64});
    all.push_back({view_, key, value});
    sources.insert(sources.end(), {&key, &value});
    caches.insert(caches.end(), {cached_key_, cached_value_});
  }
  mo_kv_update_params p = MO_KV_UPDATE_PARAMS_INIT;
  p.layers = all.data(), p.layer_count = layers, p.offset = 17;
  Count([&] { return mo_kv_update(context_, &p); });
  ExpectOneLaunch();
  for (const DeviceTensor *source : sources) ExpectRead(*source);
  for (const DeviceTensor *cache : caches) { /* a head of a token is a line */
    EXPECT_EQ(Of(*cache).written, 2u * 2 * 128);
    EXPECT_EQ(Of(*cache).whole_line_writes, 2u * 2);
    EXPECT_EQ(Of(*cache).read, 0u);
  }
  ExpectNoScratch();
}

TEST_F(TrafficCache, ShortHeadsOfNeighbouringTokensAreWrittenInWholeLines) {
  constexpr int64_t heads = 2, tokens = 8, size = 64;
  for (const mo_dtype_t stored : {MO_DTYPE_INT8, MO_DTYPE_FLOAT8_E4M3}) {
    PrepareCache(kBrain, stored, 1, heads, 48, size, 0);
    DeviceTensor &key = Random("key", kBrain, {1, heads, tokens, size}),
                 &value = Random("value", kBrain, {1, heads, tokens, size});
    DeviceTensor &cosine = Random("cosine", kFloat, {48, size / 2}), &sine = Random("sine", kFloat, {48, size / 2});
    const mo_rotary rotary = {cosine, sine, MO_ROTARY_HALVES};
    const mo_kv_update_layer layer = {view_, key, value};
    mo_kv_update_params p = MO_KV_UPDATE_PARAMS_INIT;
    p.layers = &layer, p.layer_count = 1, p.offset = 16, p.rotary = &rotary;
    Count([&] { return mo_kv_update(context_, &p); });
    ExpectOneLaunch();
    for (const DeviceTensor *side : {cached_key_, cached_value_}) { /* a line is two tokens of a head */
      EXPECT_EQ(Of(*side).written, static_cast<uint64_t>(heads * tokens * size));
      EXPECT_EQ(Of(*side).line_writes, static_cast<uint64_t>(heads * tokens / 2));
      EXPECT_EQ(Of(*side).whole_line_writes, static_cast<uint64_t>(heads * tokens / 2));
    }
  }
}

TEST_F(TrafficCache, GathersReadAndWriteTheRangeOnce) {
  constexpr int64_t heads = 2, size = 64, start = 10, length = 20;
  PrepareCache(kBrain, kBrain, 2, heads, 48, size, 16);
  DeviceTensor &key = Empty("key", kBrain, {2, heads, length, size}), &value = Empty("value", kBrain, {2, heads, length, size});
  mo_kv_gather_params p = MO_KV_GATHER_PARAMS_INIT;
  p.source = view_, p.destination = {key, value, nullptr, nullptr, nullptr}, p.start = start;
  Count([&] { return mo_kv_gather(context_, &p); });
  ExpectOneLaunch();
  ExpectNoScratch();
  ExpectWritten(key);
  ExpectWritten(value);
  for (const DeviceTensor *side : {cached_key_, cached_value_}) {
    EXPECT_EQ(Of(*side).read, key.bytes());
    EXPECT_EQ(Of(*side).read_distinct, key.bytes());
    EXPECT_EQ(At(*side, 1, 0, start, HeadBytes()).read, HeadBytes());
    EXPECT_EQ(At(*side, 1, 0, start - 1, HeadBytes()).read, 0u);
  }
}

/* ---- Decode attention ---- */

class TrafficDecode : public TrafficCache {
 protected:
  struct Case {
    mo_dtype_t dtype, stored;
    int64_t heads, key_heads, tokens, page;
    bool appends, weights;
  };
  static constexpr int64_t kBatch = 2, kLength = 150, kCapacity = 256, kHeadSize = 64;

  void Run(const Case &c) {
    SCOPED_TRACE(testing::Message() << mo_dtype_name(c.dtype) << " in " << mo_dtype_name(c.stored) << ", " << c.heads
                                    << " heads over " << c.key_heads << ", " << c.tokens << " tokens, page " << c.page);
    PrepareCache(c.dtype, c.stored, kBatch, c.key_heads, kCapacity, kHeadSize, c.page);
    DeviceTensor &query = Random("query", c.dtype, {kBatch, c.heads, c.tokens, kHeadSize});
    DeviceTensor &output = Empty("output", c.dtype, {kBatch, c.heads, c.tokens, kHeadSize});
    DeviceTensor &key = Random("key", c.dtype, {kBatch, c.key_heads, c.tokens, kHeadSize});
    DeviceTensor &value = Random("value", c.dtype, {kBatch, c.key_heads, c.tokens, kHeadSize});
    DeviceTensor &weights = Empty("weights", c.dtype, {kBatch, c.heads, c.tokens, kCapacity});
    mo_decode_attention_params p = MO_DECODE_ATTENTION_PARAMS_INIT;
    p.output = output, p.query = query, p.cache = view_, p.length = kLength, p.max_key_length = kCapacity;
    if (c.appends) p.key = key, p.value = value;
    if (c.weights) p.weights = weights;
    Count([&] { return mo_decode_attention(context_, &p); });
    EXPECT_EQ(Launches(), 2u) << Kernels(); /* the parts, and their combination */
    ExpectWrittenInPieces(output);
    if (c.appends) ExpectRead(key), ExpectRead(value);
    else ExpectUntouched(key), ExpectUntouched(value);
    /* Each row of the cache that the query sees, once for all query heads that share it; nothing behind. */
    const int64_t seen = kLength + (c.appends ? c.tokens : 0);
    for (const DeviceTensor *side : {cached_key_, cached_value_}) {
      EXPECT_EQ(Of(*side).read, static_cast<uint64_t>(kBatch * c.key_heads * seen) * HeadBytes()) << side->name();
      EXPECT_EQ(Of(*side).read_distinct, Of(*side).read) << side->name();
      EXPECT_EQ(Of(*side).written, c.appends ? static_cast<uint64_t>(kBatch * c.key_heads * c.tokens) * HeadBytes() : 0u);
      EXPECT_EQ(At(*side, 1, 0, seen - 1, HeadBytes()).read, HeadBytes());
      EXPECT_EQ(At(*side, 1, 0, seen, HeadBytes()).read, 0u);
    }
    if (key_scale_ != nullptr) {
      EXPECT_EQ(Of(*key_scale_).read, static_cast<uint64_t>(kBatch * c.key_heads * seen) * 4);
      EXPECT_EQ(Of(*value_scale_).read, static_cast<uint64_t>(kBatch * c.key_heads * seen) * 4);
    }
    if (c.weights) ExpectWritten(weights);
    else ExpectUntouched(weights);
    /* Scratch: of each row and part of the keys (at most one per 32) a sum of values, a maximum and a sum, each written once.
     * The sums of values are read once; the others twice by the four warps of the row's combination, and once more beside the
     * values. With weights the scores go there too and come back once, and both pieces of a row of weights look at the parts.
     */
    const auto rows = static_cast<uint64_t>(kBatch * c.heads * c.tokens);
    const uint64_t part = rows * (kHeadSize * 4 + 8), scores = c.weights ? rows * static_cast<uint64_t>(seen) * 4 : 0;
    const uint64_t parts = (Rest().written - scores) / part;
    EXPECT_EQ(Rest().written, scores + parts * part);
    EXPECT_GE(parts, 1u);
    EXPECT_LE(parts, static_cast<uint64_t>(kCapacity) / 32);
    ExpectScratch(scores + parts * part,
                  scores + parts * rows * (kHeadSize * 4 + 8 * (4 * 2 + 4) + (c.weights ? 8 * 2 * 2 : 0)));
  }
};

TEST_F(TrafficDecode, EveryKeyAndValueIsReadOncePerHead) {
  Run({kFloat, kFloat, 2, 2, 1, 0, true, false});
  Run({kBrain, kBrain, 2, 2, 1, 16, true, false});
  Run({kHalf, MO_DTYPE_INT8, 2, 2, 1, 0, false, false});
}

TEST_F(TrafficDecode, HeadsThatShareKeysReadThemOnceTogether) {
  Run({kBrain, kBrain, 8, 2, 1, 0, true, false}); /* tensor cores */
  Run({kBrain, kBrain, 8, 2, 2, 16, true, false});
  Run({kBrain, MO_DTYPE_FLOAT8_E4M3, 8, 2, 1, 16, false, false});
  Run({kFloat, kFloat, 4, 1, 2, 0, true, false}); /* eight rows of one block without them */
}

TEST_F(TrafficDecode, WeightsAreWrittenOnceAndCostOneMoreTripOfTheirScores) {
  Run({kFloat, kFloat, 2, 2, 1, 0, true, true});
  Run({kBrain, kBrain, 8, 2, 1, 0, true, true});
  Run({kBrain, kBrain, 2, 2, 1, 16, false, true}); /* cross attention over a static cache */
}

TEST_F(TrafficDecode, OnlySelectedHeadsAreWrittenAndReductionsLeaveNoOthers) {
  PrepareCache(kBrain, kBrain, 1, 2, 256, 64, 0);
  DeviceTensor &query = Random("query", kBrain, {1, 8, 1, 64}), &output = Empty("output", kBrain, {1, 8, 1, 64});
  const int32_t heads[] = {5, 2};
  const struct {
    mo_weights_reduction_t reduction;
    int64_t rows;
  } cases[] = {{MO_WEIGHTS_REDUCTION_NONE, 2}, {MO_WEIGHTS_REDUCTION_HEAD_MEAN, 1}};
  for (const auto &c : cases) {
    SCOPED_TRACE(static_cast<int>(c.reduction));
    DeviceTensor &weights = Empty("weights", kBrain, {1, c.rows, 1, 256});
    mo_decode_attention_params p = MO_DECODE_ATTENTION_PARAMS_INIT;
    p.output = output, p.query = query, p.cache = view_, p.length = 256, p.weights = weights;
    p.weights_reduction = c.reduction, p.weight_heads = {heads, 2};
    Count([&] { return mo_decode_attention(context_, &p); });
    EXPECT_EQ(Launches(), 2u) << Kernels();
    ExpectWritten(weights);
    ExpectRead(*cached_key_);
    ExpectRead(*cached_value_);
    /* The scores of two heads, and of eight rows the parts. */
    EXPECT_LE(Rest().written, uint64_t{2} * 256 * 4 + 8 * (256 / 32) * (64 * 4 + 8));
    EXPECT_EQ(Rest().read_unwritten, 0u);
  }
}

TEST_F(TrafficDecode, MoreRowsThanABlockTakesReadTheKeysOncePerBlock) {
  constexpr uint64_t rows = 16 * 8, block_rows = 64;
  PrepareCache(kBrain, kBrain, 1, 1, 64, 64, 0);
  DeviceTensor &query = Random("query", kBrain, {1, 16, 8, 64}), &output = Empty("output", kBrain, {1, 16, 8, 64});
  DeviceTensor &key = Random("key", kBrain, {1, 1, 8, 64}), &value = Random("value", kBrain, {1, 1, 8, 64});
  mo_decode_attention_params p = MO_DECODE_ATTENTION_PARAMS_INIT;
  p.output = output, p.query = query, p.key = key, p.value = value, p.cache = view_, p.length = 40;
  Count([&] { return mo_decode_attention(context_, &p); });
  EXPECT_EQ(Launches(), 3u) << Kernels(); /* the new tokens first, as several blocks read them */
  ExpectRead(key);
  ExpectRead(value);
  ExpectRead(query);
  for (const DeviceTensor *side : {cached_key_, cached_value_}) {
    EXPECT_EQ(Of(*side).read, rows / block_rows * 48 * HeadBytes()) << side->name();
    EXPECT_EQ(Of(*side).read_distinct, 48 * HeadBytes());
    EXPECT_EQ(Of(*side).written, 8 * HeadBytes());
  }
}

/* ---- Merge, cast, reads of fields ---- */

TEST_F(TrafficCase, MergeReadsBothPartsOnce) {
  for (const mo_dtype_t dtype : {kFloat, kBrain}) {
    const std::vector<int64_t> shape = {2, 3, 5, 64}, sums = {2, 3, 5};
    DeviceTensor &a = Random("a", dtype, shape), &b = Random("b", dtype, shape), &output = Empty("output", dtype, shape);
    DeviceTensor &sum_a = Random("sum a", kFloat, sums), &sum_b = Random("sum b", kFloat, sums);
    DeviceTensor &sum = Empty("sum", kFloat, sums);
    mo_attention_merge_params p = MO_ATTENTION_MERGE_PARAMS_INIT;
    p.output = output, p.log_sum_exp = sum;
    p.output_a = a, p.log_sum_exp_a = sum_a, p.output_b = b, p.log_sum_exp_b = sum_b;
    Count([&] { return mo_attention_merge(context_, &p); });
    ExpectOneLaunch();
    ExpectRead(a);
    ExpectRead(b);
    ExpectRead(sum_a);
    ExpectRead(sum_b);
    ExpectWritten(output);
    ExpectWrittenInPieces(sum);
    ExpectNoScratch();
  }
}

TEST_F(TrafficCase, CastReadsAndWritesOnce) {
  DeviceTensor &input = Random("input", kFloat, {6, 512}), &output = Empty("output", kBrain, {6, 512});
  mo_cast_params p = MO_CAST_PARAMS_INIT;
  p.output = output, p.input = input;
  Count([&] { return mo_cast(context_, &p); });
  ExpectOneLaunch();
  ExpectRead(input);
  ExpectWritten(output);
  ExpectNoScratch();
}

TEST_F(TrafficCase, TheHostReadsOfAFieldWhatItAsksFor) {
  constexpr uint64_t batch = 2, length = 6, vocabulary = 64;
  DeviceTensor &logits = Random("logits", kFloat, {batch, length, vocabulary}), &other = Random("other", kFloat, {64});
  mo_field *field = nullptr;
  ASSERT_EQ(mo_field_create_tensor(context_, logits, nullptr, nullptr, &field), MO_STATUS_OK) << mo_last_error();

  /* The last position of every sequence: rows that are not neighbours. */
  const mo_slice last[] = {MO_SLICE_ALL, MO_SLICE_AT(-1)};
  std::vector<float> values(batch * vocabulary);
  Count([&] { return mo_field_read_into(field, last, 2, values.data(), values.size() * sizeof(float)); });
  constexpr uint64_t row = vocabulary * 4;
  EXPECT_EQ(All().copied_to_host, batch * row);
  for (uint64_t b = 0; b < batch; ++b) {
    EXPECT_EQ(Fetched(logits, b * length * row, (length - 1) * row), 0u);
    EXPECT_EQ(Fetched(logits, ((b + 1) * length - 1) * row, row), row);
  }

  /* Every third column: too scattered for copies, so a kernel gathers them, each byte once. */
  const mo_slice columns[] = {MO_SLICE_ALL, MO_SLICE_ALL, {0, MO_SLICE_UNSET, 3}};
  values.resize(batch * length * 22);
  Count([&] { return mo_field_read_into(field, columns, 3, values.data(), values.size() * sizeof(float)); });
  ExpectOneLaunch();
  EXPECT_EQ(All().copied_to_host, values.size() * 4);
  ExpectScratch(values.size() * 4, 0);
  for (uint64_t i = 0; i < batch * length * vocabulary; ++i) {
    ASSERT_EQ(Fetched(logits, 4 * i, 4), i % vocabulary % 3 == 0 ? 4u : 0u) << i;
  }
  ExpectUntouched(other);
  EXPECT_EQ(Of(other).copied_to_host, 0u);
  mo_field_release(field);
}

}  // namespace
}  // namespace simulated
