// tests/model/stack_load_test.cc - how checkpoints lie: tied weights under each of their names, shards, other element types,
// files that change while a model lives.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "host/replay/replay.h"
#include "modelout/model.h"
#include "modelout/safetensors.h"
#include "tests/support/loaded_model.h"
#include "tests/support/scoped_context.h"
#include "tests/support/temporary_folder.h"

namespace {

namespace fs = std::filesystem;
using test_support::Context;
using test_support::LoadedModel;

constexpr double kTolerance = 2e-5;

std::string Golden(const std::string &name) { return std::string(MO_TEST_DATA) + "/" + name; }
std::string Report(const std::string &name) { return std::string(MO_SOURCE_DIR) + "/tests/cases/user_reports/" + name; }

// A case as another folder that can be changed.
class CaseFolder : public test_support::TemporaryFolder {
 public:
  explicit CaseFolder(const std::string &original) { CopyFrom(original); }

  // Writes model.safetensors anew with other names; "" leaves a tensor out.
  void Rename(const std::function<std::string(const std::string &)> &rename, const std::vector<const char *> &keys = {},
              const std::vector<const char *> &values = {}) const {
    mo_safetensors_t *file = nullptr;
    ASSERT_EQ(mo_safetensors_open(File("model.safetensors").c_str(), &file), MO_STATUS_OK) << mo_last_error();
    std::vector<std::string> names;
    std::vector<const char *> pointers;
    std::vector<mo_tensor> tensors;
    std::vector<std::vector<char>> data;
    for (int64_t i = 0; i < mo_safetensors_count(file); ++i) {
      const char *old = mo_safetensors_name(file, i);
      mo_tensor tensor;
      ASSERT_EQ(mo_safetensors_describe(file, old, &tensor), MO_STATUS_OK) << mo_last_error();
      if (rename(old).empty()) continue;
      data.emplace_back(static_cast<size_t>(mo_tensor_bytes(&tensor)) + 1);
      ASSERT_EQ(mo_safetensors_read(file, old, 0, mo_tensor_count(&tensor), data.back().data()), MO_STATUS_OK);
      tensor.data = data.back().data();
      tensors.push_back(tensor);
      names.push_back(rename(old));
    }
    mo_safetensors_close(file);
    for (const std::string &name : names) pointers.push_back(name.c_str());
    ASSERT_EQ(mo_safetensors_write(File("model.safetensors").c_str(), pointers.data(), tensors.data(),
                                   static_cast<int64_t>(tensors.size()), keys.data(), values.data(),
                                   static_cast<int64_t>(keys.size())),
              MO_STATUS_OK)
        << mo_last_error();
  }

  // The last of duplicate keys counts.
  void SetInConfig(const std::string &member) const {
    std::stringstream text;
    text << std::ifstream(File("config.json")).rdbuf();
    std::string whole = text.str();
    whole.insert(whole.rfind('}'), ", " + member);
    std::ofstream(File("config.json")) << whole;
  }
};

bool EndsWith(const std::string &text, const std::string &end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::function<std::string(const std::string &)> Moving(const std::string &from, const std::string &to) {
  return [=](const std::string &name) { return EndsWith(name, from) ? to : name; };
}

void ExpectAgrees(const std::string &directory) {
  Context context(0);
  mo_replay *replay = nullptr;
  const mo_status_t status = mo_replay_case(context.get(), directory.c_str(), MO_DTYPE_FLOAT32, &replay);
  ASSERT_NE(replay, nullptr);
  EXPECT_EQ(status, MO_STATUS_OK) << replay->message;
  mo_replay_comparison comparison;
  if (status == MO_STATUS_OK) {
    EXPECT_EQ(mo_replay_compare(replay, directory.c_str(), kTolerance, &comparison), MO_STATUS_OK) << comparison.message;
    EXPECT_EQ(comparison.difference_count, 0) << comparison.message;
    EXPECT_GT(comparison.value_count, 0);
  }
  mo_replay_destroy(replay);
}

mo_status_t TryLoad(const std::string &directory, const char *architecture = nullptr) {
  Context context(0);
  mo_model_options options = MO_MODEL_OPTIONS_INIT;
  options.architecture = architecture;
  const LoadedModel model(context, directory, options);
  for (int64_t i = 0; model.status() == MO_STATUS_OK && mo_model_unexpected_tensor(model, i) != nullptr; ++i)
    ADD_FAILURE() << "unexpected: " << mo_model_unexpected_tensor(model, i);
  return model.status();
}

TEST(StackLoad, ReportedLayoutsAgree) {
  for (const char *name : {"float64_weights", "index_lists_absent_tensor", "infinity_in_config", "shard_duplicate_tensor",
                           "tied_head_only_gpt2", "tied_head_only_llama", "tied_head_only_roberta"}) {
    SCOPED_TRACE(name);
    ExpectAgrees(Report(name));
  }
}

// Where the configuration does not tie them, encoder, decoder and head each have the table stored under their own name.
TEST(StackLoad, UntiedTablesAreTheirOwn) {
  const std::string original = std::string(MO_SOURCE_DIR) + "/tests/cases/layouts/bart_untied_tables";
  ExpectAgrees(original);
  const CaseFolder folder(original);
  folder.SetInConfig("\"tie_word_embeddings\": true");
  Context context(0);
  mo_replay *replay = nullptr;
  ASSERT_EQ(mo_replay_case(context.get(), folder.path().c_str(), MO_DTYPE_FLOAT32, &replay), MO_STATUS_OK);
  mo_replay_comparison comparison;
  EXPECT_EQ(mo_replay_compare(replay, folder.path().c_str(), kTolerance, &comparison), MO_STATUS_OK);
  EXPECT_GT(comparison.difference_count, 0);
  mo_replay_destroy(replay);
}

struct Tied {
  const char *golden, *word, *head;
  bool stated; /* the configuration has to say that they are tied */
};

class TiedWeights : public ::testing::TestWithParam<Tied> {};

// The table under the head's name alone gives what the case recorded.
TEST_P(TiedWeights, AreFoundUnderTheHeadsName) {
  const Tied &tied = GetParam();
  const CaseFolder folder(Golden(tied.golden));
  if (tied.stated) {
    // The original's head is another tensor, so the answers are not those recorded; it must load and use one for both.
    folder.SetInConfig("\"tie_word_embeddings\": true");
    folder.Rename([&](const std::string &name) { return EndsWith(name, tied.word) ? std::string() : name; });
    EXPECT_EQ(TryLoad(folder.path()), MO_STATUS_OK) << mo_last_error();
    return;
  }
  folder.Rename([&](const std::string &name) { return EndsWith(name, tied.head) ? std::string() : name; });
  folder.Rename(Moving(tied.word, tied.head));
  ExpectAgrees(folder.path());
  EXPECT_EQ(TryLoad(folder.path()), MO_STATUS_OK) << mo_last_error();
}

// What the configuration does not tie is missing.
TEST_P(TiedWeights, AreOwnWhereTheConfigurationSaysSo) {
  const Tied &tied = GetParam();
  const CaseFolder folder(Golden(tied.golden));
  folder.SetInConfig("\"tie_word_embeddings\": false");
  folder.Rename([&](const std::string &name) { return EndsWith(name, tied.head) ? std::string() : name; });
  folder.Rename(Moving(tied.word, tied.head));
  EXPECT_EQ(TryLoad(folder.path()), MO_STATUS_BAD_FILE);
  EXPECT_NE(std::string(mo_last_error()).find("missing tensors (1): "), std::string::npos) << mo_last_error();
}

// Nor does it have to: the metadata of safetensors.torch.save_model name the tensors that share memory.
TEST_P(TiedWeights, AreFoundByTheFilesMetadata) {
  const Tied &tied = GetParam();
  if (tied.stated) return;
  const CaseFolder folder(Golden(tied.golden));
  std::string word;
  folder.Rename([&](const std::string &name) {
    if (EndsWith(name, tied.word)) word = name;
    return EndsWith(name, tied.head) ? std::string() : name;
  });
  folder.Rename(Moving(tied.word, "any.name"), {word.c_str(), "format"}, {"any.name", "pt"});
  ExpectAgrees(folder.path());
}

INSTANTIATE_TEST_SUITE_P(
    Families, TiedWeights,
    ::testing::Values(Tied{"bert_masked_lm", "word_embeddings.weight", "cls.predictions.decoder.weight", false},
                      Tied{"bert_pretraining", "word_embeddings.weight", "cls.predictions.decoder.weight", false},
                      Tied{"distilbert_masked_lm", "word_embeddings.weight", "vocab_projector.weight", false},
                      Tied{"roberta_masked_lm", "word_embeddings.weight", "lm_head.decoder.weight", false},
                      Tied{"electra_masked_lm", "word_embeddings.weight", "generator_lm_head.weight", false},
                      Tied{"albert_masked_lm", "word_embeddings.weight", "predictions.decoder.weight", false},
                      Tied{"gpt2_lm", "wte.weight", "lm_head.weight", false},
                      Tied{"opt_lm", "embed_tokens.weight", "lm_head.weight", false},
                      Tied{"bart_lm", "shared.weight", "lm_head.weight", false},
                      Tied{"bart_causal", "embed_tokens.weight", "lm_head.weight", false},
                      Tied{"t5_lm", "shared.weight", "lm_head.weight", false},
                      Tied{"llama_lm", "embed_tokens.weight", "lm_head.weight", true},
                      Tied{"mistral_lm_window", "embed_tokens.weight", "lm_head.weight", true},
                      Tied{"qwen2_lm", "embed_tokens.weight", "lm_head.weight", false},
                      Tied{"gpt_neox_lm", "embed_in.weight", "embed_out.weight", true}),
    [](const auto &test) { return std::string(test.param.golden); });

// The table of an encoder-decoder model has four names; the bias of a head has two.
TEST(StackLoad, OtherNamesOfTiedTensors) {
  const struct {
    const char *golden, *from, *to;
  } cases[] = {
      {"bart_lm", "shared.weight", "model.encoder.embed_tokens.weight"},
      {"bart_lm", "shared.weight", "model.decoder.embed_tokens.weight"},
      {"bart_model", "shared.weight", "encoder.embed_tokens.weight"},
      {"bart_seqcls", "shared.weight", "model.decoder.embed_tokens.weight"},
      {"t5_lm", "shared.weight", "encoder.embed_tokens.weight"},
      {"t5_lm", "shared.weight", "decoder.embed_tokens.weight"},
      {"bert_masked_lm", "cls.predictions.bias", "cls.predictions.decoder.bias"},
      {"albert_masked_lm", "predictions.bias", "predictions.decoder.bias"},
      {"roberta_masked_lm", "lm_head.bias", "lm_head.decoder.bias"},
  };
  for (const auto &c : cases) {
    SCOPED_TRACE(std::string(c.golden) + ": " + c.to);
    const CaseFolder folder(Golden(c.golden));
    folder.Rename([&](const std::string &name) { return EndsWith(name, c.to) ? std::string() : name; });
    folder.Rename(Moving(c.from, c.to));
    ExpectAgrees(folder.path());
  }
}

// The base model of a file that its language model saved.
TEST(StackLoad, ABaseModelFindsItsTableUnderTheHeadsName) {
  const CaseFolder folder(Golden("gpt2_lm"));
  folder.Rename([](const std::string &name) { return EndsWith(name, "lm_head.weight") ? std::string() : name; });
  folder.Rename(Moving("wte.weight", "lm_head.weight"));
  EXPECT_EQ(TryLoad(folder.path(), "GPT2Model"), MO_STATUS_OK) << mo_last_error();
}

std::vector<float> Logits(mo_model_t *model) {
  const int64_t ids[] = {3, 5, 7, 11, 2};
  const int64_t shape[] = {1, 5};
  const mo_tensor tensor = mo_tensor_cpu(const_cast<int64_t *>(ids), MO_DTYPE_INT64, 2, shape);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &tensor;
  mo_output *output = nullptr;
  EXPECT_EQ(mo_model_forward(model, &inputs, nullptr, &output), MO_STATUS_OK) << mo_last_error();
  mo_field *field = mo_output_get(output, "logits");
  std::vector<float> values(static_cast<size_t>(mo_tensor_count(mo_field_tensor(field))));
  EXPECT_EQ(mo_field_read_float32(field, nullptr, 0, values.data(), static_cast<int64_t>(values.size())), MO_STATUS_OK);
  mo_output_destroy(output);
  return values;
}

// Once it is loaded a model answers the same whatever becomes of its files; a mapped one answers the same while they stay.
TEST(StackLoad, AModelOutlivesItsFiles) {
  for (const char *golden : {"gpt2_lm", "llama_lm", "bert_masked_lm"}) {
    SCOPED_TRACE(golden);
    const CaseFolder folder(Golden(golden));
    Context context(0);
    mo_model_options options = MO_MODEL_OPTIONS_INIT;
    mo_model_t *read = nullptr, *mapped = nullptr;
    ASSERT_EQ(mo_model_load(context.get(), folder.path().c_str(), &options, &read), MO_STATUS_OK) << mo_last_error();
    options.map_weights = true;
    ASSERT_EQ(mo_model_load(context.get(), folder.path().c_str(), &options, &mapped), MO_STATUS_OK) << mo_last_error();
    const std::vector<float> before = Logits(read);
    EXPECT_EQ(Logits(mapped), before);
    mo_model_destroy(mapped);
    {
      std::fstream file(folder.File("model.safetensors"), std::ios::in | std::ios::out | std::ios::binary);
      file << std::string(fs::file_size(folder.File("model.safetensors")), '\xFF');  // NaN everywhere
    }
    EXPECT_EQ(Logits(read), before);
    fs::resize_file(folder.File("model.safetensors"), 0);
    EXPECT_EQ(Logits(read), before);
    mo_model_destroy(read);
  }
}

}  // namespace
