// tests/output/output_behaviour_replay_test.cc - the replay of recorded scripts notices wrong answers and refuses bad files.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "tests/support/output_behaviour_replay.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>

namespace {

replay_result_t ReplayText(const std::string &text, replay_counts *counts) {
  const std::string path = ::testing::TempDir() + "container_test_replay.json";
  std::ofstream(path) << text;
  FILE *quiet = fopen("/dev/null", "w");
  const replay_result_t result = replay_file(path.c_str(), quiet, counts);
  fclose(quiet);
  std::remove(path.c_str());
  return result;
}

std::string Script(const std::string &construct, const std::string &operations, const std::string &results) {
  return R"({"scripts": [{"output_class": "CausalLMOutput", "construct": )" + construct + R"(, "operations": )" + operations +
         R"(, "results": )" + results + "}]}";
}

TEST(Replay, CountsAWrongAnswer) {
  replay_counts counts = {};
  const char *one = R"([{"value": ["loss"]}, {"value": 2}])";
  EXPECT_EQ(ReplayText(Script(R"({"fields": {"loss": "t0"}})", R"([["len"]])", one), &counts), REPLAY_OK);
  EXPECT_EQ(counts.differ, 1);
  EXPECT_EQ(counts.agree, 0);
}

TEST(Replay, CountsAWrongError) {
  replay_counts counts = {};
  EXPECT_EQ(ReplayText(Script(R"({"fields": {"los": "t0"}})", "[]", R"([{"error": "KeyError"}])"), &counts), REPLAY_OK);
  EXPECT_EQ(counts.differ, 1);
  EXPECT_EQ(ReplayText(Script(R"({"fields": {"los": "t0"}})", "[]", R"([{"error": "TypeError"}])"), &counts), REPLAY_OK);
  EXPECT_EQ(counts.agree, 1);
}

TEST(Replay, SaysWhatHasNoMeaningInC) {
  replay_counts counts = {};
  const char *results = R"([{"value": []}, {"error": "TypeError"}])";
  EXPECT_EQ(ReplayText(Script(R"({"fields": {}})", R"([["item", 1.5]])", results), &counts), REPLAY_OK);
  EXPECT_EQ(ReplayText(Script(R"({"fields": {}})", R"([["set_item", 3, "t0"]])", results), &counts), REPLAY_OK);
  EXPECT_EQ(counts.without_meaning, 2);
}

TEST(Replay, RefusesFilesOfAnotherForm) {
  replay_counts counts = {};
  FILE *quiet = fopen("/dev/null", "w");
  EXPECT_EQ(replay_file("/nonexistent/file.json", quiet, &counts), REPLAY_UNREADABLE);
  fclose(quiet);
  const char *unreadable[] = {"", "{", "[1, 2", R"({"a": 1, "a": 2})"};
  for (const char *text : unreadable) EXPECT_EQ(ReplayText(text, &counts), REPLAY_UNREADABLE) << text;
  const std::string wrong[] = {"[]",
                               "{}",
                               R"({"scripts": 3})",
                               R"({"scripts": [3]})",
                               R"({"scripts": [{}]})",
                               R"({"scripts": [{"output_class": "NoSuchOutput"}]})",
                               Script("3", "[]", "[]"),
                               Script("{}", "[]", R"([{"value": []}])"),
                               Script(R"({"fields": []})", "[]", R"([{"value": []}])"),
                               Script(R"({"positional": {}})", "[]", R"([{"value": []}])"),
                               Script(R"({"first_is_output": {"class": 3}})", "[]", R"([{"value": []}])"),
                               Script(R"({"fields": {}})", "{}", "[]"),
                               Script(R"({"fields": {}})", "[]", "[]"),
                               Script(R"({"fields": {}})", R"([["len"]])", R"([{"value": []}])"),
                               Script(R"({"fields": {}})", "[3]", R"([{"value": []}, {}])"),
                               Script(R"({"fields": {}})", "[[]]", R"([{"value": []}, {}])"),
                               Script(R"({"fields": {}})", R"([["attr"]])", R"([{"value": []}, {}])"),
                               Script(R"({"fields": {}})", R"([["set_attr", 3, 4]])", R"([{"value": []}, {}])"),
                               Script(R"({"fields": {}})", R"([["explode"]])", R"([{"value": []}, {}])")};
  for (const std::string &text : wrong) EXPECT_EQ(ReplayText(text, &counts), REPLAY_MALFORMED) << text;
  EXPECT_EQ(counts.agree, 0);
}

}  // namespace
