/* tests/simulated_device/ranges_test.cc - the NVTX ranges of the CUDA backend, as a profiler sees them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "tests/simulated_device/control.h"

namespace {

std::string TakeRanges() { return simulated_take_ranges(); }

int64_t Count(const std::string &text, const std::string &part) {
  int64_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

/* As many ranges closed as opened, all in the library's domain. */
void ExpectBalanced(const std::string &ranges) {
  EXPECT_EQ(Count(ranges, "+ "), Count(ranges, "-\n")) << ranges;
  EXPECT_EQ(Count(ranges, "\n"), Count(ranges, "modelout ")) << ranges;
}

/* Comes first, while no domain was made yet. */
TEST(NoProfiler, NothingIsSent) {
  simulated_attach_profiler(false);
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CUDA;
  options.own_stream = true;
  mo_context_t *context = nullptr;
  ASSERT_EQ(mo_context_create(&options, &context), MO_STATUS_OK) << mo_last_error();
  simulated_attach_profiler(true);
  EXPECT_EQ(mo_context_synchronize(context), MO_STATUS_OK);
  EXPECT_EQ(TakeRanges(), "") << "the context was made while nobody listened";
  mo_context_destroy(context);
}

class Ranges : public ::testing::Test {
 protected:
  void SetUp() override {
#ifdef MO_NO_RANGES
    GTEST_SKIP() << "built with MODELOUT_NVTX=OFF";
#endif
    simulated_reset();
    simulated_attach_profiler(true);
    Open();
  }
  void TearDown() override {
    mo_context_destroy(context_);
    unsetenv("MODELOUT_NVTX");
  }
  void Open() {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.device = MO_DEVICE_CHOICE_CUDA;
    options.own_stream = true;
    mo_context_destroy(context_);
    context_ = nullptr;
    ASSERT_EQ(mo_context_create(&options, &context_), MO_STATUS_OK) << mo_last_error();
  }
  mo_status_t Softmax(bool valid) {
    void *memory = nullptr;
    EXPECT_EQ(mo_context_allocate(context_, 2 * 40 * sizeof(float), &memory), MO_STATUS_OK);
    const int64_t shape[2] = {2, 40};
    mo_tensor tensor;
    EXPECT_EQ(mo_tensor_init(&tensor, memory, MO_DTYPE_FLOAT32, mo_context_device(context_), 2, shape), MO_STATUS_OK);
    mo_tensor output = tensor;
    if (!valid) output.shape[1] = 39;
    mo_softmax_params params = MO_SOFTMAX_PARAMS_INIT;
    params.input = &tensor;
    params.output = &output;
    const mo_status_t status = mo_softmax(context_, &params);
    EXPECT_EQ(mo_context_synchronize(context_), MO_STATUS_OK);
    mo_context_release(context_, memory);
    return status;
  }

  mo_context_t *context_ = nullptr;
};

TEST_F(Ranges, OnePerCallWithItsShapes) {
  TakeRanges();
  ASSERT_EQ(Softmax(true), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(TakeRanges(),
            "modelout + mo_softmax: output (2, 40) float32, input (2, 40) float32\n"
            "modelout -\n"
            "modelout + mo_context_synchronize\n"
            "modelout -\n");
}

TEST_F(Ranges, BalancedWhenTheCallFails) {
  TakeRanges();
  ASSERT_EQ(Softmax(false), MO_STATUS_INVALID_ARGUMENT);
  const std::string refused = TakeRanges();
  EXPECT_EQ(refused.find("modelout + mo_softmax: output (2, 39) float32, input (2, 40) float32\nmodelout -\n"), 0u) << refused;
  ExpectBalanced(refused);
  EXPECT_EQ(mo_softmax(context_, nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(TakeRanges(), "modelout + mo_softmax\nmodelout -\n");
}

TEST_F(Ranges, ForwardPassAndReadsNest) {
  mo_model_t *model = nullptr;
  ASSERT_EQ(mo_model_load(context_, MO_TEST_DATA "/bert_seqcls_single", nullptr, &model), MO_STATUS_OK) << mo_last_error();
  std::vector<int64_t> ids = {2, 5, 9, 3, 2, 7, 8, 3};
  const int64_t shape[2] = {2, 4};
  const mo_tensor tensor = mo_tensor_cpu(ids.data(), MO_DTYPE_INT64, 2, shape);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &tensor;
  mo_output *output = nullptr;
  TakeRanges();
  ASSERT_EQ(mo_model_forward(model, &inputs, nullptr, &output), MO_STATUS_OK) << mo_last_error();
  const std::string forward = TakeRanges();
  ExpectBalanced(forward);
  EXPECT_EQ(forward.find("modelout + mo_model_forward: input_ids (2, 4) int64\n"), 0u) << forward;
  EXPECT_EQ(Count(forward, "modelout   + mo_output_create\n"), 1) << forward;
  const int64_t layers = mo_model_config_integer(model, "num_hidden_layers");
  ASSERT_GT(layers, 0);
  EXPECT_EQ(Count(forward, "modelout   + mo_attention: query ("), layers) << forward;
  EXPECT_EQ(Count(forward, "modelout   + mo_output_mark_written\n"), 1) << forward;

  mo_field *logits = mo_output_get(output, "logits");
  mo_host_view view;
  ASSERT_EQ(mo_field_prefetch(logits), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_field_read(logits, &view), MO_STATUS_OK) << mo_last_error();
  const std::string extents = "(" + std::to_string(view.shape[0]) + ", " + std::to_string(view.shape[1]) + ")";
  EXPECT_EQ(TakeRanges(), "modelout + mo_field_prefetch: field " + extents + " float32\nmodelout -\n" +
                              "modelout + mo_field_read: field " + extents + " float32\nmodelout -\n");
  EXPECT_EQ(mo_field_read(nullptr, &view), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(TakeRanges(), "");
  mo_output_destroy(output);
  mo_model_destroy(model);
}

TEST_F(Ranges, EveryCallOfAPassMayFailAndStaysBalanced) {
  mo_model_t *model = nullptr;
  ASSERT_EQ(mo_model_load(context_, MO_TEST_DATA "/bert_seqcls_single", nullptr, &model), MO_STATUS_OK) << mo_last_error();
  std::vector<int64_t> ids = {2, 5, 9, 3};
  const int64_t shape[2] = {1, 4};
  const mo_tensor tensor = mo_tensor_cpu(ids.data(), MO_DTYPE_INT64, 2, shape);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &tensor;
  int64_t failures = 0;
  for (int64_t call = 1; call < 200; call += 7) {
    TakeRanges();
    simulated_fail_call(call, cudaErrorInvalidValue);
    mo_output *output = nullptr;
    if (mo_model_forward(model, &inputs, nullptr, &output) != MO_STATUS_OK) ++failures;
    simulated_fail_call(0, cudaSuccess);
    mo_output_destroy(output);
    ExpectBalanced(TakeRanges());
  }
  EXPECT_GT(failures, 3);
  mo_model_destroy(model);
}

TEST_F(Ranges, EnvironmentSwitchesThemOff) {
  setenv("MODELOUT_NVTX", "0", 1);
  Open();
  TakeRanges();
  EXPECT_EQ(Softmax(true), MO_STATUS_OK);
  EXPECT_EQ(TakeRanges(), "");
  setenv("MODELOUT_NVTX", "1", 1);
  Open();
  EXPECT_EQ(Softmax(true), MO_STATUS_OK);
  EXPECT_EQ(Count(TakeRanges(), "+ mo_softmax"), 1);
}

}  // namespace
