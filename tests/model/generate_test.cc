// tests/model/generate_test.cc - generation against what Transformers' generate() gave (scripts/record-generation), against
// full recomputation, and its costs: what crosses to the host, and that a recorded step does what a plain one does.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "tests/support/loaded_model.h"
#include "tests/support/scoped_context.h"
#include "tests/support/temporary_folder.h"

namespace {

constexpr double kTolerance = 2e-5;
using test_support::GoldenCase;

// A context and a model on it.
class Session {
 public:
  explicit Session(const std::string &directory, mo_framework_t framework = MO_FRAMEWORK_PT)
      : context_(0), model_(context_, directory, framework) {
    EXPECT_EQ(model_.status(), MO_STATUS_OK) << model_.error();
  }
  mo_context_t *context() const { return context_; }
  mo_model_t *model() const { return model_; }

 private:
  test_support::Context context_;
  test_support::LoadedModel model_;
};

// Prompts, and the inputs that point to them.
struct Prompts {
  Prompts(std::vector<int64_t> values, int64_t row_count) : ids(std::move(values)), rows(row_count) {
    const int64_t shape[2] = {rows, static_cast<int64_t>(ids.size()) / rows};
    mask.assign(ids.size(), 1);
    ids_tensor = mo_tensor_cpu(ids.data(), MO_DTYPE_INT64, 2, shape);
    mask_tensor = mo_tensor_cpu(mask.data(), MO_DTYPE_INT64, 2, shape);
    inputs.input_ids = &ids_tensor;
    inputs.attention_mask = &mask_tensor;
  }
  Prompts(const Prompts &) = delete;
  Prompts &operator=(const Prompts &) = delete;
  std::vector<int64_t> ids, mask;
  int64_t rows;
  mo_tensor ids_tensor, mask_tensor;
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
};

struct OutputDelete {
  void operator()(mo_output *output) const { mo_output_destroy(output); }
};
using Output = std::unique_ptr<mo_output, OutputDelete>;

Output Generate(const Session &session, const mo_model_inputs &inputs, const mo_generation_options &options) {
  mo_output *output = nullptr;
  EXPECT_EQ(mo_generate(session.model(), &inputs, &options, &output), MO_STATUS_OK) << mo_last_error();
  return Output(output);
}

template <typename T>
std::vector<T> Read(mo_field *field) {
  const mo_tensor *tensor = mo_field_tensor(field);
  if (tensor == nullptr) return {};
  std::vector<T> values(static_cast<size_t>(mo_tensor_count(tensor)));
  EXPECT_EQ(mo_field_read_into(field, nullptr, 0, values.data(), values.size() * sizeof(T)), MO_STATUS_OK) << mo_last_error();
  return values;
}

std::vector<int64_t> Sequences(const Output &output) { return Read<int64_t>(mo_output_get(output.get(), "sequences")); }

// ---- What Transformers gave ----

class Recorded : public testing::TestWithParam<const char *> {
 protected:
  void SetUp() override {
    const std::string folder = GoldenCase(std::string("generate_") + GetParam());
    description_ = json_load_file((folder + "/generation.json").c_str(), 0, nullptr);
    ASSERT_NE(description_, nullptr);
    ASSERT_EQ(mo_safetensors_open((folder + "/inputs.safetensors").c_str(), &inputs_), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(mo_safetensors_open((folder + "/outputs.safetensors").c_str(), &outputs_), MO_STATUS_OK) << mo_last_error();
  }
  void TearDown() override {
    json_decref(description_);
    mo_safetensors_close(inputs_);
    mo_safetensors_close(outputs_);
  }

  // The recorded tensor is the field, or entry `tail` of it ("3", "3.1").
  void Compare(mo_field *field, const std::string &tail, const mo_tensor &recorded) {
    size_t begin = 0;
    while (begin < tail.size()) {
      const size_t dot = std::min(tail.find('.', begin), tail.size());
      field = mo_field_item(field, std::stoll(tail.substr(begin, dot - begin)));
      begin = dot + 1;
    }
    const mo_tensor *tensor = mo_field_tensor(field);
    ASSERT_NE(tensor, nullptr);
    ASSERT_EQ(std::vector<int64_t>(tensor->shape, tensor->shape + tensor->rank),
              std::vector<int64_t>(recorded.shape, recorded.shape + recorded.rank));
    if (recorded.dtype == MO_DTYPE_INT64) {
      const auto *expected = static_cast<const int64_t *>(recorded.data);
      EXPECT_EQ(Read<int64_t>(field), std::vector<int64_t>(expected, expected + mo_tensor_count(&recorded)));
    } else if (recorded.dtype == MO_DTYPE_INT32) {
      const auto *expected = static_cast<const int32_t *>(recorded.data);
      EXPECT_EQ(Read<int32_t>(field), std::vector<int32_t>(expected, expected + mo_tensor_count(&recorded)));
    } else {
      const auto *expected = static_cast<const float *>(recorded.data);
      const std::vector<float> values = Read<float>(field);
      for (size_t i = 0; i < values.size(); ++i) {
        if (std::isinf(expected[i])) ASSERT_EQ(values[i], expected[i]) << i;
        else ASSERT_NEAR(values[i], expected[i], kTolerance) << i;
      }
    }
  }

  json_t *description_ = nullptr;
  mo_safetensors_t *inputs_ = nullptr, *outputs_ = nullptr;
};

// The options of a recorded call, in our words.
struct Options {
  explicit Options(const json_t *recorded) {
    const auto flag = [recorded](const char *name) { return json_is_true(json_object_get(recorded, name)); };
    const auto integer = [recorded](const char *name, int64_t fallback) {
      const json_t *value = json_object_get(recorded, name);
      return json_is_integer(value) ? static_cast<int64_t>(json_integer_value(value)) : fallback;
    };
    const json_t *eos = json_object_get(recorded, "eos_token_id"), *stopping = json_object_get(recorded, "early_stopping");
    if (json_is_integer(eos)) ends.push_back(json_integer_value(eos));
    for (size_t i = 0; i < json_array_size(eos); ++i) ends.push_back(json_integer_value(json_array_get(eos, i)));
    options.max_new_tokens = integer("max_new_tokens", 8);
    options.min_new_tokens = integer("min_new_tokens", 0);
    options.eos_token_ids = ends.data();
    options.eos_token_count = static_cast<int32_t>(ends.size());
    options.no_eos_token = ends.empty();
    options.has_pad_token = true;
    options.pad_token_id = integer("pad_token_id", 0);
    options.num_beams = integer("num_beams", 1);
    options.num_return_sequences = integer("num_return_sequences", 1);
    options.has_length_penalty = json_object_get(recorded, "length_penalty") != nullptr;
    options.length_penalty = static_cast<float>(json_number_value(json_object_get(recorded, "length_penalty")));
    options.early_stopping = json_is_string(stopping) ? MO_EARLY_STOPPING_NEVER
                             : json_is_true(stopping) ? MO_EARLY_STOPPING_TRUE
                                                      : MO_EARLY_STOPPING_FALSE;
    options.output_scores = flag("output_scores");
    options.output_logits = flag("output_logits");
    request.output_attentions = flag("output_attentions");
    request.output_hidden_states = flag("output_hidden_states");
    options.request = &request;
  }
  Options(const Options &) = delete;
  Options &operator=(const Options &) = delete;
  std::vector<int64_t> ends;
  mo_request request = MO_REQUEST_INIT;
  mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
};

TEST_P(Recorded, GeneratesTheSame) {
  Session session(GoldenCase(json_string_value(json_object_get(description_, "checkpoint"))));
  size_t index = 0, compared = 0;
  json_t *call = nullptr;
  json_array_foreach(json_object_get(description_, "calls"), index, call) {
    const std::string name = json_string_value(json_object_get(call, "name"));
    SCOPED_TRACE(name);
    /* Every thread of that device costs: there it is one call of each kind. */
    if (test_device_is_simulated() && name != "end" && name != "beams" &&
        (name != "greedy" || GetParam() == std::string("t5_lm")))
      continue;
    const Options options(json_object_get(call, "options"));
    mo_tensor ids, mask;
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    ASSERT_EQ(mo_safetensors_tensor(inputs_, (name + ".input_ids").c_str(), &ids), MO_STATUS_OK);
    ASSERT_EQ(mo_safetensors_tensor(inputs_, (name + ".attention_mask").c_str(), &mask), MO_STATUS_OK);
    inputs.input_ids = &ids;
    inputs.attention_mask = &mask;
    const Output output = Generate(session, inputs, options.options);
    ASSERT_NE(output, nullptr);
    EXPECT_EQ(mo_output_check_shapes(output.get(), nullptr), MO_STATUS_OK) << mo_last_error();
    EXPECT_STREQ(output->output_class->name, json_string_value(json_object_get(call, "class")));
    const json_t *keys = json_object_get(call, "keys");
    ASSERT_EQ(mo_output_length(output.get()), static_cast<int64_t>(json_array_size(keys)));
    for (size_t i = 0; i < json_array_size(keys); ++i)
      EXPECT_STREQ(mo_output_key_at(output.get(), static_cast<int64_t>(i)), json_string_value(json_array_get(keys, i)));
    for (int64_t i = 0; i < mo_safetensors_count(outputs_); ++i) {
      const std::string full = mo_safetensors_name(outputs_, i);
      if (full.compare(0, name.size() + 1, name + ".") != 0) continue;
      const std::string rest = full.substr(name.size() + 1);
      const size_t dot = std::min(rest.find('.'), rest.size());
      if (name.find('.') == std::string::npos && rest.compare(0, 1, "0") == 0)
        continue;  // "beams_true" is not "beams_true_0.0"
      mo_tensor recorded;
      ASSERT_EQ(mo_safetensors_tensor(outputs_, full.c_str(), &recorded), MO_STATUS_OK);
      SCOPED_TRACE(rest);
      Compare(mo_output_get(output.get(), rest.substr(0, dot).c_str()), dot < rest.size() ? rest.substr(dot + 1) : "",
              recorded);
      ++compared;
    }
  }
  if (!test_device_is_simulated()) {
    EXPECT_EQ(compared, static_cast<size_t>(mo_safetensors_count(outputs_)));
  }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, Recorded, testing::Values("gpt2_lm", "llama_lm", "gpt_neox_lm", "bart_lm", "t5_lm"),
                         [](const auto &parameter) { return std::string(parameter.param); });

// ---- Greedy is an argmax over everything computed anew ----

class Families : public testing::TestWithParam<const char *> {};

TEST_P(Families, GreedyIsArgmaxOfFullRecomputation) {
  Session session(GoldenCase(GetParam()));
  Prompts prompts({7, 30, 11, 5, 62, 90, 4, 4, 51, 17}, 2);
  mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
  const size_t steps = test_device_is_simulated() ? 6 : 12, length = 5 + steps;
  options.max_new_tokens = static_cast<int64_t>(steps);
  options.no_eos_token = true;
  const std::vector<int64_t> generated = Sequences(Generate(session, prompts.inputs, options));
  ASSERT_EQ(generated.size(), 2 * length);
  std::vector<int64_t> rows[2];
  for (int row = 0; row < 2; ++row) rows[row].assign(prompts.ids.begin() + 5 * row, prompts.ids.begin() + 5 * row + 5);
  for (size_t step = 0; step < steps; ++step) {
    std::vector<int64_t> all(rows[0]);
    all.insert(all.end(), rows[1].begin(), rows[1].end());
    Prompts whole(all, 2);
    mo_output *output = nullptr;
    mo_request request = MO_REQUEST_INIT;
    request.last_logit_positions = 1;
    ASSERT_EQ(mo_model_forward(session.model(), &whole.inputs, &request, &output), MO_STATUS_OK) << mo_last_error();
    mo_host_view values, places;
    ASSERT_EQ(mo_field_read_top_k(mo_output_get(output, "logits"), 1, &values, &places), MO_STATUS_OK) << mo_last_error();
    for (size_t row = 0; row < 2; ++row) rows[row].push_back(static_cast<const int64_t *>(places.data)[row]);
    mo_output_destroy(output);
  }
  rows[0].insert(rows[0].end(), rows[1].begin(), rows[1].end());
  EXPECT_EQ(rows[0], generated);
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, Families,
                         testing::Values("gpt2_lm", "llama_lm", "gpt_neox_lm", "opt_lm", "qwen2_lm", "mistral_lm_window"),
                         [](const auto &parameter) { return std::string(parameter.param); });

// ---- Costs, graphs, streaming ----

struct Watch {
  mo_context_t *context;
  std::vector<int64_t> tokens;
  std::vector<uint64_t> copies, bytes;
  int64_t stop_after = -1;
};

bool Note(void *user_data, int64_t step, const int64_t *tokens, int64_t batch_size) {
  auto *watch = static_cast<Watch *>(user_data);
  const mo_context_counters counters = mo_context_get_counters(watch->context);
  watch->tokens.insert(watch->tokens.end(), tokens, tokens + batch_size);
  watch->copies.push_back(counters.host_copies);
  watch->bytes.push_back(counters.host_copy_bytes);
  return step != watch->stop_after;
}

TEST(Generate, OnlyTheChosenIdsCross) {
  Session session(GoldenCase("gpt2_lm"));
  Prompts prompts({7, 30, 11, 5, 62, 90}, 2);
  const bool host = mo_context_device(session.context()).kind == MO_DEVICE_KIND_CPU;
  mo_request request = MO_REQUEST_INIT;
  request.output_hidden_states = request.output_attentions = true;
  for (const bool everything : {false, true}) {
    Watch watch = {session.context(), {}, {}, {}};
    mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
    options.max_new_tokens = 6;
    options.no_eos_token = true;
    options.output_scores = options.output_logits = everything;
    options.request = everything ? &request : nullptr;
    options.callback = Note;
    options.user_data = &watch;
    const mo_context_counters before = mo_context_get_counters(session.context());
    const Output output = Generate(session, prompts.inputs, options);
    ASSERT_EQ(watch.copies.size(), 6u);
    for (size_t step = 0; step < 6; ++step) {
      EXPECT_EQ(watch.copies[step] - before.host_copies, host ? 0 : step + 1);
      EXPECT_EQ(watch.bytes[step] - before.host_copy_bytes, host ? 0 : 16 * (step + 1)) << "8 bytes per sequence and step";
    }
    EXPECT_EQ(mo_output_get_counters(output.get()).host_copy_bytes, 0u);
    const std::vector<int64_t> sequences = Sequences(output);
    for (size_t step = 0; step < 6; ++step) {
      EXPECT_EQ(sequences[3 + step], watch.tokens[2 * step]);
      EXPECT_EQ(sequences[9 + 3 + step], watch.tokens[2 * step + 1]);
    }
  }
}

TEST(Generate, ARecordedStepDoesWhatAPlainOneDoes) {
  for (const char *name : {"gpt2_lm", "llama_lm", "mistral_lm_window"}) {
    if (test_device_is_simulated() && name == std::string("llama_lm")) continue;
    SCOPED_TRACE(name);
    Session session(GoldenCase(name));
    Prompts prompts({0, 0, 11, 5, 62, 90, 8, 15}, 2);
    prompts.mask[0] = prompts.mask[1] = 0;
    const std::vector<int64_t> ends = {1};
    for (const float temperature : {0.0f, 1.2f}) {
      mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
      options.max_new_tokens = 9;
      options.eos_token_ids = ends.data();
      options.eos_token_count = 1;
      options.temperature = temperature;
      options.top_k = 30;
      options.seed = 5;
      const Output recorded = Generate(session, prompts.inputs, options);
      options.no_graph = true;
      const Output plain = Generate(session, prompts.inputs, options);
      EXPECT_EQ(Sequences(recorded), Sequences(plain));
      mo_field *one = mo_output_get(recorded.get(), "past_key_values"), *other = mo_output_get(plain.get(), "past_key_values");
      EXPECT_EQ(mo_cache_length(mo_field_cache(one), 0), mo_cache_length(mo_field_cache(other), 0));
      const std::vector<int64_t> sequences = Sequences(plain);
      EXPECT_EQ(mo_cache_length(mo_field_cache(other), 0), static_cast<int64_t>(sequences.size()) / 2 - 1);
    }
  }
}

TEST(Generate, ASeedGivesTheSameTokensAndAnotherOthers) {
  Session session(GoldenCase("gpt2_lm"));
  Prompts prompts({7, 30, 11, 5, 62, 90}, 2);
  mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
  options.max_new_tokens = 10;
  options.no_eos_token = true;
  options.temperature = 3;
  options.seed = 1;
  const std::vector<int64_t> first = Sequences(Generate(session, prompts.inputs, options));
  EXPECT_EQ(Sequences(Generate(session, prompts.inputs, options)), first);
  options.seed = 2;
  EXPECT_NE(Sequences(Generate(session, prompts.inputs, options)), first);
}

TEST(Generate, ACallbackMayStop) {
  Session session(GoldenCase("llama_lm"));
  Prompts prompts({7, 30, 11}, 1);
  Watch watch = {session.context(), {}, {}, {}, 2};
  mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
  options.max_new_tokens = 9;
  options.no_eos_token = true;
  options.callback = Note;
  options.user_data = &watch;
  EXPECT_EQ(Sequences(Generate(session, prompts.inputs, options)).size(), 6u);
  EXPECT_EQ(watch.tokens.size(), 3u);
}

// A folder with a checkpoint's files and a generation_config.json.
class Folder : public test_support::TemporaryFolder {
 public:
  Folder(const std::string &checkpoint, const std::string &text) {
    for (const char *file : {"config.json", "model.safetensors"}) Link(file, GoldenCase(checkpoint) + "/" + file);
    Write("generation_config.json", text);
  }
};

TEST(Generate, GenerationConfigIsReadAndOptionsGoBeforeIt) {
  Prompts prompts({7, 30, 11, 5, 62, 90}, 2);
  std::vector<int64_t> free;
  {
    Session session(GoldenCase("llama_lm"));
    mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
    options.no_eos_token = true;
    free = Sequences(Generate(session, prompts.inputs, options));
    ASSERT_EQ(free.size(), 2u * 20) << "max_length of config.json";
  }
  const std::string end = std::to_string(free[4]);  // the first row's second token
  Folder folder("llama_lm", "{\"eos_token_id\": [98, " + end + "], \"max_new_tokens\": 5, \"pad_token_id\": 13}");
  Session session(folder.path());
  mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
  std::vector<int64_t> sequences = Sequences(Generate(session, prompts.inputs, options));
  const size_t length = sequences.size() / 2;
  ASSERT_LE(length, 8u);
  EXPECT_EQ(sequences[4], free[4]);
  for (size_t i = 5; i < length; ++i) EXPECT_EQ(sequences[i], free[3] == free[4] && i == 4 ? free[4] : 13) << i;
  options.max_new_tokens = 2;
  options.no_eos_token = true;
  EXPECT_EQ(Sequences(Generate(session, prompts.inputs, options)).size(), 10u);
  Folder broken("llama_lm", "{\"eos_token_id\": \"no\"}");
  Session other(broken.path());
  mo_output *output = nullptr;
  EXPECT_EQ(mo_generate(other.model(), &prompts.inputs, nullptr, &output), MO_STATUS_BAD_FILE);
  EXPECT_NE(std::string(mo_last_error()).find("generation_config.json: eos_token_id"), std::string::npos) << mo_last_error();
}

TEST(Generate, Refuses) {
  Session session(GoldenCase("gpt2_lm"));
  Prompts prompts({7, 30, 11, 5, 62, 90}, 2);
  mo_output *output = nullptr;
  using O = mo_generation_options *;
  const auto refuse = [&](const std::string &part, auto change) {
    SCOPED_TRACE(part);
    mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
    change(&options);
    EXPECT_EQ(mo_generate(session.model(), &prompts.inputs, &options, &output), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_NE(std::string(mo_last_error()).find(part), std::string::npos) << mo_last_error();
    EXPECT_EQ(output, nullptr);
  };
  refuse("struct_size", [](O o) { o->struct_size = 0; });
  refuse("new tokens", [](O o) { o->max_new_tokens = -1; });
  refuse("position table has 32", [](O o) { o->max_new_tokens = 31; });
  refuse("outside the vocabulary", [](O o) { o->has_pad_token = true, o->pad_token_id = 99; });
  refuse("sequences to return", [](O o) { o->num_return_sequences = 2; });
  refuse("beam search draws nothing", [](O o) { o->num_beams = 2, o->temperature = 1; });
  refuse("no callback", [](O o) { o->num_beams = 2, o->callback = Note; });
  refuse("the vocabulary has 99", [](O o) { o->num_beams = 50; });
  refuse("top_p 2", [](O o) { o->temperature = 1, o->top_p = 2; });
  refuse("early_stopping", [](O o) { o->early_stopping = static_cast<mo_early_stopping_t>(7); });
  prompts.mask[5] = 0;
  refuse("pad on the left", [](O) {});
  prompts.mask[5] = 1;
  prompts.inputs.token_type_ids = &prompts.mask_tensor;
  refuse("no other input", [](O) {});
  prompts.inputs.token_type_ids = nullptr;
  prompts.ids[2] = 99;
  refuse("vocabulary", [](O) {});
  Session encoder(GoldenCase("bert_model"));
  EXPECT_EQ(mo_generate(encoder.model(), &prompts.inputs, nullptr, &output), MO_STATUS_UNSUPPORTED);
  EXPECT_EQ(mo_generate(nullptr, &prompts.inputs, nullptr, &output), MO_STATUS_INVALID_ARGUMENT);
}

// Host memory of which the n-th allocation fails.
struct Scarce {
  int64_t left = -1; /* allocations until the failing one; negative: none fails */
  int64_t alive = 0, made = 0;
};

void *AllocateScarce(void *user_data, size_t bytes, mo_stream) {
  auto *scarce = static_cast<Scarce *>(user_data);
  ++scarce->made;
  if (scarce->left == 0) return nullptr;
  if (scarce->left > 0) --scarce->left;
  ++scarce->alive;
  return std::aligned_alloc(256, (bytes + 255) / 256 * 256);
}

void ReleaseScarce(void *user_data, void *memory, size_t, mo_stream) {
  --static_cast<Scarce *>(user_data)->alive;
  std::free(memory);
}

TEST(Generate, EveryHostAllocationMayFail) {
  TEST_ON_CPU_ONLY("the host's memory is the same on every device");
  Scarce scarce;
  mo_context_options context_options = test_context_options();
  context_options.host_allocator = {AllocateScarce, ReleaseScarce, &scarce};
  mo_context_t *context = nullptr;
  ASSERT_EQ(test_context_create(&context_options, &context), MO_STATUS_OK);
  Prompts prompts({7, 30, 11, 5, 62, 90}, 2);
  mo_request request = MO_REQUEST_INIT;
  request.output_hidden_states = request.output_attentions = true;
  for (const char *name : {"gpt2_lm", "t5_lm"}) {
    mo_model_t *model = nullptr;
    ASSERT_EQ(mo_model_load(context, GoldenCase(name).c_str(), nullptr, &model), MO_STATUS_OK) << mo_last_error();
    for (const int64_t beams : {1, 2}) {
      mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
      options.max_new_tokens = 3;
      options.num_beams = beams;
      options.output_scores = options.output_logits = true;
      options.request = &request;
      mo_output *output = nullptr;
      ASSERT_EQ(mo_generate(model, &prompts.inputs, &options, &output), MO_STATUS_OK) << mo_last_error();
      mo_output_destroy(output);
      const int64_t alive = scarce.alive;
      mo_status_t status = MO_STATUS_OUT_OF_MEMORY;
      int64_t n = 0;
      for (; status != MO_STATUS_OK && n < 2000; n += 1 + n / 25) {
        scarce.left = n;
        output = nullptr;
        status = mo_generate(model, &prompts.inputs, &options, &output);
        scarce.left = -1;
        ASSERT_TRUE(status == MO_STATUS_OK || status == MO_STATUS_OUT_OF_MEMORY) << n << ": " << mo_last_error();
        mo_output_destroy(output);
        ASSERT_LE(scarce.alive, alive + 2) << "after the failure of allocation " << n; /* what the model keeps may have grown */
      }
      EXPECT_EQ(status, MO_STATUS_OK);
      EXPECT_GT(n, 10);
    }
    mo_model_destroy(model);
  }
  mo_context_destroy(context);
  EXPECT_EQ(scarce.alive, 0);
}

TEST(Generate, ClassesSayWhatTheyHold) {
  for (const bool encoder_decoder : {false, true}) {
    for (const bool beams : {false, true}) {
      const mo_generation_mode_t mode = beams ? MO_GENERATION_BEAM : MO_GENERATION_GREEDY;
      const mo_class *made = mo_generation_class(MO_FRAMEWORK_PT, mode, encoder_decoder);
      EXPECT_EQ(made->field_count, encoder_decoder ? (beams ? 11 : 9) : (beams ? 8 : 6));
      EXPECT_STREQ(made->fields[0].name, "sequences");
      EXPECT_STREQ(made->fields[made->field_count - 1].name, "past_key_values");
      EXPECT_GE(mo_class_field_index(made, beams ? "beam_indices" : "scores"), 0);
      EXPECT_EQ(made->fields[made->field_count - 1].struct_offset + sizeof(void *), made->struct_bytes);
    }
    EXPECT_EQ(mo_generation_class(MO_FRAMEWORK_PT, MO_GENERATION_SAMPLE, encoder_decoder),
              mo_generation_class(MO_FRAMEWORK_PT, MO_GENERATION_GREEDY, encoder_decoder));
  }
  EXPECT_EQ(mo_generation_class(MO_FRAMEWORK_BASE, MO_GENERATION_GREEDY, false), nullptr);
  EXPECT_EQ(mo_generation_class(MO_FRAMEWORK_TF, static_cast<mo_generation_mode_t>(3), false), nullptr);
}

// A row that ends at its second new token, and everything asked for: the tokens are PyTorch's, the rest is what the framework's
// class of tf_utils.py or flax_utils.py declares, in its order.
TEST(Generate, OutputsOfOtherFrameworks) {
  const std::vector<std::string> tf_tail[2] = {
      {"attentions", "hidden_states"},
      {"encoder_attentions", "encoder_hidden_states", "decoder_attentions", "cross_attentions", "decoder_hidden_states"}};
  for (const char *name : {"gpt2_lm", "t5_lm"}) {
    if (test_device_is_simulated() && name == std::string("gpt2_lm")) continue;
    const bool encodes = name == std::string("t5_lm");
    const std::string stack = encodes ? "EncoderDecoderOutput" : "DecoderOnlyOutput";
    Session pytorch(GoldenCase(name));
    Prompts prompts({7, 30, 11, 5, 62, 90}, 2);
    mo_request request = MO_REQUEST_INIT;
    request.output_attentions = request.output_hidden_states = true;
    for (const mo_generation_mode_t mode : {MO_GENERATION_GREEDY, MO_GENERATION_SAMPLE, MO_GENERATION_BEAM}) {
      SCOPED_TRACE(testing::Message() << name << " mode " << mode);
      mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
      options.max_new_tokens = 5;
      options.no_eos_token = true;
      options.temperature = mode == MO_GENERATION_SAMPLE ? 1.5f : 0.0f;
      options.num_beams = mode == MO_GENERATION_BEAM ? 2 : 1;
      const size_t start = encodes ? 1 : 3;
      std::vector<int64_t> ends;
      for (const size_t row : {0, 1})
        ends.push_back(Sequences(Generate(pytorch, prompts.inputs, options))[row * (start + 5) + start + 1]);
      options.no_eos_token = false;
      options.eos_token_ids = ends.data();
      options.eos_token_count = 2;
      options.has_pad_token = true;
      options.pad_token_id = 13;
      options.output_scores = options.output_logits = true;
      options.request = &request;
      const Output expected = Generate(pytorch, prompts.inputs, options);
      const std::vector<int64_t> sequences = Sequences(expected);
      const size_t length = sequences.size() / 2;
      if (mode != MO_GENERATION_BEAM) {
        EXPECT_LE(length, start + 2) << "so that there is padding to be seen";
      }

      Session tensorflow(GoldenCase(name), MO_FRAMEWORK_TF);
      const Output tf = Generate(tensorflow, prompts.inputs, options);
      const char *const tf_names[] = {"TFGreedySearch", "TFSample", "TFBeamSearch"};
      EXPECT_EQ(tf->output_class->name, tf_names[mode] + stack);
      EXPECT_EQ(mo_output_check_shapes(tf.get(), nullptr), MO_STATUS_OK) << mo_last_error();
      std::vector<std::string> keys = {"sequences"};
      if (mode == MO_GENERATION_BEAM) keys.push_back("sequences_scores");
      keys.push_back("scores");
      if (mode == MO_GENERATION_BEAM) keys.push_back("beam_indices");
      keys.insert(keys.end(), tf_tail[encodes].begin(), tf_tail[encodes].end());
      ASSERT_EQ(mo_output_length(tf.get()), static_cast<int64_t>(keys.size()));
      for (size_t i = 0; i < keys.size(); ++i) {
        EXPECT_EQ(mo_output_key_at(tf.get(), static_cast<int64_t>(i)), keys[i]);
        EXPECT_EQ(tf->output_class->fields[i].name, keys[i]);
      }
      EXPECT_EQ(Sequences(tf), sequences);
      if (mode == MO_GENERATION_BEAM) {
        EXPECT_EQ(Read<float>(mo_output_get(tf.get(), "sequences_scores")),
                  Read<float>(mo_output_get(expected.get(), "sequences_scores")));
        EXPECT_EQ(reinterpret_cast<mo_generate_beam_decoder_only_output *>(tf.get())->sequences_scores,
                  mo_output_get(tf.get(), "sequences_scores"));
      }

      Session flax(GoldenCase(name), MO_FRAMEWORK_FLAX);
      const Output jax = Generate(flax, prompts.inputs, options);
      const char *const flax_names[] = {"FlaxGreedySearchOutput", "FlaxSampleOutput", "FlaxBeamSearchOutput"};
      EXPECT_STREQ(jax->output_class->name, flax_names[mode]);
      ASSERT_EQ(mo_output_length(jax.get()), mode == MO_GENERATION_BEAM ? 2 : 1);
      const std::vector<int64_t> filled = Sequences(jax);
      ASSERT_EQ(filled.size(), 2 * (start + 5));
      for (size_t row = 0; row < 2; ++row)
        for (size_t i = 0; i < start + 5; ++i) {
          const bool ended = i >= length || (mode == MO_GENERATION_BEAM && sequences[row * length + i] == 13);
          EXPECT_EQ(filled[row * (start + 5) + i], ended ? 13 : sequences[row * length + i]) << row << " " << i;
        }
      if (mode == MO_GENERATION_BEAM) {
        const std::vector<float> scores = Read<float>(mo_output_get(jax.get(), "scores"));
        const std::vector<float> wanted = Read<float>(mo_output_get(expected.get(), "sequences_scores"));
        ASSERT_EQ(scores.size(), wanted.size());
        for (size_t i = 0; i < wanted.size(); ++i)
          EXPECT_NEAR(scores[i], wanted[i], kTolerance); /* without attentions: recorded */
      }
    }
  }
}

}  // namespace
