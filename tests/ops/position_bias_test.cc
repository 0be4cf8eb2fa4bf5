/* tests/ops/position_bias_test.cc - ALiBi against its formula, T5's buckets against recorded ones (scripts/record-positions).
 *
 * A bias is one product or one table entry, rounded once to the stored type: nothing else may differ.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <fstream>
#include <sstream>

#include "op_test.h"
#include "position_bias_shim.h"

namespace {

using op_test::Buffer;

constexpr mo_dtype_t kDtypes[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};

class PositionBias : public op_test::OpTest {};

TEST_F(PositionBias, AlibiIsMinusSlopeTimesDistance) {
  const int64_t sizes[][4] = {{1, 1, 1, 0},    {3, 5, 5, 0},    {2, 1, 17, 16}, {4, 7, 24, 17},
                              {8, 3, 64, 100}, {5, 2, 1031, 3}, {2, 0, 4, 0},   {2, 3, 0, 0}};
  for (const auto &size : sizes) {
    const int64_t heads = size[0], queries = size[1], keys = size[2], offset = size[3];
    for (const mo_dtype_t dtype : kDtypes) {
      for (const int64_t gap : {0, 8, 3}) {
        std::vector<float> series(static_cast<size_t>(heads));
        ASSERT_EQ(mo_alibi_slopes(heads, series.data()), MO_STATUS_OK);
        Buffer output(dtype, {1, heads, queries, keys}, gap, gap), slopes(MO_DTYPE_FLOAT32, {heads});
        for (int64_t h = 0; h < heads; ++h) slopes.set(h, static_cast<double>(series[static_cast<size_t>(h)]));
        mo_position_bias_params params = MO_POSITION_BIAS_PARAMS_INIT;
        params.kind = MO_POSITION_BIAS_ALIBI;
        params.output = &output;
        params.slopes = &slopes;
        params.query_offset = offset;
        ASSERT_EQ(test_position_bias(context_, &params), MO_STATUS_OK) << mo_last_error();
        for (int64_t i = 0; i < output.count(); ++i) {
          const int64_t h = i / keys / queries, distance = i % keys - (offset + i / keys % queries);
          const float expected = -series[static_cast<size_t>(h)] * static_cast<float>(std::llabs(distance));
          ASSERT_EQ(output.get(i), op_test::rounded(dtype, expected)) << "element " << i;
        }
        EXPECT_TRUE(output.gaps_untouched());
      }
    }
  }
}

TEST_F(PositionBias, T5HasTheOriginalsBucketsAtEveryDistance) {
  std::ifstream file(MO_TEST_DATA "/relative_buckets.txt");
  int lines = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    std::istringstream words(line);
    int64_t both = 0, count = 0, max_distance = 0;
    std::vector<int64_t> recorded(601);
    words >> both >> count >> max_distance;
    for (int64_t &bucket : recorded) words >> bucket;
    ASSERT_TRUE(words) << line.substr(0, 40);
    /* A table whose entry is its bucket, so the bias shows it: exact in every type up to 128. */
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
      Buffer output(dtype, {1, 2, 2, 600}), table(dtype, {count, 2}, 1);
      for (int64_t i = 0; i < 2 * count; ++i) table.set(i, static_cast<double>(i % 2 == 0 ? i / 2 : -(i / 2)));
      mo_position_bias_params params = MO_POSITION_BIAS_PARAMS_INIT;
      params.kind = MO_POSITION_BIAS_T5;
      params.output = &output;
      params.table = &table;
      params.bidirectional = both != 0;
      params.max_distance = max_distance;
      params.query_offset = 299;
      ASSERT_EQ(test_position_bias(context_, &params), MO_STATUS_OK) << mo_last_error();
      for (int64_t i = 0; i < output.count(); ++i) {
        const int64_t h = i / 1200, distance = i % 600 - (299 + i / 600 % 2);
        const auto bucket = static_cast<double>(recorded[static_cast<size_t>(distance + 300)]);
        ASSERT_EQ(output.get(i), h == 0 ? bucket : -bucket)
            << count << " buckets to " << max_distance << ", distance " << distance;
      }
    }
  }
  EXPECT_EQ(lines, 16);
}

/* max_distance 0 is 128; an offset on the device goes before the one in the parameters. */
TEST_F(PositionBias, DefaultsAndOffsetsOnTheDevice) {
  for (const mo_dtype_t dtype : {MO_DTYPE_INT32, MO_DTYPE_INT64}) {
    Buffer first(MO_DTYPE_FLOAT16, {1, 3, 2, 300}), second(MO_DTYPE_FLOAT16, {1, 3, 2, 300}), table(MO_DTYPE_FLOAT32, {32, 3});
    Buffer offset(dtype, {1});
    table.fill(random_);
    offset.set(0, 250);
    mo_position_bias_params params = MO_POSITION_BIAS_PARAMS_INIT;
    params.kind = MO_POSITION_BIAS_T5;
    params.output = &first;
    params.table = &table;
    params.query_offset = 250;
    ASSERT_EQ(test_position_bias(context_, &params), MO_STATUS_OK) << mo_last_error();
    params.output = &second;
    params.query_offset = 7;
    params.query_offsets = &offset;
    params.max_distance = 128;
    ASSERT_EQ(test_position_bias(context_, &params), MO_STATUS_OK) << mo_last_error();
    for (int64_t i = 0; i < first.count(); ++i) {
      ASSERT_FALSE(std::isnan(first.get(i)));
      ASSERT_EQ(first.get(i), second.get(i));
    }
  }
}

TEST_F(PositionBias, FromC) {
  std::vector<float> bias(4 * 3 * 3, NAN);
  ASSERT_EQ(shim_alibi(context_, bias.data(), 4, 3), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(bias[0], 0.0f);
  EXPECT_EQ(bias[6], -0.5f); /* slope 2^-2, two away */
  EXPECT_EQ(bias[27 + 6], -2.0f * 0.00390625f);
}

TEST_F(PositionBias, RefusesWhatItCannotDo) {
  Buffer output(MO_DTYPE_FLOAT32, {1, 2, 3, 4}), batch(MO_DTYPE_FLOAT32, {2, 2, 3, 4}), slopes(MO_DTYPE_FLOAT32, {2});
  Buffer table(MO_DTYPE_FLOAT32, {32, 2}), odd(MO_DTYPE_FLOAT32, {5, 2}), tiny(MO_DTYPE_FLOAT32, {2, 2}),
      huge(MO_DTYPE_FLOAT32, {514, 2});
  Buffer wrong(MO_DTYPE_FLOAT32, {32, 3}), half(MO_DTYPE_FLOAT16, {32, 2}), offsets(MO_DTYPE_INT64, {2});
  const auto refused = [&](const char *part, mo_position_bias_kind_t kind, auto change) {
    mo_position_bias_params params = MO_POSITION_BIAS_PARAMS_INIT;
    params.kind = kind;
    params.output = &output;
    if (kind == MO_POSITION_BIAS_ALIBI) params.slopes = &slopes;
    else params.table = &table;
    params.bidirectional = true;
    change(params);
    expect_error(test_position_bias(context_, &params), MO_STATUS_INVALID_ARGUMENT, "position bias", part);
    EXPECT_TRUE(std::isnan(output.get(0)));
  };
  const auto alibi = MO_POSITION_BIAS_ALIBI, t5 = MO_POSITION_BIAS_T5;
  refused("struct_size", alibi, [](mo_position_bias_params &p) { p.struct_size = 4; });
  refused("kind 7", static_cast<mo_position_bias_kind_t>(7), [](mo_position_bias_params &) {});
  refused("2 rows", alibi, [&](mo_position_bias_params &p) { p.output = &batch; });
  refused("query_offset -1", alibi, [](mo_position_bias_params &p) { p.query_offset = -1; });
  refused("slopes", alibi, [](mo_position_bias_params &p) { p.slopes = nullptr; });
  refused("a table was given", alibi, [&](mo_position_bias_params &p) { p.table = &table; });
  refused("slopes were given", t5, [&](mo_position_bias_params &p) { p.slopes = &slopes; });
  refused("table", t5, [&](mo_position_bias_params &p) { p.table = &wrong; });
  refused("table", t5, [&](mo_position_bias_params &p) { p.table = &half; });
  refused("5 buckets", t5, [&](mo_position_bias_params &p) { p.table = &odd; });
  refused("2 buckets", t5, [&](mo_position_bias_params &p) { p.table = &tiny; });
  refused("514 buckets", t5, [&](mo_position_bias_params &p) { p.table = &huge; });
  refused("max_distance 8", t5, [](mo_position_bias_params &p) { p.max_distance = 8; });
  refused("max_distance -3", t5, [](mo_position_bias_params &p) { p.max_distance = -3; });
  refused("query_offsets", t5, [&](mo_position_bias_params &p) { p.query_offsets = &offsets; });
  refused("overlap", t5, [&](mo_position_bias_params &p) {
    p.output = &output, p.table = nullptr, p.table = &table;
    static mo_tensor inside;
    inside = *(&table);
    inside.rank = 4;
    const int64_t shape[4] = {1, 2, 3, 4}, strides[4] = {24, 12, 4, 1};
    std::copy(shape, shape + 4, inside.shape);
    std::copy(strides, strides + 4, inside.strides);
    p.output = &inside;
  });
}

TEST(AlibiSlopes, AnyNumberOfHeads) {
  std::vector<float> slopes(16, 7.0f);
  ASSERT_EQ(mo_alibi_slopes(8, slopes.data()), MO_STATUS_OK);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(slopes[static_cast<size_t>(i)], std::ldexp(1.0f, -(i + 1)));
  EXPECT_EQ(slopes[8], 7.0f);
  /* 12 heads: those of 8, then every other one of 16. */
  ASSERT_EQ(mo_alibi_slopes(12, slopes.data()), MO_STATUS_OK);
  for (int i = 0; i < 4; ++i)
    EXPECT_FLOAT_EQ(slopes[static_cast<size_t>(8 + i)], std::exp2(-0.5f * static_cast<float>(2 * i + 1)));
  EXPECT_EQ(mo_alibi_slopes(-1, slopes.data()), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_alibi_slopes(3, nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_alibi_slopes(0, nullptr), MO_STATUS_OK);
}

}  // namespace
