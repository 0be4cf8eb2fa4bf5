// tests/core/json_test.cc - JSON as Python reads it, or strictly; hostile text; and every allocation that can fail, failing.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
extern "C" {
#include "host/core/json.h"
#include "host/checkpoint/checkpoint.h"
#include "host/checkpoint/config.h"
}

#include <gtest/gtest.h>
#include <jansson.h>

#include <clocale>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "modelout/class.h"
#include "modelout/safetensors.h"
#include "modelout/tokenizer.h"
#include "tests/support/temporary_folder.h"

// The program is linked with --wrap, so that the library's own allocations come here; jansson's come by its hooks.
extern "C" {
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
}

namespace {

thread_local int64_t allocations_left = INT64_MAX;
bool MayAllocate() { return allocations_left-- > 0; }

}  // namespace

void *__wrap_malloc(size_t bytes) { return MayAllocate() ? __real_malloc(bytes) : nullptr; }
void *__wrap_calloc(size_t count, size_t bytes) { return MayAllocate() ? __real_calloc(count, bytes) : nullptr; }
void *__wrap_realloc(void *memory, size_t bytes) { return MayAllocate() ? __real_realloc(memory, bytes) : nullptr; }

namespace {

struct Releaser {
  void operator()(json_t *value) const { json_decref(value); }
};
using Json = std::unique_ptr<json_t, Releaser>;

mo_status_t Read(const std::string &text, Json *value, mo_json_rules_t rules = MO_JSON_PYTHON) {
  // A block of exactly the text's size: a sanitizer sees any byte read past it.
  const std::unique_ptr<char[]> exact(new char[text.size()]);
  std::copy(text.begin(), text.end(), exact.get());
  json_t *made = nullptr;
  const mo_status_t status = mo_json_read("text", exact.get(), text.size(), rules, &made);
  EXPECT_EQ(status == MO_STATUS_OK, made != nullptr);
  value->reset(made);
  return status;
}

std::string Written(const std::string &text, mo_json_rules_t rules = MO_JSON_PYTHON) {
  Json value;
  if (Read(text, &value, rules) != MO_STATUS_OK) return mo_last_error();
  char *dumped = json_dumps(value.get(), JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
  const std::string written = dumped != nullptr ? dumped : "";
  free(dumped);
  return written;
}

TEST(Json, ReadsEveryKindOfValue) {
  const char *const same[] = {"null",
                              "true",
                              "false",
                              "0",
                              "-7",
                              "9223372036854775807",
                              "-9223372036854775808",
                              "1.5",
                              "[]",
                              "{}",
                              "[[],{}]",
                              "\"\"",
                              R"({"a":[1,"b",{"c":null}],"":2})",
                              R"("\"\\\b\f\n\r\t")"};
  for (const char *text : same)
    for (const mo_json_rules_t rules : {MO_JSON_PYTHON, MO_JSON_STRICT}) EXPECT_EQ(Written(text, rules), text);
  EXPECT_EQ(Written(" \t\r\n[ 1 , 2 ]\n"), "[1,2]");
  EXPECT_EQ(Written("{ \"a\" : 1 , \"b\" : 2 }"), "{\"a\":1,\"b\":2}");
  EXPECT_EQ(Written(R"("\/\u0041\u00e9\u20AC\ud83d\ude00")"), R"("/A\u00E9\u20AC\uD83D\uDE00")");
  EXPECT_EQ(Written("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 plain \\u0041 plain\""),
            R"("\u00E9\u20AC\uD83D\uDE00 plain A plain")");
  EXPECT_EQ(Written("-0"), "0");
}

TEST(Json, ReadsNumbersWhateverTheLocale) {
  const char *before = setlocale(LC_ALL, nullptr);
  const std::string kept = before != nullptr ? before : "C";
  for (const char *locale : {"C", "de_DE.UTF-8", "fr_FR.UTF-8"}) {
    setlocale(LC_ALL, locale);  // those that the machine does not have change nothing
    for (const char *text : {"1e-12", "1E5", "2.5e+3", "-0.0", "0.1", "123456789.125", "4.9e-324", "1.7976931348623157e308"}) {
      Json value;
      ASSERT_EQ(Read(text, &value), MO_STATUS_OK) << text << mo_last_error();
      setlocale(LC_ALL, "C");
      EXPECT_EQ(json_real_value(value.get()), strtod(text, nullptr)) << text;
    }
  }
  setlocale(LC_ALL, kept.c_str());
}

// What Python takes: each of these is harmless for whoever does not need it.
TEST(Json, TakesWhatPythonTakes) {
  Json value;
  ASSERT_EQ(Read(R"({"nan": NaN, "inf": Infinity, "minus": -Infinity, "huge": 1e999, "small": -1e999, "list": [NaN, 1],
                     "big": 1000000000000000019884624838656, "beyond": 9223372036854775808, "below": -9223372036854775809,
                     "twice": 1, "other": 5, "twice": {"last": 2}, "lone": "a\ud800b", "low": "\udc00", "nul": "gelu\u0000",
                     "broken pair": "\ud800\u0041"})",
                 &value),
            MO_STATUS_OK)
      << mo_last_error();
  const auto get = [&](const char *key) { return json_object_get(value.get(), key); };
  EXPECT_STREQ(mo_json_non_finite(get("nan")), "NaN");
  EXPECT_STREQ(mo_json_non_finite(get("inf")), "Infinity");
  EXPECT_STREQ(mo_json_non_finite(get("minus")), "-Infinity");
  EXPECT_STREQ(mo_json_non_finite(get("huge")), "Infinity");
  EXPECT_STREQ(mo_json_non_finite(get("small")), "-Infinity");
  EXPECT_STREQ(mo_json_show(get("nan")).text, "NaN");
  for (const char *key : {"nan", "inf", "minus", "huge"}) {
    int type;  // none of jansson's, so C++ must not load it as one
    memcpy(&type, &get(key)->type, sizeof type);
    EXPECT_GT(type, JSON_NULL);
  }
  EXPECT_EQ(mo_json_non_finite(get("big")), nullptr);
  EXPECT_EQ(mo_json_non_finite(nullptr), nullptr);
  EXPECT_EQ(json_real_value(get("big")), 1e30);
  EXPECT_EQ(json_real_value(get("beyond")), 9223372036854775808.0);
  EXPECT_TRUE(json_is_real(get("below")));
  EXPECT_EQ(json_integer_value(json_object_get(get("twice"), "last")), 2);
  EXPECT_EQ(json_object_size(value.get()), 15u);
  EXPECT_STREQ(json_string_value(get("lone")),
               "a\xEF\xBF\xBD"
               "b");
  EXPECT_STREQ(json_string_value(get("low")), "\xEF\xBF\xBD");
  EXPECT_STREQ(json_string_value(get("nul")), "gelu\xEF\xBF\xBD");
  EXPECT_STREQ(json_string_value(get("broken pair")),
               "\xEF\xBF\xBD"
               "A");
  EXPECT_EQ(json_string_length(get("nul")), strlen(json_string_value(get("nul"))));
}

TEST(Json, StrictRulesRefuseThem) {
  const char *const texts[] = {"{\"a\": NaN}",
                               "[Infinity]",
                               "[-Infinity]",
                               "1e999",
                               "9223372036854775808",
                               "{\"a\":1,\"a\":1}",
                               "\"\\ud800\"",
                               "\"\\udc00\"",
                               "{\"\\u0000\": 1}",
                               "\"\\ud800\\ud800\"",
                               "{\"\\u0061\":1,\"a\":2}"};
  for (const char *text : texts) {
    Json value;
    EXPECT_EQ(Read(text, &value, MO_JSON_STRICT), MO_STATUS_BAD_FILE) << text;
    EXPECT_NE(std::string(mo_last_error()).find("text: not valid JSON: "), std::string::npos) << mo_last_error();
  }
}

TEST(Json, RefusesWhatIsNone) {
  std::vector<std::string> texts = {"",
                                    " ",
                                    "{",
                                    "[",
                                    "]",
                                    "}",
                                    "[1,]",
                                    "{\"a\":1,}",
                                    "[1 2]",
                                    "{\"a\" 1}",
                                    "{\"a\":}",
                                    "{a:1}",
                                    "{'a':1}",
                                    "{1:2}",
                                    "nul",
                                    "tru",
                                    "nan",
                                    "inf",
                                    "-",
                                    "+1",
                                    "01",
                                    "1.",
                                    ".5",
                                    "1e",
                                    "1e+",
                                    "0x1",
                                    "--1",
                                    "-NaN",
                                    "\"",
                                    "\"\\",
                                    "\"\\u12",
                                    "\"\\x\"",
                                    "\"\\u00g0\"",
                                    "\"\n\"",
                                    "\"\x01\"",
                                    "1 2",
                                    "{}{}",
                                    "[1]x",
                                    "\"\\u+123\"",
                                    "\xEF\xBB\xBF{}",
                                    "\"\xFF\"",
                                    "\"\xC0\xAF\"",
                                    "\"\xED\xA0\x80\"",
                                    "\"\xF4\x90\x80\x80\"",
                                    "\"\xE2\x82\"",
                                    "\"\xE2\x82",
                                    "/* */ 1",
                                    "Infinityx",
                                    "[NaN",
                                    "\"\\\"",
                                    "\v1"};
  texts.push_back(std::string("{\"a\0b\": 1}", 10));
  texts.push_back(std::string("[1\0]", 4));
  texts.push_back(std::string(100000, '['));
  texts.push_back(std::string(100000, '[') + std::string(100000, ']'));
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  texts.push_back(objects);
  for (const std::string &text : texts)
    for (const mo_json_rules_t rules : {MO_JSON_PYTHON, MO_JSON_STRICT}) {
      Json value;
      EXPECT_EQ(Read(text, &value, rules), MO_STATUS_BAD_FILE) << text.substr(0, 40);
      EXPECT_NE(std::string(mo_last_error()).find("text: not valid JSON: "), std::string::npos) << mo_last_error();
    }
  Json value;
  const std::string deep = std::string(MO_JSON_DEPTH_LIMIT, '[') + std::string(MO_JSON_DEPTH_LIMIT, ']');
  EXPECT_EQ(Read(deep, &value), MO_STATUS_OK);
  EXPECT_EQ(Read("[" + deep + "]", &value), MO_STATUS_BAD_FILE);
  EXPECT_EQ(Read("{\"a\": 1,\n \"\xC3\xA9\": ?}", &value), MO_STATUS_BAD_FILE);
  EXPECT_STREQ(mo_last_error(), "text: not valid JSON: no value begins so (line 2, column 7)");
  json_t *object = nullptr;
  EXPECT_EQ(mo_json_read_object("text", "[]", 2, MO_JSON_PYTHON, &object), MO_STATUS_BAD_FILE);
  EXPECT_STREQ(mo_last_error(), "text: the text is no JSON object");
}

// A prefix of a valid text is never read past its end, and only the whole is taken.
TEST(Json, RefusesEveryPrefix) {
  const std::string whole = R"({"a": [1, -2.5e-3, "\u00e9\ud83d\ude00", NaN, -Infinity, true, null], "b": {"c": false}})";
  Json value;
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_EQ(Read(whole.substr(0, length), &value), MO_STATUS_BAD_FILE) << length;
  EXPECT_EQ(Read(whole, &value), MO_STATUS_OK);
}

// NaN in a key that is needed is refused by name, whatever type it should have; elsewhere it does not matter.
TEST(Json, AConfigurationRefusesWhatItNeeds) {
  const std::string text =
      R"({"hidden_size": NaN, "layer_norm_eps": Infinity, "hidden_act": NaN, "tie": NaN, "rope_scaling": NaN,
                               "num_labels": 3})";
  mo_config_t *config = nullptr;
  ASSERT_EQ(mo_config_from_text(text.data(), text.size(), "config.json", &config), MO_STATUS_OK) << mo_last_error();
  int64_t integer = 0, count = 0;
  double real = 0;
  bool flag = false;
  const char *name = nullptr;
  mo_config_t *section = nullptr;
  EXPECT_EQ(mo_config_integer(config, "num_labels", 1, 9, 1, &integer), MO_STATUS_OK);
  EXPECT_EQ(mo_config_integer(config, "hidden_size", 1, 9, 1, &integer), MO_STATUS_BAD_FILE);
  EXPECT_STREQ(mo_last_error(), "config.json: hidden_size is NaN, must be an integer in 1..9");
  EXPECT_EQ(mo_config_require_integer(config, "hidden_size", 1, 9, &integer), MO_STATUS_BAD_FILE);
  EXPECT_EQ(mo_config_integers(config, "hidden_size", &integer, 1, &count), MO_STATUS_BAD_FILE);
  EXPECT_EQ(mo_config_float(config, "layer_norm_eps", 0, INFINITY, 1, &real), MO_STATUS_BAD_FILE);
  EXPECT_NE(std::string(mo_last_error()).find("layer_norm_eps is Infinity"), std::string::npos);
  EXPECT_EQ(mo_config_string(config, "hidden_act", "gelu", &name), MO_STATUS_BAD_FILE);
  EXPECT_EQ(mo_config_bool(config, "tie", true, &flag), MO_STATUS_BAD_FILE);
  EXPECT_EQ(mo_config_section(config, "rope_scaling", &section), MO_STATUS_BAD_FILE);
  mo_config_destroy(config);
}

// ---- Failing allocations -------------------------------------------------------------------------------------------------

void *Allocate(size_t bytes) { return MayAllocate() ? __real_malloc(bytes) : nullptr; }

// `run` with the first allocation failing (and all behind it), then the second, ...: OUT_OF_MEMORY each time, until all go
// well.
void FailEach(const char *what, int64_t at_least, const std::function<mo_status_t()> &run) {
  SCOPED_TRACE(what);
  json_set_alloc_funcs(Allocate, free);
  int64_t failures = 0;
  for (;; ++failures) {
    allocations_left = failures;
    const mo_status_t status = run();
    allocations_left = INT64_MAX;
    if (status == MO_STATUS_OK) break;
    ASSERT_EQ(status, MO_STATUS_OUT_OF_MEMORY) << failures << ": " << mo_last_error();
    ASSERT_LT(failures, 100000);
  }
  // And one at a time: what comes behind it has memory again, so nothing may hide the failure.
  for (int64_t n = 0; n < failures; ++n) {
    static int64_t countdown;
    countdown = n;
    json_set_alloc_funcs([](size_t bytes) -> void * { return countdown-- == 0 ? nullptr : __real_malloc(bytes); }, free);
    const mo_status_t status = run();
    ASSERT_TRUE(status == MO_STATUS_OUT_OF_MEMORY || (status == MO_STATUS_OK && countdown >= 0))
        << n << ": " << mo_status_name(status) << ": " << mo_last_error();
  }
  json_set_alloc_funcs(malloc, free);
  EXPECT_GE(failures, at_least);
}

std::string ConfigText() {
  std::string text =
      R"({"architectures": ["BertModel", "Caf\u00e9"], "hidden_size": 384, "eps": 1e-12, "huge": 1e400, "nan": NaN,
                         "big": 1000000000000000019884624838656, "twice": 1, "twice": {"a": [1, 2, 3]}, "id2label": {)";
  for (int i = 0; i < 40; ++i)
    text += (i > 0 ? ", \"" : "\"") + std::to_string(i) + "\": \"label \\u00e9 number " + std::to_string(i) + "\"";
  return text + "}}";
}

class JsonMemory : public ::testing::Test {
 protected:
  void Write(const std::string &name, const std::string &text) { folder_.Write(name, text); }
  test_support::TemporaryFolder folder_;
};

TEST_F(JsonMemory, AConfiguration) {
  Write("config.json", ConfigText());
  FailEach("config", 100, [&] {
    mo_config_t *config = nullptr;
    const mo_status_t status = mo_config_load(folder_.path().c_str(), &config);
    mo_config_destroy(config);
    return status;
  });
}

TEST_F(JsonMemory, AHeaderAndAnIndex) {
  static const float values[4] = {1, 2, 3, 4};
  const int64_t shape[] = {2, 2};
  const char *const names[] = {"b.weight", "a.weight \xC3\xA9", "c\n"};
  const mo_tensor tensor = mo_tensor_cpu(const_cast<float *>(values), MO_DTYPE_FLOAT32, 2, shape);
  const mo_tensor tensors[] = {tensor, tensor, tensor};
  const char *const keys[] = {"format", "d.weight"};
  const char *const stored[] = {"pt", "b.weight"};
  const std::string path = folder_.File("one.safetensors");
  FailEach("writing", 20, [&] { return mo_safetensors_write(path.c_str(), names, tensors, 3, keys, stored, 2); });
  FailEach("header", 20, [&] {
    mo_safetensors_t *file = nullptr;
    const mo_status_t status = mo_safetensors_open(path.c_str(), &file);
    mo_safetensors_close(file);
    return status;
  });
  Write("model.safetensors.index.json", R"({"metadata": {"total_size": 99}, "weight_map": {"b.weight": "one.safetensors",
                                            "a.weight": "one.safetensors", "x\u00e9": "one.safetensors"}})");
  FailEach("index", 40, [&] {
    mo_checkpoint_t *checkpoint = nullptr;
    const mo_status_t status = mo_checkpoint_open(folder_.path().c_str(), nullptr, &checkpoint);
    mo_checkpoint_destroy(checkpoint);
    return status;
  });
}

TEST_F(JsonMemory, ATokenizer) {
  const std::string text = R"({"version": "1.0", "added_tokens": [{"id": 2, "content": "[SEP]", "special": true}],
      "normalizer": {"type": "BertNormalizer", "lowercase": true}, "pre_tokenizer": {"type": "BertPreTokenizer"},
      "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "##b": 4, "\u00e9": 5}}})";
  FailEach("tokenizer", 40, [&] {
    mo_tokenizer_t *tokenizer = nullptr;
    const mo_status_t status = mo_tokenizer_from_json(text.data(), text.size(), &tokenizer);
    mo_tokenizer_destroy(tokenizer);
    return status;
  });
}

TEST_F(JsonMemory, AClassAsText) {
  FailEach("class", 20, [&] {
    char *text = nullptr;
    const mo_status_t status = mo_class_to_json(mo_class_find("BaseModelOutput"), 0, &text);
    mo_free_text(text);
    return status;
  });
}

}  // namespace
