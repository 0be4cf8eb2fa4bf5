// tests/model/tokenizer_settings_test.cc - the files beside a tokenizer: against recorded answers of AutoTokenizer (see
// scripts/record-tokenizer-folders), sentence-transformers folders, and hostile files.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <jansson.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "modelout/sentence.h"
#include "modelout/tokenizer.h"
#include "tests/support/temporary_folder.h"

namespace {

struct JsonFree {
  void operator()(json_t *value) const { json_decref(value); }
};
using Json = std::unique_ptr<json_t, JsonFree>;

struct Destroyer {
  void operator()(mo_tokenizer_t *tokenizer) const { mo_tokenizer_destroy(tokenizer); }
};
using Tokenizer = std::unique_ptr<mo_tokenizer_t, Destroyer>;

using Ids = std::vector<int32_t>;

std::string Dump(const json_t *value) {
  char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
  std::string result = text;
  free(text);
  return result;
}

class Folder : public test_support::TemporaryFolder {
 public:
  Tokenizer Load(mo_status_t expected = MO_STATUS_OK) const {
    mo_tokenizer_t *made = nullptr;
    EXPECT_EQ(mo_tokenizer_load(path().c_str(), &made), expected) << mo_last_error();
    return Tokenizer(made);
  }
};

Ids Encode(const mo_tokenizer_t *tokenizer, const std::string &text, int32_t max_length = 0) {
  mo_encode_options options = MO_ENCODE_OPTIONS_INIT;
  options.max_length = max_length;
  int64_t count = 0;
  EXPECT_EQ(mo_tokenizer_encode(tokenizer, text.c_str(), &options, nullptr, nullptr, 0, &count), MO_STATUS_OK)
      << mo_last_error();
  Ids ids(count);
  EXPECT_EQ(mo_tokenizer_encode(tokenizer, text.c_str(), &options, ids.data(), nullptr, count, &count), MO_STATUS_OK);
  return ids;
}

// All texts of a case, cut and padded as it says.
std::vector<Ids> EncodeAll(const mo_tokenizer_t *tokenizer, const json_t *entry) {
  const json_t *files = json_object_get(entry, "files");
  const bool limited = json_is_true(json_object_get(files, "limit"));
  std::vector<Ids> rows;
  size_t longest = 0;
  size_t index;
  const json_t *text;
  json_array_foreach(json_object_get(entry, "texts"), index, text) {
    rows.push_back(
        Encode(tokenizer, json_string_value(text), limited ? static_cast<int32_t>(mo_tokenizer_max_length(tokenizer)) : 0));
    longest = std::max(longest, rows.back().size());
  }
  if (!json_is_true(json_object_get(files, "pad"))) return rows;
  const int32_t pad = mo_tokenizer_special_id(tokenizer, "pad_token");
  for (Ids &row : rows) row.insert(mo_tokenizer_pads_left(tokenizer) ? row.begin() : row.end(), longest - row.size(), pad);
  return rows;
}

const json_t *Recorded() {
  static const Json recorded(json_load_file(MO_TEST_DATA "/tokenizer/folders.json", 0, nullptr));
  return recorded.get();
}

std::string Vocabulary() { return json_string_value(json_object_get(Recorded(), "vocab")); }

// The base tokenizer.json with parts replaced.
Json Edited(const json_t *parts) {
  Json root(json_deep_copy(json_object_get(Recorded(), "base")));
  if (json_is_object(parts)) json_object_update(root.get(), const_cast<json_t *>(parts));
  return root;
}

std::vector<Ids> Numbers(const json_t *lists) {
  std::vector<Ids> rows(json_array_size(lists));
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t j = 0; j < json_array_size(json_array_get(lists, i)); ++j)
      rows[i].push_back(static_cast<int32_t>(json_integer_value(json_array_get(json_array_get(lists, i), j))));
  return rows;
}

void WriteFiles(const json_t *entry, const Folder &folder) {
  const char *name;
  json_t *value;
  if (json_object_get(json_object_get(entry, "files"), "config") == nullptr)
    folder.Write("config.json", R"({"model_type": "bert"})");
  json_object_foreach(json_object_get(entry, "files"), name, value) {
    const std::string file = name;
    if (file == "vocab") folder.Write("vocab.txt", json_is_string(value) ? json_string_value(value) : Vocabulary());
    else if (file == "tokenizer") folder.Write("tokenizer.json", Dump(Edited(value).get()));
    else if (file != "limit" && file != "pad") folder.Write(file + ".json", Dump(value));
  }
}

TEST(TokenizerSettings, FoldersAsTheOriginal) {
  const json_t *cases = json_object_get(Recorded(), "cases");
  ASSERT_GE(json_array_size(cases), 140u);
  size_t index;
  const json_t *entry;
  json_array_foreach(cases, index, entry) {
    SCOPED_TRACE(json_string_value(json_object_get(entry, "name")));
    const Folder folder;
    WriteFiles(entry, folder);
    mo_tokenizer_t *made = nullptr;
    const mo_status_t status = mo_tokenizer_load(folder.path().c_str(), &made);
    const Tokenizer tokenizer(made);
    const json_t *ids = json_object_get(entry, "ids");
    if (json_is_null(ids)) {
      EXPECT_EQ(status, MO_STATUS_BAD_FILE) << mo_last_error();
      continue;
    }
    ASSERT_EQ(status, MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(EncodeAll(tokenizer.get(), entry), Numbers(ids));
  }
}

// What a folder declares that is not done here is named.
TEST(TokenizerSettings, RefusesByName) {
  const struct {
    const char *file, *text;
    mo_status_t status;
    const char *sentence;
  } cases[] = {
      {"tokenizer_config.json", R"({"tokenizer_class": "BertJapaneseTokenizer"})", MO_STATUS_UNSUPPORTED,
       "tokenizer_class is \"BertJapaneseTokenizer\""},
      {"tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizerFast"})", MO_STATUS_UNSUPPORTED, "LlamaTokenizerFast"},
      {"tokenizer_config.json", R"({"tokenizer_class": "Bert\u001b[31mTokenizer"})", MO_STATUS_UNSUPPORTED,
       "Bert?[31mTokenizer"},
      {"tokenizer_config.json", R"({"tokenizer_class": 3})", MO_STATUS_BAD_FILE, "tokenizer_class is 3"},
      {"tokenizer_config.json", R"({"model_max_length": "12"})", MO_STATUS_BAD_FILE, "model_max_length is \"12\""},
      {"tokenizer_config.json", R"({"model_max_length": 12.5})", MO_STATUS_BAD_FILE, "model_max_length is 12.5"},
      {"tokenizer_config.json", R"({"padding_side": null})", MO_STATUS_BAD_FILE, "padding_side is null"},
      {"tokenizer_config.json", R"({"cls_token": 3})", MO_STATUS_BAD_FILE, "cls_token is 3"},
      {"tokenizer_config.json", R"({"added_tokens_decoder": []})", MO_STATUS_BAD_FILE, "added_tokens_decoder is a list of 0"},
      {"tokenizer_config.json", R"({"added_tokens_decoder": {"x": {}}})", MO_STATUS_BAD_FILE, "has the key \"x\""},
      {"tokenizer_config.json", R"({"added_tokens_decoder": {"9999999999": {}}})", MO_STATUS_BAD_FILE, "9999999999"},
      {"tokenizer_config.json", R"({"added_tokens_decoder": {"7": 7}})", MO_STATUS_BAD_FILE, "added_tokens_decoder.7 is 7"},
      {"tokenizer_config.json", R"({"additional_special_tokens": 5})", MO_STATUS_BAD_FILE, "additional_special_tokens is 5"},
      {"special_tokens_map.json", R"({"mask_token": {"content": 5}})", MO_STATUS_BAD_FILE, "special_tokens_map.json"},
      {"special_tokens_map.json", "[]", MO_STATUS_BAD_FILE, "special_tokens_map.json"},
      {"added_tokens.json", R"({"x": -1})", MO_STATUS_BAD_FILE, "the id of \"x\" is -1"},
      {"added_tokens.json", R"({"x": "1"})", MO_STATUS_BAD_FILE, "the id of \"x\""},
      {"config.json", R"({"model_type": "llama"})", MO_STATUS_UNSUPPORTED, "model_type is \"llama\""},
      {"config.json", R"({"tokenizer_class": "MBartTokenizer"})", MO_STATUS_UNSUPPORTED, "MBartTokenizer"},
      {"config.json", R"({"model_type": "mpnet"})", MO_STATUS_UNSUPPORTED, "vocab.txt"},
      {"sentence_bert_config.json", R"({"max_seq_length": "16"})", MO_STATUS_BAD_FILE, "max_seq_length is \"16\""},
      {"sentence_bert_config.json", R"({"tokenizer_args": {"use_fast": false}})", MO_STATUS_UNSUPPORTED,
       "tokenizer_args sets use_fast"},
      {"sentence_bert_config.json", R"({"tokenizer_name_or_path": "other"})", MO_STATUS_UNSUPPORTED, "tokenizer_name_or_path"},
  };
  for (const auto &c : cases) {
    SCOPED_TRACE(c.text);
    const Folder folder;
    folder.Write("vocab.txt", Vocabulary());
    folder.Write(c.file, c.text);
    folder.Load(c.status);
    EXPECT_NE(std::string(mo_last_error()).find(c.sentence), std::string::npos) << mo_last_error();
  }
}

TEST(TokenizerSettings, SentenceTransformersLimitGoesFirst) {
  for (const char *name : {"bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"}) {
    const Folder folder;
    folder.Write("vocab.txt", Vocabulary());
    folder.Write("tokenizer_config.json", R"({"do_lower_case": false, "model_max_length": 1000000000000000019884624838656})");
    EXPECT_EQ(mo_tokenizer_max_length(folder.Load().get()), 0);
    const std::string file = std::string("sentence_") + name + "_config.json";
    folder.Write(file, R"({"max_seq_length": 16, "do_lower_case": true})");
    const Tokenizer tokenizer = folder.Load();
    EXPECT_EQ(mo_tokenizer_max_length(tokenizer.get()), 16) << name;
    EXPECT_EQ(Encode(tokenizer.get(), "THE Cat"), (Ids{0, 57, 58, 2})) << name;
    folder.Write("tokenizer_config.json", R"({"do_lower_case": false, "model_max_length": 12})");
    EXPECT_EQ(mo_tokenizer_max_length(folder.Load().get()), 16);
    folder.Write(file, R"({"max_seq_length": null})");
    EXPECT_EQ(mo_tokenizer_max_length(folder.Load().get()), 12);
    EXPECT_EQ(Encode(folder.Load().get(), "the Cat"), (Ids{0, 57, 64, 2}));
  }
}

mo_sentence_settings Sentence(const Folder &folder, mo_status_t expected = MO_STATUS_OK) {
  mo_sentence_settings settings = MO_SENTENCE_SETTINGS_INIT;
  EXPECT_EQ(mo_sentence_load(folder.path().c_str(), &settings), expected) << mo_last_error();
  return settings;
}

const char kModules[] = R"([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
  {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"})";

TEST(Sentence, ReadsPooling) {
  const Folder folder;
  EXPECT_FALSE(Sentence(folder).is_sentence);
  folder.Write("modules.json", std::string(kModules) + "]");
  EXPECT_TRUE(Sentence(folder).is_sentence);
  EXPECT_EQ(Sentence(folder).pooling, 0) << "the file of the module is missing";
  const struct {
    const char *text;
    int pooling;
    const char *unsupported;
  } cases[] = {
      {R"({"word_embedding_dimension": 32, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})",
       MO_POOLING_FIRST, ""},
      {R"({"pooling_mode_mean_tokens": true})", MO_POOLING_MEAN, ""},
      {R"({"pooling_mode_max_tokens": true})", MO_POOLING_MAX, ""},
      {R"({"pooling_mode_lasttoken": true})", MO_POOLING_LAST, ""},
      {R"({"pooling_mode_mean_sqrt_len_tokens": true})", MO_POOLING_MEAN, ""},
      {R"({"word_embedding_dimension": 32})", MO_POOLING_MEAN, ""},
      {R"({"pooling_mode": "cls", "pooling_mode_mean_tokens": true})", MO_POOLING_FIRST, ""},
      {R"({"pooling_mode": ["lasttoken"]})", MO_POOLING_LAST, ""},
      {R"({"pooling_mode_weightedmean_tokens": true})", 0, "weightedmean"},
      {R"({"pooling_mode": ["mean", "max"]})", MO_POOLING_MAX, "several modes"},
      {R"({"pooling_mode_cls_token": true, "pooling_mode_max_tokens": true})", MO_POOLING_MAX, "several modes"},
      {R"({"pooling_mode": "sum"})", 0, "sum"},
  };
  for (const auto &c : cases) {
    SCOPED_TRACE(c.text);
    folder.Write("1_Pooling/config.json", c.text);
    const mo_sentence_settings settings = Sentence(folder);
    EXPECT_EQ(settings.pooling, c.pooling);
    if (c.unsupported[0] == '\0') EXPECT_STREQ(settings.unsupported, "");
    else EXPECT_NE(std::string(settings.unsupported).find(c.unsupported), std::string::npos) << settings.unsupported;
  }
  for (const char *text : {R"({"pooling_mode": 3})", R"({"pooling_mode_cls_token": 1})", "[]", "{"}) {
    folder.Write("1_Pooling/config.json", text);
    Sentence(folder, MO_STATUS_BAD_FILE);
  }
}

TEST(Sentence, ReadsModules) {
  const Folder folder;
  folder.Write("1_Pooling/config.json", R"({"pooling_mode": "mean"})");
  folder.Write("modules.json", std::string(kModules) + R"(, {"path": "2_Normalize", "type": "x.Normalize"}])");
  EXPECT_TRUE(Sentence(folder).normalize);
  EXPECT_STREQ(Sentence(folder).unsupported, "");
  folder.Write("modules.json", std::string(kModules) + R"(, {"path": "2_Dense", "type": "x.y.Dense"}])");
  EXPECT_STREQ(Sentence(folder).unsupported, "a module of modules.json is Dense, which is not supported");
  folder.Write("modules.json", R"([{"path": "0_Transformer", "type": "Transformer"}])");
  EXPECT_STREQ(Sentence(folder).transformer_path, "0_Transformer");
  folder.Write("config_sentence_transformers.json", R"({"prompts": {"query": "query: "}, "default_prompt_name": null})");
  EXPECT_STREQ(Sentence(folder).unsupported, "");
  folder.Write("config_sentence_transformers.json", R"({"prompts": {"query": "query: "}, "default_prompt_name": "query"})");
  EXPECT_STREQ(Sentence(folder).unsupported, "default_prompt_name is query, which is not supported");
  const std::string longest(200, 'x');
  for (const std::string &text :
       {std::string(R"([{"path": "../other", "type": "Transformer"}])"),
        std::string(R"([{"path": "/etc", "type": "Pooling"}])"), std::string(R"([{"path": "a/../..", "type": "Pooling"}])"),
        R"([{"path": ")" + longest + R"(", "type": "Transformer"}])",
        std::string(R"([{"path": "a\u001b[31m", "type": "Pooling"}])"), std::string("{}"), std::string("[3]"), std::string("["),
        std::string(R"([], "x": [])"), std::string()}) {
    folder.Write("modules.json", text);
    Sentence(folder, MO_STATUS_BAD_FILE);
  }
  mo_sentence_settings settings = MO_SENTENCE_SETTINGS_INIT;
  EXPECT_EQ(mo_sentence_load(nullptr, &settings), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_sentence_load(folder.path().c_str(), nullptr), MO_STATUS_INVALID_ARGUMENT);
  settings.struct_size = 8;
  EXPECT_EQ(mo_sentence_load(folder.path().c_str(), &settings), MO_STATUS_INVALID_ARGUMENT);
}

// ---- Files that ask for more than they are worth ----

TEST(TokenizerSettings, TemplatesAreBounded) {
  std::string ids = "1";
  for (int i = 1; i < 10000; ++i) ids += ",1";
  std::string pieces;
  for (int i = 0; i < 100000; ++i) pieces += R"({"SpecialToken": {"id": "x", "type_id": 0}},)";
  const std::string text = R"({"type": "TemplateProcessing", "single": [)" + pieces +
                           R"({"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": {"x": {"ids": [)" + ids +
                           "]}}}";
  Json root = Edited(nullptr);
  json_object_set_new(root.get(), "post_processor", json_loads(text.c_str(), 0, nullptr));
  const std::string file = Dump(root.get());
  ASSERT_GT(file.size(), 4000000u);
  mo_tokenizer_t *made = nullptr;
  EXPECT_EQ(mo_tokenizer_from_json(file.data(), file.size(), &made), MO_STATUS_BAD_FILE);
  EXPECT_EQ(made, nullptr);
  EXPECT_STREQ(mo_last_error(), "tokenizer: a template of more than 4096 pieces, at most that many are accepted");
}

double LoadSeconds(int count) {
  const Folder folder;
  std::string listed = "{";
  std::string more = "[";
  for (int i = 0; i < count; ++i) {
    const std::string name = "<extra_" + std::to_string(i) + ">";
    listed += (i > 0 ? ", \"" : "\"") + std::to_string(67 + i) + "\": {\"content\": \"" + name + "\", \"special\": true}";
    more += (i > 0 ? ", \"" : "\"") + name + "\"";
  }
  folder.Write("vocab.txt", Vocabulary());
  folder.Write("tokenizer_config.json",
               "{\"added_tokens_decoder\": " + listed + "}, \"additional_special_tokens\": " + more + "]}");
  const auto start = std::chrono::steady_clock::now();
  const Tokenizer tokenizer = folder.Load();
  EXPECT_EQ(mo_tokenizer_vocab_size(tokenizer.get()), 67 + count);
  EXPECT_EQ(Encode(tokenizer.get(), "<extra_1> <extra_12>"), (Ids{0, 68, 79, 2}));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Sixteen times the tokens may take sixteen times as long, not 256 times.
TEST(TokenizerSettings, ManyAddedTokensTakeLinearTime) {
  const double few = std::min(LoadSeconds(4000), LoadSeconds(4000));
  const double many = std::min(LoadSeconds(64000), LoadSeconds(64000));
  EXPECT_LT(many, 64 * few + 0.05);
}

}  // namespace
