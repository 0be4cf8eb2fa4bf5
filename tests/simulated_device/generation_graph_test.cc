/* tests/simulated_device/generation_graph_test.cc - generation as the device sees it: which bytes leave it, that the step is
 * one recorded graph, and that a call that fails leaves nothing behind.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

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

TEST_F(Generation, CallsMayFailOnce) {
  const mo_generation_options options = Options(4);
  std::vector<int64_t> expected, got;
  ASSERT_EQ(Generate(options, &expected), MO_STATUS_OK) << mo_last_error();
  const int64_t start = simulated_call_count();
  ASSERT_EQ(Generate(options, &got), MO_STATUS_OK) << mo_last_error();
  const int64_t calls = simulated_call_count() - start;
  int64_t failures = 0;
  for (int64_t n = 1; n <= calls; n += 3) {
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
  EXPECT_GE(failures, calls / 9);
  ASSERT_EQ(Generate(options, &got), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(got, expected);
  RecordProperty("calls", std::to_string(calls));
}

}  // namespace
