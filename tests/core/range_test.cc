/* tests/core/range_test.cc - ranges of public calls on a backend that writes them down: message, balance, and both switches.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "host/core/backend.h"
#include "tests/core/range_shim.h"

namespace {

std::vector<std::string> events;
bool heard = true;

bool IsHeard(void *) { return heard; }
void Push(void *, const char *message) { events.push_back(message); }
void Pop(void *) { events.push_back("-"); }

const mo_backend *RecordingBackend() {
  static mo_backend backend = mo_cpu_backend;
  backend.name = "recording";
  backend.range_is_heard = IsHeard;
  backend.range_push = Push;
  backend.range_pop = Pop;
  return &backend;
}

class Range : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!range_shim_is_compiled_in()) GTEST_SKIP() << "built with MODELOUT_NVTX=OFF";
    events.clear();
    heard = true;
    unsetenv("MODELOUT_NVTX");
    const int64_t shape[3] = {2, 0, 7};
    output_ = mo_tensor_cpu(values_, MO_DTYPE_FLOAT32, 2, shape + 1);
    input_ = mo_tensor_cpu(values_, MO_DTYPE_BFLOAT16, 3, shape);
    params_.struct_size = sizeof params_;
    params_.output = &output_;
    params_.input = &input_;
    params_.looks = &looks_;
  }
  void TearDown() override {
    mo_context_destroy(context_);
    unsetenv("MODELOUT_NVTX");
    EXPECT_EQ(range_shim_listeners(), 0);
  }
  void Open() {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.backend = RecordingBackend();
    options.own_stream = true;
    ASSERT_EQ(mo_context_create(&options, &context_), MO_STATUS_OK) << mo_last_error();
  }
  /* A call on which nothing may be seen and nothing evaluated. */
  void ExpectSilence() {
    EXPECT_EQ(range_shim_front_door(context_, &params_), MO_STATUS_OK);
    EXPECT_EQ(looks_, 0);
    EXPECT_TRUE(events.empty()) << events.front();
    EXPECT_EQ(range_shim_listeners(), 0);
  }

  float values_[16] = {};
  mo_tensor output_, input_;
  range_shim_params params_ = {};
  int looks_ = 0;
  mo_context_t *context_ = nullptr;
};

TEST_F(Range, NamesTheCallAndItsTensors) {
  Open();
  EXPECT_EQ(range_shim_listeners(), 1);
  ASSERT_EQ(range_shim_front_door(context_, &params_), MO_STATUS_OK);
  EXPECT_EQ(looks_, 1);
  EXPECT_EQ(events, (std::vector<std::string>{"front_door: output (0, 7) float32, input (2, 0, 7) bfloat16", "-"}));
  events.clear();
  params_.view.key = &input_;
  params_.output = nullptr;
  ASSERT_EQ(range_shim_front_door(context_, &params_), MO_STATUS_OK);
  EXPECT_EQ(events, (std::vector<std::string>{"front_door: input (2, 0, 7) bfloat16, view.key (2, 0, 7) bfloat16", "-"}));
}

TEST_F(Range, ClosesOnEveryWayOut) {
  Open();
  params_.fails = true;
  EXPECT_EQ(range_shim_front_door(context_, &params_), MO_STATUS_VALUE_ERROR);
  EXPECT_EQ(range_shim_front_door(context_, nullptr), MO_STATUS_INVALID_ARGUMENT);
  params_.struct_size = sizeof params_ - 1; /* another version: its tensors may lie elsewhere */
  EXPECT_EQ(range_shim_front_door(context_, &params_), MO_STATUS_VALUE_ERROR);
  EXPECT_EQ(looks_, 1);
  EXPECT_EQ(events, (std::vector<std::string>{"front_door: output (0, 7) float32, input (2, 0, 7) bfloat16", "-", "front_door",
                                              "-", "front_door", "-"}));
  EXPECT_EQ(range_shim_front_door(nullptr, &params_), MO_STATUS_VALUE_ERROR);
  EXPECT_EQ(events.size(), 6u);
}

TEST_F(Range, ShowsDescriptorsThatTheFrontDoorWillRefuse) {
  Open();
  output_.rank = 99;
  input_.rank = 8;
  input_.dtype = static_cast<mo_dtype_t>(1000);
  for (int64_t &extent : input_.shape) extent = INT64_MIN;
  ASSERT_EQ(range_shim_front_door(context_, &params_), MO_STATUS_OK);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].find("front_door: output of rank 99 float32, input (-9223372036854775808, -92"), 0u) << events[0];
  EXPECT_LT(events[0].size(), 512u);
}

TEST_F(Range, EnvironmentSwitchesThemOff) {
  setenv("MODELOUT_NVTX", "0", 1);
  Open();
  ExpectSilence();
}

TEST_F(Range, NobodyListens) {
  heard = false;
  Open();
  ExpectSilence();
}

TEST_F(Range, OnlyContextsThatAreListenedTo) {
  Open();
  mo_context_t *silent = nullptr;
  heard = false;
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.backend = RecordingBackend();
  options.own_stream = true;
  ASSERT_EQ(mo_context_create(&options, &silent), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(range_shim_front_door(silent, &params_), MO_STATUS_OK);
  EXPECT_TRUE(events.empty());
  EXPECT_EQ(range_shim_front_door(context_, &params_), MO_STATUS_OK);
  EXPECT_EQ(events.size(), 2u);
  mo_context_destroy(silent);
  EXPECT_EQ(range_shim_listeners(), 1);
}

}  // namespace
