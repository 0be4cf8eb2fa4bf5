// tests/ops/score_edit_test.cc - each kind of edit, their order, and what the front door refuses.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/score_edit.h"

#include <algorithm>
#include <string>

#include "tests/ops/op_expectations.h"

namespace {

using ScoreEditTest = OpTest;

// The definition, one edit after the other.
std::vector<float> Refer(std::vector<float> row, const std::vector<mo_score_stage> &stages, const TestTensor &tokens,
                         const TestTensor &values, int64_t first) {
  const auto count = static_cast<int64_t>(row.size());
  for (const mo_score_stage &stage : stages) {
    bool cleared = false;
    for (int64_t i = stage.first; i < stage.first + stage.count; ++i) {
      const auto token = static_cast<int64_t>(tokens.at(first + i));
      const auto value = static_cast<float>(values.at(first + i));
      if (token < 0 || token >= count) continue;
      if (stage.kind == MO_SCORE_EDIT_ONLY && !cleared) std::fill(row.begin(), row.end(), -INFINITY);
      cleared = true;
      float &score = row[static_cast<size_t>(token)];
      if (stage.kind == MO_SCORE_EDIT_ADD) score += value;
      else if (stage.kind == MO_SCORE_EDIT_PENALISE) score = score < 0 ? score * value : score / value;
      else score = value;
    }
  }
  return row;
}

TEST_F(ScoreEditTest, EditsAsDefined) {
  std::mt19937_64 random(7);
  for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16}) {
    for (const int64_t vocabulary : {1, 7, 97, 515, 2050}) {
      SCOPED_TRACE(testing::Message() << mo_dtype_name(dtype) << " vocabulary " << vocabulary);
      const int64_t rows = 3, per_stage = std::min<int64_t>(vocabulary, 40);
      const std::vector<mo_score_stage> stages = {{MO_SCORE_EDIT_ADD, 0, per_stage},
                                                  {MO_SCORE_EDIT_PENALISE, per_stage, per_stage},
                                                  {MO_SCORE_EDIT_SET, 2 * per_stage, per_stage},
                                                  {MO_SCORE_EDIT_ONLY, 3 * per_stage, 1},
                                                  {MO_SCORE_EDIT_SET, 3 * per_stage + 1, 1}};
      const int64_t columns = 3 * per_stage + 2;
      TestTensor logits(dtype, {rows, vocabulary}, Layout{.gap = 3}),
          scores(MO_DTYPE_FLOAT32, {rows, vocabulary}, Layout{.gap = 2});
      TestTensor tokens(MO_DTYPE_INT32, {rows, columns}, Layout{.gap = 1}), values(MO_DTYPE_FLOAT32, {rows, columns});
      logits.fill_normal(random, 2.0);
      values.fill_normal(random);
      scores.poison();
      tokens.fill_all(-1);
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t i = 0; i < 3 * per_stage; ++i) {
          const int64_t token = (i % per_stage * 3 + row) % vocabulary;
          const bool alone = vocabulary % 3 != 0 && i % 5 != 4; /* 3 i mod V meets no token twice */
          tokens.set(row * columns + i, alone ? static_cast<double>(token) : row == 1 ? -1.0 : static_cast<double>(vocabulary));
          if (i >= per_stage && i < 2 * per_stage) values.set(row * columns + i, 1.3);
          if (i >= 2 * per_stage) values.set(row * columns + i, i % 2 == 0 ? -INFINITY : 4.5);
        }
      }
      tokens.set(columns + 3 * per_stage, static_cast<double>(vocabulary / 2)); /* only the middle row is forced */
      values.set(columns + 3 * per_stage, 0);
      tokens.set(2 * columns + 3 * per_stage + 1, 0);
      mo_score_edit_params params = MO_SCORE_EDIT_PARAMS_INIT;
      params.scores = scores.get(), params.logits = logits.get(), params.tokens = tokens.get(), params.values = values.get();
      std::copy(stages.begin(), stages.end(), params.stages);
      params.stage_count = static_cast<int32_t>(stages.size());
      std::vector<std::vector<float>> expected;
      for (int64_t row = 0; row < rows; ++row) {
        std::vector<float> before;
        for (int64_t i = 0; i < vocabulary; ++i) before.push_back(static_cast<float>(logits.at(row * vocabulary + i)));
        expected.push_back(Refer(before, stages, tokens, values, row * columns));
      }
      ASSERT_EQ(test_edit_scores(context_, &params), MO_STATUS_OK) << mo_last_error();
      for (int64_t i = 0; i < rows * vocabulary; ++i) {
        const float wanted = expected[static_cast<size_t>(i / vocabulary)][static_cast<size_t>(i % vocabulary)];
        ASSERT_EQ(static_cast<float>(scores.at(i)), wanted) << i;
      }
      if (dtype != MO_DTYPE_FLOAT32) continue;
      params.scores = logits.get(); /* in place */
      ASSERT_EQ(test_edit_scores(context_, &params), MO_STATUS_OK) << mo_last_error();
      for (int64_t i = 0; i < rows * vocabulary; ++i) ASSERT_EQ(logits.at(i), scores.at(i)) << i;
    }
  }
}

TEST_F(ScoreEditTest, Refuses) {
  TestTensor logits(MO_DTYPE_FLOAT32, {2, 5}), scores(MO_DTYPE_FLOAT32, {2, 5}), other(MO_DTYPE_FLOAT32, {2, 4});
  TestTensor tokens(MO_DTYPE_INT32, {2, 3}), values(MO_DTYPE_FLOAT32, {2, 3}), wide(MO_DTYPE_INT64, {2, 3});
  TestTensor more(MO_DTYPE_INT32, {3, 3});
  logits.fill_all(1);
  scores.fill_all(7);
  tokens.fill_all(0);
  values.fill_all(0);
  mo_score_edit_params good = MO_SCORE_EDIT_PARAMS_INIT;
  good.scores = scores.get(), good.logits = logits.get(), good.tokens = tokens.get(), good.values = values.get();
  good.stages[0] = {MO_SCORE_EDIT_SET, 0, 3};
  good.stage_count = 1;
  using P = mo_score_edit_params *;
  const auto refuse = [&](const std::string &part, auto change) {
    SCOPED_TRACE(part);
    mo_score_edit_params params = good;
    change(&params);
    ExpectInvalid(test_edit_scores(context_, &params), "score edit: ");
    EXPECT_NE(std::string(mo_last_error()).find(part), std::string::npos) << mo_last_error();
    EXPECT_EQ(scores.at(0), 7);
  };
  EXPECT_EQ(test_edit_scores(nullptr, &good), MO_STATUS_INVALID_ARGUMENT);
  ExpectInvalid(test_edit_scores(context_, nullptr), "NULL");
  refuse("struct_size", [](P p) { p->struct_size = 0; });
  refuse("logits is NULL", [](P p) { p->logits = nullptr; });
  refuse("scores has extent 4", [&](P p) { p->scores = other.get(); });
  refuse("scores has dtype int32", [&](P p) { p->scores = tokens.get(); });
  refuse("tokens has dtype int64", [&](P p) { p->tokens = wide.get(); });
  refuse("tokens has extent 3", [&](P p) { p->tokens = more.get(); });
  refuse("values has extent", [&](P p) { p->values = other.get(); });
  refuse("9 stages", [](P p) { p->stage_count = 9; });
  refuse("unknown kind 4", [](P p) { p->stages[0].kind = static_cast<mo_score_edit_kind_t>(4); });
  refuse("takes 3 columns from 1 on, of 3", [](P p) { p->stages[0].first = 1; });
  refuse("takes", [](P p) { p->stages[0].first = INT64_MAX, p->stages[0].count = INT64_MAX; });
}

}  // namespace
