// tests/cache/cache_replay_test.cc - the recorded answers of the original, on the tested device; and that the replay notices
// wrong answers and refuses bad files.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "tests/support/cache_replay.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "tests/support/test_context.h"

namespace {

TEST(CacheReplay, TheOriginalsAnswers) {
  cache_replay_counts counts = {};
  const mo_context_options options = test_context_options();
  ASSERT_EQ(cache_replay_file(MO_TEST_DATA "/cache.json", &options, stderr, &counts), CACHE_REPLAY_OK);
  EXPECT_EQ(counts.sequences, 100);
  EXPECT_EQ(counts.differ, 0);
  EXPECT_GE(counts.agree, 75);
}

cache_replay_result_t ReplayText(const std::string &text, cache_replay_counts *counts) {
  const std::string path = ::testing::TempDir() + "cache_replay_test." + std::to_string(getpid()) + ".json";
  std::ofstream(path) << text;
  FILE *quiet = fopen("/dev/null", "w");
  const mo_context_options options = test_context_options();
  const cache_replay_result_t result = cache_replay_file(path.c_str(), &options, quiet, counts);
  fclose(quiet);
  std::remove(path.c_str());
  return result;
}

std::string Script(const std::string &kind, const std::string &params, const std::string &operations,
                   const std::string &results) {
  return R"({"scripts": [{"kind": ")" + kind + R"(", "params": {)" + params + R"(}, "batch": 1, "heads": 1, "operations": )" +
         operations + R"(, "results": )" + results + "}]}";
}

struct Case {
  const char *kind, *params, *operations, *results;
  int agree, documented, differ;
};

TEST(CacheReplay, JudgesAnswers) {
  const char *window_one =
      R"([{"returned": [[[1, 2]]], "stored": [[[1, 2]]]}, {"returned": [[[1, 2, 3]]], "stored": [[[1, 2, 3]]]}])";
  const Case cases[] = {
      {"dynamic", "", R"([["update", 2, 1]])", R"([{"returned": [[[1, 2]]], "stored": [[[1, 2]]]}])", 1, 0, 0},
      {"dynamic", "", R"([["update", 2, 1]])", R"([{"returned": [[[1, 3]]], "stored": [[[1, 2]]]}])", 0, 0, 1},
      {"dynamic", "", R"([["update", 2, 1]])", R"([{"returned": [[[1, 2]]], "stored": [[[2]]]}])", 0, 0, 1},
      {"dynamic", "", R"([["update", 2, 1]])", R"([{"returned": [[[0, 1, 2]]], "stored": [[[1, 2]]]}])", 0, 0, 1},
      {"dynamic", "", R"([["update", 2, 1]])", R"([{"error": "IndexError"}])", 0, 0, 1},
      {"dynamic", "", R"([["length"]])", R"([{"value": 0}])", 1, 0, 0},
      {"dynamic", "", R"([["length"]])", R"([{"value": 1}])", 0, 0, 1},
      {"dynamic", "", R"([["mask_sizes", 2]])", R"([{"value": [2, 1]}])", 0, 0, 1},
      {"dynamic", "", R"([["crop", -3]])", R"([{"error": "TypeError"}])", 0, 1, 0},
      {"dynamic", "", R"([["update", 1, 1], ["reset"], ["length"], ["update", 1, 2]])",
       R"([{"returned": [[[1]]], "stored": [[[1]]]}, {"length": 1, "stored": [[[0]]]}, {"value": 1},
           {"returned": [[[0, 2]]], "stored": [[[0, 2]]]}])",
       0, 1, 0},
      {"dynamic", "", R"([["update", 1, 1], ["reset"], ["update", 1, 2]])",
       R"([{"returned": [[[1]]], "stored": [[[1]]]}, {"length": 1, "stored": [[[0]]]},
           {"returned": [[[0, 0, 2]]], "stored": [[[0, 0, 2]]]}])",
       0, 0, 1},
      {"dynamic", "", R"([["update", 1, 1], ["reset"], ["repeat", 2], ["update", 1, 2]])",
       R"([{"returned": [[[1]]], "stored": [[[1]]]}, {"length": 1, "stored": [[[0]]]}, {"stored": [[[0]], [[0]]]},
           {"returned": [[[0, 2]], [[0, 1002]]], "stored": [[[0, 2]], [[0, 1002]]]}])",
       0, 1, 0},
      {"static", R"("max_length": 3)", R"([["update", 2, 1], ["crop", -1]])",
       R"([{"returned": [[[1, 2, 0]]], "stored": [[[1, 2, 0]]]}, {"error": "AttributeError"}])", 0, 1, 0},
      {"static", R"("max_length": 3)", R"([["update", 4, 1]])", R"([{"error": "IndexError"}])", 1, 0, 0},
      {"static", R"("max_length": 3)", R"([["update", 1, 1], ["reset"]])",
       R"([{"returned": [[[1, 0, 0]]], "stored": [[[1, 0, 0]]]}, {"length": 1, "stored": [[[0, 0, 0]]]}])", 0, 0, 1},
      {"sliding", R"("window": 1)", R"([["update", 2, 1], ["update", 1, 3]])", window_one, 0, 1, 0},
      {"sliding", R"("window": 4)", R"([["update", 5, 1], ["crop", -1]])",
       R"([{"returned": [[[1, 2, 3, 4, 5]]], "stored": [[[3, 4, 5]]]}, {"error": "RuntimeError"}])", 1, 0, 0},
  };
  for (const Case &c : cases) {
    cache_replay_counts counts = {};
    const std::string text = Script(c.kind, c.params, c.operations, c.results);
    EXPECT_EQ(ReplayText(text, &counts), CACHE_REPLAY_OK) << text;
    EXPECT_EQ(counts.agree, c.agree) << text;
    EXPECT_EQ(counts.documented, c.documented) << text;
    EXPECT_EQ(counts.differ, c.differ) << text;
  }
}

TEST(CacheReplay, RefusesFilesOfAnotherForm) {
  cache_replay_counts counts = {};
  for (const char *text : {"", "{", "[1, 2", R"({"a": 1, "a": 2})"})
    EXPECT_EQ(ReplayText(text, &counts), CACHE_REPLAY_UNREADABLE);
  const std::string wrong[] = {"[]",
                               "{}",
                               R"({"scripts": 3})",
                               R"({"scripts": [3]})",
                               R"({"scripts": [{}]})",
                               Script("elastic", "", "[]", "[]"),
                               Script("static", "", "[]", "[]"),
                               Script("dynamic", R"("window": 3)", "[]", "[]"),
                               Script("dynamic", "", "{}", "[]"),
                               Script("dynamic", "", "[]", "[{}]"),
                               Script("dynamic", "", "[3]", "[{}]"),
                               Script("dynamic", "", R"([["explode"]])", "[{}]"),
                               Script("dynamic", "", R"([["update"]])", "[{}]"),
                               Script("dynamic", "", R"([["length"]])", "[3]"),
                               Script("dynamic", "", R"([["length"]])", R"([{"value": "x"}])"),
                               Script("dynamic", "", R"([["update", 1, 1]])", R"([{"returned": [3], "stored": [[[1]]]}])"),
                               Script("dynamic", "", R"([["reorder"]])", "[{}]")};
  for (const std::string &text : wrong) EXPECT_EQ(ReplayText(text, &counts), CACHE_REPLAY_MALFORMED) << text;
  EXPECT_EQ(counts.agree, 0);
}

}  // namespace
