/* tests/simulated_device/generation_graph_test.cc - generation as the device sees it: which bytes leave it, that the step is
 * one recorded graph, and that a call that fails leaves nothing behind.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "control.h"
#include "modelout/modelout.h"

namespace {

constexpr int64_t kRows = 2, kPrompt = 4, kNew = 8;

class Generation : public testing::Test {
 protected:
  void SetUp() override {
    simulated_set_seed(1);
    Open();
  }
  void TearDown() override { Close(); }
  void Open() {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.device = MO_DEVICE_CHOICE_CUDA;
    options.own_stream = true;
    ASSERT_EQ(mo_context_create(&options, &context_), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(mo_model_load(context_, MO_TEST_DATA "/llama_lm", nullptr, &model_), MO_STATUS_OK) << mo_last_error();
  }
  void Close() {
    mo_model_destroy(model_);
    mo_context_destroy(context_);
  }

  mo_status_t Generate(const mo_generation_options &options, std::vector<int64_t> *sequences) {
    std::vector<int64_t> ids = {5, 17, 40, 8, 90, 3, 61, 22};
    const int64_t shape[2] = {kRows, kPrompt};
    const mo_tensor tensor = mo_tensor_cpu(ids.data(), MO_DTYPE_INT64, 2, shape);
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    inputs.input_ids = &tensor;
    mo_output *output = nullptr;
    mo_status_t status = mo_generate(model_, &inputs, &options, &output);
    copied_ = simulated_copied_to_host_bytes();
    if (status != MO_STATUS_OK) return status;
    sequences->assign(static_cast<size_t>(kRows * (kPrompt + options.max_new_tokens)), -1);
    status = mo_field_read_into(mo_output_get(output, "sequences"), nullptr, 0, sequences->data(), sequences->size() * 8);
    mo_output_destroy(output);
    return status;
  }
  static mo_generation_options Options(int64_t new_tokens) {
    mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
    options.max_new_tokens = new_tokens;
    options.no_eos_token = true;
    options.temperature = 1.5f;
    options.top_k = 20;
    return options;
  }

  mo_context_t *context_ = nullptr;
  mo_model_t *model_ = nullptr;
  uint64_t copied_ = 0; /* before the sequences are read */
};

TEST_F(Generation, TheStepIsOneGraphAndOnlyIdsLeaveTheDevice) {
  mo_generation_options options = Options(kNew);
  std::vector<int64_t> recorded, plain;
  uint64_t graphs = simulated_graph_launch_count(), copied = simulated_copied_to_host_bytes();
  ASSERT_EQ(Generate(options, &recorded), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(simulated_graph_launch_count() - graphs, static_cast<uint64_t>(kNew - 2));
  EXPECT_EQ(copied_ - copied, static_cast<uint64_t>(kRows * kNew * 8));
  options.no_graph = true;
  graphs = simulated_graph_launch_count();
  copied = simulated_copied_to_host_bytes();
  ASSERT_EQ(Generate(options, &plain), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(simulated_graph_launch_count(), graphs);
  EXPECT_EQ(copied_ - copied, static_cast<uint64_t>(kRows * kNew * 8));
  EXPECT_EQ(recorded, plain);
  EXPECT_STREQ(simulated_take_report(), "");
}

/* One kind of generation over one model: what crosses, how much of it is launches of one graph, and that it is what the steps
 * one by one give. */
struct Way {
  const char *model;
  int64_t beams;
  float temperature;
  bool everything; /* scores, logits and hidden states of each step */
  int64_t least;   /* new tokens before an end token may come */
};

class Ways : public testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    simulated_set_seed(1);
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.device = MO_DEVICE_CHOICE_CUDA;
    options.own_stream = true;
    ASSERT_EQ(mo_context_create(&options, &context_), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(mo_model_load(context_, (std::string(MO_TEST_DATA "/") + GetParam().model).c_str(), nullptr, &model_),
              MO_STATUS_OK)
        << mo_last_error();
  }
  void TearDown() override {
    mo_model_destroy(model_);
    mo_context_destroy(context_);
  }

  /* Two prompts, the first padded on the left. */
  mo_output *Generate(bool recorded, uint64_t *copied, uint64_t *launched) {
    std::vector<int64_t> ids = {5, 17, 40, 8, 90, 3, 61, 22}, mask = {0, 1, 1, 1, 1, 1, 1, 1};
    const int64_t shape[2] = {kRows, kPrompt};
    const mo_tensor tensor = mo_tensor_cpu(ids.data(), MO_DTYPE_INT64, 2, shape);
    const mo_tensor mask_tensor = mo_tensor_cpu(mask.data(), MO_DTYPE_INT64, 2, shape);
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    inputs.input_ids = &tensor;
    inputs.attention_mask = &mask_tensor;
    const Way &way = GetParam();
    const int64_t end = 98;
    mo_request request = MO_REQUEST_INIT;
    mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
    options.max_new_tokens = kNew;
    options.min_new_tokens = way.least;
    options.eos_token_ids = &end;
    options.eos_token_count = way.least > 0 ? 1 : 0;
    options.no_eos_token = way.least == 0;
    options.temperature = way.temperature;
    options.top_k = 20;
    options.num_beams = way.beams;
    options.num_return_sequences = way.beams;
    options.output_scores = options.output_logits = request.output_hidden_states = way.everything;
    options.request = &request;
    options.no_graph = !recorded;
    const uint64_t copied_before = simulated_copied_to_host_bytes(), launched_before = simulated_graph_launch_count();
    mo_output *output = nullptr;
    EXPECT_EQ(mo_generate(model_, &inputs, &options, &output), MO_STATUS_OK) << mo_last_error();
    *copied = simulated_copied_to_host_bytes() - copied_before;
    *launched = simulated_graph_launch_count() - launched_before;
    return output;
  }

  static void ExpectSame(mo_field *field, mo_field *other) {
    ASSERT_EQ(mo_field_length(field), mo_field_length(other));
    const mo_tensor *tensor = mo_field_tensor(field), *other_tensor = mo_field_tensor(other);
    if (tensor == nullptr) {
      for (int64_t i = 0; i < mo_field_length(field); ++i) ExpectSame(mo_field_item(field, i), mo_field_item(other, i));
      return;
    }
    ASSERT_EQ(mo_tensor_count(tensor), mo_tensor_count(other_tensor));
    const size_t count = static_cast<size_t>(mo_tensor_count(tensor)), bytes = static_cast<size_t>(mo_tensor_bytes(tensor));
    if (tensor->dtype != MO_DTYPE_FLOAT32) {
      std::vector<char> values(bytes), others(bytes);
      ASSERT_EQ(mo_field_read_into(field, nullptr, 0, values.data(), bytes), MO_STATUS_OK) << mo_last_error();
      ASSERT_EQ(mo_field_read_into(other, nullptr, 0, others.data(), bytes), MO_STATUS_OK) << mo_last_error();
      EXPECT_EQ(values, others);
      return;
    }
    std::vector<float> values(count), others(count);
    ASSERT_EQ(mo_field_read_into(field, nullptr, 0, values.data(), bytes), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(mo_field_read_into(other, nullptr, 0, others.data(), bytes), MO_STATUS_OK) << mo_last_error();
    for (size_t i = 0; i < count; ++i) {
      if (std::isinf(others[i])) ASSERT_EQ(values[i], others[i]) << i;
      else ASSERT_NEAR(values[i], others[i], 2e-5) << i;
    }
  }

  mo_context_t *context_ = nullptr;
  mo_model_t *model_ = nullptr;
};

TEST_P(Ways, RecordedIsPlainAndOnlyWhatIsChosenCrosses) {
  const Way &way = GetParam();
  uint64_t copied = 0, launched = 0;
  mo_output *recorded = Generate(true, &copied, &launched);
  ASSERT_NE(recorded, nullptr);
  EXPECT_EQ(launched, static_cast<uint64_t>(kNew - std::max<int64_t>(2, way.least)));
  /* Ids of 8 bytes; of beams 2 candidates per beam and row, an id and a float32 each. */
  const int64_t step_bytes = way.beams > 1 ? kRows * way.beams * 2 * way.beams * 12 : kRows * 8;
  EXPECT_EQ(copied, static_cast<uint64_t>(kNew * step_bytes));
  mo_output *plain = Generate(false, &copied, &launched);
  ASSERT_NE(plain, nullptr);
  EXPECT_EQ(launched, 0u);
  EXPECT_EQ(copied, static_cast<uint64_t>(kNew * step_bytes));
  ASSERT_EQ(mo_output_length(recorded), mo_output_length(plain));
  for (int64_t i = 0; i < mo_output_length(plain); ++i) {
    const char *key = mo_output_key_at(plain, i);
    SCOPED_TRACE(key);
    EXPECT_STREQ(mo_output_key_at(recorded, i), key);
    /* A recorded step leaves every token in its slot, a sliding cache drops some. */
    if (way.model == std::string("mistral_lm_window") && key == std::string("past_key_values")) continue;
    ExpectSame(mo_output_get(recorded, key), mo_output_get(plain, key));
  }
  EXPECT_STREQ(simulated_take_report(), "");
  mo_output_destroy(recorded);
  mo_output_destroy(plain);
}

INSTANTIATE_TEST_SUITE_P(
    Generation, Ways,
    testing::Values(Way{"bart_lm", 1, 0, true, 0}, Way{"bart_lm", 2, 0, false, 0}, Way{"t5_lm", 1, 1.3f, false, 0},
                    Way{"gpt2_lm", 1, 0, true, 4}, Way{"llama_lm", 2, 0, true, 3}, Way{"mistral_lm_window", 2, 0, false, 0}),
    [](const auto &parameter) {
      const Way &way = parameter.param;
      return std::string(way.model) + (way.beams > 1 ? "_beams" : way.temperature > 0.0f ? "_sampled" : "_greedy");
    });

/* Every third call, and of beam search (whose cache is reordered between launches) every thirteenth. */
TEST_F(Generation, CallsMayFailOnce) {
  for (const int64_t beams : {1, 2}) {
    mo_generation_options options = Options(4);
    if (beams > 1) options.num_beams = beams, options.temperature = 0, options.output_scores = true;
    std::vector<int64_t> expected, got;
    ASSERT_EQ(Generate(options, &expected), MO_STATUS_OK) << mo_last_error();
    const int64_t start = simulated_call_count(), stride = beams > 1 ? 13 : 5;
    ASSERT_EQ(Generate(options, &got), MO_STATUS_OK) << mo_last_error();
    const int64_t calls = simulated_call_count() - start;
    int64_t failures = 0;
    for (int64_t n = 1; n <= calls; n += stride) {
      simulated_fail_call(n, n % 2 == 0 ? cudaErrorUnknown : cudaErrorMemoryAllocation);
      const mo_status_t status = Generate(options, &got);
      simulated_fail_call(0, cudaSuccess);
      if (status != MO_STATUS_OK) {
        ++failures;
        EXPECT_TRUE(status == MO_STATUS_DEVICE_ERROR || status == MO_STATUS_OUT_OF_MEMORY)
            << "call " << n << ": " << mo_status_name(status) << " " << mo_last_error();
      } else {
        EXPECT_EQ(got, expected) << "call " << n << " failed, and the tokens are others";
      }
      ASSERT_STREQ(simulated_take_report(), "") << n;
    }
    EXPECT_GE(failures, calls / (3 * stride));
    ASSERT_EQ(Generate(options, &got), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(got, expected);
    RecordProperty(beams > 1 ? "beam_calls" : "calls", std::to_string(calls));
  }
}

}  // namespace
