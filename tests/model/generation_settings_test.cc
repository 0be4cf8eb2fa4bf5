// tests/model/generation_settings_test.cc - settings of generation_config.json and config.json: obeyed as Transformers obeys
// them (scripts/record-generation-settings), or refused by name; what options say against them; numbers that no memory is meant
// for.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <jansson.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "tests/support/loaded_model.h"
#include "tests/support/scoped_context.h"
#include "tests/support/temporary_folder.h"

namespace {

using Rows = std::vector<std::vector<int64_t>>;
const std::string kGolden = MO_TEST_DATA;
const std::string kCases = std::string(MO_SOURCE_DIR) + "/tests/cases";
const Rows kPrompts = {{5, 17, 23, 31, 17, 23}, {8, 9, 44, 61, 8, 9}};

struct JsonDelete {
  void operator()(json_t *json) const { json_decref(json); }
};
using Json = std::unique_ptr<json_t, JsonDelete>;

Json Parse(const std::string &text) {
  json_error_t error;
  json_t *json = json_loads(text.c_str(), JSON_DECODE_ANY, &error);
  EXPECT_NE(json, nullptr) << error.text << " in " << text;
  return Json(json);
}

// A folder with a golden checkpoint's weights and configuration files of its own.
class Folder : public test_support::TemporaryFolder {
 public:
  // With "config.json" the settings join those of config.json; else they stand in generation_config.json, beside the token ids.
  Folder(const std::string &checkpoint, const std::string &file, const json_t *settings) {
    const std::string source = kGolden + "/" + checkpoint;
    Link("model.safetensors", source + "/model.safetensors");
    Json config(json_load_file((source + "/config.json").c_str(), 0, nullptr));
    if (file == "config.json") {
      json_object_update(config.get(), const_cast<json_t *>(settings));
    } else {
      Json generation(json_object());
      for (const char *id : {"eos_token_id", "pad_token_id", "bos_token_id", "decoder_start_token_id"}) {
        json_t *value = json_object_get(config.get(), id);
        if (json_is_integer(value)) json_object_set(generation.get(), id, value);
      }
      json_object_update(generation.get(), const_cast<json_t *>(settings));
      json_dump_file(generation.get(), File("generation_config.json").c_str(), 0);
    }
    json_dump_file(config.get(), File("config.json").c_str(), 0);
  }
};

struct Generated {
  mo_status_t status;
  std::string error, output_class;
  Rows rows;
  std::vector<std::string> keys;
  int64_t cached = -1;  // tokens in the cache
};

class Model {
 public:
  explicit Model(const std::string &path, const mo_context_options &options = test_context_options())
      : context_(options), model_(context_, path) {
    EXPECT_EQ(model_.status(), MO_STATUS_OK) << model_.error();
  }

  Generated Generate(const Rows &prompts, const mo_generation_options &options) {
    std::vector<int64_t> ids;
    for (const auto &row : prompts) ids.insert(ids.end(), row.begin(), row.end());
    const int64_t shape[2] = {static_cast<int64_t>(prompts.size()), static_cast<int64_t>(prompts[0].size())};
    const mo_tensor tensor = mo_tensor_cpu(ids.data(), MO_DTYPE_INT64, 2, shape);
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    inputs.input_ids = &tensor;
    mo_output *output = nullptr;
    Generated made = {mo_generate(model_, &inputs, &options, &output), "", "", {}, {}};
    if (made.status != MO_STATUS_OK) {
      made.error = mo_last_error();
      return made;
    }
    mo_host_view view;
    EXPECT_EQ(mo_field_read(mo_output_get(output, "sequences"), &view), MO_STATUS_OK) << mo_last_error();
    const auto *values = static_cast<const int64_t *>(view.data);
    for (int64_t row = 0; row < view.shape[0]; ++row)
      made.rows.emplace_back(values + row * view.shape[1], values + (row + 1) * view.shape[1]);
    for (int64_t i = 0; i < mo_output_length(output); ++i) made.keys.push_back(mo_output_key_at(output, i));
    made.output_class = output->output_class->name;
    if (mo_field *cache = mo_output_get(output, "past_key_values")) made.cached = mo_cache_length(mo_field_cache(cache), 0);
    mo_output_destroy(output);
    return made;
  }
  Generated Generate(const Rows &prompts) {
    const mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
    return Generate(prompts, options);
  }

 private:
  test_support::Context context_;
  test_support::LoadedModel model_;
};

Generated With(const std::string &settings, const mo_generation_options &options, const std::string &checkpoint = "llama_lm",
               const std::string &file = "generation_config.json") {
  const Json json = Parse(settings);
  const Folder folder(checkpoint, file, json.get());
  return Model(folder.path()).Generate(kPrompts, options);
}
Generated With(const std::string &settings, const std::string &checkpoint = "llama_lm",
               const std::string &file = "generation_config.json") {
  const mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
  return With(settings, options, checkpoint, file);
}

// ---- Obeyed ----

TEST(GenerationSettings, OfFilesGiveWhatTransformersGives) {
  const Json cases(json_load_file((kCases + "/generation_settings/cases.json").c_str(), 0, nullptr));
  ASSERT_GT(json_array_size(cases.get()), 100u);
  size_t index = 0;
  json_t *entry = nullptr;
  json_array_foreach(cases.get(), index, entry) {
    const std::string checkpoint = json_string_value(json_object_get(entry, "checkpoint"));
    const json_t *settings = json_object_get(entry, "settings");
    const bool edits = json_object_get(settings, "repetition_penalty") != nullptr ||
                       json_object_get(settings, "forced_bos_token_id") != nullptr ||
                       json_object_get(settings, "no_repeat_ngram_size") != nullptr;
    /* Every thread of that device costs: there it is what edits scores, of one model of each kind. */
    if (test_device_is_simulated() && !(edits && (checkpoint == "t5_lm" || (checkpoint == "gpt2_lm" && index % 2 == 0))))
      continue;
    char *text = json_dumps(settings, 0);
    SCOPED_TRACE(checkpoint + ", " + json_string_value(json_object_get(entry, "file")) + ": " + text);
    std::free(text);
    const Folder folder(checkpoint, json_string_value(json_object_get(entry, "file")), settings);
    const Generated made = Model(folder.path()).Generate(kPrompts);
    ASSERT_EQ(made.status, MO_STATUS_OK) << made.error;
    Rows expected;
    size_t row = 0;
    json_t *ids = nullptr;
    json_array_foreach(json_object_get(entry, "expected"), row, ids) {
      expected.emplace_back();
      for (size_t i = 0; i < json_array_size(ids); ++i) expected.back().push_back(json_integer_value(json_array_get(ids, i)));
    }
    EXPECT_EQ(made.rows, expected);
  }
}

TEST(GenerationSettings, SituationsThatUsersReported) {
  const Rows prompt = {{5, 17, 23, 31}};
  const struct {
    const char *folder;
    int64_t max_new_tokens;
    std::vector<int64_t> expected;
  } cases[] = {
      {"min_length_config", 0, {5, 17, 23, 31, 45, 29, 52, 61, 75, 45, 45, 26, 61, 27, 43, 52}},
      {"num_beams_from_files", 0, {5, 17, 23, 31, 45, 45, 45, 88, 16, 64, 4, 11}},
      {"gpt2_eos_outside_vocabulary", 6, {5, 17, 23, 31, 65, 65, 94, 19, 88, 88}},
      {"generation_eos_null", 8, {5, 17, 23, 31, 45, 29, 52, 2, 3, 53, 56, 2}},
  };
  for (const auto &c : cases) {
    SCOPED_TRACE(c.folder);
    mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
    options.max_new_tokens = c.max_new_tokens;
    const Generated made = Model(kCases + "/user_reports/" + c.folder).Generate(prompt, options);
    ASSERT_EQ(made.status, MO_STATUS_OK) << made.error;
    EXPECT_EQ(made.rows, Rows{c.expected});
  }
}

// Where config.json has no such key, the ids are those of the family's configuration class.
TEST(GenerationSettings, AbsentIdsAreTheFamilys) {
  TEST_ON_CPU_ONLY("settings are the host's");
  const struct {
    const char *checkpoint;
    Rows expected;
  } cases[] = {{"bart_lm", {{2, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 2}, {2, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 2}}},
               {"gpt_neox_lm", {{5, 17, 23, 31, 17, 23, 60, 96, 89, 88, 88, 74}, {8, 9, 44, 61, 8, 9, 2, 2, 2, 2, 2, 2}}},
               {"qwen2_lm", {{5, 17, 23, 31, 17, 23, 53, 53, 53, 97, 38, 38}, {8, 9, 44, 61, 8, 9, 29, 42, 29, 42, 29, 29}}}};
  for (const auto &c : cases) {
    SCOPED_TRACE(c.checkpoint);
    const Json settings = Parse(R"({"max_length": 12})");
    const Folder folder(c.checkpoint, "config.json", settings.get());
    const std::string path = folder.path() + "/config.json";
    const Json config(json_load_file(path.c_str(), 0, nullptr));
    for (const char *key : {"eos_token_id", "pad_token_id", "bos_token_id", "decoder_start_token_id", "forced_eos_token_id"})
      json_object_del(config.get(), key);
    ASSERT_EQ(json_dump_file(config.get(), path.c_str(), 0), 0);
    const Generated made = Model(folder.path()).Generate(kPrompts);
    ASSERT_EQ(made.status, MO_STATUS_OK) << made.error;
    EXPECT_EQ(made.rows, c.expected);
  }
}

TEST(GenerationSettings, SamplingOfFilesIsThatOfTheSameOptions) {
  TEST_ON_CPU_ONLY("settings are the host's");
  mo_generation_options seeded = MO_GENERATION_OPTIONS_INIT;
  seeded.seed = 5;
  mo_generation_options options = seeded;
  options.temperature = 3.0f;
  options.top_k = 50; /* what is said by silence */
  const Generated expected = With(R"({"max_new_tokens": 9})", options);
  EXPECT_EQ(With(R"({"max_new_tokens": 9, "do_sample": true, "temperature": 3.0})", seeded).rows, expected.rows);
  options.top_k = 0;
  EXPECT_EQ(With(R"({"max_new_tokens": 9, "do_sample": true, "temperature": 3.0, "top_k": null})", seeded).rows,
            With(R"({"max_new_tokens": 9})", options).rows);
  options.top_p = 0.7f;
  options.min_p = 0.05f;
  EXPECT_EQ(
      With(R"({"max_new_tokens": 9, "do_sample": true, "temperature": 3.0, "top_k": 0, "top_p": 0.7, "min_p": 0.05})", seeded)
          .rows,
      With(R"({"max_new_tokens": 9})", options).rows);
}

TEST(GenerationSettings, OutputFlagsAndTheCacheFlag) {
  TEST_ON_CPU_ONLY("fields are chosen on the host");
  const Generated made = With(R"({"max_new_tokens": 3, "output_scores": true, "output_logits": true, "output_attentions": true,
                                  "output_hidden_states": true, "use_cache": false, "return_dict_in_generate": true})");
  ASSERT_EQ(made.status, MO_STATUS_OK) << made.error;
  EXPECT_EQ(made.keys, (std::vector<std::string>{"sequences", "scores", "logits", "attentions", "hidden_states"}));
}

TEST(GenerationSettings, SequencesDrawnSeveralTimesDiffer) {
  TEST_ON_CPU_ONLY("draws are tested with the op");
  mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
  options.seed = 3;
  const std::string settings = R"({"do_sample": true, "temperature": 3.0, "num_return_sequences": 3, "max_new_tokens": 8})";
  for (const char *checkpoint : {"gpt2_lm", "t5_lm"}) {
    const Generated made = With(settings, options, checkpoint);
    ASSERT_EQ(made.status, MO_STATUS_OK) << made.error;
    ASSERT_EQ(made.rows.size(), 6u);
    EXPECT_NE(made.rows[0], made.rows[1]);
    EXPECT_NE(made.rows[3], made.rows[4]);
    if (checkpoint == std::string("gpt2_lm")) {
      EXPECT_EQ(made.rows[2][0], 5);
      EXPECT_EQ(made.rows[3][0], 8);
    }
    EXPECT_EQ(With(settings, options, checkpoint).rows, made.rows) << "the seed says it all";
  }
}

// ---- Refused ----

TEST(GenerationSettings, WhatIsNotDoneIsRefusedByNameAndNeutralValuesAreNot) {
  TEST_ON_CPU_ONLY("settings are the host's");
  const struct {
    const char *key, *value, *beside, *neutral;
  } cases[] = {
      {"typical_p", "0.5", R"("do_sample": true)", "1.0"},
      {"epsilon_cutoff", "0.1", R"("do_sample": true)", "0.0"},
      {"eta_cutoff", "0.1", R"("do_sample": true)", "0.0"},
      {"top_h", "0.4", R"("do_sample": true)", "null"},
      {"encoder_repetition_penalty", "1.3", R"("num_beams": 1)", "1.0"},
      {"guidance_scale", "1.5", R"("num_beams": 1)", "1"},
      {"renormalize_logits", "true", R"("num_beams": 1)", "false"},
      {"remove_invalid_values", "true", R"("num_beams": 1)", "false"},
      {"token_healing", "true", R"("num_beams": 1)", "false"},
      {"exponential_decay_length_penalty", "[3, 1.2]", R"("num_beams": 1)", "null"},
      {"watermarking_config", "{\"bias\": 2.0}", R"("num_beams": 1)", "null"},
      {"constraints", "[1]", R"("num_beams": 2)", "null"},
      {"force_words_ids", "[[3]]", R"("num_beams": 2)", "null"},
      {"dola_layers", "\"low\"", R"("num_beams": 1)", "null"},
      {"max_time", "1.5", R"("num_beams": 1)", "null"},
      {"stop_strings", "[\"x\"]", R"("num_beams": 1)", "null"},
      {"num_beam_groups", "2", R"("num_beams": 2, "diversity_penalty": 0.5)", "1"},
      {"penalty_alpha", "0.6", R"("top_k": 4)", "0.0"},
      {"cache_implementation", "\"quantized\"", R"("num_beams": 1)", "\"static\""},
  };
  for (const char *file : {"generation_config.json", "config.json"}) {
    for (const auto &c : cases) {
      const auto settings = [&c](const char *value) {
        return std::string("{\"max_new_tokens\": 2, ") + c.beside + ", \"" + c.key + "\": " + value + "}";
      };
      SCOPED_TRACE(std::string(file) + ": " + settings(c.value));
      const Generated refused = With(settings(c.value), "llama_lm", file);
      EXPECT_EQ(refused.status, MO_STATUS_UNSUPPORTED);
      EXPECT_NE(refused.error.find(std::string(file) + " asks for " + c.key + " "), std::string::npos) << refused.error;
      const Generated neutral = With(settings(c.neutral), "llama_lm", file);
      EXPECT_EQ(neutral.status, MO_STATUS_OK) << neutral.error;
      mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
      options.ignore_file_settings = true;
      const Generated ignored = With(settings(c.value), options, "llama_lm", file);
      EXPECT_EQ(ignored.status, MO_STATUS_OK) << ignored.error;
    }
  }
  EXPECT_EQ(With(R"({"typical_p": 0.5, "epsilon_cutoff": 0.1, "max_new_tokens": 2})").status, MO_STATUS_OK) << "nothing drawn";
}

TEST(GenerationSettings, ValuesOfTheWrongKindAreBadFiles) {
  TEST_ON_CPU_ONLY("settings are the host's");
  for (const char *settings : {R"({"max_new_tokens": 0})",
                               R"({"max_new_tokens": "9"})",
                               R"({"max_length": 1.5})",
                               R"({"num_beams": 0})",
                               R"({"num_beams": 1000000000})",
                               R"({"num_return_sequences": -1})",
                               R"({"do_sample": "yes"})",
                               R"({"do_sample": true, "temperature": 0})",
                               R"({"do_sample": true, "top_k": -1})",
                               R"({"top_p": -0.5})",
                               R"({"min_p": 2})",
                               R"({"early_stopping": "often"})",
                               R"({"repetition_penalty": 0})",
                               R"({"repetition_penalty": -1.5})",
                               R"({"no_repeat_ngram_size": 2.5})",
                               R"({"bad_words_ids": [3]})",
                               R"({"bad_words_ids": [[]]})",
                               R"({"bad_words_ids": [[99]]})",
                               R"({"sequence_bias": [[[3]]]})",
                               R"({"sequence_bias": {"3": 1.0}})",
                               R"({"suppress_tokens": 3})",
                               R"({"begin_suppress_tokens": ["a"]})",
                               R"({"forced_eos_token_id": "a"})",
                               R"({"forced_bos_token_id": [3]})",
                               R"({"eos_token_id": "no"})",
                               R"({"pad_token_id": 1.5})"}) {
    const Generated made = With(settings);
    EXPECT_EQ(made.status, MO_STATUS_BAD_FILE) << settings;
    EXPECT_NE(made.error.find("generation_config.json: "), std::string::npos) << made.error;
  }
}

// ---- Options against files ----

TEST(GenerationSettings, OptionsGoBeforeFiles) {
  TEST_ON_CPU_ONLY("settings are the host's");
  const Generated greedy = With(R"({"max_new_tokens": 6})");
  mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
  options.no_sampling = true;
  EXPECT_EQ(With(R"({"do_sample": true, "temperature": 5.0, "max_new_tokens": 6})", options).rows, greedy.rows);
  options = MO_GENERATION_OPTIONS_INIT;
  options.num_beams = 1;
  EXPECT_EQ(With(R"({"num_beams": 3, "max_new_tokens": 6})", options).rows, greedy.rows);
  options = MO_GENERATION_OPTIONS_INIT;
  options.max_new_tokens = 6;
  options.ignore_file_settings = true;
  EXPECT_EQ(With(R"({"repetition_penalty": 9.0, "forced_eos_token_id": 4, "num_beams": 4, "max_length": 7})", options).rows,
            greedy.rows);
  options = MO_GENERATION_OPTIONS_INIT;
  options.num_beams = 3;
  options.has_early_stopping = true;
  const std::string beams = R"({"num_beams": 3, "max_new_tokens": 6)";
  EXPECT_EQ(With(beams + R"(, "early_stopping": true, "eos_token_id": 18})", options).rows,
            With(beams + R"(, "eos_token_id": 18})").rows);
  EXPECT_EQ(With(R"({"do_sample": true})", options).status, MO_STATUS_UNSUPPORTED) << "beam sampling";
  EXPECT_EQ(With(R"({"do_sample": true, "num_beams": 2})").status, MO_STATUS_UNSUPPORTED);
  EXPECT_EQ(With(R"({"num_return_sequences": 2})").status, MO_STATUS_UNSUPPORTED) << "greedy search has one";
}

// An id outside the vocabulary is refused where it is needed, and nowhere else.
TEST(GenerationSettings, AnIdThatIsNeverNeededRefusesNothing) {
  TEST_ON_CPU_ONLY("settings are the host's");
  const std::string end = std::to_string(With(R"({"max_new_tokens": 2})").rows[0][6]);  // the first row's first new token
  EXPECT_EQ(With(R"({"eos_token_id": 50256, "pad_token_id": 50256, "max_new_tokens": 3})").status, MO_STATUS_OK);
  EXPECT_EQ(With(R"({"pad_token_id": -1, "max_new_tokens": 3})").status, MO_STATUS_OK);
  const Generated uneven = With(R"({"pad_token_id": 50256, "max_new_tokens": 4, "eos_token_id": )" + end + "}");
  EXPECT_EQ(uneven.status, MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(uneven.error.find("pad_token_id 50256 is outside"), std::string::npos) << uneven.error;
  EXPECT_EQ(With(R"({"forced_bos_token_id": 500, "max_new_tokens": 3})").status, MO_STATUS_OK) << "prompts are longer than one";
  const Generated forced = With(R"({"forced_eos_token_id": 500, "max_new_tokens": 3})");
  EXPECT_EQ(forced.status, MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(forced.error.find("forced_eos_token_id 500"), std::string::npos) << forced.error;
}

TEST(GenerationSettings, APromptAsLongAsMaxLengthIsRefused) {
  TEST_ON_CPU_ONLY("settings are the host's");
  const Generated made = With(R"({"max_length": 6})");
  EXPECT_EQ(made.status, MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(made.error.find("max_length of generation_config.json is 6"), std::string::npos) << made.error;
}

// ---- Numbers that ask for memory ----

// Counts the largest piece of memory that was asked for.
void *AllocateCounting(void *user_data, size_t bytes, mo_stream) {
  auto *largest = static_cast<size_t *>(user_data);
  *largest = std::max(*largest, bytes);
  return bytes > (size_t{64} << 20) ? nullptr : std::aligned_alloc(256, (bytes + 255) / 256 * 256);
}
void ReleaseCounting(void *, void *memory, size_t, mo_stream) { std::free(memory); }

TEST(GenerationSettings, MemoryGrowsWithTheTokens) {
  TEST_ON_CPU_ONLY("the host's memory is the same on every device");
  for (const char *checkpoint : {"llama_lm", "gpt2_lm", "t5_lm"}) {
    for (const char *settings :
         {R"({"max_new_tokens": 1000000000})", R"({"max_length": 9223372036854775807})",
          R"({"max_new_tokens": 1000000000, "num_beams": 3})",
          R"({"max_new_tokens": 9223372036854775807, "min_length": 9223372036854775807, "repetition_penalty": 1.1})"}) {
      SCOPED_TRACE(std::string(checkpoint) + " " + settings);
      const Json json = Parse(settings);
      const Folder folder(checkpoint, "generation_config.json", json.get());
      size_t largest = 0;
      mo_context_options context = test_context_options();
      context.host_allocator = {AllocateCounting, ReleaseCounting, &largest};
      context.device_allocator = {AllocateCounting, ReleaseCounting, &largest};
      Model model(folder.path(), context);
      mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
      int64_t steps = 0;
      options.callback = [](void *user_data, int64_t step, const int64_t *, int64_t) {
        *static_cast<int64_t *>(user_data) = step + 1;
        return step < 300; /* past the first room */
      };
      options.user_data = &steps;
      const Generated made = model.Generate({{5, 17, 23}}, options);
      EXPECT_EQ(made.status, MO_STATUS_OK) << made.error;
      EXPECT_LT(largest, size_t{64} << 20);
      if (checkpoint == std::string("gpt2_lm")) {
        EXPECT_LE(made.rows[0].size(), 33u) << "its table has 32 positions";
      }
    }
  }
}

TEST(GenerationSettings, ALongGenerationIsTheSameWhereverMemoryGrew) {
  TEST_ON_CPU_ONLY("the host's memory is the same on every device");
  const Json json = Parse("{}");
  const Folder folder("t5_lm", "generation_config.json", json.get());
  Model model(folder.path());
  mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
  options.no_eos_token = true;
  for (const int64_t beams : {1, 2}) {
    options.num_beams = beams;
    options.max_new_tokens = 250; /* room at once */
    const Generated small = model.Generate(kPrompts, options);
    options.max_new_tokens = 600; /* two times more */
    options.output_scores = true;
    const Generated large = model.Generate(kPrompts, options);
    ASSERT_EQ(large.status, MO_STATUS_OK) << large.error;
    ASSERT_EQ(large.rows[0].size(), 601u);
    for (size_t row = 0; beams == 1 && row < 2; ++row)
      EXPECT_EQ(std::vector<int64_t>(large.rows[row].begin(), large.rows[row].begin() + 251), small.rows[row]);
  }
}

TEST(GenerationSettings, LengthsAndRowsThatAreTooManyAreRefused) {
  TEST_ON_CPU_ONLY("settings are the host's");
  const Json json = Parse("{}");
  const Folder folder("llama_lm", "generation_config.json", json.get());
  Model model(folder.path());
  for (const int64_t length : {INT64_MAX, INT64_MAX - 6, int64_t{INT32_MAX}, int64_t{1} << 40}) {
    mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
    options.max_new_tokens = length;
    options.min_new_tokens = length;
    EXPECT_EQ(model.Generate(kPrompts, options).status, MO_STATUS_INVALID_ARGUMENT) << length;
    options.max_new_tokens = 2;
    options.temperature = 1;
    options.num_return_sequences = length;
    EXPECT_EQ(model.Generate(kPrompts, options).status, MO_STATUS_INVALID_ARGUMENT) << length;
  }
}

// ---- Logits that are no numbers ----

TEST(GenerationSettings, NothingToChooseFromIsAnError) {
  const test_support::TemporaryFolder folder;
  const std::string &path = folder.path();
  const std::string source = kGolden + "/gpt2_lm/";
  std::filesystem::copy_file(source + "config.json", path + "/config.json");
  std::filesystem::copy_file(source + "model.safetensors", path + "/model.safetensors");
  std::filesystem::permissions(path + "/model.safetensors", std::filesystem::perms::owner_all);
  {
    std::fstream file(path + "/model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    uint64_t header = 0;
    file.read(reinterpret_cast<char *>(&header), sizeof header);
    file.seekp(0, std::ios::end);
    const auto end = static_cast<uint64_t>(file.tellp());
    const std::vector<float> values((end - 8 - header) / sizeof(float), NAN);
    file.seekp(static_cast<std::streamoff>(8 + header));
    file.write(reinterpret_cast<const char *>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(float)));
  }
  Model model(path);
  for (const int64_t beams : {1, 2, 3}) {
    mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
    options.max_new_tokens = 3;
    options.num_beams = beams == 3 ? 1 : beams;
    options.temperature = beams == 3 ? 1.0f : 0.0f;
    const Generated made = model.Generate(kPrompts, options);
    EXPECT_EQ(made.status, MO_STATUS_VALUE_ERROR);
    EXPECT_NE(made.error.find("no token to choose in step 0"), std::string::npos) << made.error;
  }
}

}  // namespace
