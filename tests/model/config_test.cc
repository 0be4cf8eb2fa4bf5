// tests/model/config_test.cc - the typed view of config.json: defaults, ranges, wrong types, hostile text.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
extern "C" {
#include "host/checkpoint/config.h"
}

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "tests/support/temporary_folder.h"

namespace {

struct Destroyer {
  void operator()(mo_config_t *config) const { mo_config_destroy(config); }
};
using Config = std::unique_ptr<mo_config_t, Destroyer>;

mo_status_t Parse(const std::string &text, Config *config) {
  // A block of exactly the text's size: a sanitizer sees any byte read past it.
  const std::unique_ptr<char[]> exact(new char[text.size()]);
  std::copy(text.begin(), text.end(), exact.get());
  mo_config_t *made = nullptr;
  const mo_status_t status = mo_config_from_text(exact.get(), text.size(), "config.json", &made);
  EXPECT_EQ(status == MO_STATUS_OK, made != nullptr);
  config->reset(made);
  return status;
}

Config Good(const std::string &text) {
  Config config;
  EXPECT_EQ(Parse(text, &config), MO_STATUS_OK) << mo_last_error();
  return config;
}

TEST(Config, ReadsEachType) {
  const Config config =
      Good(R"({"hidden_size": 384, "layer_norm_eps": 1e-12, "zero": 0, "use_cache": true, "hidden_act": "gelu",
                                 "classifier_dropout": null, "negative": -7, "large": 9223372036854775807})");
  int64_t integer = 0;
  EXPECT_EQ(mo_config_integer(config.get(), "hidden_size", 1, 1000, 5, &integer), MO_STATUS_OK);
  EXPECT_EQ(integer, 384);
  EXPECT_EQ(mo_config_require_integer(config.get(), "large", 1, INT64_MAX, &integer), MO_STATUS_OK);
  EXPECT_EQ(integer, INT64_MAX);
  EXPECT_EQ(mo_config_integer(config.get(), "negative", -7, -7, 0, &integer), MO_STATUS_OK);
  EXPECT_EQ(integer, -7);
  double real = 0;
  EXPECT_EQ(mo_config_float(config.get(), "layer_norm_eps", 0, 1, 0.5, &real), MO_STATUS_OK);
  EXPECT_EQ(real, 1e-12);
  EXPECT_EQ(mo_config_float(config.get(), "zero", 0, 1, 0.5, &real), MO_STATUS_OK);
  EXPECT_EQ(real, 0.0);
  bool flag = false;
  EXPECT_EQ(mo_config_bool(config.get(), "use_cache", false, &flag), MO_STATUS_OK);
  EXPECT_TRUE(flag);
  const char *text = nullptr;
  EXPECT_EQ(mo_config_string(config.get(), "hidden_act", nullptr, &text), MO_STATUS_OK);
  EXPECT_STREQ(text, "gelu");
  EXPECT_TRUE(mo_config_has(config.get(), "zero"));
  EXPECT_FALSE(mo_config_has(config.get(), "classifier_dropout"));
  EXPECT_FALSE(mo_config_has(config.get(), "nowhere"));
  EXPECT_TRUE(mo_config_find_integer(config.get(), "hidden_size", &integer));
  EXPECT_EQ(integer, 384);
  EXPECT_FALSE(mo_config_find_integer(config.get(), "hidden_act", &integer));
  EXPECT_FALSE(mo_config_find_integer(config.get(), "nowhere", &integer));
}

TEST(Config, AbsentAndNullTakeTheDefault) {
  const Config config = Good(R"({"empty": null})");
  for (const char *key : {"empty", "nowhere"}) {
    int64_t integer = 0;
    double real = 0;
    bool flag = false;
    const char *text = nullptr;
    EXPECT_EQ(mo_config_integer(config.get(), key, 1, 2, 77, &integer), MO_STATUS_OK);
    EXPECT_EQ(integer, 77);
    EXPECT_EQ(mo_config_float(config.get(), key, 0, 1, 2.5, &real), MO_STATUS_OK);
    EXPECT_EQ(real, 2.5);
    EXPECT_EQ(mo_config_bool(config.get(), key, true, &flag), MO_STATUS_OK);
    EXPECT_TRUE(flag);
    EXPECT_EQ(mo_config_string(config.get(), key, "fallback", &text), MO_STATUS_OK);
    EXPECT_STREQ(text, "fallback");
    integer = -5;
    EXPECT_EQ(mo_config_require_integer(config.get(), key, 1, 2, &integer), MO_STATUS_BAD_FILE);
    EXPECT_EQ(integer, -5);
    EXPECT_EQ(std::string(mo_last_error()), std::string("config.json: ") + key + " is missing, must be an integer in 1..2");
  }
}

TEST(Config, WrongTypesNameKeyValueAndExpectation) {
  const Config config =
      Good(R"({"text": "large", "real": 12.0, "small": 0, "flag": 1, "list": [1, 2], "object": {"a": 1}, "yes": true})");
  int64_t integer = -5;
  double real = -5;
  bool flag = false;
  const char *text = "unchanged";
  const auto expect = [](mo_status_t status, const char *sentence) {
    EXPECT_EQ(status, MO_STATUS_BAD_FILE);
    EXPECT_STREQ(mo_last_error(), sentence);
  };
  expect(mo_config_integer(config.get(), "text", 1, 9, 5, &integer),
         "config.json: text is \"large\", must be an integer in 1..9");
  expect(mo_config_integer(config.get(), "real", 1, 99, 5, &integer),
         "config.json: real is 12 (a real), must be an integer in 1..99");
  expect(mo_config_integer(config.get(), "small", 1, 9, 5, &integer), "config.json: small is 0, must be an integer in 1..9");
  expect(mo_config_integer(config.get(), "yes", 1, 9, 5, &integer), "config.json: yes is true, must be an integer in 1..9");
  expect(mo_config_float(config.get(), "text", 0, 1, 0, &real), "config.json: text is \"large\", must be a number in 0..1");
  expect(mo_config_float(config.get(), "real", 0, 1, 0, &real), "config.json: real is 12 (a real), must be a number in 0..1");
  expect(mo_config_bool(config.get(), "flag", true, &flag), "config.json: flag is 1, must be true or false");
  expect(mo_config_string(config.get(), "list", nullptr, &text), "config.json: list is a list of 2, must be a string");
  expect(mo_config_string(config.get(), "object", nullptr, &text),
         "config.json: object is an object of 1 keys, must be a string");
  EXPECT_EQ(integer, -5);
  EXPECT_EQ(real, -5);
  EXPECT_FALSE(flag);
  EXPECT_STREQ(text, "unchanged");
}

TEST(Config, LabelsAsTransformersCountsThem) {
  const struct {
    const char *text;
    int64_t labels; /* 0: BAD_FILE */
  } cases[] = {
      {"{}", 2},
      {R"({"num_labels": 5})", 5},
      {R"({"id2label": {"0": "A", "1": "B", "2": "C"}})", 3},
      {R"({"id2label": {"0": "A"}, "num_labels": 9})", 1},
      {R"({"id2label": null, "num_labels": 9})", 9},
      {R"({"id2label": {}})", 0},
      {R"({"id2label": ["A"]})", 0},
      {R"({"id2label": {"zero": "A"}})", 0},
      {R"({"num_labels": 0})", 0},
      {R"({"num_labels": "3"})", 0},
  };
  for (const auto &c : cases) {
    const Config config = Good(c.text);
    int64_t labels = 0;
    EXPECT_EQ(mo_config_num_labels(config.get(), &labels), c.labels > 0 ? MO_STATUS_OK : MO_STATUS_BAD_FILE) << c.text;
    EXPECT_EQ(labels, c.labels) << c.text;
  }
}

TEST(Config, ProblemTypeAndArchitectures) {
  const char *type = "unset";
  EXPECT_EQ(mo_config_problem_type(Good("{}").get(), &type), MO_STATUS_OK);
  EXPECT_EQ(type, nullptr);
  EXPECT_EQ(mo_config_problem_type(Good(R"({"problem_type": "regression"})").get(), &type), MO_STATUS_OK);
  EXPECT_STREQ(type, "regression");
  EXPECT_EQ(mo_config_problem_type(Good(R"({"problem_type": "guessing"})").get(), &type), MO_STATUS_BAD_FILE);
  EXPECT_EQ(mo_config_problem_type(Good(R"({"problem_type": 1})").get(), &type), MO_STATUS_BAD_FILE);

  const char *const *names = nullptr;
  int64_t count = -1;
  const Config two = Good(R"({"architectures": ["BertModel", "Other"]})");
  EXPECT_EQ(mo_config_architectures(two.get(), &names, &count), MO_STATUS_OK);
  ASSERT_EQ(count, 2);
  EXPECT_STREQ(names[0], "BertModel");
  EXPECT_STREQ(names[1], "Other");
  for (const char *none : {"{}", R"({"architectures": null})", R"({"architectures": []})"}) {
    EXPECT_EQ(mo_config_architectures(Good(none).get(), &names, &count), MO_STATUS_OK);
    EXPECT_EQ(count, 0);
  }
  Config config;
  EXPECT_EQ(Parse(R"({"architectures": "BertModel"})", &config), MO_STATUS_BAD_FILE);
  EXPECT_EQ(Parse(R"({"architectures": ["BertModel", 3]})", &config), MO_STATUS_BAD_FILE);
  EXPECT_STREQ(mo_last_error(), "config.json: an entry of architectures is 3, must be a string");
}

TEST(Config, RefusesHostileText) {
  const std::string deep = "{\"a\": " + std::string(100000, '[') + std::string(100000, ']') + "}";
  for (const std::string &text : {std::string(), std::string("["), std::string("[]"), std::string("7"),
                                  std::string("{\"a\": nan}"), std::string("\xEF\xBB\xBF{}"), std::string("{\"a\": 1} x"),
                                  std::string("{\"a\": \"\xFF\"}"), std::string("{\"a\0b\": 1}", 10), deep}) {
    Config config;
    EXPECT_EQ(Parse(text, &config), MO_STATUS_BAD_FILE) << text.substr(0, 40);
  }
  // Unknown keys may hold anything; an integer beyond 64 bits leaves the others readable.
  const Config config =
      Good(R"({"task_specific_params": [{"x": [[[]]]}], "huge": 1000000000000000019884624838656, "hidden_size": 32,
                                 "half": 0.5, "edge": 9007199254740993})");
  int64_t integer = 0;
  EXPECT_EQ(mo_config_integer(config.get(), "hidden_size", 1, 1000, 5, &integer), MO_STATUS_OK);
  EXPECT_EQ(integer, 32);
  EXPECT_EQ(mo_config_integer(config.get(), "huge", 1, INT64_MAX, 5, &integer), MO_STATUS_BAD_FILE);
  EXPECT_EQ(mo_config_integer(config.get(), "half", 0, 5, 5, &integer), MO_STATUS_BAD_FILE);
}

TEST(Config, LoadsFromAFolder) {
  const test_support::TemporaryFolder folder;
  mo_config_t *made = nullptr;
  EXPECT_EQ(mo_config_load(folder.path().c_str(), &made), MO_STATUS_IO_ERROR);
  EXPECT_NE(std::string(mo_last_error()).find("config.json"), std::string::npos);
  folder.Write("config.json", R"({"hidden_size": 8})");
  ASSERT_EQ(mo_config_load((folder.path() + "/").c_str(), &made), MO_STATUS_OK) << mo_last_error();
  int64_t integer = 0;
  EXPECT_TRUE(mo_config_find_integer(made, "hidden_size", &integer));
  EXPECT_EQ(integer, 8);
  mo_config_destroy(made);
  mo_config_destroy(nullptr);
}

}  // namespace
