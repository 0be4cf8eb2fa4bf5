/* tests/simulated_device/decode_graph_test.cc - a step of decode attention captured once and replayed while the lengths grow on
 * the device: every replay gives what the CPU gives for that length.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <cuda_runtime_api.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "tests/simulated_device/control.h"

namespace {

constexpr int64_t kBatch = 2, kKeyHeads = 2, kSize = 32, kCapacity = 160, kGroups = 2;

struct Setting {
  mo_dtype_t dtype, stored;
  int64_t heads, tokens, page_size;
};

/* The tensors of a step by name, on the host and on the device. */
class Step {
 public:
  Step(const Setting &setting, mo_context_t *device) : s_(setting), device_(device) {
    const bool quantised = s_.stored != s_.dtype;
    const int64_t pages = s_.page_size > 0 ? kCapacity / s_.page_size : 0;
    const int64_t blocks = pages > 0 ? kBatch * pages : kBatch, slots = pages > 0 ? s_.page_size : kCapacity;
    Add("output", s_.dtype, {kBatch, s_.heads, s_.tokens, kSize});
    Add("weights", MO_DTYPE_FLOAT32, {kBatch, s_.heads, s_.tokens, kCapacity});
    Add("query", s_.dtype, {kBatch, s_.heads, s_.tokens, kSize});
    Add("key", s_.dtype, {kBatch, kKeyHeads, s_.tokens, kSize});
    Add("value", s_.dtype, {kBatch, kKeyHeads, s_.tokens, kSize});
    Add("cache.key", s_.stored, {blocks, kKeyHeads, slots, kSize});
    Add("cache.value", s_.stored, {blocks, kKeyHeads, slots, kSize});
    if (quantised) Add("key_scale", MO_DTYPE_FLOAT32, {blocks, kKeyHeads, slots, kGroups});
    if (quantised) Add("value_scale", MO_DTYPE_FLOAT32, {blocks, kKeyHeads, slots, kGroups});
    if (pages > 0) Add("table", MO_DTYPE_INT32, {kBatch, pages});
    Add("lengths", MO_DTYPE_INT32, {kBatch});
    Add("cosine", MO_DTYPE_FLOAT32, {kCapacity, kSize / 2});
    Add("sine", MO_DTYPE_FLOAT32, {kCapacity, kSize / 2});
    mo_rotary_config config = MO_ROTARY_CONFIG_INIT;
    config.rotary_dim = kSize;
    EXPECT_EQ(mo_rotary_fill_tables(&config, kCapacity, 0, reinterpret_cast<float *>(host_["cosine"].data()),
                                    reinterpret_cast<float *>(host_["sine"].data())),
              MO_STATUS_OK);
    for (int64_t i = 0; i < kBatch * pages; ++i)
      reinterpret_cast<int32_t *>(host_["table"].data())[i] = (7 * i + 3) % (kBatch * pages);
    for (const auto &entry : host_) Upload(entry.first);
  }
  ~Step() {
    for (const auto &entry : device_memory_) mo_context_release(device_, entry.second);
  }
  Step(const Step &) = delete;
  Step &operator=(const Step &) = delete;

  void Draw(std::mt19937 &random) {
    std::normal_distribution<float> normal;
    for (const char *name : {"query", "key", "value"}) {
      std::vector<float> values(static_cast<size_t>(mo_tensor_count(&tensors_[name])));
      for (float &value : values) value = normal(random);
      ASSERT_EQ(
          mo_dtype_convert(host_[name].data(), s_.dtype, values.data(), MO_DTYPE_FLOAT32, static_cast<int64_t>(values.size())),
          MO_STATUS_OK);
      Upload(name);
    }
  }
  void SetLengths(int32_t first, int32_t second) {
    auto *lengths = reinterpret_cast<int32_t *>(host_["lengths"].data());
    lengths[0] = first, lengths[1] = second;
    Upload("lengths");
  }
  mo_status_t Run(mo_context_t *context, bool on_device) {
    std::map<std::string, mo_tensor> at;
    for (const auto &entry : tensors_) {
      at[entry.first] = entry.second;
      if (!on_device) continue;
      at[entry.first].data = device_memory_[entry.first];
      at[entry.first].device = mo_context_device(context);
    }
    const auto get = [&](const char *name) { return at.count(name) > 0 ? &at[name] : nullptr; };
    mo_rotary rotary = {};
    rotary.cosine = get("cosine"), rotary.sine = get("sine");
    mo_decode_attention_params p = MO_DECODE_ATTENTION_PARAMS_INIT;
    p.output = get("output"), p.weights = get("weights");
    p.query = get("query"), p.key = get("key"), p.value = get("value");
    p.cache.key = get("cache.key"), p.cache.value = get("cache.value");
    p.cache.key_scale = get("key_scale"), p.cache.value_scale = get("value_scale"), p.cache.block_table = get("table");
    p.rotary = &rotary;
    p.lengths = get("lengths");
    return mo_decode_attention(context, &p);
  }
  std::vector<float> Read(const char *name, bool on_device) {
    const size_t bytes = host_[name].size();
    std::vector<unsigned char> copy = host_[name];
    if (on_device) {
      EXPECT_EQ(mo_context_copy_to_host(device_, copy.data(), device_memory_[name], bytes), MO_STATUS_OK);
      EXPECT_EQ(mo_context_synchronize(device_), MO_STATUS_OK);
    }
    std::vector<float> values(static_cast<size_t>(mo_tensor_count(&tensors_[name])));
    EXPECT_EQ(mo_dtype_convert(values.data(), MO_DTYPE_FLOAT32, copy.data(), tensors_[name].dtype,
                               static_cast<int64_t>(values.size())),
              MO_STATUS_OK);
    return values;
  }

 private:
  void Add(const char *name, mo_dtype_t dtype, const std::vector<int64_t> &shape) {
    int64_t count = 1;
    for (const int64_t extent : shape) count *= extent;
    host_[name].assign(static_cast<size_t>(count) * mo_dtype_bytes(dtype), 0);
    tensors_[name] = mo_tensor_cpu(host_[name].data(), dtype, static_cast<int32_t>(shape.size()), shape.data());
    ASSERT_EQ(mo_context_allocate(device_, host_[name].size(), &device_memory_[name]), MO_STATUS_OK);
  }
  void Upload(const std::string &name) {
    ASSERT_EQ(mo_context_copy_to_device(device_, device_memory_[name], host_[name].data(), host_[name].size()), MO_STATUS_OK);
  }

  Setting s_;
  mo_context_t *device_;
  std::map<std::string, std::vector<unsigned char>> host_;
  std::map<std::string, void *> device_memory_;
  std::map<std::string, mo_tensor> tensors_;
};

TEST(DecodeGraph, LengthsGrowOnTheDevice) {
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT, host_options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CUDA;
  options.own_stream = true;
  host_options.device = MO_DEVICE_CHOICE_CPU;
  mo_context_t *device = nullptr, *host = nullptr;
  ASSERT_EQ(mo_context_create(&options, &device), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_context_create(&host_options, &host), MO_STATUS_OK) << mo_last_error();
  auto stream = static_cast<cudaStream_t>(mo_context_stream(device));
  std::mt19937 random(20261124);
  const Setting settings[] = {{MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT32, 2, 1, 0},
                              {MO_DTYPE_BFLOAT16, MO_DTYPE_BFLOAT16, 8, 1, 16},
                              {MO_DTYPE_FLOAT16, MO_DTYPE_INT8, 8, 2, 32},
                              {MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT8_E4M3, 32, 8, 0}}; /* more rows than one block takes */
  for (const Setting &setting : settings) {
    SCOPED_TRACE(testing::Message() << mo_dtype_name(setting.dtype) << " in " << mo_dtype_name(setting.stored));
    Step step(setting, device);
    const auto tokens = static_cast<int32_t>(setting.tokens);
    /* Once as it is: it takes the scratch memory that the captured run may not. */
    step.Draw(random);
    step.SetLengths(0, 0);
    ASSERT_EQ(step.Run(device, true), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(step.Run(host, false), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(mo_context_synchronize(device), MO_STATUS_OK);
    const uint64_t launches = simulated_launch_count();
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_EQ(step.Run(device, true), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess) << "a run neither allocates nor synchronises";
    ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
    ASSERT_EQ(mo_context_synchronize(device), MO_STATUS_OK);
    EXPECT_EQ(simulated_launch_count(), launches) << "captured, not run";

    int32_t lengths[2] = {0, 17};
    for (int replay = 0; replay < 8; ++replay) {
      SCOPED_TRACE(testing::Message() << lengths[0] << " and " << lengths[1] << " tokens");
      step.Draw(random);
      step.SetLengths(lengths[0], lengths[1]);
      ASSERT_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
      ASSERT_EQ(step.Run(host, false), MO_STATUS_OK) << mo_last_error();
      const double bound = setting.dtype == MO_DTYPE_FLOAT32 ? 2e-5 : 4e-2;
      for (const char *name : {"output", "weights", "cache.key", "cache.value"}) {
        const std::vector<float> expected = step.Read(name, false), got = step.Read(name, true);
        double worst = 0;
        size_t unequal = 0;
        for (size_t i = 0; i < got.size(); ++i) {
          ASSERT_FALSE(std::isnan(got[i])) << name << " " << i;
          worst = std::max(worst, std::fabs(static_cast<double>(got[i]) - static_cast<double>(expected[i])));
          unequal += got[i] != expected[i];
        }
        /* Values are stored as they are. Turned keys may differ in their last bit, where one side multiplies and adds at once;
         * rounded to fewer bits hardly any of them does. */
        if (name == std::string("cache.value")) EXPECT_EQ(unequal, 0u);
        else if (name == std::string("cache.key") && setting.stored != MO_DTYPE_FLOAT32) EXPECT_LE(unequal, got.size() / 1000);
        else EXPECT_LE(worst, name[0] == 'c' ? 1e-6 : bound) << name;
      }
      lengths[0] += tokens;
      lengths[1] += tokens;
      if (replay == 4) lengths[0] = 97, lengths[1] = static_cast<int32_t>(kCapacity) - 3 * tokens; /* up to the last slot */
    }
    /* A token past the last slot is neither written nor seen, and a negative length is a row that holds nothing. */
    const std::vector<float> before = step.Read("cache.key", true);
    step.SetLengths(static_cast<int32_t>(kCapacity), -5);
    ASSERT_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
    EXPECT_EQ(step.Read("cache.key", true), before);
    const std::vector<float> output = step.Read("output", true), weights = step.Read("weights", true);
    for (size_t i = output.size() / 2; i < output.size(); ++i) ASSERT_EQ(output[i], 0.0f);
    for (size_t i = weights.size() / 2; i < weights.size(); ++i) ASSERT_EQ(weights[i], 0.0f);
    EXPECT_STREQ(simulated_take_report(), "");
    ASSERT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
    ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  }
  mo_context_destroy(host);
  mo_context_destroy(device);
  EXPECT_EQ(simulated_live_objects(), 0);
}

}  // namespace
