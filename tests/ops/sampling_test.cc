// tests/ops/sampling_test.cc - sampling against its definition in double precision, and against its own distribution.
//
// The reference draws with the same random number, so that it names the very token; where that number falls within rounding of
// a border between two tokens, or a score's place at the border of top-p is within rounding, either answer passes.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/sampling.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <set>
#include <string>

#include "tests/ops/op_expectations.h"

extern "C" {
mo_status_t mo_test_sample(mo_context_t *context, float *row, int64_t count, float temperature, uint64_t seed, int64_t *token);
void mo_test_philox(const uint32_t *counter_and_key, uint32_t *words);
uint64_t mo_test_sampling_bits(uint64_t seed, uint64_t step, uint64_t row);
}

namespace {

using SamplingTest = OpTest;
const mo_dtype_t kFloats[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};

// Relative rounding that sums of probabilities may have: 2^-22 per exponential, and their sums.
constexpr double kRounding = 2e-6;

struct Settings {
  float temperature = 1;
  int64_t top_k = 0;
  float top_p = 0, min_p = 0;
};

struct Reference {
  std::vector<float> scores;        // before the filters, NaN as -inf
  std::vector<bool> kept, certain;  // certain: not within rounding of a border
  std::set<int64_t> tokens;         // that may be drawn
  std::vector<double> log_probability;
};

// Probabilities relative to the largest; only infinite scores have one where there is any.
std::vector<double> Masses(const std::vector<float> &scores, const std::vector<bool> &kept) {
  const float maximum = *std::max_element(scores.begin(), scores.end());
  std::vector<double> masses(scores.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    const double exponent = scores[i] == maximum ? 0 : static_cast<double>(scores[i]) - static_cast<double>(maximum);
    masses[i] = kept[i] ? std::exp(exponent) : 0;
  }
  return masses;
}

void KeepTopP(double top_p, Reference *r) {
  const std::vector<double> masses = Masses(r->scores, r->kept);
  const double total = std::accumulate(masses.begin(), masses.end(), 0.0);
  std::vector<size_t> order(masses.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [r](size_t a, size_t b) { return r->scores[a] < r->scores[b]; });
  double sum = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    sum += masses[order[i]];
    if (!r->kept[order[i]]) continue;
    const double excess = sum / total - (1 - top_p);
    if (std::abs(excess) < kRounding) r->certain[order[i]] = false;
    if (excess <= 0 && i + 1 < order.size()) r->kept[order[i]] = false;
  }
}

Reference Refer(const std::vector<double> &logits, const Settings &s, uint64_t bits) {
  Reference r;
  const size_t count = logits.size();
  const bool greedy = s.temperature == 0;
  for (const double logit : logits) {
    r.scores.push_back(std::isnan(logit) ? -INFINITY : static_cast<float>(logit) / (greedy ? 1 : s.temperature));
  }
  r.kept.assign(count, true);
  r.certain.assign(count, true);
  r.log_probability.assign(count, -kInf);
  const float maximum = *std::max_element(r.scores.begin(), r.scores.end());
  if (maximum == -INFINITY) {
    r.tokens = {0};
    return r;
  }
  if (!greedy && maximum == INFINITY) {
    for (size_t i = 0; i < count; ++i) r.kept[i] = r.scores[i] == INFINITY;
  }
  if (!greedy && s.top_k > 0 && s.top_k < static_cast<int64_t>(count)) {
    std::vector<float> sorted = r.scores;
    std::sort(sorted.begin(), sorted.end(), std::greater<float>());
    const float kth = sorted[static_cast<size_t>(s.top_k - 1)];
    for (size_t i = 0; i < count; ++i) r.kept[i] = r.kept[i] && r.scores[i] >= kth;
  }
  if (!greedy && s.top_p > 0 && s.top_p < 1) KeepTopP(static_cast<double>(s.top_p), &r);
  if (!greedy && s.min_p > 0) {
    const std::vector<double> masses = Masses(r.scores, std::vector<bool>(count, true));
    for (size_t i = 0; i < count; ++i) {
      if (std::abs(masses[i] - static_cast<double>(s.min_p)) < 1e-5 * static_cast<double>(s.min_p)) r.certain[i] = false;
      if (masses[i] < static_cast<double>(s.min_p)) r.kept[i] = false;
    }
  }
  const std::vector<double> masses = Masses(r.scores, r.kept);
  const double total = std::accumulate(masses.begin(), masses.end(), 0.0);
  for (size_t i = 0; i < count; ++i) r.log_probability[i] = std::log(masses[i] / total);
  if (greedy) {
    r.tokens = {std::max_element(r.scores.begin(), r.scores.end()) - r.scores.begin()};
    return r;
  }
  double slack = kRounding;  // an uncertain score shifts every border
  for (size_t i = 0; i < count; ++i) slack += r.certain[i] ? 0 : masses[i] / total;
  const double fraction = std::ldexp(static_cast<double>(bits), -64);
  double sum = 0;
  for (size_t i = 0; i < count; ++i) {
    const double before = sum / total;
    sum += masses[i];
    if (masses[i] > 0 && before - slack <= fraction && fraction < sum / total + slack) r.tokens.insert(static_cast<int64_t>(i));
  }
  return r;
}

// One call with everything asked for, compared row by row.
void Check(mo_context_t *context, const TestTensor &logits, const Settings &s, uint64_t seed, uint64_t step) {
  const int64_t rows = logits.get()->shape[0], count = logits.get()->shape[1];
  TestTensor tokens(MO_DTYPE_INT64, {rows}, Layout{.spread = 3}), scores(MO_DTYPE_FLOAT32, {rows, count}, Layout{.gap = 5}),
      log_probabilities(MO_DTYPE_FLOAT32, {rows}, Layout{.spread = 2}), bare(MO_DTYPE_INT32, {rows});
  mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
  params.tokens = tokens.poison().get();
  params.scores = scores.poison().get();
  params.log_probabilities = log_probabilities.poison().get();
  params.logits = logits.get();
  params.temperature = s.temperature;
  params.top_k = s.top_k;
  params.top_p = s.top_p;
  params.min_p = s.min_p;
  params.seed = seed;
  params.step = step;
  ASSERT_EQ(test_sample(context, &params), MO_STATUS_OK) << mo_last_error();
  for (int64_t row = 0; row < rows; ++row) {
    SCOPED_TRACE("row " + std::to_string(row));
    std::vector<double> values(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) values[static_cast<size_t>(i)] = logits.at(row * count + i);
    const Reference r = Refer(values, s, mo_test_sampling_bits(seed, step, static_cast<uint64_t>(row)));
    for (int64_t i = 0; i < count; ++i) {
      const size_t place = static_cast<size_t>(i);
      if (!r.certain[place]) continue;
      const double expected = r.kept[place] ? static_cast<double>(r.scores[place]) : -kInf;
      ASSERT_EQ(scores.at(row * count + i), expected) << "score " << i;
    }
    const int64_t token = static_cast<int64_t>(tokens.at(row));
    ASSERT_TRUE(r.tokens.count(token)) << token << " instead of " << *r.tokens.begin();
    const double expected = r.log_probability[static_cast<size_t>(token)];
    ExpectNearOrSame(log_probabilities.at(row), expected, 1e-5 + 1e-5 * std::abs(expected));
  }
  params.tokens = bare.poison().get();  // the same without anything else asked for
  params.scores = params.log_probabilities = nullptr;
  ASSERT_EQ(test_sample(context, &params), MO_STATUS_OK) << mo_last_error();
  for (int64_t row = 0; row < rows; ++row) ASSERT_EQ(bare.at(row), tokens.at(row));
}

std::vector<Settings> AllSettings(int64_t count) {
  return {{0, 3, 0.5f, 0.5f},
          {1},
          {0.7f},
          {1.3f, 1},
          {1, 5},
          {0.9f, 50},
          {1, count},
          {1, 0, 0.9f},
          {2, 0, 0.999f},
          {1, 0, 1e-6f},
          {0.8f, 40, 0.5f},
          {1, 0, 0, 0.05f},
          {1.5f, 7, 0.8f, 0.2f},
          {1, 0, 1, 1}};
}

void Fill(TestTensor *logits, int kind, std::mt19937_64 *random) {
  const double special[] = {kNan, kInf, -kInf, 0.0, -0.0, 1e-7, -6e4, 1, 2, -kInf};
  for (int64_t i = 0; i < logits->count(); ++i) {
    if (kind == 1) logits->set(i, static_cast<double>((*random)() % 5) - 2);
    if (kind == 2) logits->set(i, special[(*random)() % 10]);
    if (kind == 3) logits->set(i, i % 2 == 0 ? kNan : -kInf);
  }
  if (kind == 0) logits->fill_normal(*random, 3);
}

TEST_F(SamplingTest, PhiloxHasTheKnownAnswers) {
  // The known-answer vectors that come with the authors' reference implementation.
  const uint32_t ask[3][6] = {{0, 0, 0, 0, 0, 0},
                              {~0u, ~0u, ~0u, ~0u, ~0u, ~0u},
                              {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0}};
  const uint32_t answer[3][4] = {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                                 {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                                 {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
  for (int i = 0; i < 3; ++i) {
    uint32_t words[4];
    mo_test_philox(ask[i], words);
    for (int j = 0; j < 4; ++j) EXPECT_EQ(words[j], answer[i][j]) << i << " " << j;
  }
}

TEST_F(SamplingTest, CalledFromC) {
  float row[5] = {0.5f, NAN, 3, 3, -INFINITY};
  int64_t token = -1;
  ASSERT_EQ(mo_test_sample(context_, row, 5, 0, 1, &token), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(token, 2);  // the lower of two equals
  for (float &value : row) value = -INFINITY;
  ASSERT_EQ(mo_test_sample(context_, row, 5, 1, 1, &token), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(token, 0);
}

TEST_F(SamplingTest, IsItsDefinition) {
  uint64_t step = 0;
  for (const mo_dtype_t dtype : kFloats) {
    for (const int64_t count : {1, 2, 63, 64, 65, 257, 1031}) {
      if (test_device_is_simulated() && count != 2 && count != 257) continue;
      for (const int kind : {0, 1, 2, 3}) {
        TestTensor logits(dtype, {3, count}, Layout{.gap = 3});  // rows at every alignment
        Fill(&logits, kind, &random_);
        int64_t turn = dtype + count / 2 + kind;  // on the simulated device every other setting, in turn
        for (const Settings &s : AllSettings(count)) {
          if (test_device_is_simulated() && (++turn % 2 != 0 || (kind == 3 && s.top_k > 0))) continue;
          SCOPED_TRACE(std::string(mo_dtype_name(dtype)) + " " + std::to_string(count) + " kind " + std::to_string(kind) +
                       " temperature " + std::to_string(s.temperature) + " k " + std::to_string(s.top_k) + " p " +
                       std::to_string(s.top_p) + " min " + std::to_string(s.min_p));
          Check(context_, logits, s, 20261124, step++ << 30);
        }
      }
    }
  }
}

// More scores than the kernel keeps as candidates: the bound from the threads' maxima, and both ways it falls back to the row.
TEST_F(SamplingTest, LongRows) {
  for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
    const int64_t count = test_device_is_simulated() ? 9001 : 20011;
    for (const int kind : {0, 1, 4, 5}) {
      TestTensor logits(dtype, {2, count}, Layout{.gap = dtype == MO_DTYPE_FLOAT32 ? 1 : 0});
      Fill(&logits, kind, &random_);
      for (int64_t i = 0; i < logits.count() && kind == 4; ++i) logits.set(i, -static_cast<double>(i % count) / 500);
      for (int64_t i = 0; i < logits.count() && kind == 5; ++i)
        logits.set(i, i % 83 == 0 ? 1 + static_cast<double>(i) / 1000 : 0);
      for (const Settings &s : {Settings{0}, Settings{1}, Settings{1, 50}, Settings{0.9f, 2000}, Settings{1, 0, 0.3f},
                                Settings{1, 0, 0.9f}, Settings{3, 0, 0.99f}, Settings{1, 100, 0.9f, 0.01f}}) {
        SCOPED_TRACE(std::string(mo_dtype_name(dtype)) + " kind " + std::to_string(kind) + " temperature " +
                     std::to_string(s.temperature) + " k " + std::to_string(s.top_k) + " p " + std::to_string(s.top_p));
        Check(context_, logits, s, 7, random_());
      }
    }
  }
}

TEST_F(SamplingTest, HasTheDistributionItSays) {
  const int64_t draws = test_device_is_simulated() ? 300 : 40000;
  const std::vector<double> values = {0.3, -1, 2, 2, 0, 1.5, -3, 1, -kInf, 0.7};
  const auto count = static_cast<int64_t>(values.size());
  TestTensor logits(MO_DTYPE_FLOAT32, {draws, count}, std::vector<int64_t>{0, 1}), tokens(MO_DTYPE_INT32, {draws});
  for (int64_t i = 0; i < count; ++i) logits.set(i, values[static_cast<size_t>(i)]);
  for (const Settings &s : {Settings{1}, Settings{0.7f, 4}, Settings{2, 0, 0.8f}}) {
    mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
    params.tokens = tokens.poison().get();
    params.logits = logits.get();
    params.temperature = s.temperature;
    params.top_k = s.top_k;
    params.top_p = s.top_p;
    params.seed = 4;
    ASSERT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
    std::vector<double> seen(values.size(), 0.0);
    for (int64_t i = 0; i < draws; ++i) seen[static_cast<size_t>(tokens.at(i))] += 1;
    const Reference r = Refer(values, s, 0);
    double chi_square = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const double expected = std::exp(r.log_probability[i]) * static_cast<double>(draws);
      if (expected == 0) ASSERT_EQ(seen[i], 0) << i;
      else chi_square += (seen[i] - expected) * (seen[i] - expected) / expected;
    }
    EXPECT_LT(chi_square, 27.9);  // 9 degrees of freedom: 0.1 %
  }
}

TEST_F(SamplingTest, RowsFinishAndCountersAdvance) {
  const int64_t rows = 4, count = 6;
  TestTensor logits(MO_DTYPE_FLOAT16, {rows, count}), tokens(MO_DTYPE_INT32, {rows, 3}), finished(MO_DTYPE_BOOL, {rows}),
      end_tokens(MO_DTYPE_INT64, {2}, Layout{.spread = 2}), lengths(MO_DTYPE_INT32, {rows}),
      positions(MO_DTYPE_INT32, {rows}, Layout{.spread = 2}), log_probabilities(MO_DTYPE_FLOAT32, {rows}),
      scores(MO_DTYPE_FLOAT32, {rows, count});
  logits.fill_all(0);
  for (const int64_t place : {0 * count + 1, 1 * count + 4, 2 * count + 5, 3 * count + 2}) logits.set(place, 9);
  finished.fill_all(0).set(1, 1);
  end_tokens.fill_list({5, 2});
  lengths.fill_list({0, 10, 20, 30});
  positions.fill_list({5, 6, 7, 8});
  tokens.poison();
  mo_tensor column = *tokens.get();
  column.rank = 1;
  column.strides[0] = 3;
  column.data = static_cast<int32_t *>(column.data) + 1;
  mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
  params.tokens = &column;
  params.logits = logits.get();
  params.scores = scores.poison().get();
  params.log_probabilities = log_probabilities.get();
  params.finished = finished.get();
  params.end_tokens = end_tokens.get();
  params.pad_token = 3;
  params.lengths = lengths.get();
  params.positions = positions.get();
  ASSERT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
  ExpectValues(tokens, {-1, 1, -1, -1, 3, -1, -1, 5, -1, -1, 2, -1}, 0);
  ExpectValues(finished, {0, 1, 1, 1}, 0);
  ExpectValues(lengths, {1, 11, 21, 31}, 0);
  ExpectValues(positions, {6, 7, 8, 9}, 0);
  EXPECT_EQ(log_probabilities.at(1), 0);
  EXPECT_EQ(scores.at(1 * count + 4), 9);  // scores of a finished row too
  params.scores = nullptr;
  params.temperature = 1;
  ASSERT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
  for (int64_t row = 1; row < rows; ++row) EXPECT_EQ(tokens.at(row * 3 + 1), 3);
  EXPECT_EQ(log_probabilities.at(3), 0);
}

TEST_F(SamplingTest, StepCountsAndRowNumbersAreTheCounter) {
  const int64_t rows = 3, count = 40;
  TestTensor logits(MO_DTYPE_BFLOAT16, {rows, count}), tokens(MO_DTYPE_INT64, {rows}), counted(MO_DTYPE_INT64, {rows}),
      steps(MO_DTYPE_INT64, {rows}), numbers(MO_DTYPE_INT64, {rows}, Layout{.spread = 2}), alone(MO_DTYPE_INT64, {1}),
      number(MO_DTYPE_INT64, {1});
  logits.fill_normal(random_);
  steps.fill_all(0);
  numbers.fill_list({0, 1, 2});
  mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
  params.logits = logits.get();
  params.temperature = 1.5f;
  params.seed = 99;
  std::set<double> different;
  for (uint64_t step = 0; step < 6; ++step) {
    params.tokens = tokens.get();
    params.step = step + 3;
    params.step_counts = params.row_numbers = nullptr;
    ASSERT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
    params.tokens = counted.get();
    params.step = 3;
    params.step_counts = steps.get();
    params.row_numbers = numbers.get();
    ASSERT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
    for (int64_t row = 0; row < rows; ++row) {
      EXPECT_EQ(tokens.at(row), counted.at(row));
      EXPECT_EQ(steps.at(row), static_cast<double>(step + 1));
      different.insert(tokens.at(row));
    }
    mo_sampling_params single = params;  // the last row, without the batch around it
    mo_tensor last = *logits.get();
    last.shape[0] = 1;
    last.data = static_cast<uint16_t *>(last.data) + 2 * count;
    number.set(0, 2);
    single.logits = &last;
    single.tokens = alone.get();
    single.step = step + 3;
    single.step_counts = nullptr;
    single.row_numbers = number.get();
    ASSERT_EQ(test_sample(context_, &single), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(alone.at(0), tokens.at(2));
  }
  EXPECT_GT(different.size(), 6u);
}

TEST_F(SamplingTest, SuppressedTokensAndLogSoftmax) {
  const int64_t rows = 2, count = 150;
  TestTensor logits(MO_DTYPE_FLOAT16, {rows, count}, Layout{.gap = 1}), tokens(MO_DTYPE_INT32, {rows}),
      scores(MO_DTYPE_FLOAT32, {rows, count}), suppressed(MO_DTYPE_INT32, {3}, Layout{.spread = 2}),
      log_probabilities(MO_DTYPE_FLOAT32, {rows});
  logits.fill_normal(random_, 2);
  logits.set(7, 30), logits.set(count + 149, 30), logits.set(130, 25), logits.set(count, 25);
  suppressed.fill_list({7, 149, 1000});  // the last is none of the vocabulary
  for (const bool log_softmax : {false, true}) {
    for (const float temperature : {0.0f, 1.0f}) {
      if (log_softmax && temperature > 0) continue;
      mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
      params.tokens = tokens.poison().get();
      params.scores = scores.poison().get();
      params.log_probabilities = log_probabilities.poison().get();
      params.logits = logits.get();
      params.temperature = temperature;
      params.top_k = 1;
      params.suppressed_tokens = suppressed.get();
      params.log_softmax = log_softmax;
      ASSERT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
      ExpectValues(tokens, {130, 0}, 0);
      for (int64_t row = 0; row < rows; ++row) {
        double sum = 0;
        for (int64_t i = 0; i < count; ++i) sum += std::exp(logits.at(row * count + i));
        for (int64_t i = 0; i < count; ++i) {
          double expected = logits.at(row * count + i) - (log_softmax ? std::log(sum) : 0);
          if (i == 7 || i == 149 || (temperature > 0 && i != (row == 0 ? 130 : 0))) expected = -kInf;
          ExpectNearOrSame(scores.at(row * count + i), expected, 1e-5);
        }
        if (log_softmax) {
          EXPECT_NEAR(log_probabilities.at(row), 25 - std::log(sum), 1e-5);
        }
        if (temperature > 0) {
          EXPECT_EQ(log_probabilities.at(row), 0);
        }
      }
      params.scores = nullptr;
      params.log_softmax = false;
      ASSERT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
      ExpectValues(tokens, {130, 0}, 0);
    }
  }
  logits.fill_all(-kInf);  // nothing but -inf, and infinities, stay what the header says
  for (int64_t i = 0; i < 4; ++i) logits.set(10 + i, kInf);
  mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
  params.tokens = tokens.get();
  params.scores = scores.get();
  params.logits = logits.get();
  params.log_softmax = true;
  ASSERT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
  ExpectValues(tokens, {10, 0}, 0);
  EXPECT_NEAR(scores.at(12), -std::log(4.0), 1e-6);
  EXPECT_EQ(scores.at(14), -kInf);
  EXPECT_EQ(scores.at(count + 14), -kInf);
}

TEST_F(SamplingTest, SameTokensOnEveryBackend) {
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CPU;
  mo_context_t *cpu = nullptr;
  ASSERT_EQ(mo_context_create(&options, &cpu), MO_STATUS_OK);
  const int64_t rows = 16, count = 700;
  TestTensor logits(MO_DTYPE_FLOAT32, {rows, count}), here(MO_DTYPE_INT32, {rows}), there(MO_DTYPE_INT32, {rows});
  logits.fill_normal(random_, 2);
  for (const Settings &s : AllSettings(count)) {
    mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
    params.logits = logits.get();
    params.temperature = s.temperature;
    params.top_k = s.top_k;
    params.top_p = s.top_p;
    params.min_p = s.min_p;
    params.seed = 11;
    params.tokens = here.get();
    ASSERT_EQ(mo_sample(cpu, &params), MO_STATUS_OK) << mo_last_error();
    params.tokens = there.get();
    ASSERT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(here.memory(), there.memory());
  }
  mo_context_destroy(cpu);
}

TEST_F(SamplingTest, InPlaceAndWithoutRows) {
  TestTensor logits(MO_DTYPE_FLOAT32, {2, 300}), scores(MO_DTYPE_FLOAT32, {2, 300}), tokens(MO_DTYPE_INT32, {2}),
      again(MO_DTYPE_INT32, {2}), none(MO_DTYPE_FLOAT32, {0, 300}), no_tokens(MO_DTYPE_INT32, {0});
  logits.fill_normal(random_);
  mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
  params.logits = logits.get();
  params.tokens = tokens.get();
  params.scores = scores.get();
  params.temperature = 0.5f;
  params.top_p = 0.7f;
  ASSERT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
  params.scores = logits.get();
  params.tokens = again.get();
  ASSERT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(scores.memory(), logits.memory());
  EXPECT_EQ(tokens.memory(), again.memory());
  params.scores = nullptr;
  params.logits = none.get();
  params.tokens = no_tokens.get();
  EXPECT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
}

TEST_F(SamplingTest, AnyByteButZeroIsTrueAndCountersStayAtTheirEnd) {
  TestTensor logits(MO_DTYPE_FLOAT32, {4, 6}), tokens(MO_DTYPE_INT64, {4}), finished(MO_DTYPE_BOOL, {4});
  TestTensor lengths(MO_DTYPE_INT32, {4}), positions(MO_DTYPE_INT32, {4}), counts(MO_DTYPE_INT64, {4}),
      ends(MO_DTYPE_INT64, {1});
  logits.fill_pattern(5, 6, 2, 1.0);
  ends.set(0, 2);
  const uint8_t bytes[] = {0, 2, 128, 255};
  memcpy(finished.get()->data, bytes, sizeof bytes);
  lengths.fill_list({INT32_MAX, INT32_MAX - 1, 3, 4});
  positions.fill_list({1, 2, INT32_MAX, 4});
  for (int64_t i = 0; i < 4; ++i) static_cast<int64_t *>(counts.get()->data)[i] = INT64_MAX - i;
  mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
  params.tokens = tokens.get(), params.logits = logits.get(), params.finished = finished.get(), params.end_tokens = ends.get();
  params.lengths = lengths.get(), params.positions = positions.get(), params.step_counts = counts.get();
  params.pad_token = 77;
  ASSERT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
  EXPECT_NE(tokens.at(0), 77);
  for (int64_t i = 1; i < 4; ++i) EXPECT_EQ(tokens.at(i), 77) << i;
  EXPECT_EQ(lengths.at(0), INT32_MAX);
  EXPECT_EQ(lengths.at(1), INT32_MAX);
  EXPECT_EQ(positions.at(2), INT32_MAX);
  EXPECT_EQ(positions.at(3), 5);
  for (int64_t i = 0; i < 4; ++i)
    EXPECT_EQ(static_cast<const int64_t *>(counts.get()->data)[i], i == 0 ? INT64_MAX : INT64_MAX - i + 1) << i;
}

TEST_F(SamplingTest, ARowWithoutAChoiceIsMarked) {
  for (const mo_dtype_t dtype : kFloats) {
    for (const float temperature : {0.0f, 0.7f}) {
      for (const bool with_scores : {false, true}) {
        TestTensor logits(dtype, {4, 300}), tokens(MO_DTYPE_INT64, {4}), scores(MO_DTYPE_FLOAT32, {4, 300});
        logits.fill_all(NAN);
        for (int64_t i = 300; i < 600; ++i) logits.set(i, -INFINITY);
        logits.set(600, 0.5);        /* one number among NaN, at id 0 */
        logits.set(900 + 299, -3.0); /* and at the end */
        mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
        params.tokens = tokens.get(), params.logits = logits.get(), params.temperature = temperature;
        if (with_scores) params.scores = scores.get();
        for (const bool marks : {true, false}) {
          params.marks_no_choice = marks;
          ASSERT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
          EXPECT_EQ(tokens.at(0), marks ? -1 : 0);
          EXPECT_EQ(tokens.at(1), marks ? -1 : 0);
          EXPECT_EQ(tokens.at(2), 0);
          EXPECT_EQ(tokens.at(3), 299);
        }
      }
    }
  }
}

TEST_F(SamplingTest, TheSmallestTopPKeepsTheLikeliest) {
  TestTensor logits(MO_DTYPE_FLOAT32, {1, 50}), tokens(MO_DTYPE_INT64, {1});
  logits.fill_pattern(7, 50, 20, 0.1);
  mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
  params.tokens = tokens.get(), params.logits = logits.get();
  ASSERT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
  const double best = tokens.at(0);
  params.temperature = 2;
  for (const float top_p : {1e-9f, 1e-20f, 1e-38f}) {
    params.top_p = top_p;
    for (params.seed = 0; params.seed < 20; ++params.seed) {
      ASSERT_EQ(test_sample(context_, &params), MO_STATUS_OK) << mo_last_error();
      ASSERT_EQ(tokens.at(0), best) << top_p;
    }
  }
}

TEST_F(SamplingTest, Refuses) {
  TestTensor logits(MO_DTYPE_FLOAT32, {2, 9}), tokens(MO_DTYPE_INT64, {2}), three(MO_DTYPE_INT64, {3}),
      halves(MO_DTYPE_FLOAT16, {2}), spread(MO_DTYPE_FLOAT32, {2, 9}, Layout{.spread = 2}), empty(MO_DTYPE_FLOAT32, {2, 0}),
      flat(MO_DTYPE_FLOAT32, {9}), scores(MO_DTYPE_FLOAT32, {2, 8}), finished(MO_DTYPE_BOOL, {2}), ends(MO_DTYPE_INT32, {1}),
      counters(MO_DTYPE_INT64, {2}), one_place(MO_DTYPE_INT64, {2}, std::vector<int64_t>{0});
  logits.fill_all(1);
  mo_sampling_params good = MO_SAMPLING_PARAMS_INIT;
  good.logits = logits.get();
  good.tokens = tokens.get();
  ASSERT_EQ(test_sample(context_, &good), MO_STATUS_OK) << mo_last_error();
  tokens.poison();
  using P = mo_sampling_params *;
  const auto refuse = [&](const std::string &part, auto change) {
    SCOPED_TRACE(part);
    mo_sampling_params params = good;
    change(&params);
    ExpectInvalid(test_sample(context_, &params), "sampling: ");
    EXPECT_NE(std::string(mo_last_error()).find(part), std::string::npos) << mo_last_error();
    EXPECT_EQ(tokens.at(0), -1);
  };
  EXPECT_EQ(test_sample(nullptr, &good), MO_STATUS_INVALID_ARGUMENT);
  ExpectInvalid(test_sample(context_, nullptr), "NULL");
  refuse("struct_size", [](P p) { p->struct_size = 0; });
  refuse("logits is NULL", [](P p) { p->logits = nullptr; });
  refuse("tokens is NULL", [](P p) { p->tokens = nullptr; });
  refuse("logits has rank 1", [&](P p) { p->logits = flat.get(); });
  refuse("logits has stride 2", [&](P p) { p->logits = spread.get(); });
  refuse("vocabulary of 0 tokens", [&](P p) { p->logits = empty.get(); });
  refuse("tokens has extent 3", [&](P p) { p->tokens = three.get(); });
  refuse("tokens has dtype float16", [&](P p) { p->tokens = halves.get(); });
  refuse("tokens has two elements at one address", [&](P p) { p->tokens = one_place.get(); });
  refuse("scores has extent 8", [&](P p) { p->scores = scores.get(); });
  refuse("log_probabilities has dtype int64", [&](P p) { p->log_probabilities = counters.get(); });
  refuse("step_counts has extent 3", [&](P p) { p->step_counts = three.get(); });
  refuse("row_numbers has dtype bool", [&](P p) { p->row_numbers = finished.get(); });
  refuse("finished has dtype int64", [&](P p) { p->finished = counters.get(); });
  refuse("end_tokens without finished", [&](P p) { p->end_tokens = ends.get(); });
  refuse("lengths has dtype int64", [&](P p) { p->lengths = counters.get(); });
  refuse("positions has dtype int64", [&](P p) { p->positions = counters.get(); });
  refuse("suppressed_tokens has dtype bool", [&](P p) { p->suppressed_tokens = finished.get(); });
  refuse("log_softmax", [](P p) { p->log_softmax = true; });
  refuse("temperature -1", [](P p) { p->temperature = -1; });
  refuse("temperature nan", [](P p) { p->temperature = NAN; });
  refuse("temperature inf", [](P p) { p->temperature = INFINITY; });
  refuse("top_k -1", [](P p) { p->top_k = -1; });
  refuse("top_p 1.5", [](P p) { p->top_p = 1.5f; });
  refuse("top_p nan", [](P p) { p->top_p = NAN; });
  refuse("min_p -0.5", [](P p) { p->min_p = -0.5f; });
  mo_tensor shifted = *scores.get();
  shifted.shape[1] = 9;
  shifted.strides[0] = 9;
  shifted.data = static_cast<float *>(logits.get()->data);
  shifted.strides[0] = 0;
  refuse("scores has two elements at one address", [&](P p) { p->scores = &shifted; });
  mo_tensor shared = *counters.get();
  shared.data = tokens.get()->data;
  refuse("tokens overlaps step_counts", [&](P p) { p->step_counts = &shared; });
  refuse("tokens overlaps row_numbers", [&](P p) { p->row_numbers = &shared; });
}

}  // namespace
