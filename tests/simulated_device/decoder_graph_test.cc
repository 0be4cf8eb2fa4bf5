/* tests/simulated_device/decoder_graph_test.cc - generation from a CUDA graph: a decoder's step and the choice of the next
 * token, captured once and replayed while ids, lengths and positions move on on the device.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "tests/simulated_device/control.h"

namespace {

constexpr int64_t kRows = 2, kPrompt = 9, kSteps = 6, kSlots = 20, kVocabulary = 99;

mo_tensor HostIds(std::vector<int64_t> &values, int64_t length) {
  const int64_t shape[2] = {kRows, length};
  return mo_tensor_cpu(values.data(), MO_DTYPE_INT64, 2, shape);
}

std::vector<int64_t> Largest(mo_output *output) {
  std::vector<float> logits(kRows * kVocabulary);
  EXPECT_EQ(mo_field_read_float32(mo_output_get(output, "logits"), nullptr, 0, logits.data(), kRows * kVocabulary),
            MO_STATUS_OK);
  std::vector<int64_t> tokens;
  for (int64_t row = 0; row < kRows; ++row) {
    int64_t best = 0;
    for (int64_t i = 1; i < kVocabulary; ++i)
      if (logits[row * kVocabulary + i] > logits[row * kVocabulary + best]) best = i;
    tokens.push_back(best);
  }
  return tokens;
}

/* What the device holds for the loop, one block. */
class DeviceState {
 public:
  explicit DeviceState(mo_context_t *context) : context_(context) {
    EXPECT_EQ(mo_context_allocate(context, 4096, &memory_), MO_STATUS_OK);
    ids = Place(0, MO_DTYPE_INT64, 2);
    lengths = Place(256, MO_DTYPE_INT32, 1);
    positions = Place(512, MO_DTYPE_INT32, 2);
    tokens = ids; /* the chosen tokens are the next step's ids */
    tokens.rank = 1;
    counts = positions;
    counts.rank = 1;
  }
  ~DeviceState() { mo_context_release(context_, memory_); }
  void Set(const mo_tensor &tensor, const void *values) {
    ASSERT_EQ(mo_context_copy_to_device(context_, tensor.data, values, static_cast<size_t>(mo_tensor_bytes(&tensor))),
              MO_STATUS_OK);
    ASSERT_EQ(mo_context_synchronize(context_), MO_STATUS_OK);
  }
  std::vector<int64_t> Ids() {
    std::vector<int64_t> values(kRows);
    mo_field *field = nullptr;
    EXPECT_EQ(mo_field_create_tensor(context_, &ids, nullptr, nullptr, &field), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(mo_field_read_into(field, nullptr, 0, values.data(), kRows * 8), MO_STATUS_OK) << mo_last_error();
    mo_field_release(field);
    return values;
  }

  mo_tensor ids, lengths, positions, tokens, counts;

 private:
  mo_tensor Place(size_t offset, mo_dtype_t dtype, int32_t rank) {
    const int64_t shape[2] = {kRows, 1};
    mo_tensor tensor = mo_tensor_cpu(static_cast<char *>(memory_) + offset, dtype, rank, shape);
    tensor.device = mo_context_device(context_);
    return tensor;
  }

  mo_context_t *context_;
  void *memory_ = nullptr;
};

/* One step: the model, then its most likely token into the ids, lengths and positions one further. */
mo_status_t Step(mo_context_t *context, mo_model_t *model, mo_cache_t *cache, bool learned_positions, DeviceState *state,
                 mo_output **output) {
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &state->ids;
  inputs.past_key_values = cache;
  inputs.cache_lengths = &state->lengths;
  if (learned_positions) inputs.position_ids = &state->positions;
  if (*output == nullptr) {
    const mo_status_t status = mo_model_create_output(model, &inputs, nullptr, output);
    if (status != MO_STATUS_OK) return status;
  }
  const mo_status_t status = mo_model_run(model, &inputs, nullptr, *output);
  if (status != MO_STATUS_OK) return status;
  mo_tensor logits = *mo_field_tensor(mo_output_get(*output, "logits"));
  logits.rank = 2;
  logits.shape[1] = kVocabulary;
  logits.strides[1] = 1;
  mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
  params.tokens = &state->tokens;
  params.logits = &logits;
  params.lengths = &state->lengths;
  params.positions = &state->counts;
  return mo_sample(context, &params);
}

void Generate(const char *name, bool learned_positions) {
  SCOPED_TRACE(name);
  simulated_reset();
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CUDA;
  options.own_stream = true;
  mo_context_t *context = nullptr;
  mo_model_t *model = nullptr;
  ASSERT_EQ(mo_context_create(&options, &context), MO_STATUS_OK) << mo_last_error();
  const std::unique_ptr<mo_context_t, decltype(&mo_context_destroy)> owner(context, mo_context_destroy); /* after `state` */
  ASSERT_EQ(mo_model_load(context, (std::string(MO_TEST_DATA "/") + name).c_str(), nullptr, &model), MO_STATUS_OK)
      << mo_last_error();
  std::mt19937 random(11);
  std::vector<int64_t> prompt(kRows * kPrompt);
  for (int64_t &id : prompt) id = 3 + static_cast<int64_t>(random() % (kVocabulary - 3));
  mo_request last = MO_REQUEST_INIT;
  last.last_logit_positions = 1;

  /* By hand, a growing cache and tokens chosen on the host. */
  mo_cache_options cache_options = MO_CACHE_OPTIONS_INIT;
  cache_options.kind = MO_CACHE_DYNAMIC;
  mo_cache_t *growing = nullptr, *fixed = nullptr;
  ASSERT_EQ(mo_model_create_cache(model, &cache_options, kRows, 0, &growing), MO_STATUS_OK) << mo_last_error();
  std::vector<std::vector<int64_t>> expected;
  std::vector<int64_t> fed = prompt;
  for (int64_t step = 0; step <= kSteps; ++step) {
    const mo_tensor ids = HostIds(fed, step == 0 ? kPrompt : 1);
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    inputs.input_ids = &ids;
    inputs.past_key_values = growing;
    mo_output *output = nullptr;
    ASSERT_EQ(mo_model_forward(model, &inputs, &last, &output), MO_STATUS_OK) << mo_last_error();
    expected.push_back(fed = Largest(output));
    mo_output_destroy(output);
  }

  /* The same from a graph. */
  cache_options.kind = MO_CACHE_STATIC;
  ASSERT_EQ(mo_model_create_cache(model, &cache_options, kRows, kSlots, &fixed), MO_STATUS_OK) << mo_last_error();
  {
    const mo_tensor ids = HostIds(prompt, kPrompt);
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    inputs.input_ids = &ids;
    inputs.past_key_values = fixed;
    mo_output *output = nullptr;
    ASSERT_EQ(mo_model_forward(model, &inputs, &last, &output), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(Largest(output), expected[0]);
    mo_output_destroy(output);
  }
  DeviceState state(context);
  auto start = [&] {
    const int32_t counts[kRows] = {kPrompt, kPrompt};
    state.Set(state.ids, expected[0].data());
    state.Set(state.lengths, counts);
    state.Set(state.positions, counts);
  };
  mo_output *output = nullptr;
  start();
  ASSERT_EQ(Step(context, model, fixed, learned_positions, &state, &output), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(state.Ids(), expected[1]);
  start(); /* that was for the memory a captured run may not take; its token is written again */

  auto stream = static_cast<cudaStream_t>(mo_context_stream(context));
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(Step(context, model, fixed, learned_positions, &state, &output), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess) << "a step neither allocates nor synchronises";
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  for (int64_t step = 1; step <= kSteps; ++step) {
    ASSERT_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
    ASSERT_EQ(mo_output_mark_written(output, stream), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(Largest(output), expected[step]) << "step " << step;
    EXPECT_EQ(state.Ids(), expected[step]) << "step " << step;
  }
  EXPECT_EQ(mo_cache_length(fixed, 0), kPrompt);
  EXPECT_EQ(mo_cache_commit(fixed, -1, kSteps), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_cache_length(fixed, 0), kPrompt + kSteps);
  EXPECT_STREQ(simulated_take_report(), "");
  EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  mo_output_destroy(output);
  mo_cache_release(growing);
  mo_cache_release(fixed);
  mo_model_destroy(model);
}

TEST(DecoderGraph, RotaryPositionsAreTheSlots) { Generate("llama_lm", false); }
TEST(DecoderGraph, LearnedPositionsMoveOnTheDevice) { Generate("gpt2_lm", true); }

}  // namespace
