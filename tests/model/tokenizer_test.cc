// tests/model/tokenizer_test.cc - the tokenizer against recorded answers of Hugging Face tokenizers (see
// scripts/record-tokenizer-golden), against hostile files, and from several threads.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/tokenizer.h"

#include <gtest/gtest.h>
#include <jansson.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/temporary_folder.h"

extern "C" mo_status_t mo_test_encode(const mo_tokenizer_t *tokenizer, const char *text, const char *pair,
                                      bool no_special_tokens, int32_t max_length, int32_t **ids, int32_t **token_type_ids,
                                      int64_t *count);

namespace {

struct Destroyer {
  void operator()(mo_tokenizer_t *tokenizer) const { mo_tokenizer_destroy(tokenizer); }
};
using Tokenizer = std::unique_ptr<mo_tokenizer_t, Destroyer>;

struct JsonFree {
  void operator()(json_t *value) const { json_decref(value); }
};
using Json = std::unique_ptr<json_t, JsonFree>;

using Ids = std::vector<int32_t>;

std::string ReadFile(const std::string &path) {
  std::ifstream stream(path, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return text.str();
}

const std::string &Vocabulary() {
  static const std::string text = ReadFile(MO_TEST_DATA "/tokenizer/vocab.txt");
  return text;
}

const json_t *Cases() {
  static const Json cases([] {
    const std::string text = ReadFile(MO_TEST_DATA "/tokenizer/cases.json");
    return json_loadb(text.data(), text.size(), 0, nullptr);
  }());
  return cases.get();
}

std::string Dump(const json_t *value) {
  char *text = json_dumps(value, JSON_COMPACT);
  std::string result = text;
  free(text);
  return result;
}

// A tokenizer.json of the variant's parts and the vocabulary.
std::string VariantJson(const json_t *variant) {
  Json model(json_pack("{s:s, s:s, s:s, s:O}", "type", "WordPiece", "unk_token", "[UNK]", "continuing_subword_prefix", "##",
                       "max_input_chars_per_word", json_object_get(variant, "max_input_chars_per_word")));
  json_t *vocabulary = json_object();
  std::istringstream lines(Vocabulary());
  std::string line;
  for (json_int_t id = 0; std::getline(lines, line); ++id) json_object_set_new(vocabulary, line.c_str(), json_integer(id));
  json_object_set_new(model.get(), "vocab", vocabulary);
  Json root(json_object());
  for (const char *key : {"normalizer", "pre_tokenizer", "post_processor", "added_tokens"})
    json_object_set(root.get(), key, json_object_get(variant, key));
  json_object_set(root.get(), "model", model.get());
  return Dump(root.get());
}

Tokenizer FromJson(const std::string &text) {
  mo_tokenizer_t *made = nullptr;
  EXPECT_EQ(mo_tokenizer_from_json(text.data(), text.size(), &made), MO_STATUS_OK) << mo_last_error();
  return Tokenizer(made);
}

Tokenizer FromVocab(const std::string &text, bool lower_case = true) {
  mo_tokenizer_t *made = nullptr;
  EXPECT_EQ(mo_tokenizer_from_vocab(text.data(), text.size(), lower_case, &made), MO_STATUS_OK) << mo_last_error();
  return Tokenizer(made);
}

const mo_tokenizer_t *Variant(const std::string &name) {
  static std::map<std::string, Tokenizer> made;
  if (made[name] == nullptr) {
    size_t index;
    const json_t *variant;
    json_array_foreach(json_object_get(Cases(), "variants"), index, variant) {
      if (name == json_string_value(json_object_get(variant, "name"))) made[name] = FromJson(VariantJson(variant));
    }
  }
  return made[name].get();
}

struct Encoded {
  Ids ids, types;
};

Encoded Encode(const mo_tokenizer_t *tokenizer, const char *text, const char *pair = nullptr, bool plain = false,
               int32_t max_length = 0) {
  Encoded result;
  int32_t *ids = nullptr;
  int32_t *types = nullptr;
  int64_t count = 0;
  const mo_status_t status = mo_test_encode(tokenizer, text, pair, plain, max_length, &ids, &types, &count);
  EXPECT_EQ(status, MO_STATUS_OK) << mo_last_error();
  if (status != MO_STATUS_OK) return result;
  result.ids.assign(ids, ids + count);
  result.types.assign(types, types + count);
  free(ids);
  free(types);
  return result;
}

Ids Numbers(const json_t *list) {
  Ids numbers;
  for (size_t i = 0; i < json_array_size(list); ++i)
    numbers.push_back(static_cast<int32_t>(json_integer_value(json_array_get(list, i))));
  return numbers;
}

TEST(Tokenizer, AnswersAsTheOriginalInEveryVariant) {
  const json_t *lines = json_object_get(Cases(), "lines");
  ASSERT_GE(json_array_size(lines), 500u);
  size_t index;
  const json_t *variant;
  size_t compared = 0;
  json_array_foreach(json_object_get(Cases(), "variants"), index, variant) {
    const char *name = json_string_value(json_object_get(variant, "name"));
    SCOPED_TRACE(name);
    const mo_tokenizer_t *tokenizer = Variant(name);
    ASSERT_NE(tokenizer, nullptr);
    const size_t first = json_integer_value(json_object_get(variant, "first"));
    const size_t step = json_integer_value(json_object_get(variant, "step"));
    const json_t *expected = json_object_get(variant, "ids");
    for (size_t i = 0; i < json_array_size(expected); ++i, ++compared) {
      const char *line = json_string_value(json_array_get(lines, first + i * step));
      ASSERT_NE(line, nullptr);
      EXPECT_EQ(Encode(tokenizer, line).ids, Numbers(json_array_get(expected, i)))
          << "line " << first + i * step << ": " << line;
    }
  }
  EXPECT_GE(compared, 2000u);
}

TEST(Tokenizer, PairsAndTruncationAsTheOriginal) {
  size_t index;
  const json_t *entry;
  ASSERT_GE(json_array_size(json_object_get(Cases(), "pairs")), 100u);
  json_array_foreach(json_object_get(Cases(), "pairs"), index, entry) {
    SCOPED_TRACE(index);
    const Encoded encoded =
        Encode(Variant(json_string_value(json_object_get(entry, "variant"))), json_string_value(json_object_get(entry, "text")),
               json_string_value(json_object_get(entry, "pair")), json_is_true(json_object_get(entry, "no_special_tokens")),
               static_cast<int32_t>(json_integer_value(json_object_get(entry, "max_length"))));
    EXPECT_EQ(encoded.ids, Numbers(json_object_get(entry, "ids")));
    EXPECT_EQ(encoded.types, Numbers(json_object_get(entry, "type_ids")));
  }
}

void AppendUtf8(uint32_t scalar, std::string *text) {
  if (scalar < 0x80) {
    text->push_back(static_cast<char>(scalar));
    return;
  }
  if (scalar < 0x800) {
    text->push_back(static_cast<char>(0xC0 | scalar >> 6));
  } else if (scalar < 0x10000) {
    text->push_back(static_cast<char>(0xE0 | scalar >> 12));
    text->push_back(static_cast<char>(0x80 | (scalar >> 6 & 0x3F)));
  } else {
    text->push_back(static_cast<char>(0xF0 | scalar >> 18));
    text->push_back(static_cast<char>(0x80 | (scalar >> 12 & 0x3F)));
    text->push_back(static_cast<char>(0x80 | (scalar >> 6 & 0x3F)));
  }
  text->push_back(static_cast<char>(0x80 | (scalar & 0x3F)));
}

// All scalar values of Unicode, 64 to a text; the recording script says how the digests are made.
TEST(Tokenizer, EveryCharacterAsTheOriginal) {
  const char *name;
  json_t *digests;
  json_object_foreach(json_object_get(Cases(), "every_character"), name, digests) {
    SCOPED_TRACE(name);
    const mo_tokenizer_t *tokenizer = Variant(name);
    ASSERT_EQ(json_array_size(digests), 0x110000u / 4096);
    for (uint32_t block = 0; block < 0x110000; block += 4096) {
      uint64_t state = UINT64_C(0xCBF29CE484222325);
      for (uint32_t start = block; start < block + 4096; start += 64) {
        std::string text;
        for (uint32_t c = std::max(start, 1u); c < start + 64; ++c) {
          if (c >= 0xD800 && c < 0xE000) continue;
          if (!text.empty()) text.push_back('x');
          AppendUtf8(c, &text);
        }
        for (const int32_t id : Encode(tokenizer, text.c_str()).ids)
          for (int byte = 0; byte < 4; ++byte)
            state = (state ^ (static_cast<uint32_t>(id) >> (8 * byte) & 0xFF)) * UINT64_C(0x100000001B3);
      }
      char digest[17];
      snprintf(digest, sizeof digest, "%016llx", static_cast<unsigned long long>(state));
      EXPECT_STREQ(digest, json_string_value(json_array_get(digests, block / 4096))) << std::hex << block;
    }
  }
}

TEST(Tokenizer, VocabularyTextGivesTheSameAsJson) {
  const Tokenizer lower = FromVocab(Vocabulary());
  const Tokenizer cased = FromVocab(Vocabulary(), false);
  std::string windows;
  for (const char c : Vocabulary()) windows += c == '\n' ? std::string("\r\n") : std::string(1, c);
  windows.resize(windows.size() - 2);  // and no newline at the end
  const Tokenizer returns = FromVocab(windows);
  size_t index;
  const json_t *line;
  json_array_foreach(json_object_get(Cases(), "lines"), index, line) {
    const char *text = json_string_value(line);
    EXPECT_EQ(Encode(lower.get(), text).ids, Encode(Variant("uncased"), text).ids) << text;
    EXPECT_EQ(Encode(returns.get(), text).ids, Encode(Variant("uncased"), text).ids) << text;
    EXPECT_EQ(Encode(cased.get(), text).ids, Encode(Variant("cased"), text).ids) << text;
  }
}

TEST(Tokenizer, LooksUpTokensAndIds) {
  const mo_tokenizer_t *tokenizer = Variant("more_tokens");
  EXPECT_EQ(mo_tokenizer_vocab_size(tokenizer), 30528);
  EXPECT_EQ(mo_tokenizer_id(tokenizer, "[CLS]"), 101);
  EXPECT_EQ(mo_tokenizer_id(tokenizer, "##ing"), 2075);
  EXPECT_EQ(mo_tokenizer_id(tokenizer, "dogs are"), 30523);
  EXPECT_EQ(mo_tokenizer_id(tokenizer, "no such token"), -1);
  EXPECT_EQ(mo_tokenizer_id(tokenizer, nullptr), -1);
  EXPECT_STREQ(mo_tokenizer_token(tokenizer, 101), "[CLS]");
  EXPECT_STREQ(mo_tokenizer_token(tokenizer, 30527), "!!");
  EXPECT_EQ(mo_tokenizer_token(tokenizer, 30528), nullptr);
  EXPECT_EQ(mo_tokenizer_token(tokenizer, -1), nullptr);
  for (int32_t id = 0; id < 30528; ++id) ASSERT_EQ(mo_tokenizer_id(tokenizer, mo_tokenizer_token(tokenizer, id)), id);
}

TEST(Tokenizer, WritesNoMoreThanTheCapacity) {
  const mo_tokenizer_t *tokenizer = Variant("uncased");
  const Ids whole = Encode(tokenizer, "Hello, my dog is cute").ids;
  EXPECT_EQ(whole, (Ids{101, 7592, 1010, 2026, 3899, 2003, 10140, 102}));
  for (int64_t capacity = 0; capacity < 10; ++capacity) {
    Ids ids(10, -7);
    int64_t count = -1;
    ASSERT_EQ(mo_tokenizer_encode(tokenizer, "Hello, my dog is cute", nullptr, ids.data(), nullptr, capacity, &count),
              MO_STATUS_OK);
    EXPECT_EQ(count, 8);
    for (int64_t i = 0; i < 10; ++i) EXPECT_EQ(ids[i], i < capacity && i < 8 ? whole[i] : -7);
  }
}

TEST(Tokenizer, ReadsInvalidBytesAsTheReplacementCharacter) {
  const struct {
    const char *invalid, *valid;
  } cases[] = {
      {"a\xFF\x62",
       "a\uFFFD"
       "b"},
      {"\x80\xBF", "\uFFFD\uFFFD"},  // continuations alone
      {"\xC3", "\uFFFD"},            // cut at the end
      {"\xE4\xB8", "\uFFFD\uFFFD"},
      {"\xF0\x9F\x98 x", "\uFFFD\uFFFD\uFFFD x"},
      {"\xC0\xAF", "\uFFFD\uFFFD"},  // longer than needed
      {"\xE0\x80\xAF", "\uFFFD\uFFFD\uFFFD"},
      {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},            // a surrogate
      {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},  // past the end of Unicode
      {"\xE4[SEP]", "\uFFFD[SEP]"},
  };
  for (const char *variant : {"uncased", "unclean", "no_normalizer"})
    for (const auto &c : cases)
      EXPECT_EQ(Encode(Variant(variant), c.invalid).ids, Encode(Variant(variant), c.valid).ids) << c.valid;
}

TEST(Tokenizer, RefusesBadArguments) {
  const mo_tokenizer_t *tokenizer = Variant("uncased");
  int64_t count = -5;
  int32_t id = 0;
  mo_encode_options options = MO_ENCODE_OPTIONS_INIT;
  EXPECT_EQ(mo_tokenizer_encode(nullptr, "a", nullptr, &id, nullptr, 1, &count), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_tokenizer_encode(tokenizer, nullptr, nullptr, &id, nullptr, 1, &count), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_tokenizer_encode(tokenizer, "a", nullptr, &id, nullptr, 1, nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_tokenizer_encode(tokenizer, "a", nullptr, nullptr, nullptr, 1, &count), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_tokenizer_encode(tokenizer, "a", nullptr, &id, nullptr, -1, &count), MO_STATUS_INVALID_ARGUMENT);
  options.max_length = -1;
  EXPECT_EQ(mo_tokenizer_encode(tokenizer, "a", &options, &id, nullptr, 1, &count), MO_STATUS_INVALID_ARGUMENT);
  options.max_length = 1;
  EXPECT_EQ(mo_tokenizer_encode(tokenizer, "a", &options, &id, nullptr, 1, &count), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(mo_last_error(), "tokenizer encode: max_length 1 has no room for 2 special tokens");
  options.max_length = 0;
  options.struct_size = 4;
  EXPECT_EQ(mo_tokenizer_encode(tokenizer, "a", &options, &id, nullptr, 1, &count), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(count, -5);
  mo_tokenizer_t *made = nullptr;
  EXPECT_EQ(mo_tokenizer_from_json(nullptr, 0, &made), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_tokenizer_from_vocab(nullptr, 0, true, &made), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_tokenizer_load(nullptr, &made), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(made, nullptr);
  mo_tokenizer_destroy(nullptr);
}

// A small tokenizer.json with one text replaced.
std::string Edited(const std::string &from, const std::string &to) {
  std::string text = R"({"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
    "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "##b": 4}},
    "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
    "lowercase": true}, "pre_tokenizer": {"type": "BertPreTokenizer"}, "added_tokens": [{"id": 2, "content": "[SEP]",
    "special": true, "normalized": false}], "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken":
    {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}},
    {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]}}}})";
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Tokenizer, RefusesHostileJson) {
  EXPECT_EQ(Encode(FromJson(Edited("{", "{")).get(), "ab A[SEP]").ids, (Ids{1, 3, 4, 3, 2}));
  EXPECT_EQ(Encode(FromJson(Edited("\"type\": \"WordPiece\", ", "")).get(), "ab").ids, (Ids{1, 3, 4}));
  const struct {
    const char *from, *to;
    mo_status_t status;
    const char *sentence;
  } cases[] = {
      {"{", "[", MO_STATUS_BAD_FILE, "tokenizer.json: not valid JSON"},
      {"\"WordPiece\"", "\"BPE\"", MO_STATUS_UNSUPPORTED, "the model is BPE, WordPiece is supported"},
      {"\"WordPiece\"", "7", MO_STATUS_BAD_FILE, "type is 7, must be a string"},
      {"\"BertNormalizer\"", "\"NFC\"", MO_STATUS_UNSUPPORTED, "the normalizer is a NFC"},
      {"\"BertPreTokenizer\"", "\"Metaspace\"", MO_STATUS_UNSUPPORTED, "the pre_tokenizer is a Metaspace"},
      {"\"TemplateProcessing\"", "\"ByteLevel\"", MO_STATUS_UNSUPPORTED, "the post_processor is ByteLevel"},
      {"\"lowercase\": true", "\"lowercase\": 1", MO_STATUS_BAD_FILE, "lowercase is 1, must be true or false"},
      {"\"[UNK]\": 0", "\"[UNX]\": 0", MO_STATUS_BAD_FILE, "the unknown token \"[UNK]\" is not in the vocabulary"},
      {"\"a\": 3", "\"a\": 4", MO_STATUS_BAD_FILE, "both have id 4"},
      {"\"a\": 3", "\"a\": -3", MO_STATUS_BAD_FILE, "token \"a\" has id -3"},
      {"\"a\": 3", "\"a\": 2147483647", MO_STATUS_BAD_FILE, "token \"a\" has id 2147483647"},
      {"\"a\": 3", "\"a\": 3.0", MO_STATUS_BAD_FILE, "must be an integer"},
      {"\"a\": 3", "\"a\": 99999999999999999999", MO_STATUS_BAD_FILE, "must be an integer"},
      {"\"a\": 3", "\"a\": NaN", MO_STATUS_BAD_FILE, "an id of vocab is NaN, must be an integer"},
      {"\"max_input_chars_per_word\": 100", "\"max_input_chars_per_word\": -1", MO_STATUS_BAD_FILE,
       "max_input_chars_per_word is -1"},
      {"\"ids\": [1]", "\"ids\": 1", MO_STATUS_BAD_FILE, "must be a list of integers"},
      {"\"ids\": [1]", "\"ids\": [1e9]", MO_STATUS_BAD_FILE, "must be an integer in"},
      {"\"id\": \"A\"", "\"id\": \"C\"", MO_STATUS_BAD_FILE, "must be A or B"},
      {"\"id\": \"A\"", "\"id\": \"B\"", MO_STATUS_BAD_FILE, "takes A 0 and B 1 times"},
      {"\"Sequence\"", "\"Sequences\"", MO_STATUS_BAD_FILE, "a SpecialToken or a Sequence"},
      {"\"single\": [", "\"single\": [7, ", MO_STATUS_BAD_FILE, "a SpecialToken or a Sequence"},
      {"\"added_tokens\": [", "\"added_tokens\": [null, ", MO_STATUS_BAD_FILE, "an entry of added_tokens is null"},
      {"\"added_tokens\": [", "\"added_tokens\": [{\"content\": \"z\"}, ", MO_STATUS_BAD_FILE,
       "id of an added token is missing"},
      {"\"content\": \"[SEP]\"", "\"content\": 5", MO_STATUS_BAD_FILE, "content is 5"},
  };
  for (const auto &c : cases) {
    SCOPED_TRACE(std::string(c.from) + " -> " + c.to);
    const std::string text = Edited(c.from, c.to);
    mo_tokenizer_t *made = nullptr;
    EXPECT_EQ(mo_tokenizer_from_json(text.data(), text.size(), &made), c.status);
    EXPECT_EQ(made, nullptr);
    EXPECT_NE(std::string(mo_last_error()).find(c.sentence), std::string::npos) << mo_last_error();
  }
  const std::string whole = Edited("{", "{");
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    mo_tokenizer_t *made = nullptr;
    EXPECT_EQ(mo_tokenizer_from_json(whole.data(), bytes, &made), MO_STATUS_BAD_FILE) << bytes;
    EXPECT_EQ(made, nullptr);
  }
}

TEST(Tokenizer, RefusesHostileVocabularies) {
  const struct {
    std::string text;
    const char *sentence;
  } cases[] = {
      {"", "the unknown token \"[UNK]\" is not in the vocabulary"},
      {"[UNK]\n", "the special token \"[CLS]\" is not in the vocabulary"},
      {"[CLS]\n[SEP]\n", "the unknown token \"[UNK]\" is not in the vocabulary"},
      {"[UNK]\n[CLS]\n", "the special token \"[SEP]\" is not in the vocabulary"},
      {std::string("[UNK]\n[CLS]\n[SEP]\na\0b\n", 22), "line 4 holds a NUL byte"},
      {"[UNK]\n[CLS]\n[SEP]\n\xFF\n", "line 4 is not valid UTF-8"},
      {"[UNK]\n[CLS]\n[SEP]\n" + std::string(5000, 'a'), "a token of 5000 bytes"},
  };
  for (const auto &c : cases) {
    mo_tokenizer_t *made = nullptr;
    EXPECT_EQ(mo_tokenizer_from_vocab(c.text.data(), c.text.size(), true, &made), MO_STATUS_BAD_FILE);
    EXPECT_EQ(made, nullptr);
    EXPECT_NE(std::string(mo_last_error()).find(c.sentence), std::string::npos) << mo_last_error();
  }
  // Of two equal lines the later id counts, as in the original.
  const Tokenizer doubled = FromVocab("[UNK]\n[CLS]\n[SEP]\na\na\n");
  EXPECT_EQ(Encode(doubled.get(), "a").ids, (Ids{1, 4, 2}));
  EXPECT_STREQ(mo_tokenizer_token(doubled.get(), 3), "a");
}

class Folder : public test_support::TemporaryFolder {
 public:
  mo_status_t Load(Tokenizer *tokenizer) const {
    mo_tokenizer_t *made = nullptr;
    const mo_status_t status = mo_tokenizer_load(path().c_str(), &made);
    EXPECT_EQ(status == MO_STATUS_OK, made != nullptr);
    tokenizer->reset(made);
    return status;
  }
};

TEST(Tokenizer, LoadsFolders) {
  Folder folder;
  Tokenizer tokenizer;
  EXPECT_EQ(folder.Load(&tokenizer), MO_STATUS_IO_ERROR);
  folder.Write("vocab.txt", "[UNK]\n<s>\n</s>\nÀ\na\nà\n[CLS]\n[SEP]\n中\n##文\n");
  ASSERT_EQ(folder.Load(&tokenizer), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Encode(tokenizer.get(), "À").ids, (Ids{6, 4, 7}));
  folder.Write("tokenizer_config.json",
               R"({"do_lower_case": true, "strip_accents": false, "tokenize_chinese_chars": false, "cls_token": "<s>",
                   "sep_token": {"content": "</s>", "lstrip": false}, "model_max_length": 1000000000000000019884624838656,
                   "tokenizer_class": "BertTokenizer", "added_tokens_decoder": {"0": {"content": "[UNK]", "special": true},
                   "10": {"content": "new", "special": false, "normalized": false}}})");
  ASSERT_EQ(folder.Load(&tokenizer), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Encode(tokenizer.get(), "À中 中文 new</s>").ids, (Ids{1, 0, 8, 9, 10, 2, 2}));
  EXPECT_EQ(Encode(tokenizer.get(), "À").ids, (Ids{1, 5, 2}));
  for (const char *settings :
       {"{\"do_lower_case\": 1}", "{\"cls_token\": 3}", "{\"added_tokens_decoder\": {\"x\": {\"content\": \"y\"}}}",
        "{\"added_tokens_decoder\": []}", "{"}) {
    folder.Write("tokenizer_config.json", settings);
    EXPECT_EQ(folder.Load(&tokenizer), MO_STATUS_BAD_FILE) << settings;
  }
  folder.Write("tokenizer_config.json", "{\"tokenizer_class\": \"BertJapaneseTokenizer\"}");
  EXPECT_EQ(folder.Load(&tokenizer), MO_STATUS_UNSUPPORTED);
  folder.Write("tokenizer_config.json", "{}");
  folder.Write("tokenizer.json", Edited("{", "{"));  // goes before the vocabulary
  ASSERT_EQ(folder.Load(&tokenizer), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Encode(tokenizer.get(), "ab").ids, (Ids{1, 3, 4}));
}

double SecondsFor(const std::string &text) {
  const auto start = std::chrono::steady_clock::now();
  int64_t count = 0;
  EXPECT_EQ(mo_tokenizer_encode(Variant("uncased"), text.c_str(), nullptr, nullptr, nullptr, 0, &count), MO_STATUS_OK);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Sixteen times the text may take sixteen times as long, not 256 times; the bound lies between, far from the noise of a busy
// machine.
TEST(Tokenizer, TimeGrowsLinearly) {
  for (const char *piece : {"a", "\u0301\u0323", "[", "hello ", "中", "[MASK]", " ", ".", "\xFF"}) {
    std::string text;
    while (text.size() < 60000) text += piece;
    std::string longer;
    for (int i = 0; i < 16; ++i) longer += text;
    double once = 1e9;
    double sixteen = 1e9;
    for (int i = 0; i < 3; ++i) once = std::min(once, SecondsFor(text));
    for (int i = 0; i < 3; ++i) sixteen = std::min(sixteen, SecondsFor(longer));
    EXPECT_LT(sixteen, 64 * once + 0.01) << piece;
  }
}

TEST(Tokenizer, EncodesFromSeveralThreads) {
  const json_t *lines = json_object_get(Cases(), "lines");
  const mo_tokenizer_t *tokenizer = Variant("uncased");
  std::vector<std::string> texts;
  std::vector<Ids> expected;
  for (size_t i = 0; i < json_array_size(lines); i += 5) {
    texts.push_back(json_string_value(json_array_get(lines, i)));
    expected.push_back(Encode(tokenizer, texts.back().c_str()).ids);
  }
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < texts.size(); ++i) {
        const size_t at = (i + t * 31) % texts.size();
        Ids ids(expected[at].size());
        int64_t count = 0;
        const mo_status_t status = mo_tokenizer_encode(tokenizer, texts[at].c_str(), nullptr, ids.data(), nullptr,
                                                       static_cast<int64_t>(ids.size()), &count);
        wrong[t] += status != MO_STATUS_OK || ids != expected[at];
      }
    });
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
