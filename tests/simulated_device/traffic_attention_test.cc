/* tests/simulated_device/traffic_attention_test.cc - memory traffic of prefill attention: nothing of size Sq x Sk but the
 * weights that are asked for, each written once, and keys read once per tile of query rows.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <algorithm>

#include "tests/simulated_device/traffic_case.h"

namespace simulated {
namespace {

constexpr mo_dtype_t kFloat = MO_DTYPE_FLOAT32, kBrain = MO_DTYPE_BFLOAT16;
constexpr int64_t kSize = 64, kTile = 64; /* of a head; query rows of a block, and keys of a tile, for heads of that size */

class TrafficAttention : public TrafficCase {
 protected:
  /* Tensors of the call. What a case wants beyond them it puts into p_. */
  void Prepare(mo_dtype_t dtype, int64_t batch, int64_t heads, int64_t key_heads, int64_t queries, int64_t keys,
               int64_t size = kSize) {
    heads_ = heads, group_ = static_cast<uint64_t>(heads / key_heads), queries_ = queries, keys_ = keys, batch_ = batch;
    row_ = static_cast<uint64_t>(size) * mo_dtype_bytes(dtype);
    query_ = &Random("query", dtype, {batch, heads, queries, size});
    key_ = &Random("key", dtype, {batch, key_heads, keys, size});
    value_ = &Random("value", dtype, {batch, key_heads, keys, size});
    output_ = &Empty("output", dtype, {batch, heads, queries, size});
    p_ = MO_ATTENTION_PARAMS_INIT;
    p_.output = *output_, p_.query = *query_, p_.key = *key_, p_.value = *value_;
  }
  void Run() {
    Count([&] { return mo_attention(context_, &p_); });
  }
  /* Tiles of query rows: as often is everything read that all of them need. */
  uint64_t RowTiles() const { return static_cast<uint64_t>((queries_ + kTile - 1) / kTile); }
  /* The rows of keys (or values) that all blocks of a head take together, where row i sees i + 1 + keys - queries of them:
   * whole tiles, but no key that is not there. */
  uint64_t CausalRows() const {
    int64_t rows = 0;
    for (int64_t first = 0; first < queries_; first += kTile) {
      const int64_t last = std::min(first + kTile, queries_) - 1, seen = last + 1 + keys_ - queries_;
      rows += std::min((seen + kTile - 1) / kTile * kTile, keys_);
    }
    return static_cast<uint64_t>(rows);
  }

  int64_t batch_ = 0, heads_ = 0, queries_ = 0, keys_ = 0;
  uint64_t group_ = 0, row_ = 0;
  DeviceTensor *query_ = nullptr, *key_ = nullptr, *value_ = nullptr, *output_ = nullptr;
  mo_attention_params p_ = MO_ATTENTION_PARAMS_INIT;
};

TEST_F(TrafficAttention, WithoutWeightsThereIsNothingOfSizeSqTimesSk) {
  for (const mo_dtype_t dtype : {kFloat, kBrain}) {
    SCOPED_TRACE(mo_dtype_name(dtype));
    Prepare(dtype, 1, 2, 1, 128, 192);
    DeviceTensor &log_sum_exp = Empty("log_sum_exp", kFloat, {1, 2, 128});
    p_.log_sum_exp = log_sum_exp;
    Run();
    ExpectOneLaunch();
    ExpectRead(*query_);
    ExpectRead(*key_, RowTiles() * group_);
    ExpectRead(*value_, RowTiles() * group_);
    ExpectWritten(*output_);
    ExpectWrittenInPieces(log_sum_exp);
    ExpectNoScratch();
  }
}

TEST_F(TrafficAttention, CausalTilesBeyondTheDiagonalAreNotRead) {
  for (const mo_dtype_t dtype : {kFloat, kBrain}) {
    SCOPED_TRACE(mo_dtype_name(dtype));
    Prepare(dtype, 1, 1, 1, 192, 192);
    p_.causal = true;
    Run();
    ExpectRead(*query_);
    EXPECT_EQ(Of(*key_).read, CausalRows() * row_);
    EXPECT_EQ(Of(*value_).read, CausalRows() * row_);
    ExpectWritten(*output_);
    ExpectNoScratch();
  }
}

TEST_F(TrafficAttention, WeightsAreWrittenOnceAndKeysReadOnceWhereARowFitsOnChip) {
  for (const mo_dtype_t dtype : {kFloat, kBrain}) {
    for (const bool causal : {false, true}) {
      SCOPED_TRACE(testing::Message() << mo_dtype_name(dtype) << (causal ? " causal" : ""));
      Prepare(dtype, 1, 2, 1, 128, 192);
      DeviceTensor &weights = Empty("weights", dtype, {1, 2, 128, 192});
      p_.weights = weights, p_.causal = causal;
      Run();
      ExpectOneLaunch();
      ExpectWritten(weights); /* the zeros of the mask too */
      ExpectWritten(*output_);
      ExpectRead(*query_);
      const uint64_t rows = causal ? CausalRows() : RowTiles() * static_cast<uint64_t>(keys_);
      EXPECT_EQ(Of(*key_).read, rows * group_ * row_);
      EXPECT_EQ(Of(*value_).read, rows * group_ * row_);
      ExpectNoScratch();
    }
  }
}

TEST_F(TrafficAttention, RowsTooLongForTheChipReadTheirKeysTwiceAndValuesOnce) {
  Prepare(kBrain, 1, 1, 1, 64, 768); /* 64 rows of 768 float32 are 192 KiB, beside 46 of tiles */
  DeviceTensor &weights = Empty("weights", kBrain, {1, 1, 64, 768});
  p_.weights = weights;
  Run();
  ExpectOneLaunch();
  ExpectWritten(weights);
  ExpectWritten(*output_);
  ExpectRead(*query_);
  ExpectRead(*key_, 2);
  ExpectRead(*value_, 1);
  ExpectNoScratch();
  /* Rows that see the first 64 keys: of the others neither keys nor values are touched, and their zeros are there. */
  Prepare(kBrain, 1, 1, 1, 64, 768);
  DeviceTensor &causal_weights = Empty("causal weights", kBrain, {1, 1, 64, 768});
  p_.weights = causal_weights, p_.causal = true, p_.causal_offset = 0;
  Run();
  ExpectWritten(causal_weights);
  EXPECT_EQ(Of(*key_).read, 2 * 64 * row_);
  EXPECT_EQ(Of(*key_).read_distinct, 64 * row_);
  EXPECT_EQ(Of(*value_).read, 64 * row_);
  ExpectNoScratch();
}

TEST_F(TrafficAttention, HeadsOfAnySizeWriteWholeLines) {
  const struct {
    mo_dtype_t dtype;
    int64_t size, keys;
    uint64_t reads; /* of the keys */
  } cases[] = {{kBrain, 24, 192, 1},  {kBrain, 128, 192, 1}, {kBrain, 128, 704, 2}, {kBrain, 256, 256, 1},
               {kBrain, 256, 512, 2}, {kFloat, 24, 192, 1},  {kFloat, 128, 192, 1}, {kFloat, 64, 768, 2},
               {kFloat, 256, 512, 1}, {kFloat, 256, 832, 2}};
  for (const auto &c : cases) {
    SCOPED_TRACE(testing::Message() << mo_dtype_name(c.dtype) << " " << c.size << ", " << c.keys << " keys");
    Prepare(c.dtype, 1, 1, 1, 12, c.keys, c.size);
    DeviceTensor &weights = Empty("weights", c.dtype, {1, 1, 12, c.keys});
    p_.weights = weights;
    Run();
    ExpectOneLaunch();
    ExpectWritten(weights);
    ExpectWrittenInPieces(*output_);
    ExpectRead(*query_);
    ExpectRead(*key_, c.reads);
    ExpectRead(*value_);
    ExpectNoScratch();
  }
}

TEST_F(TrafficAttention, OnlySelectedHeadsAndRowsAreWritten) {
  const int32_t heads[] = {1};
  for (const mo_dtype_t dtype : {kFloat, kBrain}) {
    SCOPED_TRACE(mo_dtype_name(dtype));
    Prepare(dtype, 1, 2, 2, 80, 128);
    DeviceTensor &weights = Empty("weights", dtype, {1, 1, 5, 128});
    p_.weights = weights, p_.weight_heads = {heads, 1}, p_.weight_last_rows = 5;
    Run();
    ExpectOneLaunch();
    ExpectWritten(weights);
    ExpectWritten(*output_);
    ExpectRead(*key_, RowTiles());
    ExpectRead(*value_, RowTiles());
    ExpectNoScratch();
  }
}

TEST_F(TrafficAttention, FieldsWhoseRowsBeginInTheMiddleOfALineAreWrittenOnceToo) {
  Prepare(kBrain, 1, 1, 1, 20, 100);
  DeviceTensor &weights = Empty("weights", kBrain, {1, 1, 20, 100});
  p_.weights = weights;
  Run();
  ExpectWrittenInPieces(weights);
  /* 200 bytes a row: each row's own pieces of lines, two or three of them. */
  EXPECT_LE(Of(weights).line_writes, 3u * 20);
  ExpectNoScratch();
}

TEST_F(TrafficAttention, BiasAndMaskAreReadOncePerScore) {
  Prepare(kBrain, 1, 2, 2, 64, 128);
  DeviceTensor &weights = Empty("weights", kBrain, {1, 2, 64, 128});
  DeviceTensor &bias = Random("bias", kFloat, {1, 2, 64, 128});
  DeviceTensor &mask = Values("mask", MO_DTYPE_BOOL, {1, 1, 64, 128}, std::vector<uint8_t>(64 * 128, 1));
  p_.weights = weights, p_.bias = bias, p_.mask = mask;
  Run();
  ExpectRead(bias);
  ExpectRead(mask, 2); /* of two heads */
  ExpectRead(*key_);
  ExpectWritten(weights);
  ExpectNoScratch();
}

TEST_F(TrafficAttention, ReducedWeightsLeaveNoWeightOfASingleHead) {
  const struct {
    mo_dtype_t dtype;
    mo_weights_reduction_t reduction;
    std::vector<int64_t> shape;
    bool whole_lines;
  } cases[] = {{kBrain, MO_WEIGHTS_REDUCTION_HEAD_MEAN, {1, 1, 128, 128}, true},
               {kBrain, MO_WEIGHTS_REDUCTION_COLUMN_SUM, {1, 2, 1, 128}, false},
               {kFloat, MO_WEIGHTS_REDUCTION_HEAD_MEAN, {1, 1, 128, 128}, true},
               {kFloat, MO_WEIGHTS_REDUCTION_COLUMN_SUM, {1, 2, 1, 128}, false}};
  for (const auto &c : cases) {
    SCOPED_TRACE(testing::Message() << mo_dtype_name(c.dtype) << " reduction " << static_cast<int>(c.reduction));
    Prepare(c.dtype, 1, 2, 1, 128, 128);
    DeviceTensor &weights = Empty("weights", c.dtype, c.shape);
    p_.weights = weights, p_.weights_reduction = c.reduction;
    Run();
    EXPECT_EQ(Launches(), 2u) << Kernels();
    if (c.whole_lines) ExpectWritten(weights);
    else ExpectWrittenInPieces(weights);
    ExpectWritten(*output_);
    /* Once for the output, and again by 64 rows times 64 keys of the second launch; the column sum keeps its keys. */
    constexpr uint64_t tiles = 128 / kTile;
    const bool mean = c.reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN;
    ExpectRead(*query_, 1 + tiles);
    ExpectRead(*key_, group_ * (tiles + (mean ? tiles : 1)));
    ExpectRead(*value_, group_ * tiles);
    /* Maximum and inverse sum of each row, read by each tile's warps: two side by side, and the column sum looks twice. */
    constexpr uint64_t statistics = 2 * 128 * 8;
    EXPECT_EQ(Rest().written, statistics);
    ExpectScratch(statistics, statistics * tiles * 2 * 2);
  }
}

/* ---- Cross attention, lengths, caches ---- */

TEST_F(TrafficAttention, KeysBehindTheirLengthAreNotRead) {
  for (const mo_dtype_t dtype : {kFloat, kBrain}) {
    SCOPED_TRACE(mo_dtype_name(dtype));
    Prepare(dtype, 2, 1, 1, 16, 192);
    DeviceTensor &lengths = Values("lengths", MO_DTYPE_INT32, {2}, std::vector<int32_t>{100, 192});
    p_.key_lengths = lengths;
    Run();
    ExpectOneLaunch();
    for (const DeviceTensor *side : {key_, value_}) {
      EXPECT_EQ(Of(*side, 0, 100 * row_).read, 100 * row_);
      EXPECT_EQ(Of(*side, 100 * row_, 92 * row_).read, 0u) << side->name();
      EXPECT_EQ(Of(*side, 192 * row_, 192 * row_).read, 192 * row_);
    }
    ExpectWritten(*output_);
    ExpectNoScratch();
  }
}

TEST_F(TrafficAttention, PackedSequencesWriteTheirWeightsOnceZerosIncluded) {
  constexpr int64_t lengths[] = {40, 70}, total = 110, most = 80;
  Prepare(kBrain, 1, 2, 2, total, total);
  DeviceTensor &cumulative = Values("cumulative", MO_DTYPE_INT32, {3}, std::vector<int32_t>{0, 40, 110});
  DeviceTensor &weights = Empty("weights", kBrain, {2, 2, most, most});
  p_.weights = weights, p_.cumulative_query_lengths = cumulative, p_.cumulative_key_lengths = cumulative;
  p_.max_query_length = p_.max_key_length = most;
  Run();
  EXPECT_EQ(Launches(), 2u) << Kernels();
  ExpectWrittenInPieces(weights);
  ExpectWritten(*output_);
  ExpectRead(*query_);
  for (uint64_t head = 0; head < 2; ++head) { /* 40 rows are one tile, 70 are two */
    const uint64_t start = head * total * row_;
    EXPECT_EQ(Of(*key_, start, lengths[0] * row_).read, lengths[0] * row_);
    EXPECT_EQ(Of(*key_, start + lengths[0] * row_, lengths[1] * row_).read, 2 * lengths[1] * row_);
  }
  ExpectNoScratch();
}

TEST_F(TrafficAttention, PagesOfACacheAreReadOncePerTileOfRowsAndOnlyWhatIsFilled) {
  constexpr int64_t page = 16, pages = 8, filled = 70;
  for (const bool quantised : {false, true}) {
    SCOPED_TRACE(quantised ? "int8" : "plain");
    Prepare(kBrain, 1, 2, 2, 64, filled);
    const mo_dtype_t stored = quantised ? MO_DTYPE_INT8 : kBrain;
    const uint64_t head = static_cast<uint64_t>(page * kSize) * mo_dtype_bytes(stored);
    DeviceTensor &key =
        quantised ? Values("cached key", stored, {pages, 2, page, kSize}, std::vector<int8_t>(pages * 2 * page * kSize, 3))
                  : Random("cached key", stored, {pages, 2, page, kSize});
    DeviceTensor &value =
        quantised ? Values("cached value", stored, {pages, 2, page, kSize}, std::vector<int8_t>(pages * 2 * page * kSize, 5))
                  : Random("cached value", stored, {pages, 2, page, kSize});
    DeviceTensor &key_scale = Random("key scale", kFloat, {pages, 2, page, 1});
    DeviceTensor &value_scale = Random("value scale", kFloat, {pages, 2, page, 1});
    const std::vector<int32_t> order = {6, 1, 3, 0, 7};
    DeviceTensor &table = Values("table", MO_DTYPE_INT32, {1, 5}, order);
    DeviceTensor &lengths = Values("lengths", MO_DTYPE_INT32, {1}, std::vector<int32_t>{filled});
    mo_kv_view cache = {key, value, nullptr, nullptr, table};
    if (quantised) cache.key_scale = key_scale, cache.value_scale = value_scale;
    p_.key = p_.value = nullptr;
    p_.cache = &cache, p_.key_lengths = lengths;
    Run();
    ExpectOneLaunch();
    for (const DeviceTensor *side : {&key, &value}) {
      EXPECT_EQ(Of(*side).read, static_cast<uint64_t>(2 * filled * kSize) * mo_dtype_bytes(stored)) << side->name();
      EXPECT_EQ(Of(*side).read_distinct, Of(*side).read) << side->name();
      for (const uint64_t unused : {2, 4, 5}) EXPECT_EQ(Of(*side, unused * 2 * head, 2 * head).read, 0u) << "page " << unused;
    }
    EXPECT_EQ(Of(key_scale).read, quantised ? 2u * filled * 4 : 0u);
    EXPECT_EQ(Of(value_scale).read, quantised ? 2u * filled * 4 : 0u);
    ExpectWritten(*output_);
    ExpectNoScratch();
  }
}

}  // namespace
}  // namespace simulated
