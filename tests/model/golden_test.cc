/* tests/model/golden_test.cc - every recorded case of tests/golden, replayed and compared.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "host/cli/replay.h"
#include "tests/support/test_context.h"

namespace {

constexpr double kTolerance = 2e-5;

std::vector<std::string> Cases() {
  std::vector<std::string> names;
  DIR *directory = opendir(MO_TEST_DATA);
  if (directory == nullptr) return names;
  while (const dirent *entry = readdir(directory)) {
    struct stat status;
    const std::string name = entry->d_name;
    if (stat((std::string(MO_TEST_DATA) + "/" + name + "/case.json").c_str(), &status) == 0) names.push_back(name);
  }
  closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

class Context {
 public:
  Context() {
    mo_context_options options = test_context_options();
    EXPECT_EQ(test_context_create(&options, &context_), MO_STATUS_OK) << mo_last_error();
  }
  ~Context() { mo_context_destroy(context_); }
  mo_context_t *get() const { return context_; }

 private:
  mo_context_t *context_ = nullptr;
};

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, AgreesWithTheOriginal) {
  const std::string directory = std::string(MO_TEST_DATA) + "/" + GetParam();
  Context context;
  mo_replay *replay = nullptr;
  const mo_status_t status = mo_replay_case(context.get(), directory.c_str(), MO_DTYPE_FLOAT32, &replay);
  ASSERT_NE(replay, nullptr);
  ASSERT_EQ(status, MO_STATUS_OK) << replay->message;
  mo_replay_comparison comparison;
  EXPECT_EQ(mo_replay_compare(replay, directory.c_str(), kTolerance, &comparison), MO_STATUS_OK) << comparison.message;
  EXPECT_EQ(comparison.difference_count, 0) << comparison.message;
  EXPECT_GE(comparison.tensor_count, 3);
  EXPECT_GT(comparison.value_count, 0);
  RecordProperty("largest_difference", std::to_string(comparison.largest));
  mo_replay_destroy(replay);
}

/* Half precision: values of a few units, rounded some ten times on their way, stay within 64 units in the last place of 1. */
TEST_P(Golden, HalfPrecisionStaysClose) {
  const std::string directory = std::string(MO_TEST_DATA) + "/" + GetParam();
  Context context;
  for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16}) {
    mo_replay *replay = nullptr;
    const mo_status_t status = mo_replay_case(context.get(), directory.c_str(), dtype, &replay);
    ASSERT_NE(replay, nullptr);
    ASSERT_EQ(status, MO_STATUS_OK) << replay->message;
    mo_replay_comparison comparison;
    const double tolerance = 64 * (dtype == MO_DTYPE_FLOAT16 ? 0x1p-11 : 0x1p-8);
    EXPECT_EQ(mo_replay_compare(replay, directory.c_str(), tolerance, &comparison), MO_STATUS_OK) << comparison.message;
    EXPECT_EQ(comparison.difference_count, 0) << mo_dtype_name(dtype) << ": " << comparison.message;
    EXPECT_GT(comparison.largest, 0.0);
    mo_replay_destroy(replay);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Golden, ::testing::ValuesIn(Cases()), [](const auto &test) { return test.param; });

TEST(GoldenSet, HoldsEveryFamilyAndHead) {
  const std::vector<std::string> names = Cases();
  for (const char *family : {"bert", "distilbert", "roberta", "electra", "albert"}) {
    for (const char *head : {"model", "masked_lm", "token_cls", "qa", "multiple_choice"}) {
      const std::string name = std::string(family) + "_" + head;
      EXPECT_TRUE(std::find(names.begin(), names.end(), name) != names.end()) << name;
    }
  }
}

/* The comparison itself must be able to fail. */
TEST(GoldenComparison, SeesEveryKindOfDifference) {
  const std::string directory = std::string(MO_TEST_DATA) + "/bert_model";
  Context context;
  mo_replay *replay = nullptr;
  mo_replay_comparison comparison;
  ASSERT_EQ(mo_replay_case(context.get(), directory.c_str(), MO_DTYPE_FLOAT32, &replay), MO_STATUS_OK) << replay->message;

  replay->tensors[1].values[3] += 1e-3f;
  ASSERT_EQ(mo_replay_compare(replay, directory.c_str(), kTolerance, &comparison), MO_STATUS_OK);
  EXPECT_EQ(comparison.difference_count, 1);
  EXPECT_NEAR(comparison.largest, 1e-3, 1e-5);
  EXPECT_STREQ(comparison.largest_name, replay->tensors[1].name);
  replay->tensors[1].values[3] = std::nanf("");
  ASSERT_EQ(mo_replay_compare(replay, directory.c_str(), 1e9, &comparison), MO_STATUS_OK);
  EXPECT_EQ(comparison.difference_count, 1);

  replay->tensors[0].shape[0]++;
  ASSERT_EQ(mo_replay_compare(replay, directory.c_str(), 1e9, &comparison), MO_STATUS_OK);
  EXPECT_EQ(comparison.difference_count, 2);
  std::swap(replay->keys[0], replay->keys[1]);
  ASSERT_EQ(mo_replay_compare(replay, directory.c_str(), 1e9, &comparison), MO_STATUS_OK);
  EXPECT_EQ(comparison.difference_count, 4);
  replay->tensors[2].name[0] = 'x';
  ASSERT_EQ(mo_replay_compare(replay, directory.c_str(), 1e9, &comparison), MO_STATUS_OK);
  EXPECT_EQ(comparison.difference_count, 6);
  mo_replay_destroy(replay);
}

TEST(GoldenReplay, SaysWhatItCannotDo) {
  Context context;
  mo_replay *replay = nullptr;
  EXPECT_EQ(mo_replay_case(context.get(), MO_TEST_DATA "/no_such_case", MO_DTYPE_FLOAT32, &replay), MO_STATUS_IO_ERROR);
  EXPECT_NE(std::string(replay->message), "");
  mo_replay_destroy(replay);
}

}  // namespace
