/* tests/model/golden_test.cc - every recorded case of tests/golden, replayed and compared.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <gtest/gtest.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "host/replay/replay.h"
#include "modelout/class.h"
#include "tests/support/scoped_context.h"
#include "tests/support/temporary_folder.h"

namespace {

using test_support::Context;

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

/* Classes without a case. A class that gets a family leaves this list, or the test fails. */
const std::set<std::string> kNotProduced = {
    "ModelOutput",  // the base class
    // Returned by no model of the versions that were recorded.
    "TFCausalLMOutput", "TFSeq2SeqQuestionAnsweringModelOutput", "FlaxBaseModelOutputWithPast",
    // No family makes them yet.
    "BaseModelOutputWithCrossAttentions", "CausalLMOutput", "DepthEstimatorOutput", "ImageSuperResolutionOutput",
    "MaskedImageModelingOutput", "MoECausalLMOutputWithPast", "MoEModelOutput", "MoEModelOutputWithPastAndCrossAttentions",
    "MoeCausalLMOutputWithPast", "MoeModelOutputWithPast", "SampleTSPredictionOutput", "SemanticSegmenterOutput",
    "Seq2SeqMoEModelOutput", "Seq2SeqMoEOutput", "Seq2SeqSpectrogramOutput", "Seq2SeqTSModelOutput",
    "Seq2SeqTSPredictionOutput", "Wav2Vec2BaseModelOutput", "XVectorOutput"};

void AddClasses(const json_t *call, std::set<std::string> *names) {
  if (const char *name = json_string_value(json_object_get(call, "output_class"))) names->insert(name);
}

TEST(GoldenClasses, EveryClassHasACase) {
  std::set<std::string> recorded, missing;
  for (const std::string &name : Cases()) {
    json_t *file = json_load_file((std::string(MO_TEST_DATA) + "/" + name + "/case.json").c_str(), 0, nullptr);
    ASSERT_NE(file, nullptr) << name;
    AddClasses(file, &recorded);
    size_t index;
    json_t *step;
    json_array_foreach(json_object_get(file, "steps"), index, step) AddClasses(step, &recorded);
    json_decref(file);
  }
  for (int32_t i = 0; i < mo_class_count(); ++i)
    if (recorded.count(mo_class_at(i)->name) == 0) missing.insert(mo_class_at(i)->name);
  EXPECT_EQ(missing, kNotProduced);
}

/* What expected.json of a folder allows: the original's own distance from float64, where that is large. */
double ToleranceOf(const std::string &directory) {
  json_t *expected = json_load_file((directory + "/expected.json").c_str(), 0, nullptr);
  const json_t *allowed = json_object_get(expected, "tolerance");
  const double tolerance = allowed != nullptr ? json_number_value(allowed) : kTolerance;
  json_decref(expected);
  return tolerance;
}

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, AgreesWithTheOriginal) {
  const std::string directory = std::string(MO_TEST_DATA) + "/" + GetParam();
  Context context(0);
  mo_replay *replay = nullptr;
  const mo_status_t status = mo_replay_case(context.get(), directory.c_str(), MO_DTYPE_FLOAT32, &replay);
  ASSERT_NE(replay, nullptr);
  ASSERT_EQ(status, MO_STATUS_OK) << replay->message;
  mo_replay_comparison comparison;
  EXPECT_EQ(mo_replay_compare(replay, directory.c_str(), ToleranceOf(directory), &comparison), MO_STATUS_OK)
      << comparison.message;
  EXPECT_EQ(comparison.difference_count, 0) << comparison.message;
  EXPECT_GE(comparison.tensor_count, 2);
  EXPECT_GT(comparison.value_count, 0);
  RecordProperty("largest_difference", std::to_string(comparison.largest));
  mo_replay_destroy(replay);
}

/* The simulated device is slow at 16-bit products: each of three schedules takes another third of the cases, every second of
 * them in the other dtype. */
bool TakesHalfPrecision(const std::string &name, mo_dtype_t dtype) {
  if (!test_device_is_simulated()) return true;
  const std::vector<std::string> names = Cases();
  const auto index = std::find(names.begin(), names.end(), name) - names.begin();
  const char *seed = std::getenv("MODELOUT_SIMULATED_SEED");
  if (index % 3 != (seed != nullptr ? std::atoi(seed) : 0) % 3) return false;
  return (dtype == MO_DTYPE_FLOAT16) == (index / 3 % 2 == 0);
}

/* Half precision: values of a few units, rounded some ten times on their way, stay within 64 units in the last place of 1. T5
 * adds up what its layers give without a norm, to about 9; Gemma multiplies its embeddings with the root of their size, and its
 * logits are of about 30. */
double HalfPrecisionUnits(const std::string &name) {
  if (name.rfind("gemma", 0) == 0) return 256;
  return name == "t5_lm_gated" ? 128 : 64;
}

TEST_P(Golden, HalfPrecisionStaysClose) {
  const std::string directory = std::string(MO_TEST_DATA) + "/" + GetParam();
  Context context(0);
  for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16}) {
    if (!TakesHalfPrecision(GetParam(), dtype)) continue;
    mo_replay *replay = nullptr;
    const mo_status_t status = mo_replay_case(context.get(), directory.c_str(), dtype, &replay);
    ASSERT_NE(replay, nullptr);
    ASSERT_EQ(status, MO_STATUS_OK) << replay->message;
    mo_replay_comparison comparison;
    const double tolerance = HalfPrecisionUnits(GetParam()) * (dtype == MO_DTYPE_FLOAT16 ? 0x1p-11 : 0x1p-8);
    EXPECT_EQ(mo_replay_compare(replay, directory.c_str(), tolerance, &comparison), MO_STATUS_OK) << comparison.message;
    EXPECT_EQ(comparison.difference_count, 0) << mo_dtype_name(dtype) << ": " << comparison.message;
    EXPECT_GT(comparison.largest, 0.0);
    mo_replay_destroy(replay);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Golden, ::testing::ValuesIn(Cases()), [](const auto &test) { return test.param; });

/* ---- Situations that users reported -------------------------------------------------------------------------------------- */

const std::string kReports = std::string(MO_SOURCE_DIR) + "/tests/cases/user_reports/";

/* Folders with a recorded case, or with an expected.json: {"tolerance": X}, or what refuses the folder: {"status":
 * "UNSUPPORTED", "names": what the sentence must name}. */
std::vector<std::string> Reports() {
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(kReports))
    if (std::filesystem::exists(entry.path() / "case.json") || std::filesystem::exists(entry.path() / "expected.json"))
      names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

void ExpectRefused(mo_context_t *context, const std::string &directory, const char *status_name, const char *named) {
  mo_model_t *model = nullptr;
  const mo_status_t status = mo_model_load(context, directory.c_str(), nullptr, &model);
  EXPECT_STREQ(mo_status_name(status), status_name);
  EXPECT_NE(std::string(mo_last_error()).find(named), std::string::npos) << mo_last_error();
  mo_model_destroy(model);
}

class UserReport : public ::testing::TestWithParam<std::string> {};

TEST_P(UserReport, AnswersAsItShould) {
  const std::string directory = kReports + GetParam();
  Context context(0);
  const double tolerance = ToleranceOf(directory);
  json_t *expected = json_load_file((directory + "/expected.json").c_str(), 0, nullptr);
  const json_t *status_name = json_object_get(expected, "status");
  if (status_name != nullptr) {
    ExpectRefused(context.get(), directory, json_string_value(status_name),
                  json_string_value(json_object_get(expected, "names")));
  } else {
    mo_replay *replay = nullptr;
    mo_replay_comparison comparison;
    ASSERT_EQ(mo_replay_case(context.get(), directory.c_str(), MO_DTYPE_FLOAT32, &replay), MO_STATUS_OK) << replay->message;
    EXPECT_EQ(mo_replay_compare(replay, directory.c_str(), tolerance, &comparison), MO_STATUS_OK) << comparison.message;
    EXPECT_EQ(comparison.difference_count, 0) << comparison.message;
    EXPECT_GT(comparison.value_count, 0);
    mo_replay_destroy(replay);
  }
  json_decref(expected);
}

INSTANTIATE_TEST_SUITE_P(Folders, UserReport, ::testing::ValuesIn(Reports()), [](const auto &test) { return test.param; });

TEST(UserReportSet, IsThere) {
  const std::vector<std::string> names = Reports();
  for (const char *name : {"fp8_weight_scale", "gpt2_key_aliases", "no_architectures", "pruned_heads", "t5_dense_act_fn_gelu"})
    EXPECT_TRUE(std::find(names.begin(), names.end(), name) != names.end()) << name;
}

TEST(GoldenSet, HoldsEveryFamilyAndHead) {
  const std::vector<std::string> names = Cases();
  for (const char *name : {"gpt2_lm",           "gpt2_model",      "gpt2_model_cross",
                           "gpt2_seqcls",       "gpt2_token_cls",  "gpt2_qa",
                           "gpt_neox_lm",       "gpt_neox_seqcls", "gpt_neox_token_cls",
                           "gpt_neox_qa",       "llama_lm",        "llama_model",
                           "llama_seqcls",      "llama_token_cls", "llama_qa",
                           "mistral_lm_window", "mistral_seqcls",  "mistral_token_cls",
                           "mistral_qa",        "opt_lm",          "opt_model",
                           "opt_seqcls",        "opt_qa",          "qwen2_lm",
                           "qwen2_lm_layers",   "qwen2_model",     "qwen2_seqcls",
                           "qwen2_token_cls",   "qwen2_qa",        "bert_lm_head_cross",
                           "qwen3_lm",          "qwen3_lm_layers", "qwen3_lm_left",
                           "qwen3_seqcls",      "qwen3_token_cls", "qwen3_qa",
                           "phi3_lm",           "phi3_lm_window",  "phi3_seqcls",
                           "phi3_token_cls",    "bart_model",      "bart_lm",
                           "bart_seqcls",       "bart_qa_plain",   "bart_causal",
                           "bart_encoder",      "t5_model",        "t5_lm",
                           "t5_lm_gated",       "t5_encoder"})
    EXPECT_TRUE(std::find(names.begin(), names.end(), name) != names.end()) << name;
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
  Context context(0);
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
  std::swap(replay->calls[0].keys[0], replay->calls[0].keys[1]);
  ASSERT_EQ(mo_replay_compare(replay, directory.c_str(), 1e9, &comparison), MO_STATUS_OK);
  EXPECT_EQ(comparison.difference_count, 4);
  replay->tensors[2].name[0] = 'x';
  ASSERT_EQ(mo_replay_compare(replay, directory.c_str(), 1e9, &comparison), MO_STATUS_OK);
  EXPECT_EQ(comparison.difference_count, 6);
  mo_replay_destroy(replay);
}

/* A case of two calls, made of a recorded one: the second asks for no hidden states and attentions. */
class TwoCalls {
 public:
  TwoCalls() {
    for (const char *file : {"config.json", "model.safetensors"}) folder_.Link(file, Source() + "/" + file);
    Rewrite("inputs.safetensors", [](const std::string &) { return true; });
    Rewrite("outputs.safetensors",
            [](const std::string &name) { return name == "last_hidden_state" || name == "pooler_output"; });
    json_t *recorded = json_load_file((Source() + "/case.json").c_str(), 0, nullptr);
    json_t *second = json_pack("{s:s, s:[s, s], s:{}}", "output_class", kClass, "output_fields_in_order", "last_hidden_state",
                               "pooler_output", "flags");
    description_ = json_pack("{s:s, s:[O, o]}", "model_class", "BertModel", "steps", recorded, second);
    json_decref(recorded);
    Save();
  }
  ~TwoCalls() { json_decref(description_); }
  json_t *step(size_t index) { return json_array_get(json_object_get(description_, "steps"), index); }
  json_t *description() { return description_; }
  void Save() { EXPECT_EQ(json_dump_file(description_, folder_.File("case.json").c_str(), 0), 0); }
  const char *path() const { return folder_.path().c_str(); }

  /* Every tensor as step0.NAME, and those that belong to the second call as step1.NAME too. */
  template <typename InSecond>
  void Rewrite(const char *file_name, InSecond in_second, const std::function<void(float *)> &change_first = nullptr) {
    mo_safetensors_t *file = nullptr;
    ASSERT_EQ(mo_safetensors_open((Source() + "/" + file_name).c_str(), &file), MO_STATUS_OK) << mo_last_error();
    std::vector<std::string> names;
    std::vector<mo_tensor> tensors;
    std::vector<std::vector<char>> changed;
    for (int64_t i = 0; i < mo_safetensors_count(file); i++) {
      const std::string name = mo_safetensors_name(file, i);
      mo_tensor tensor;
      ASSERT_EQ(mo_safetensors_tensor(file, name.c_str(), &tensor), MO_STATUS_OK) << mo_last_error();
      const char *bytes = static_cast<const char *>(tensor.data);
      if (in_second(name)) names.push_back("step1." + name), tensors.push_back(tensor);
      if (change_first != nullptr && name == "last_hidden_state") {
        changed.emplace_back(bytes, bytes + mo_tensor_bytes(&tensor));
        change_first(reinterpret_cast<float *>(changed.back().data()));
        tensor.data = changed.back().data();
      }
      names.push_back("step0." + name), tensors.push_back(tensor);
    }
    std::vector<const char *> pointers;
    for (const std::string &name : names) pointers.push_back(name.c_str());
    EXPECT_EQ(mo_safetensors_write(folder_.File(file_name).c_str(), pointers.data(), tensors.data(),
                                   static_cast<int64_t>(names.size()), nullptr, nullptr, 0),
              MO_STATUS_OK)
        << mo_last_error();
    mo_safetensors_close(file);
  }

 private:
  static constexpr const char *kClass = "BaseModelOutputWithPoolingAndCrossAttentions";
  static std::string Source() { return MO_TEST_DATA "/bert_model"; }
  test_support::TemporaryFolder folder_;
  json_t *description_ = nullptr;
};

mo_status_t Check(const char *directory, mo_replay_comparison *comparison, std::string *message) {
  Context context(0);
  mo_replay *replay = nullptr;
  mo_status_t status = mo_replay_case(context.get(), directory, MO_DTYPE_FLOAT32, &replay);
  *message = replay->message;
  if (status == MO_STATUS_OK) {
    EXPECT_EQ(replay->call_count, 2);
    status = mo_replay_compare(replay, directory, kTolerance, comparison);
    *message = comparison->message;
  }
  mo_replay_destroy(replay);
  return status;
}

TEST(GoldenReplay, CasesOfSeveralCalls) {
  TwoCalls made;
  mo_replay_comparison comparison;
  std::string message;
  ASSERT_EQ(Check(made.path(), &comparison, &message), MO_STATUS_OK) << message;
  EXPECT_EQ(comparison.difference_count, 0) << message;
  EXPECT_EQ(comparison.key_count, 6);
  EXPECT_EQ(comparison.tensor_count, 9);

  /* Each call's class, keys and None entries count. */
  json_object_set_new(made.step(0), "output_class", json_string("BaseModelOutput"));
  json_object_set_new(made.step(1), "none_entries", json_pack("[s]", "pooler_output.0"));
  json_array_remove(json_object_get(made.step(1), "output_fields_in_order"), 0);
  made.Save();
  ASSERT_EQ(Check(made.path(), &comparison, &message), MO_STATUS_OK) << message;
  EXPECT_EQ(comparison.difference_count, 4);
}

TEST(GoldenReplay, NotANumberIsUnspecifiedOnlyWhereTheCaseSaysSo) {
  TwoCalls made;
  mo_replay_comparison comparison;
  std::string message;
  made.Rewrite(
      "outputs.safetensors", [](const std::string &name) { return name == "last_hidden_state" || name == "pooler_output"; },
      [](float *values) { values[5] = std::nanf(""); });
  ASSERT_EQ(Check(made.path(), &comparison, &message), MO_STATUS_OK) << message;
  EXPECT_EQ(comparison.difference_count, 1);
  const int64_t all = comparison.value_count;
  json_object_set_new(made.description(), "unspecified", json_string("nan"));
  made.Save();
  ASSERT_EQ(Check(made.path(), &comparison, &message), MO_STATUS_OK) << message;
  EXPECT_EQ(comparison.difference_count, 0) << message;
  EXPECT_EQ(comparison.value_count, all - 1);
}

TEST(GoldenReplay, RefusesStepsThatDoNotExist) {
  TwoCalls made;
  mo_replay_comparison comparison;
  std::string message;
  for (const char *name : {"step1", "step2", "step", "", "step0.", "0"}) {
    json_object_set_new(made.step(1), "past_key_values_from", json_string(name));
    made.Save();
    EXPECT_EQ(Check(made.path(), &comparison, &message), MO_STATUS_BAD_FILE) << name;
    EXPECT_NE(message.find("past_key_values_from"), std::string::npos) << message;
  }
  json_object_set_new(made.description(), "steps", json_array());
  made.Save();
  EXPECT_EQ(Check(made.path(), &comparison, &message), MO_STATUS_BAD_FILE);
}

TEST(GoldenReplay, SaysWhatItCannotDo) {
  Context context(0);
  mo_replay *replay = nullptr;
  EXPECT_EQ(mo_replay_case(context.get(), MO_TEST_DATA "/no_such_case", MO_DTYPE_FLOAT32, &replay), MO_STATUS_IO_ERROR);
  EXPECT_NE(std::string(replay->message), "");
  mo_replay_destroy(replay);
}

}  // namespace
