/* tests/ops/rotary_test.cc - the rotary embedding against a plain double-precision computation, its tables against recorded
 * ones.
 *
 * Bound: the rounding of three float32 operations on the pair's magnitude, and that of the stored type. The recorded tables are
 * the original's (scripts/record-positions); a cosine may differ by as much as one float32 rounding of the frequency turns the
 * angle.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <fstream>
#include <limits>
#include <sstream>

#include "op_test.h"
#include "rotary_shim.h"

namespace {

using op_test::Buffer;

struct Tables {
  int64_t positions, pairs;
  Buffer cosine, sine;
  Tables(int64_t position_count, int64_t rotary_dim)
      : positions(position_count),
        pairs(rotary_dim / 2),
        cosine(MO_DTYPE_FLOAT32, {position_count, rotary_dim / 2}),
        sine(MO_DTYPE_FLOAT32, {position_count, rotary_dim / 2}) {
    mo_rotary_config config = MO_ROTARY_CONFIG_INIT;
    config.rotary_dim = rotary_dim;
    EXPECT_EQ(mo_rotary_fill_tables(&config, position_count, 0, static_cast<float *>((&cosine)->data),
                                    static_cast<float *>((&sine)->data)),
              MO_STATUS_OK)
        << mo_last_error();
  }
  mo_rotary view(mo_rotary_pairing_t pairing = MO_ROTARY_HALVES) {
    mo_rotary rotary = {};
    rotary.cosine = &cosine;
    rotary.sine = &sine;
    rotary.pairing = pairing;
    return rotary;
  }
};

/* Element d of a head at a position, and the magnitude its rounding is measured by. */
double Expected(Tables &tables, mo_rotary_pairing_t pairing, int64_t position, const std::vector<double> &head, size_t d,
                double *magnitude) {
  const auto pairs = static_cast<size_t>(tables.pairs);
  *magnitude = 0;
  if (d >= 2 * pairs) return head[d];
  const bool halves = pairing == MO_ROTARY_HALVES;
  const size_t pair = halves ? d % pairs : d / 2;
  const bool low = halves ? d < pairs : d % 2 == 0;
  const double x = head[halves ? pair : 2 * pair], y = head[halves ? pairs + pair : 2 * pair + 1];
  const double c = tables.cosine.get(position * tables.pairs + static_cast<int64_t>(pair));
  const double s = tables.sine.get(position * tables.pairs + static_cast<int64_t>(pair));
  *magnitude = std::fabs(x) + std::fabs(y);
  return low ? x * c - y * s : y * c + x * s;
}

class Rotary : public op_test::OpTest {
 protected:
  /* Compares every element of `output` with the turn of `input`. */
  void Compare(Tables &tables, mo_rotary_pairing_t pairing, const Buffer &output, const Buffer &input,
               const std::vector<int64_t> &positions) {
    mo_tensor shape = const_cast<Buffer &>(input).tensor();
    const int64_t heads = shape.shape[1], length = shape.shape[2], size = shape.shape[3];
    std::vector<double> head(static_cast<size_t>(size));
    for (int64_t row = 0; row < shape.shape[0] * heads * length; ++row) {
      const int64_t s = row % length, b = row / length / heads;
      for (int64_t d = 0; d < size; ++d) head[static_cast<size_t>(d)] = input.get(row * size + d);
      for (int64_t d = 0; d < size; ++d) {
        double magnitude = 0;
        const double expected =
            Expected(tables, pairing, positions[static_cast<size_t>(b * length + s)], head, static_cast<size_t>(d), &magnitude);
        const double bound = magnitude == 0 ? 0
                                            : 3 * op_test::rounding(MO_DTYPE_FLOAT32, magnitude) +
                                                  op_test::rounding(shape.dtype, std::fabs(expected) + 4 * 0x1p-24 * magnitude);
        ASSERT_NEAR(output.get(row * size + d), expected, bound) << "row " << row << " element " << d;
      }
    }
    EXPECT_TRUE(output.gaps_untouched());
  }

  static std::vector<int64_t> Counted(int64_t batch, int64_t length, int64_t offset) {
    std::vector<int64_t> positions;
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t s = 0; s < length; ++s) positions.push_back(offset + s);
    return positions;
  }
};

TEST_F(Rotary, EverySizeTypeAndPairing) {
  struct Size {
    int64_t batch, heads, key_heads, length, size, rotary_dim, gap;
  };
  const Size sizes[] = {{1, 1, 1, 1, 2, 2, 0},    {2, 3, 1, 5, 8, 8, 0},   {1, 4, 2, 7, 64, 64, 0},   {2, 2, 2, 3, 24, 12, 0},
                        {1, 5, 1, 4, 80, 32, 16}, {1, 2, 1, 3, 17, 10, 0}, {1, 1, 1, 2, 128, 128, 0}, {3, 12, 4, 2, 128, 64, 8},
                        {1, 3, 3, 2, 6, 0, 1},    {1, 2, 0, 3, 40, 40, 3}, {0, 2, 2, 3, 8, 8, 0},     {2, 2, 2, 0, 8, 8, 0},
                        {1, 8, 8, 1, 256, 256, 0}};
  for (const Size &size : sizes) {
    Tables tables(40, size.rotary_dim);
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16}) {
      for (const mo_rotary_pairing_t pairing : {MO_ROTARY_HALVES, MO_ROTARY_INTERLEAVED}) {
        SCOPED_TRACE(testing::Message() << size.heads << " heads of " << size.size << ", " << size.rotary_dim << " turn, "
                                        << mo_dtype_name(dtype) << (pairing == MO_ROTARY_HALVES ? " halves" : " interleaved"));
        Buffer query(dtype, {size.batch, size.heads, size.length, size.size}, size.gap);
        Buffer key(dtype, {size.batch, size.key_heads, size.length, size.size}, 0, size.gap);
        Buffer query_output(dtype, {size.batch, size.heads, size.length, size.size}, 0, 8);
        Buffer key_output(dtype, {size.batch, size.key_heads, size.length, size.size}, size.gap);
        query.fill(random_, 2.0);
        key.fill(random_, 2.0);
        mo_rotary_params params = MO_ROTARY_PARAMS_INIT;
        params.rotary = tables.view(pairing);
        params.query = &query;
        params.query_output = &query_output;
        if (size.key_heads > 0) {
          params.key = &key;
          params.key_output = &key_output;
        }
        params.position_offset = 31;
        ASSERT_EQ(test_rotary_embedding(context_, &params), MO_STATUS_OK) << mo_last_error();
        const std::vector<int64_t> positions = Counted(size.batch, size.length, 31);
        Compare(tables, pairing, query_output, query, positions);
        if (size.key_heads > 0) Compare(tables, pairing, key_output, key, positions);
      }
    }
  }
}

/* (B, S, H * D) memory seen as (B, H, S, D), the way a projection leaves it; in place. */
TEST_F(Rotary, InPlaceOnTheHeadsOfAProjection) {
  const int64_t batch = 2, length = 5, heads = 3, size = 16;
  Tables tables(64, size);
  for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
    Buffer memory(dtype, {batch, length, heads * size});
    memory.fill(random_);
    Buffer before(dtype, {batch, heads, length, size}), after(dtype, {batch, heads, length, size});
    const auto at = [&](int64_t b, int64_t h, int64_t s, int64_t d) { return ((b * length + s) * heads + h) * size + d; };
    const auto copy = [&](Buffer &to) {
      int64_t index = 0;
      for (int64_t b = 0; b < batch; ++b)
        for (int64_t h = 0; h < heads; ++h)
          for (int64_t s = 0; s < length; ++s)
            for (int64_t d = 0; d < size; ++d) to.set(index++, memory.get(at(b, h, s, d)));
    };
    copy(before);
    mo_tensor view = memory.tensor();
    view.rank = 4;
    const int64_t shape[4] = {batch, heads, length, size}, strides[4] = {length * heads * size, size, heads * size, 1};
    std::copy(shape, shape + 4, view.shape);
    std::copy(strides, strides + 4, view.strides);
    mo_rotary_params params = MO_ROTARY_PARAMS_INIT;
    params.rotary = tables.view();
    params.query = params.query_output = &view;
    params.position_offset = 3;
    ASSERT_EQ(test_rotary_embedding(context_, &params), MO_STATUS_OK) << mo_last_error();
    copy(after);
    Compare(tables, MO_ROTARY_HALVES, after, before, Counted(batch, length, 3));
  }
}

TEST_F(Rotary, PositionsOfTheCallers) {
  Tables tables(50, 8);
  for (const mo_dtype_t dtype : {MO_DTYPE_INT32, MO_DTYPE_INT64}) {
    for (const int64_t rows : {1, 3}) {
      Buffer ids(dtype, {rows, 4}, 2);
      std::vector<int64_t> positions;
      for (int64_t i = 0; i < ids.count(); ++i) ids.set(i, static_cast<double>((i * 17 + 5) % 50));
      for (int64_t i = 0; i < 12; ++i) positions.push_back(static_cast<int64_t>(ids.get(rows == 1 ? i % 4 : i)));
      Buffer query(MO_DTYPE_FLOAT32, {3, 2, 4, 8}), output(MO_DTYPE_FLOAT32, {3, 2, 4, 8});
      query.fill(random_);
      mo_rotary_params params = MO_ROTARY_PARAMS_INIT;
      params.rotary = tables.view();
      params.query = &query;
      params.query_output = &output;
      params.position_ids = &ids;
      params.position_offset = 1000000; /* not looked at */
      ASSERT_EQ(test_rotary_embedding(context_, &params), MO_STATUS_OK) << mo_last_error();
      Compare(tables, MO_ROTARY_HALVES, output, query, positions);
    }
  }
}

/* The CPU names the position and writes nothing; a device that cannot look makes those rows NaN and no others. */
TEST_F(Rotary, PositionsOutsideTheTables) {
  Tables tables(8, 8);
  for (const int64_t bad : {-1, 8, 1 << 30}) {
    Buffer ids(MO_DTYPE_INT64, {1, 3}), query(MO_DTYPE_FLOAT32, {1, 2, 3, 12}), output(MO_DTYPE_FLOAT32, {1, 2, 3, 12});
    ids.set(0, 2), ids.set(1, static_cast<double>(bad)), ids.set(2, 7);
    query.fill(random_);
    mo_rotary_params params = MO_ROTARY_PARAMS_INIT;
    params.rotary = tables.view();
    params.query = &query;
    params.query_output = &output;
    params.position_ids = &ids;
    const mo_status_t status = test_rotary_embedding(context_, &params);
    if (test_device_is_cpu()) {
      expect_error(status, MO_STATUS_INVALID_ARGUMENT, "rotary embedding", "position_ids holds");
      for (int64_t i = 0; i < output.count(); ++i) EXPECT_TRUE(std::isnan(output.get(i)));
      continue;
    }
    ASSERT_EQ(status, MO_STATUS_OK) << mo_last_error();
    for (int64_t i = 0; i < output.count(); ++i)
      EXPECT_EQ(std::isnan(output.get(i)), i / 12 % 3 == 1 && i % 12 < 8) << "element " << i;
  }
}

TEST_F(Rotary, FromC) {
  Tables tables(16, 8);
  Buffer values(MO_DTYPE_FLOAT32, {1, 2, 3, 8});
  values.fill(random_);
  const Buffer before = values;
  ASSERT_EQ(shim_rotary_in_place(context_, static_cast<float *>((&values)->data), 2, 3, 8,
                                 static_cast<const float *>((&tables.cosine)->data),
                                 static_cast<const float *>((&tables.sine)->data), 16, 13),
            MO_STATUS_OK)
      << mo_last_error();
  Compare(tables, MO_ROTARY_HALVES, values, before, Counted(1, 3, 13));
}

TEST_F(Rotary, RefusesWhatItCannotDo) {
  const char *op = "rotary embedding";
  Tables tables(8, 8), wide(8, 16);
  Buffer query(MO_DTYPE_FLOAT32, {2, 4, 3, 8}), output(MO_DTYPE_FLOAT32, {2, 4, 3, 8});
  Buffer key(MO_DTYPE_FLOAT32, {2, 2, 3, 8}), key_output(MO_DTYPE_FLOAT32, {2, 2, 3, 8});
  Buffer half_key(MO_DTYPE_FLOAT16, {2, 2, 3, 8}), long_key(MO_DTYPE_FLOAT32, {2, 2, 4, 8});
  Buffer ids(MO_DTYPE_INT64, {2, 4}), narrow(MO_DTYPE_FLOAT32, {8, 3});
  query.fill(random_);
  key.fill(random_);
  const auto refused = [&](const char *part, auto change) {
    mo_rotary_params params = MO_ROTARY_PARAMS_INIT;
    params.rotary = tables.view();
    params.query = &query;
    params.query_output = &output;
    params.key = &key;
    params.key_output = &key_output;
    change(params);
    expect_error(test_rotary_embedding(context_, &params), MO_STATUS_INVALID_ARGUMENT, op, part);
    EXPECT_TRUE(std::isnan(output.get(0)) && std::isnan(key_output.get(0)));
  };
  refused("struct_size", [](mo_rotary_params &p) { p.struct_size = 8; });
  refused("cosine", [](mo_rotary_params &p) { p.rotary.cosine = nullptr; });
  refused("sine", [&](mo_rotary_params &p) { p.rotary.sine = &narrow; });
  refused("pairing", [](mo_rotary_params &p) { p.rotary.pairing = static_cast<mo_rotary_pairing_t>(2); });
  refused("the tables turn 8 pairs", [&](mo_rotary_params &p) { p.rotary = wide.view(); });
  refused("key_output without key", [](mo_rotary_params &p) { p.key = nullptr; });
  refused("key is float16", [&](mo_rotary_params &p) { p.key = &half_key; });
  refused("key", [&](mo_rotary_params &p) { p.key = &long_key; });
  refused("position_ids", [&](mo_rotary_params &p) { p.position_ids = &ids; });
  refused("3 positions from 6", [](mo_rotary_params &p) { p.position_offset = 6; });
  refused("positions from -1", [](mo_rotary_params &p) { p.position_offset = -1; });
  refused("positions from", [](mo_rotary_params &p) { p.position_offset = std::numeric_limits<int64_t>::max(); });
  refused("overlap", [&](mo_rotary_params &p) {
    static mo_tensor shifted;
    shifted = *(&query);
    shifted.shape[2] = 2;
    shifted.data = static_cast<float *>(shifted.data) + 8;
    static mo_tensor source;
    source = *(&query);
    source.shape[2] = 2;
    p.query = &source;
    p.query_output = &shifted;
    p.key = p.key_output = nullptr;
  });
  refused("overlaps", [&](mo_rotary_params &p) {
    p.query_output = p.query;
    p.key = p.query;
    p.key_output = p.query;
  });
}

TEST_F(Rotary, EveryInstructionSet) { run_again_per_isa(); }

/* ---- Tables ---- */

TEST(RotaryTables, EqualTheOriginals) {
  std::ifstream file(MO_TEST_DATA "/rotary_tables.txt");
  std::string line, name;
  mo_rotary_config config = MO_ROTARY_CONFIG_INIT;
  int64_t length = 0;
  int cases = 0, rows = 0;
  std::vector<float> cosine, sine;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    if (line.rfind("case ", 0) == 0) {
      std::string word;
      int scaling = 0, keeps = 0;
      config = MO_ROTARY_CONFIG_INIT;
      words >> word >> name >> config.theta >> config.rotary_dim >> scaling >> config.factor >> config.original_max_positions >>
          config.low_frequency_factor >> config.high_frequency_factor >> config.beta_fast >> config.beta_slow >>
          config.attention_factor >> config.magnitude_scale >> config.magnitude_scale_all >> keeps >> length;
      ASSERT_TRUE(words) << line;
      config.scaling = static_cast<mo_rotary_scaling_t>(scaling);
      config.yarn_keeps_fraction = keeps != 0;
      cosine.assign(static_cast<size_t>(131072 * config.rotary_dim / 2), 7.0f);
      sine = cosine;
      ASSERT_EQ(mo_rotary_fill_tables(&config, 131072, length != 0 ? length : 1, cosine.data(), sine.data()), MO_STATUS_OK)
          << mo_last_error();
      ++cases;
      continue;
    }
    int64_t position = 0;
    words >> position;
    const int64_t pairs = config.rotary_dim / 2;
    for (int64_t i = 0; i < 2 * pairs; ++i) {
      double recorded = 0;
      ASSERT_TRUE(words >> recorded) << name << " position " << position;
      const float found = (i < pairs ? cosine : sine)[static_cast<size_t>(position * pairs + i % pairs)];
      /* A frequency may be the neighbouring float32: the angle then differs by its relative rounding, at most 2^-22. */
      ASSERT_NEAR(found, recorded, 1e-6 + static_cast<double>(position) * 0x1p-22)
          << name << " position " << position << " " << i;
    }
    ++rows;
  }
  EXPECT_EQ(cases, 12);
  EXPECT_EQ(rows, 120);
}

TEST(RotaryTables, RefuseWhatHasNoMeaning) {
  const auto refused = [](const char *part, auto change) {
    mo_rotary_config config = MO_ROTARY_CONFIG_INIT;
    float memory[64] = {7};
    config.rotary_dim = 8;
    config.factor = 2;
    config.original_max_positions = 16;
    change(config);
    EXPECT_EQ(mo_rotary_fill_tables(&config, 4, 0, memory, memory + 32), MO_STATUS_INVALID_ARGUMENT) << part;
    EXPECT_NE(std::string(mo_last_error()).find(part), std::string::npos) << mo_last_error();
    EXPECT_EQ(memory[0], 7);
  };
  refused("struct_size", [](mo_rotary_config &c) { c.struct_size = 0; });
  refused("rotary_dim 7", [](mo_rotary_config &c) { c.rotary_dim = 7; });
  refused("theta", [](mo_rotary_config &c) { c.theta = -1; });
  refused("scaling 9", [](mo_rotary_config &c) { c.scaling = static_cast<mo_rotary_scaling_t>(9); });
  refused("factor", [](mo_rotary_config &c) { c.scaling = MO_ROTARY_SCALING_LINEAR, c.factor = 0; });
  refused("original_max_positions",
          [](mo_rotary_config &c) { c.scaling = MO_ROTARY_SCALING_YARN, c.original_max_positions = 0; });
  refused("more than 2", [](mo_rotary_config &c) { c.scaling = MO_ROTARY_SCALING_DYNAMIC, c.rotary_dim = 2; });
  refused("frequency factor", [](mo_rotary_config &c) {
    c.scaling = MO_ROTARY_SCALING_LLAMA3;
    c.low_frequency_factor = c.high_frequency_factor = 3;
  });
  mo_rotary_config config = MO_ROTARY_CONFIG_INIT;
  config.rotary_dim = 4;
  EXPECT_EQ(mo_rotary_fill_tables(&config, 3, 0, nullptr, nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_rotary_fill_tables(&config, 0, 0, nullptr, nullptr), MO_STATUS_OK);
}

}  // namespace
