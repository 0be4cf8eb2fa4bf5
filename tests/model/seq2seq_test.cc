/* tests/model/seq2seq_test.cc - encoder-decoder models beyond the recorded values: caches, parts, frameworks, bad input,
 * failing allocators.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "tests/support/loaded_model.h"
#include "tests/support/scoped_context.h"
#include "tests/support/temporary_folder.h"

namespace {

using test_support::Context;
using test_support::GoldenCase;
using test_support::Heap;
using test_support::LoadedModel;
using test_support::SubModule;

struct Output {
  mo_output *output = nullptr;
  Output() = default;
  Output(const Output &) = delete;
  ~Output() { mo_output_destroy(output); }
  mo_field *operator[](const char *key) const { return mo_output_get(output, key); }
};

/* Numbers and the tensor over them; a window of columns for growing sequences. */
struct Ids {
  int64_t rows, columns;
  std::vector<int64_t> values;
  mo_tensor tensor;

  Ids(int64_t rows_in, int64_t columns_in, int64_t low, int64_t high, unsigned seed)
      : rows(rows_in), columns(columns_in), values(static_cast<size_t>(rows_in * columns_in)) {
    std::mt19937 engine(seed);
    std::uniform_int_distribution<int64_t> draw(low, high - 1);
    for (int64_t &value : values) value = draw(engine);
    const int64_t shape[2] = {rows, columns};
    tensor = mo_tensor_cpu(values.data(), MO_DTYPE_INT64, 2, shape);
  }
  int64_t &at(int64_t row, int64_t column) { return values[static_cast<size_t>(row * columns + column)]; }
  mo_tensor Columns(int64_t first, int64_t count) const {
    mo_tensor view = tensor;
    view.data = const_cast<int64_t *>(values.data()) + first;
    view.shape[1] = count;
    return view;
  }
};

std::vector<float> Read(mo_field *field) {
  const mo_tensor *tensor = mo_field_tensor(field);
  EXPECT_NE(tensor, nullptr);
  if (tensor == nullptr) return {};
  std::vector<float> values(static_cast<size_t>(mo_tensor_count(tensor)), NAN);
  EXPECT_EQ(mo_field_read_float32(field, nullptr, 0, values.data(), static_cast<int64_t>(values.size())), MO_STATUS_OK)
      << mo_last_error();
  return values;
}

/* (B, T, N): row `row` and positions [first, first + count). */
std::vector<float> Part(const std::vector<float> &values, int64_t length, int64_t row, int64_t first, int64_t count,
                        int64_t batch) {
  const auto width = static_cast<int64_t>(values.size()) / (batch * length);
  const auto begin = values.begin() + (row * length + first) * width;
  return {begin, begin + count * width};
}

double Largest(const std::vector<float> &a, const std::vector<float> &b) {
  double largest = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < a.size() && i < b.size(); i++) {
    const double difference = std::fabs(double(a[i]) - double(b[i]));
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

/* ---- Caches -------------------------------------------------------------------------------------------------------------- */

/* A decode of several calls, two rows with a padded source; every step's logits must be those of one call without a cache. */
class Decoding : public ::testing::TestWithParam<const char *> {
 protected:
  static constexpr int64_t kSource = 9, kTarget = 9;
  static constexpr double kTolerance = 2e-5;

  Decoding() : model_(context_, GoldenCase(GetParam())) {
    EXPECT_EQ(model_.status(), MO_STATUS_OK) << model_.error();
    for (int64_t i = 6; i < kSource; i++) source_mask_.at(1, i) = 0;
    target_mask_.at(1, 1) = 0;
  }

  /* The target's columns [first, first + count) with everything before it in `cache`; NULL: all of them without one. */
  mo_status_t Step(int64_t first, int64_t count, mo_cache_t *cache, mo_field *encoder_outputs, Output *output) {
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    mo_request request = MO_REQUEST_INIT;
    const mo_tensor ids = target_.Columns(first, count), mask = target_mask_.Columns(0, first + count);
    inputs.attention_mask = &source_mask_.tensor;
    inputs.decoder_input_ids = &ids;
    inputs.decoder_attention_mask = &mask;
    inputs.past_key_values = cache;
    inputs.encoder_outputs = encoder_outputs;
    if (encoder_outputs == nullptr) inputs.input_ids = &source_.tensor;
    return mo_model_forward(model_, &inputs, &request, &output->output);
  }

  std::vector<float> Whole() {
    Output output;
    EXPECT_EQ(Step(0, kTarget, nullptr, nullptr, &output), MO_STATUS_OK) << mo_last_error();
    return Read(output["logits"]);
  }

  void ExpectRows(const std::vector<float> &found, const std::vector<float> &whole, int64_t first, int64_t count,
                  const std::vector<int64_t> &rows, double tolerance) {
    for (size_t i = 0; i < rows.size(); i++) {
      const auto batch = static_cast<int64_t>(rows.size());
      const double largest =
          Largest(Part(found, count, static_cast<int64_t>(i), 0, count, batch), Part(whole, kTarget, rows[i], first, count, 2));
      EXPECT_LE(largest, tolerance) << "row " << i << ", tokens " << first << " to " << first + count - 1;
    }
  }

  void DecodeWith(mo_cache_t *cache) {
    const std::vector<float> whole = Whole();
    Output first;
    ASSERT_EQ(Step(0, 4, cache, nullptr, &first), MO_STATUS_OK) << mo_last_error();
    ExpectRows(Read(first["logits"]), whole, 0, 4, {0, 1}, kTolerance);
    mo_field *encoded = first["encoder_last_hidden_state"];
    int64_t done = 4;
    for (const int64_t count : {1, 1, 2, 1}) {
      Output next;
      ASSERT_EQ(Step(done, count, cache, encoded, &next), MO_STATUS_OK) << mo_last_error();
      EXPECT_EQ(next["encoder_last_hidden_state"], encoded);
      ExpectRows(Read(next["logits"]), whole, done, count, {0, 1}, kTolerance);
      done += count;
      EXPECT_EQ(mo_cache_length(cache, 0), done);
    }
    EXPECT_EQ(mo_cache_length(mo_cache_cross(cache), 0), kSource);
  }

  Context context_;
  LoadedModel model_;
  Ids source_{2, kSource, 3, 99, 1}, source_mask_{2, kSource, 1, 2, 1};
  Ids target_{2, kTarget, 3, 99, 2}, target_mask_{2, kTarget, 1, 2, 1};
};

/* (Paged and quantised ones: cached_decoding_test.cc.) */
TEST_P(Decoding, EqualsRecomputationWithEveryCache) {
  struct Kind {
    mo_cache_kind_t kind;
    int64_t max_length;
  };
  const Kind kinds[] = {{MO_CACHE_DYNAMIC, 0}, {MO_CACHE_DYNAMIC, kTarget}, {MO_CACHE_STATIC, kTarget + 3}};
  for (const Kind &kind : kinds) {
    SCOPED_TRACE(testing::Message() << "kind " << kind.kind << ", " << kind.max_length << " tokens");
    mo_cache_options options = MO_CACHE_OPTIONS_INIT;
    mo_cache_t *cache = nullptr;
    options.kind = kind.kind;
    ASSERT_EQ(mo_model_create_cache(model_, &options, 2, kind.max_length, &cache), MO_STATUS_OK) << mo_last_error();
    DecodeWith(cache);
    mo_cache_release(cache);
  }
}

/* Beams: rows repeated, changed places, a token taken back, a row dropped. */
TEST_P(Decoding, FollowsWhatIsDoneToTheCache) {
  const std::vector<float> whole = Whole();
  mo_cache_t *cache = nullptr;
  ASSERT_EQ(mo_model_create_cache(model_, nullptr, 0, 0, &cache), MO_STATUS_OK) << mo_last_error();
  Output first, again, last;
  ASSERT_EQ(Step(0, 5, cache, nullptr, &first), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_cache_crop(cache, 2), MO_STATUS_OK);
  ASSERT_EQ(Step(3, 1, cache, first["encoder_last_hidden_state"], &again), MO_STATUS_OK) << mo_last_error();
  ExpectRows(Read(again["logits"]), whole, 3, 1, {0, 1}, kTolerance);

  /* Both rows become row 1: source, target and masks with them. */
  const int64_t rows[2] = {1, 1};
  ASSERT_EQ(mo_cache_reorder(cache, rows, 2), MO_STATUS_OK);
  for (Ids *ids : {&source_, &source_mask_, &target_, &target_mask_})
    for (int64_t i = 0; i < ids->columns; i++) ids->at(0, i) = ids->at(1, i);
  ASSERT_EQ(Step(4, 2, cache, nullptr, &last), MO_STATUS_OK) << mo_last_error();
  ExpectRows(Read(last["logits"]), whole, 4, 2, {1, 1}, kTolerance);
  mo_cache_release(cache);
}

TEST_P(Decoding, AFailedStepLeavesTheCache) {
  mo_cache_t *cache = nullptr;
  ASSERT_EQ(mo_model_create_cache(model_, nullptr, 0, 0, &cache), MO_STATUS_OK) << mo_last_error();
  Output first, bad;
  ASSERT_EQ(Step(0, 3, cache, nullptr, &first), MO_STATUS_OK) << mo_last_error();
  target_.at(0, 3) = 99;
  EXPECT_EQ(Step(3, 1, cache, first["encoder_last_hidden_state"], &bad), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("decoder_input_ids"), std::string::npos) << mo_last_error();
  EXPECT_EQ(mo_cache_length(cache, 0), 3);
  target_.at(0, 3) = 5;
  const std::vector<float> whole = Whole();
  Output next;
  ASSERT_EQ(Step(3, 1, cache, first["encoder_last_hidden_state"], &next), MO_STATUS_OK) << mo_last_error();
  ExpectRows(Read(next["logits"]), whole, 3, 1, {0, 1}, kTolerance);
  mo_cache_release(cache);
}

INSTANTIATE_TEST_SUITE_P(Models, Decoding, ::testing::Values("bart_lm", "t5_lm", "t5_lm_gated"),
                         [](const auto &test) { return std::string(test.param); });

/* ---- Where decoder ids come from ----------------------------------------------------------------------------------------- */

TEST(DecoderIds, AreLabelsShiftedRight) {
  Context context;
  for (const char *name : {"bart_lm", "t5_lm"}) {
    LoadedModel model(context, GoldenCase(name));
    ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
    Ids source(2, 7, 3, 99, 1), labels(2, 5, 3, 99, 2), ids(2, 5, 3, 99, 2);
    labels.at(1, 3) = labels.at(1, 4) = -100;
    const int64_t start = mo_model_config_integer(model, "decoder_start_token_id");
    const int64_t padding = mo_model_config_integer(model, "pad_token_id");
    for (int64_t row = 0; row < 2; row++)
      for (int64_t i = 0; i < 5; i++)
        ids.at(row, i) = i == 0 ? start : labels.at(row, i - 1) == -100 ? padding : labels.at(row, i - 1);
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    Output derived, given;
    inputs.input_ids = &source.tensor;
    inputs.labels = &labels.tensor;
    ASSERT_EQ(mo_model_forward(model, &inputs, nullptr, &derived.output), MO_STATUS_OK) << mo_last_error();
    inputs.decoder_input_ids = &ids.tensor;
    ASSERT_EQ(mo_model_forward(model, &inputs, nullptr, &given.output), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(Read(derived["logits"]), Read(given["logits"]));
    EXPECT_EQ(Read(derived["loss"]), Read(given["loss"]));
  }
}

/* ---- Parts --------------------------------------------------------------------------------------------------------------- */

TEST(Parts, TogetherAreTheWhole) {
  Context context;
  for (const char *name : {"bart_model", "t5_model"}) {
    LoadedModel whole(context, GoldenCase(name)), encoder(context, GoldenCase(name), SubModule{"encoder"}),
        decoder(context, GoldenCase(name), SubModule{"decoder"});
    ASSERT_EQ(whole.status(), MO_STATUS_OK) << whole.error();
    ASSERT_EQ(encoder.status(), MO_STATUS_OK) << encoder.error();
    ASSERT_EQ(decoder.status(), MO_STATUS_OK) << decoder.error();
    Ids source(2, 7, 3, 99, 1), mask(2, 7, 1, 2, 1), target(2, 5, 3, 99, 2);
    mask.at(0, 6) = 0;
    Output all, encoded, decoded;
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    inputs.input_ids = &source.tensor;
    inputs.attention_mask = &mask.tensor;
    ASSERT_EQ(mo_model_forward(encoder, &inputs, nullptr, &encoded.output), MO_STATUS_OK) << mo_last_error();
    EXPECT_FALSE(mo_output_contains(encoded.output, "past_key_values"));
    inputs.decoder_input_ids = &target.tensor;
    ASSERT_EQ(mo_model_forward(whole, &inputs, nullptr, &all.output), MO_STATUS_OK) << mo_last_error();
    mo_model_inputs alone = MO_MODEL_INPUTS_INIT;
    alone.input_ids = &target.tensor;
    alone.encoder_hidden_states = mo_field_tensor(encoded["last_hidden_state"]);
    alone.encoder_attention_mask = &mask.tensor;
    ASSERT_EQ(mo_model_forward(decoder, &alone, nullptr, &decoded.output), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(Read(encoded["last_hidden_state"]), Read(all["encoder_last_hidden_state"]));
    EXPECT_LE(Largest(Read(decoded["last_hidden_state"]), Read(all["last_hidden_state"])), 1e-6);
    EXPECT_STREQ(mo_model_output_class(decoder)->name, "BaseModelOutputWithPastAndCrossAttentions");
  }
}

TEST(Parts, AreRefusedByName) {
  Context context;
  LoadedModel unknown(context, GoldenCase("bart_model"), SubModule{"head"}),
      single(context, GoldenCase("bert_model"), SubModule{"encoder"});
  EXPECT_EQ(unknown.status(), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(unknown.error().find("encoder and decoder"), std::string::npos) << unknown.error();
  EXPECT_EQ(single.status(), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(single.error().find("BertModel"), std::string::npos) << single.error();
}

/* ---- Outputs ------------------------------------------------------------------------------------------------------------- */

TEST(Seq2SeqOutputs, NamesakesOfOtherFrameworks) {
  Context context;
  struct Expected {
    mo_framework_t framework;
    const char *name;
    int64_t loss_count;
  };
  for (const Expected &expected :
       {Expected{MO_FRAMEWORK_TF, "TFSeq2SeqLMOutput", 1}, Expected{MO_FRAMEWORK_FLAX, "FlaxSeq2SeqLMOutput", 0}}) {
    LoadedModel model(context, GoldenCase("bart_lm"), expected.framework);
    ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
    Ids source(2, 7, 3, 99, 1), labels(2, 5, 3, 99, 2);
    labels.at(1, 3) = labels.at(1, 4) = -100;
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    mo_request request = MO_REQUEST_INIT;
    request.use_cache = true;
    inputs.input_ids = &source.tensor;
    inputs.labels = &labels.tensor;
    Output output;
    ASSERT_EQ(mo_model_forward(model, &inputs, &request, &output.output), MO_STATUS_OK) << mo_last_error();
    EXPECT_STREQ(output.output->output_class->name, expected.name);
    /* Flax has a cache only where it is given one. */
    EXPECT_EQ(mo_output_contains(output.output, "past_key_values"), expected.framework == MO_FRAMEWORK_TF);
    const mo_tensor *loss = mo_field_tensor(output["loss"]);
    EXPECT_EQ(loss != nullptr ? mo_tensor_count(loss) : 0, expected.loss_count);
  }
}

TEST(Seq2SeqOutputs, HoldWhatIsSelected) {
  Context context;
  LoadedModel model(context, GoldenCase("t5_lm_gated")); /* one encoder layer, two in the decoder */
  ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
  Ids source(2, 7, 3, 99, 1), target(2, 5, 3, 99, 2);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &source.tensor;
  inputs.decoder_input_ids = &target.tensor;
  mo_request everything = MO_REQUEST_INIT, some = MO_REQUEST_INIT;
  everything.output_hidden_states = everything.output_attentions = true;
  some = everything;
  const int32_t last[1] = {-1}, heads[2] = {3, 0};
  some.hidden_state_layers = {last, 1};
  some.attention_layers = {last, 1};
  some.attention_heads = {heads, 2};
  some.last_query_rows = 2;
  some.last_logit_positions = 1;
  Output all, part;
  ASSERT_EQ(mo_model_forward(model, &inputs, &everything, &all.output), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_model_forward(model, &inputs, &some, &part.output), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_field_length(part["encoder_hidden_states"]), 2);
  EXPECT_EQ(mo_field_length(part["decoder_hidden_states"]), 3);
  EXPECT_EQ(mo_field_item(part["decoder_attentions"], 0), nullptr);
  /* Other requests may take other kernels, which round differently. */
  EXPECT_LE(Largest(Read(mo_field_item(part["encoder_hidden_states"], -1)), Read(all["encoder_last_hidden_state"])), 2e-5);
  for (const char *name : {"decoder_attentions", "cross_attentions", "encoder_attentions"}) {
    mo_field *whole = mo_field_item(all[name], -1), *selected = mo_field_item(part[name], -1);
    const mo_tensor *shape = mo_field_tensor(whole);
    const int64_t rows = shape->shape[2], keys = shape->shape[3];
    const std::vector<float> a = Read(whole), b = Read(selected);
    ASSERT_EQ(b.size(), static_cast<size_t>(2 * 2 * 2 * keys)) << name;
    for (int64_t batch = 0; batch < 2; batch++)
      for (int64_t head = 0; head < 2; head++)
        for (int64_t i = 0; i < 2 * keys; i++)
          EXPECT_NEAR(b[static_cast<size_t>((batch * 2 + head) * 2 * keys + i)],
                      a[static_cast<size_t>(((batch * 4 + heads[head]) * rows + rows - 2) * keys + i)], 2e-5)
              << name;
  }
  const std::vector<float> logits = Read(all["logits"]), final = Read(part["logits"]);
  ASSERT_EQ(final.size(), 2u * 99u);
  for (int64_t row = 0; row < 2; row++) EXPECT_LE(Largest(Part(logits, 5, row, 4, 1, 2), Part(final, 1, row, 0, 1, 2)), 2e-5);
}

/* A tensor of the caller's own as the encoder's work. */
TEST(Seq2SeqOutputs, TakeAnEncodersWorkFromAnywhere) {
  Context context;
  LoadedModel model(context, GoldenCase("bart_model"));
  ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
  Ids source(2, 7, 3, 99, 1), target(2, 5, 3, 99, 2);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &source.tensor;
  inputs.decoder_input_ids = &target.tensor;
  Output first, second;
  ASSERT_EQ(mo_model_forward(model, &inputs, nullptr, &first.output), MO_STATUS_OK) << mo_last_error();
  mo_field *wrapped = nullptr;
  ASSERT_EQ(mo_field_create_tensor(context, mo_field_tensor(first["encoder_last_hidden_state"]), nullptr, nullptr, &wrapped),
            MO_STATUS_OK)
      << mo_last_error();
  inputs.input_ids = nullptr;
  inputs.encoder_outputs = wrapped;
  mo_request request = MO_REQUEST_INIT;
  request.output_hidden_states = request.output_attentions = true;
  ASSERT_EQ(mo_model_forward(model, &inputs, &request, &second.output), MO_STATUS_OK) << mo_last_error();
  EXPECT_LE(Largest(Read(first["last_hidden_state"]), Read(second["last_hidden_state"])), 2e-5);
  EXPECT_EQ(second["encoder_last_hidden_state"], wrapped);
  EXPECT_FALSE(mo_output_contains(second.output, "encoder_hidden_states"));
  EXPECT_TRUE(mo_output_contains(second.output, "decoder_hidden_states"));
  /* The same output again, with another field. */
  inputs.encoder_outputs = first["encoder_last_hidden_state"];
  ASSERT_EQ(mo_model_run(model, &inputs, &request, second.output), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(second["encoder_last_hidden_state"], first["encoder_last_hidden_state"]);
  mo_field_release(wrapped);
}

/* ---- Checkpoints --------------------------------------------------------------------------------------------------------- */

/* A copy of a case whose tensors have other names; "" leaves one out. */
class Renamed : public test_support::TemporaryFolder {
 public:
  Renamed(const std::string &source, const std::function<std::string(const std::string &)> &rename) {
    Link("config.json", source + "/config.json");
    mo_safetensors_t *file = nullptr;
    EXPECT_EQ(mo_safetensors_open((source + "/model.safetensors").c_str(), &file), MO_STATUS_OK) << mo_last_error();
    std::vector<std::string> names;
    std::vector<mo_tensor> tensors;
    for (int64_t i = 0; i < mo_safetensors_count(file); i++) {
      const std::string name = rename(mo_safetensors_name(file, i));
      mo_tensor tensor;
      EXPECT_EQ(mo_safetensors_tensor(file, mo_safetensors_name(file, i), &tensor), MO_STATUS_OK);
      if (!name.empty()) names.push_back(name), tensors.push_back(tensor);
    }
    std::vector<const char *> pointers;
    for (const std::string &name : names) pointers.push_back(name.c_str());
    EXPECT_EQ(mo_safetensors_write(File("model.safetensors").c_str(), pointers.data(), tensors.data(),
                                   static_cast<int64_t>(names.size()), nullptr, nullptr, 0),
              MO_STATUS_OK)
        << mo_last_error();
    mo_safetensors_close(file);
  }
};

std::vector<float> LogitsOf(mo_model_t *model) {
  Ids source(2, 7, 3, 99, 1), target(2, 5, 3, 99, 2);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  Output output;
  inputs.input_ids = &source.tensor;
  inputs.decoder_input_ids = &target.tensor;
  EXPECT_EQ(mo_model_forward(model, &inputs, nullptr, &output.output), MO_STATUS_OK) << mo_last_error();
  return Read(output["logits"]);
}

TEST(Seq2SeqCheckpoints, WordTableUnderAnyOfItsNames) {
  Context context;
  LoadedModel original(context, GoldenCase("bart_lm"));
  ASSERT_EQ(original.status(), MO_STATUS_OK) << original.error();
  for (const char *alias : {"model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "shared.weight"}) {
    Renamed copy(GoldenCase("bart_lm"), [&](const std::string &name) { return name == "model.shared.weight" ? alias : name; });
    LoadedModel model(context, copy.path());
    ASSERT_EQ(model.status(), MO_STATUS_OK) << alias << ": " << model.error();
    EXPECT_EQ(LogitsOf(model), LogitsOf(original)) << alias;
    EXPECT_EQ(mo_model_unexpected_tensor(model, 0), nullptr) << mo_model_unexpected_tensor(model, 0);
    EXPECT_EQ(mo_model_parameter_count(model), mo_model_parameter_count(original));
  }
  Renamed without(GoldenCase("bart_lm"), [](const std::string &name) { return name == "model.shared.weight" ? "" : name; });
  LoadedModel missing(context, without.path());
  EXPECT_EQ(missing.status(), MO_STATUS_BAD_FILE);
  EXPECT_NE(missing.error().find("shared.weight"), std::string::npos) << missing.error();
}

TEST(Seq2SeqCheckpoints, LogitsBiasIsZeroWhereThereIsNone) {
  Context context;
  Renamed copy(GoldenCase("bart_lm"), [](const std::string &name) { return name == "final_logits_bias" ? "" : name; });
  LoadedModel original(context, GoldenCase("bart_lm")), model(context, copy.path());
  ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
  mo_safetensors_t *file = nullptr;
  mo_tensor bias;
  ASSERT_EQ(mo_safetensors_open((GoldenCase("bart_lm") + "/model.safetensors").c_str(), &file), MO_STATUS_OK);
  ASSERT_EQ(mo_safetensors_tensor(file, "final_logits_bias", &bias), MO_STATUS_OK);
  std::vector<float> expected = LogitsOf(original);
  for (size_t i = 0; i < expected.size(); i++) {
    float value;
    std::memcpy(&value, static_cast<const char *>(bias.data) + i % 99 * sizeof value, sizeof value);
    expected[i] -= value;
  }
  EXPECT_LE(Largest(LogitsOf(model), expected), 1e-5);
  mo_safetensors_close(file);
}

/* ---- Bad input ----------------------------------------------------------------------------------------------------------- */

TEST(Seq2SeqInputs, RefusesWithTheInputsName) {
  Context context;
  LoadedModel bart(context, GoldenCase("bart_lm")), t5(context, GoldenCase("t5_lm")),
      classifier(context, GoldenCase("bart_seqcls")), bert(context, GoldenCase("bert_model"));
  Ids source(2, 7, 3, 99, 1), target(2, 5, 3, 99, 2), wrong_batch(3, 5, 3, 99, 2), long_source(2, 40, 3, 99, 1);
  Ids bad_source(2, 7, 3, 99, 1), mask(2, 6, 1, 2, 1), ends(2, 7, 3, 99, 1);
  bad_source.at(1, 2) = 99;
  for (int64_t i = 0; i < 7; i++) ends.at(1, i) = 5;
  ends.at(0, 6) = 2;
  std::vector<float> states(2 * 7 * 32, 0.5f);
  const int64_t shape[3] = {2, 7, 32};
  const mo_tensor hidden = mo_tensor_cpu(states.data(), MO_DTYPE_FLOAT32, 3, shape);

  struct Case {
    mo_model_t *model;
    const char *word;
    std::function<void(mo_model_inputs &)> change;
  };
  const Case cases[] = {
      {bart, "input_ids", [&](mo_model_inputs &i) { i.input_ids = nullptr; }},
      {bart, "inputs_embeds", [&](mo_model_inputs &i) { i.inputs_embeds = &hidden; }},
      {bart, "input_ids", [&](mo_model_inputs &i) { i.input_ids = &bad_source.tensor; }},
      {bart, "position table", [&](mo_model_inputs &i) { i.input_ids = &long_source.tensor; }},
      {bart, "attention_mask", [&](mo_model_inputs &i) { i.attention_mask = &mask.tensor; }},
      {bart, "decoder_attention_mask", [&](mo_model_inputs &i) { i.decoder_attention_mask = &mask.tensor; }},
      {bart, "input_ids", [&](mo_model_inputs &i) { i.decoder_input_ids = &wrong_batch.tensor; }},
      {bart, "encoder_hidden_states", [&](mo_model_inputs &i) { i.encoder_hidden_states = &hidden; }},
      {bart, "decoder_inputs_embeds", [&](mo_model_inputs &i) { i.decoder_inputs_embeds = &hidden; }},
      {bart, "labels", [&](mo_model_inputs &i) { i.labels = &source.tensor; }},
      {t5, "decoder_input_ids", [&](mo_model_inputs &i) { i.decoder_input_ids = nullptr; }},
      {classifier, "eos", [&](mo_model_inputs &i) { i.input_ids = &ends.tensor, i.decoder_input_ids = nullptr; }},
      {classifier, "decoder tokens", [&](mo_model_inputs &) {}},
      {bert, "decoder_input_ids", [&](mo_model_inputs &) {}},
      {bert, "encoder_outputs",
       [&](mo_model_inputs &i) {
         i.decoder_input_ids = nullptr;
         i.encoder_outputs = reinterpret_cast<mo_field *>(&states);
       }},
  };
  int number = 0;
  for (const Case &c : cases) {
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    inputs.input_ids = &source.tensor;
    inputs.decoder_input_ids = &target.tensor;
    c.change(inputs);
    Output output;
    EXPECT_EQ(mo_model_forward(c.model, &inputs, nullptr, &output.output), MO_STATUS_INVALID_ARGUMENT) << "case " << number;
    EXPECT_NE(std::string(mo_last_error()).find(c.word), std::string::npos) << "case " << number << ": " << mo_last_error();
    number++;
  }
}

/* A cache that was filled from a source of another length, and an encoder's work of another shape. */
TEST(Seq2SeqInputs, RefusesWhatDoesNotBelongTogether) {
  Context context;
  LoadedModel model(context, GoldenCase("bart_lm"));
  ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
  Ids source(2, 7, 3, 99, 1), other(2, 6, 3, 99, 1), target(2, 5, 3, 99, 2);
  mo_request request = MO_REQUEST_INIT;
  request.use_cache = true;
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &source.tensor;
  inputs.decoder_input_ids = &target.tensor;
  Output first, refused;
  ASSERT_EQ(mo_model_forward(model, &inputs, &request, &first.output), MO_STATUS_OK) << mo_last_error();
  inputs.past_key_values = mo_field_cache(first["past_key_values"]);
  inputs.input_ids = &other.tensor;
  EXPECT_EQ(mo_model_forward(model, &inputs, &request, &refused.output), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("filled from 7"), std::string::npos) << mo_last_error();
  inputs.past_key_values = nullptr;
  inputs.encoder_outputs = first["encoder_last_hidden_state"];
  EXPECT_EQ(mo_model_forward(model, &inputs, &request, &refused.output), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("encoder_outputs"), std::string::npos) << mo_last_error();
  inputs.input_ids = nullptr;
  inputs.encoder_outputs = first["logits"];
  EXPECT_EQ(mo_model_forward(model, &inputs, &request, &refused.output), MO_STATUS_INVALID_ARGUMENT);
}

/* ---- Memory -------------------------------------------------------------------------------------------------------------- */

TEST(Seq2SeqMemory, EveryFailingAllocationIsAStatus) {
  Heap heap;
  heap.fail_count = 2; /* a pool that has blocks to give back does so and asks again */
  Ids source(2, 7, 3, 99, 1), target(2, 5, 3, 99, 2);
  mo_request request = MO_REQUEST_INIT;
  request.output_hidden_states = request.output_attentions = request.use_cache = true;
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &source.tensor;
  inputs.decoder_input_ids = &target.tensor;
  int64_t failures = 0;
  {
    Context context(&heap);
    for (bool done = false; !done; failures++) {
      heap.fail_at = heap.calls + failures;
      LoadedModel model(context, GoldenCase("t5_lm_gated"));
      Output output;
      mo_status_t status = model.status();
      if (status == MO_STATUS_OK) status = mo_model_forward(model, &inputs, &request, &output.output);
      done = heap.calls <= heap.fail_at;
      heap.fail_at = -1;
      ASSERT_EQ(status, done ? MO_STATUS_OK : MO_STATUS_OUT_OF_MEMORY) << "allocation " << failures << ": " << mo_last_error();
      ASSERT_LT(failures, 2000);
    }
  }
  EXPECT_GT(failures, 20);
  EXPECT_EQ(heap.live, 0);
}

TEST(Seq2SeqMemory, RunsOfKnownShapesAllocateNothing) {
  Heap heap;
  Context context(&heap);
  LoadedModel model(context, GoldenCase("bart_lm"));
  ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
  Ids source(2, 7, 3, 99, 1), target(2, 5, 3, 99, 2);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &source.tensor;
  inputs.decoder_input_ids = &target.tensor;
  Output output;
  ASSERT_EQ(mo_model_forward(model, &inputs, nullptr, &output.output), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_model_run(model, &inputs, nullptr, output.output), MO_STATUS_OK) << mo_last_error();
  const int64_t before = heap.calls;
  for (int i = 0; i < 3; i++) ASSERT_EQ(mo_model_run(model, &inputs, nullptr, output.output), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(heap.calls, before);
}

}  // namespace
