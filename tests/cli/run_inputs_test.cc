// tests/cli/run_inputs_test.cc - `modelout run --text`: what a folder's side files make of texts, in reported situations and in
// variations of them.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <jansson.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "tests/support/temporary_folder.h"

namespace {

namespace fs = std::filesystem;

const char kReports[] = MO_TEST_DATA "/../cases/user_reports/";
const char kLong[] =
    "the cat sat on the mat dog the cat sat on the mat dog the cat sat on the mat dog the cat sat on the mat dog the cat sat "
    "on "
    "the mat dog the cat sat on the mat dog";  // 44 tokens with [CLS] and [SEP]

std::string ReadFile(const std::string &path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// A folder that is gone at the end of the test; a copy of a reported or a recorded one if it is given.
class Folder : public test_support::TemporaryFolder {
 public:
  explicit Folder(const std::string &source = "") {
    if (!source.empty()) CopyFrom(source);
  }
};

struct Result {
  int exit_code;
  std::string out, err;
};

// `arguments` as a shell would read them.
Result RunCommand(const std::string &arguments) {
  const Folder folder;
  const std::string line =
      std::string(MO_BINARY_DIR) + "/bin/modelout run " + arguments + " >" + folder.File("out") + " 2>" + folder.File("err");
  const int status = std::system(line.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128, ReadFile(folder.File("out")), ReadFile(folder.File("err"))};
}

bool Has(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

struct Closer {
  void operator()(mo_safetensors_t *file) const { mo_safetensors_close(file); }
};
using File = std::unique_ptr<mo_safetensors_t, Closer>;

File Open(const std::string &path) {
  mo_safetensors_t *file = nullptr;
  EXPECT_EQ(mo_safetensors_open(path.c_str(), &file), MO_STATUS_OK) << mo_last_error();
  return File(file);
}

// Fields of both files agree; float32, and of values around 1.
void ExpectSameField(const mo_safetensors_t *expected, const mo_safetensors_t *got, const char *name) {
  mo_tensor a;
  mo_tensor b;
  ASSERT_EQ(mo_safetensors_tensor(expected, name, &a), MO_STATUS_OK) << name;
  ASSERT_EQ(mo_safetensors_tensor(got, name, &b), MO_STATUS_OK) << name;
  ASSERT_EQ(std::vector<int64_t>(a.shape, a.shape + a.rank), std::vector<int64_t>(b.shape, b.shape + b.rank)) << name;
  std::vector<float> left(mo_tensor_count(&a));
  std::vector<float> right(left.size());
  memcpy(left.data(), a.data, left.size() * sizeof(float));
  memcpy(right.data(), b.data, right.size() * sizeof(float));
  for (size_t i = 0; i < left.size(); ++i) ASSERT_NEAR(left[i], right[i], 1e-5) << name << " at " << i;
}

void ExpectAnswers(const std::string &arguments, const std::string &expected, const char *note) {
  SCOPED_TRACE(arguments);
  const Folder folder;
  const Result result = RunCommand(arguments + " --quiet --save " + folder.File("out.safetensors"));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  if (note[0] == '\0') EXPECT_EQ(result.err, "");
  else EXPECT_TRUE(Has(result.err, note)) << result.err;
  const File recorded = Open(expected);
  const File saved = Open(folder.File("out.safetensors"));
  for (int64_t i = 0; i < mo_safetensors_count(recorded.get()); ++i)
    if (std::string(mo_safetensors_name(recorded.get(), i)) != "input_ids")
      ExpectSameField(recorded.get(), saved.get(), mo_safetensors_name(recorded.get(), i));
}

TEST(RunText, ReportedSituations) {
  const struct {
    const char *folder;
    std::string arguments;
    const char *note;
  } cases[] = {
      {"roberta_wordpiece_long_text", std::string("--text '") + kLong + "'", "text 1 is cut from 44 to 32 tokens"},
      {"sentence_max_seq_length", std::string("--text '") + kLong + "' --pool mean", "text 1 is cut from 44 to 16 tokens"},
      {"tokenizer_config_overrides", "--text 'the Cat SAT'", ""},
      {"added_tokens_json", "--text 'the cat<NEW>dog [E1] NEWTOK'", ""},
  };
  for (const auto &c : cases) {
    const std::string folder = std::string(kReports) + c.folder;
    ExpectAnswers(folder + " " + c.arguments, folder + "/text_outputs.safetensors", c.note);
  }
}

// Padded and cut on the left, with a padding token of its own: BERT's positions count the padding.
TEST(RunText, LeftSides) {
  const Folder folder(std::string(kReports) + "sentence_max_seq_length");
  fs::remove(folder.File("sentence_bert_config.json"));
  folder.Write("tokenizer_config.json", R"({"do_lower_case": false, "padding_side": "left", "truncation_side": "left",
                                            "model_max_length": 8, "pad_token": "<s>"})");
  const std::string texts = folder.path() + " --text 'the Cat sat on the mat dog new a b c' --text cat";
  ExpectAnswers(texts, MO_TEST_DATA "/../cases/text/left_padding.safetensors", "text 1 is cut from 13 to 8 tokens");
  const Result result = RunCommand(texts + " --pool cls");
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_TRUE(Has(result.err, "padded on the left")) << result.err;
}

int64_t Tokens(const Result &result) {
  json_t *report = json_loads(result.out.c_str(), 0, nullptr);
  const json_t *shape = json_object_get(json_array_get(json_object_get(report, "inputs"), 0), "shape");
  const int64_t tokens = json_integer_value(json_array_get(shape, 1));
  json_decref(report);
  return tokens;
}

// What each kind of position table can take, and what else limits a text.
TEST(RunText, CutsToWhatTheModelCanTake) {
  const struct {
    const char *golden;
    const char *settings;  // of the tokenizer
    int64_t tokens;        // of a text of 102
  } cases[] = {
      {"bert_model", "{}", 32},
      {"roberta_model", "{}", 0},
      {"opt_model", R"({"tokenizer_class": "BertTokenizer"})", 0},
      {"bart_model", R"({"tokenizer_class": "BertTokenizer"})", 0},
      {"gpt2_model", R"({"tokenizer_class": "BertTokenizer"})", 0},
      {"llama_model", R"({"tokenizer_class": "BertTokenizer"})", 102},
      {"llama_model", R"({"tokenizer_class": "BertTokenizer", "model_max_length": 20})", 20},
      {"bert_model", R"({"model_max_length": 512})", 32},
      {"bert_model", R"({"model_max_length": 10})", 10},
      {"bert_model", R"({"max_len": 10})", 10},
  };
  std::string text;
  for (int i = 0; i < 100; ++i) text += "hello ";
  for (const auto &c : cases) {
    SCOPED_TRACE(std::string(c.golden) + " " + c.settings);
    const Folder folder(std::string(MO_TEST_DATA "/") + c.golden);
    folder.Write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n");
    folder.Write("tokenizer_config.json", c.settings);
    const Result result = RunCommand(folder.path() + " --json --text '" + text + "'");
    ASSERT_EQ(result.exit_code, 0) << result.err;
    if (c.tokens > 0) EXPECT_EQ(Tokens(result), c.tokens);
    else EXPECT_LT(Tokens(result), 102);
    EXPECT_EQ(Has(result.err, "is cut from 102 to " + std::to_string(Tokens(result)) + " tokens"), Tokens(result) < 102);
  }
}

// Of a sentence-transformers folder: its pooling, or a refusal that names what is not done.
TEST(RunText, PoolingIsTheFolders) {
  const Folder folder(std::string(kReports) + "sentence_max_seq_length");
  const std::string text = folder.path() + " --text 'the cat' --json --pool ";
  Result result = RunCommand(text + "auto");
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_TRUE(Has(result.err, "declares no pooling")) << result.err;
  folder.Write("1_Pooling/config.json", R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})");
  const Result by_name = RunCommand(text + "cls");
  ASSERT_EQ(by_name.exit_code, 0) << by_name.err;
  result = RunCommand(text + "auto");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(Has(result.out, "\"mode\": \"cls\"")) << result.out;
  result = RunCommand(text + "mean");
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_TRUE(Has(result.err, "--pool mean: the folder declares cls")) << result.err;
  folder.Write("1_Pooling/config.json", R"({"pooling_mode": "weightedmean"})");
  result = RunCommand(text + "mean");
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_TRUE(Has(result.err, "weightedmean")) << result.err;
  EXPECT_EQ(RunCommand(folder.path() + " --text 'the cat'").exit_code, 0) << "without pooling it does not matter";
  folder.Write("modules.json", "{");
  result = RunCommand(text + "mean");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_TRUE(Has(result.err, "modules.json")) << result.err;
}

// The Transformer module may lie in a folder of its own.
TEST(RunText, TransformerInASubfolder) {
  const std::string source = std::string(kReports) + "sentence_max_seq_length";
  const Folder folder;
  fs::copy(source, folder.File("0_Transformer"), fs::copy_options::recursive);
  folder.Write("modules.json", R"([{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
                                   {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}])");
  folder.Write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
  ExpectAnswers(folder.path() + " --text '" + kLong + "' --pool auto", source + "/text_outputs.safetensors",
                "text 1 is cut from 44 to 16 tokens");
}

// Token types of a template that are not 0 reach the model.
TEST(RunText, TokenTypesOfTheTemplate) {
  const Folder folder(std::string(kReports) + "tokenizer_config_overrides");
  std::string file = ReadFile(folder.File("tokenizer.json"));
  const Result plain = RunCommand(folder.path() + " --json --text 'the cat'");
  ASSERT_EQ(plain.exit_code, 0) << plain.err;
  EXPECT_FALSE(Has(plain.out, "token_type_ids"));
  const size_t at = file.find("\"type_id\": 0", file.find("\"single\""));
  ASSERT_NE(at, std::string::npos);
  file.replace(at, 12, "\"type_id\": 1");
  folder.Write("tokenizer.json", file);
  const Result typed = RunCommand(folder.path() + " --json --text 'the cat'");
  ASSERT_EQ(typed.exit_code, 0) << typed.err;
  EXPECT_TRUE(Has(typed.out, "token_type_ids")) << typed.out;
}

}  // namespace
