// Named inputs: what a model says it takes, and the same results as with the struct of inputs.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "tests/support/loaded_model.h"
#include "tests/support/scoped_context.h"

namespace {

using test_support::Context;
using test_support::GoldenCase;
using test_support::LoadedModel;

std::set<std::string> Names(const mo_model_t *model) {
  std::set<std::string> names;
  const mo_input_info *info;
  for (int32_t i = 0; (info = mo_model_input(model, i)) != nullptr; i++) {
    EXPECT_TRUE(names.insert(info->name).second) << info->name;
    EXPECT_EQ(info->kind == MO_INPUT_TENSOR, info->dtypes != 0) << info->name;
  }
  EXPECT_EQ(mo_model_input(model, -1), nullptr);
  return names;
}

TEST(NamedInputs, AreThoseTheModelTakes) {
  Context context(1);
  LoadedModel bert(context, GoldenCase("bert_masked_lm")), gpt2(context, GoldenCase("gpt2_lm")),
      bart(context, GoldenCase("bart_lm")), answers(context, GoldenCase("bert_qa"));
  EXPECT_EQ(Names(bert), (std::set<std::string>{"input_ids", "attention_mask", "token_type_ids", "position_ids",
                                                "inputs_embeds", "labels"}));
  EXPECT_EQ(Names(answers), (std::set<std::string>{"input_ids", "attention_mask", "token_type_ids", "position_ids",
                                                   "inputs_embeds", "start_positions", "end_positions"}));
  EXPECT_EQ(Names(gpt2).count("past_key_values"), 1u);
  EXPECT_EQ(Names(gpt2).count("decoder_input_ids"), 0u);
  EXPECT_EQ(Names(bart).count("decoder_input_ids"), 1u);
  EXPECT_EQ(Names(bart).count("encoder_outputs"), 1u);
  EXPECT_EQ(mo_model_input(nullptr, 0), nullptr);
}

std::vector<float> Logits(const mo_output *output) {
  mo_host_view view;
  EXPECT_EQ(mo_field_read(mo_output_get(output, "logits"), &view), MO_STATUS_OK) << mo_last_error();
  const float *values = static_cast<const float *>(view.data);
  return std::vector<float>(values, values + view.shape[0] * view.shape[1] * view.shape[2]);
}

class Forward : public testing::Test {
 protected:
  Forward() : context_(1), model_(context_, GoldenCase("bert_masked_lm")) {
    const int64_t shape[2] = {1, 4};
    tensor_ = mo_tensor_cpu(ids_.data(), MO_DTYPE_INT64, 2, shape);
  }

  void ExpectRefused(const std::vector<mo_named_input> &inputs, const std::string &sentence) {
    mo_output *output = nullptr;
    EXPECT_EQ(mo_model_forward_named(model_, inputs.data(), static_cast<int32_t>(inputs.size()), nullptr, &output),
              MO_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(output, nullptr);
    EXPECT_NE(std::string(mo_last_error()).find(sentence), std::string::npos) << mo_last_error();
  }

  Context context_;
  LoadedModel model_;
  std::vector<int64_t> ids_ = {2, 5, 9, 3};
  mo_tensor tensor_;
};

TEST_F(Forward, GivesWhatTheStructGives) {
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &tensor_;
  const mo_named_input named[] = {{"attention_mask", nullptr, nullptr, nullptr}, {"input_ids", &tensor_, nullptr, nullptr}};
  mo_output *expected = nullptr, *got = nullptr, *again = nullptr;
  ASSERT_EQ(mo_model_forward(model_, &inputs, nullptr, &expected), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_model_forward_named(model_, named, 2, nullptr, &got), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Logits(expected), Logits(got));
  ASSERT_EQ(mo_model_create_output_named(model_, named, 2, nullptr, &again), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_model_run_named(model_, named, 2, nullptr, again), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Logits(expected), Logits(again));
  mo_output_destroy(expected);
  mo_output_destroy(got);
  mo_output_destroy(again);
}

TEST_F(Forward, RefusesWhatTheModelDoesNotTake) {
  const mo_named_input ids = {"input_ids", &tensor_, nullptr, nullptr};
  ExpectRefused({ids, ids}, "given twice");
  ExpectRefused({ids, {"pixel_values", &tensor_, nullptr, nullptr}},
                "pixel_values was given, but this architecture takes none");
  ExpectRefused({ids, {"decoder_input_ids", &tensor_, nullptr, nullptr}}, "this is no encoder-decoder model");
  ExpectRefused({ids, {nullptr, &tensor_, nullptr, nullptr}}, "without a name");
  ExpectRefused({}, "neither of input_ids and inputs_embeds");
  mo_field *field = nullptr;
  ASSERT_EQ(mo_field_create_string(context_, "ids", &field), MO_STATUS_OK);
  ExpectRefused({{"input_ids", nullptr, nullptr, field}}, "is given as a field, it is a tensor");
  mo_field_release(field);
  mo_output *output = nullptr;
  EXPECT_EQ(mo_model_forward_named(model_, nullptr, 1, nullptr, &output), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_model_forward_named(nullptr, nullptr, 0, nullptr, &output), MO_STATUS_INVALID_ARGUMENT);
}

}  // namespace
