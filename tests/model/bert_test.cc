/* tests/model/bert_test.cc - models of the BERT family beyond the recorded values: selection, memory, shapes, frameworks, bad
 * input, failing allocators, threads.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>
#include <jansson.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "modelout/modelout.h"
#include "tests/support/loaded_model.h"
#include "tests/support/scoped_context.h"
#include "tests/support/temporary_folder.h"

namespace {

using test_support::Architecture;
using test_support::Context;
using test_support::GoldenCase;
using test_support::Heap;
using test_support::LoadedModel;

mo_tensor Ids(std::vector<int64_t> &values, int64_t rows, int64_t columns) {
  const int64_t shape[2] = {rows, columns};
  return mo_tensor_cpu(values.data(), MO_DTYPE_INT64, 2, shape);
}

mo_tensor Vector(std::vector<int64_t> &values) {
  const int64_t shape[1] = {static_cast<int64_t>(values.size())};
  return mo_tensor_cpu(values.data(), MO_DTYPE_INT64, 1, shape);
}

std::vector<int64_t> RandomIds(int64_t count, int64_t low = 2, int64_t high = 99, unsigned seed = 7) {
  std::mt19937 engine(seed);
  std::uniform_int_distribution<int64_t> draw(low, high - 1);
  std::vector<int64_t> values(static_cast<size_t>(count));
  for (int64_t &value : values) value = draw(engine);
  return values;
}

std::vector<float> Read(mo_field *field) {
  const mo_tensor *tensor = mo_field_tensor(field);
  EXPECT_NE(tensor, nullptr);
  if (tensor == nullptr) return {};
  std::vector<float> values(static_cast<size_t>(mo_tensor_count(tensor)), NAN);
  EXPECT_EQ(mo_field_read_float32(field, nullptr, 0, values.data(), static_cast<int64_t>(values.size())), MO_STATUS_OK)
      << mo_last_error();
  return values;
}

void ExpectNear(const std::vector<float> &a, const std::vector<float> &b, double tolerance, const char *what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t i = 0; i < a.size(); i++) ASSERT_NEAR(a[i], b[i], tolerance) << what << " at " << i;
}

mo_request Everything() {
  mo_request request = MO_REQUEST_INIT;
  request.output_hidden_states = request.output_attentions = true;
  return request;
}

struct Output {
  mo_output *output = nullptr;
  ~Output() { mo_output_destroy(output); }
  mo_field *operator[](const char *key) const { return mo_output_get(output, key); }
  mo_field *at(const char *key, int64_t index) const { return mo_field_item(mo_output_get(output, key), index); }
};

mo_status_t Forward(mo_model_t *model, const mo_model_inputs &inputs, const mo_request *request, Output *result) {
  return mo_model_forward(model, &inputs, request, &result->output);
}

/* ---- Selection ----------------------------------------------------------------------------------------------------------- */

TEST(Selection, SavesBytesAndEqualsTheWhole) {
  Context context;
  LoadedModel model(context, GoldenCase("bert_masked_lm"));
  ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
  std::vector<int64_t> values = RandomIds(2 * 9);
  const mo_tensor ids = Ids(values, 2, 9);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids;
  const mo_request everything = Everything();
  Output whole, part;
  ASSERT_EQ(Forward(model, inputs, &everything, &whole), MO_STATUS_OK) << mo_last_error();

  const int32_t states[] = {1}, layers[] = {-1}, heads[] = {2, 0};
  mo_request request = Everything();
  request.hidden_state_layers = {states, 1};
  request.attention_layers = {layers, 1};
  request.attention_heads = {heads, 2};
  request.last_query_rows = 3;
  request.last_logit_positions = 2;
  ASSERT_EQ(Forward(model, inputs, &request, &part), MO_STATUS_OK) << mo_last_error();

  EXPECT_EQ(mo_field_length(part["hidden_states"]), 3);
  EXPECT_EQ(part.at("hidden_states", 0), nullptr);
  EXPECT_EQ(part.at("hidden_states", 2), nullptr);
  EXPECT_EQ(part.at("attentions", 0), nullptr);
  /* The CPU's rows do not know whether their weights are stored; a card has another kernel for each. */
  ExpectNear(Read(part.at("hidden_states", 1)), Read(whole.at("hidden_states", 1)), test_device_is_cpu() ? 0 : 1e-5,
             "hidden_states[1]");

  const std::vector<float> all = Read(whole.at("attentions", 1)), some = Read(part.at("attentions", 1));
  ASSERT_EQ(some.size(), 2u * 2 * 3 * 9);
  for (int b = 0; b < 2; b++)
    for (int h = 0; h < 2; h++)
      for (int r = 0; r < 3; r++)
        for (int k = 0; k < 9; k++)
          ASSERT_NEAR(some[static_cast<size_t>(((b * 2 + h) * 3 + r) * 9 + k)],
                      all[static_cast<size_t>(((b * 4 + heads[h]) * 9 + 6 + r) * 9 + k)], 1e-6);

  const std::vector<float> logits = Read(whole["logits"]), last = Read(part["logits"]);
  ASSERT_EQ(last.size(), 2u * 2 * 99);
  for (size_t b = 0; b < 2; b++)
    for (size_t i = 0; i < 2 * 99; i++) ASSERT_NEAR(last[b * 2 * 99 + i], logits[(b * 9 + 7) * 99 + i], 1e-5);

  /* What was not asked for is not there: bytes of exactly the selected tensors. */
  EXPECT_EQ(mo_output_device_bytes(part.output), 4u * (2 * 9 * 32 + 2 * 2 * 3 * 9 + 2 * 2 * 99));
  EXPECT_LT(mo_output_device_bytes(part.output), mo_output_device_bytes(whole.output) / 2);
}

TEST(Selection, ReductionsComeFromTheKernel) {
  Context context;
  LoadedModel model(context, GoldenCase("bert_model"));
  ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
  std::vector<int64_t> values = RandomIds(7);
  const mo_tensor ids = Ids(values, 1, 7);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids;
  mo_request request = Everything();
  Output whole, mean, columns;
  ASSERT_EQ(Forward(model, inputs, &request, &whole), MO_STATUS_OK) << mo_last_error();
  request.attention_reduction = MO_WEIGHTS_REDUCTION_HEAD_MEAN;
  ASSERT_EQ(Forward(model, inputs, &request, &mean), MO_STATUS_OK) << mo_last_error();
  request.attention_reduction = MO_WEIGHTS_REDUCTION_COLUMN_SUM;
  ASSERT_EQ(Forward(model, inputs, &request, &columns), MO_STATUS_OK) << mo_last_error();
  const std::vector<float> all = Read(whole.at("attentions", 0)), m = Read(mean.at("attentions", 0)),
                           c = Read(columns.at("attentions", 0));
  ASSERT_EQ(m.size(), 49u);
  ASSERT_EQ(c.size(), 28u);
  for (size_t i = 0; i < 49; i++) {
    double sum = 0;
    for (size_t h = 0; h < 4; h++) sum += all[h * 49 + i];
    EXPECT_NEAR(m[i], sum / 4, 1e-6);
  }
  for (size_t h = 0; h < 4; h++)
    for (size_t k = 0; k < 7; k++) {
      double sum = 0;
      for (size_t r = 0; r < 7; r++) sum += all[h * 49 + r * 7 + k];
      EXPECT_NEAR(c[h * 7 + k], sum, 1e-5);
    }
}

TEST(Sharing, LastHiddenStateIsTheLastOfHiddenStates) {
  Context context;
  LoadedModel model(context, GoldenCase("bert_model"));
  ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
  std::vector<int64_t> values = RandomIds(5);
  const mo_tensor ids = Ids(values, 1, 5);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids;
  const mo_request request = Everything();
  Output result;
  ASSERT_EQ(Forward(model, inputs, &request, &result), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_field_tensor(result["last_hidden_state"])->data, mo_field_tensor(result.at("hidden_states", -1))->data);
}

/* ---- Memory -------------------------------------------------------------------------------------------------------------- */

TEST(Memory, ARepeatedRunAllocatesNothing) {
  Heap heap;
  {
    Context context(&heap);
    LoadedModel model(context, GoldenCase("bert_seqcls_single"));
    ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
    const mo_request request = Everything();
    std::vector<int64_t> long_values = RandomIds(3 * 13), short_values = RandomIds(4);
    std::vector<int64_t> mask_values(39, 1), labels_values = {0, 2, 1};
    mask_values[38] = 0;
    const mo_tensor long_ids = Ids(long_values, 3, 13), short_ids = Ids(short_values, 1, 4), mask = Ids(mask_values, 3, 13),
                    labels = Vector(labels_values);
    mo_model_inputs first = MO_MODEL_INPUTS_INIT, second = MO_MODEL_INPUTS_INIT;
    first.input_ids = &long_ids;
    first.attention_mask = &mask;
    first.labels = &labels;
    second.input_ids = &short_ids;
    Output one, two;
    ASSERT_EQ(Forward(model, first, &request, &one), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(Forward(model, second, &request, &two), MO_STATUS_OK) << mo_last_error();
    const std::vector<float> before = Read(one["logits"]);
    const int64_t calls = heap.calls;
    const uint64_t allocations = mo_context_get_counters(context).device_allocations;
    for (int i = 0; i < 5; i++) {
      ASSERT_EQ(mo_model_run(model, &first, &request, one.output), MO_STATUS_OK) << mo_last_error();
      ASSERT_EQ(mo_model_run(model, &second, &request, two.output), MO_STATUS_OK) << mo_last_error();
    }
    EXPECT_EQ(heap.calls, calls);
    EXPECT_EQ(mo_context_get_counters(context).device_allocations, allocations);
    EXPECT_EQ(Read(one["logits"]), before) << "a repeated run gives the same bits";
    EXPECT_EQ(mo_output_generation(one.output), 6u);
  }
  EXPECT_EQ(heap.live, 0);
}

/* Fails each allocation of loading and of a first forward pass in turn. */
TEST(Memory, EveryFailingAllocationIsAStatus) {
  for (const char *name : {"bert_model", "electra_pretraining", "roberta_seqcls_multilabel"}) {
    mo_safetensors_t *file = nullptr;
    ASSERT_EQ(mo_safetensors_open((GoldenCase(name) + "/inputs.safetensors").c_str(), &file), MO_STATUS_OK);
    mo_tensor ids, mask, labels;
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    ASSERT_EQ(mo_safetensors_tensor(file, "input_ids", &ids), MO_STATUS_OK);
    ASSERT_EQ(mo_safetensors_tensor(file, "attention_mask", &mask), MO_STATUS_OK);
    inputs.input_ids = &ids;
    inputs.attention_mask = &mask;
    if (mo_safetensors_tensor(file, "labels", &labels) == MO_STATUS_OK) inputs.labels = &labels;
    const mo_request request = Everything();
    std::vector<float> reference;
    int64_t load_failures = 0, run_failures = 0;
    for (const bool in_load : {false, true}) {
      for (int64_t n = 0; n < 2000; n++) {
        Heap heap;
        heap.fail_count = 2; /* a pool that has blocks to give back does so and asks again */
        bool fired = false;
        {
          Context context(&heap);
          if (in_load) heap.fail_at = heap.calls + n;
          LoadedModel model(context, GoldenCase(name));
          if (in_load) {
            fired = heap.calls > heap.fail_at;
            heap.fail_at = -1;
            ASSERT_EQ(model.status(), fired ? MO_STATUS_OUT_OF_MEMORY : MO_STATUS_OK)
                << name << " call " << n << ": " << model.error();
            load_failures += fired;
          } else {
            ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
            Output failed, result;
            heap.fail_at = heap.calls + n;
            const mo_status_t status = Forward(model, inputs, &request, &failed);
            fired = heap.calls > heap.fail_at;
            heap.fail_at = -1;
            ASSERT_EQ(status, fired ? MO_STATUS_OUT_OF_MEMORY : MO_STATUS_OK)
                << name << " call " << n << ": " << mo_last_error();
            run_failures += fired;
            if (fired) {
              EXPECT_EQ(failed.output, nullptr);
            }
            ASSERT_EQ(Forward(model, inputs, &request, &result), MO_STATUS_OK) << mo_last_error();
            const std::vector<float> values = Read(result.at("hidden_states", -1));
            if (reference.empty()) reference = values;
            ASSERT_EQ(values, reference) << name << " after the failure of call " << n;
          }
        }
        ASSERT_EQ(heap.live, 0) << name << " call " << n;
        if (!fired) break;
      }
    }
    EXPECT_GE(run_failures, 3) << name; /* output, its block, workspace, ... */
    EXPECT_GE(load_failures, 10) << name;
    mo_safetensors_close(file);
  }
}

/* ---- Shapes and input forms ---------------------------------------------------------------------------------------------- */

TEST(Shapes, RowsOfABatchAreIndependent) {
  Context context;
  for (const char *name : {"bert_model", "roberta_model", "albert_model", "electra_model"}) {
    LoadedModel model(context, GoldenCase(name));
    ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
    const int64_t length = 17;
    std::vector<int64_t> values = RandomIds(5 * length);
    const mo_tensor ids = Ids(values, 5, length);
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    inputs.input_ids = &ids;
    Output batch;
    ASSERT_EQ(Forward(model, inputs, nullptr, &batch), MO_STATUS_OK) << mo_last_error();
    const std::vector<float> all = Read(batch["last_hidden_state"]);
    for (int64_t row = 0; row < 5; row++) {
      std::vector<int64_t> own(values.begin() + row * length, values.begin() + (row + 1) * length);
      const mo_tensor one = Ids(own, 1, length);
      inputs.input_ids = &one;
      Output single;
      ASSERT_EQ(Forward(model, inputs, nullptr, &single), MO_STATUS_OK) << mo_last_error();
      const size_t size = static_cast<size_t>(length) * 32;
      const std::vector<float> expected(all.begin() + row * static_cast<int64_t>(size),
                                        all.begin() + (row + 1) * static_cast<int64_t>(size));
      ExpectNear(Read(single["last_hidden_state"]), expected, 1e-5, name);
    }
  }
}

TEST(Shapes, AnEmptyBatchGivesEmptyFields) {
  Context context;
  LoadedModel model(context, GoldenCase("bert_model"));
  ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
  std::vector<int64_t> none(1);
  const mo_tensor ids = Ids(none, 0, 4);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids;
  const mo_request request = Everything();
  Output result;
  ASSERT_EQ(Forward(model, inputs, &request, &result), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_field_tensor(result["last_hidden_state"])->shape[0], 0);
  EXPECT_EQ(mo_field_tensor(result["pooler_output"])->shape[1], 32);
}

TEST(Shapes, EveryFormOfAnInputGivesTheSame) {
  Context context;
  LoadedModel model(context, GoldenCase("bert_model"));
  ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
  const int64_t rows = 2, length = 6;
  std::vector<int64_t> values = RandomIds(rows * length), visible(12, 1);
  visible[10] = visible[11] = visible[0] = 0;
  const mo_tensor ids = Ids(values, rows, length), mask = Ids(visible, rows, length);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids;
  inputs.attention_mask = &mask;
  Output plain;
  ASSERT_EQ(Forward(model, inputs, nullptr, &plain), MO_STATUS_OK) << mo_last_error();
  const std::vector<float> expected = Read(plain["last_hidden_state"]);
  const int64_t shape[2] = {rows, length};

  /* int32 ids in every second column of a wider matrix, off alignment for the mask */
  std::vector<int32_t> wide(static_cast<size_t>(rows * 2 * length), 12345);
  for (size_t i = 0; i < 12; i++) wide[i * 2] = static_cast<int32_t>(values[i]);
  mo_tensor strided;
  const int64_t strides[2] = {2 * length, 2};
  ASSERT_EQ(mo_tensor_init_strided(&strided, wide.data(), MO_DTYPE_INT32, mo_device{MO_DEVICE_KIND_CPU, 0}, 2, shape, strides),
            MO_STATUS_OK);
  inputs.input_ids = &strided;
  std::vector<char> bytes(12 * 8 + 1);
  std::memcpy(bytes.data() + 1, visible.data(), 12 * 8);
  const mo_tensor shifted = mo_tensor_cpu(bytes.data() + 1, MO_DTYPE_INT64, 2, shape);
  inputs.attention_mask = &shifted;
  Output second;
  ASSERT_EQ(Forward(model, inputs, nullptr, &second), MO_STATUS_OK) << mo_last_error();
  ExpectNear(Read(second["last_hidden_state"]), expected, 0, "int32, strided");

  const bool hidden[12] = {false, true, true, true, true, true, true, true, true, true, false, false};
  const float floats[12] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0};
  const mo_tensor bools = mo_tensor_cpu(const_cast<bool *>(hidden), MO_DTYPE_BOOL, 2, shape);
  const mo_tensor reals = mo_tensor_cpu(const_cast<float *>(floats), MO_DTYPE_FLOAT32, 2, shape);
  std::vector<int64_t> cube_values;
  for (int64_t b = 0; b < rows; b++)
    for (int64_t q = 0; q < length; q++)
      for (int64_t k = 0; k < length; k++) cube_values.push_back(visible[static_cast<size_t>(b * length + k)]);
  const int64_t cube_shape[3] = {rows, length, length};
  const mo_tensor cube = mo_tensor_cpu(cube_values.data(), MO_DTYPE_INT64, 3, cube_shape);
  std::vector<int64_t> zero(12, 0), counted = {0, 1, 2, 3, 4, 5};
  const mo_tensor types = Ids(zero, rows, length), positions = Ids(counted, 1, length);
  for (const mo_tensor *form : {&bools, &reals, &cube}) {
    inputs.attention_mask = form;
    inputs.token_type_ids = &types;
    inputs.position_ids = &positions;
    Output third;
    ASSERT_EQ(Forward(model, inputs, nullptr, &third), MO_STATUS_OK) << mo_last_error();
    ExpectNear(Read(third["last_hidden_state"]), expected, 1e-6, "mask form");
  }
}

/* ---- Frameworks ---------------------------------------------------------------------------------------------------------- */

struct FrameworkCase {
  const char *folder, *tf_class, *flax_class;
  int64_t tf_loss_count; /* 0: the class has no loss */
};

class Frameworks : public ::testing::TestWithParam<FrameworkCase> {};

TEST_P(Frameworks, GiveTheirOwnClasses) {
  Context context;
  mo_safetensors_t *file = nullptr;
  ASSERT_EQ(mo_safetensors_open((GoldenCase(GetParam().folder) + "/inputs.safetensors").c_str(), &file), MO_STATUS_OK);
  std::vector<mo_tensor> tensors(8);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  const auto bind = [&](size_t slot, const char *name, const mo_tensor **input) {
    if (mo_safetensors_tensor(file, name, &tensors[slot]) == MO_STATUS_OK) *input = &tensors[slot];
  };
  bind(0, "input_ids", &inputs.input_ids);
  bind(1, "attention_mask", &inputs.attention_mask);
  bind(2, "labels", &inputs.labels);
  bind(3, "next_sentence_label", &inputs.next_sentence_label);
  bind(4, "start_positions", &inputs.start_positions);
  bind(5, "end_positions", &inputs.end_positions);
  const mo_request request = Everything();

  LoadedModel pt(context, GoldenCase(GetParam().folder));
  Output reference;
  ASSERT_EQ(Forward(pt, inputs, &request, &reference), MO_STATUS_OK) << mo_last_error();
  for (const mo_framework_t framework : {MO_FRAMEWORK_TF, MO_FRAMEWORK_FLAX}) {
    const bool tf = framework == MO_FRAMEWORK_TF;
    LoadedModel model(context, GoldenCase(GetParam().folder), framework);
    ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
    EXPECT_STREQ(mo_model_output_class(model)->name, tf ? GetParam().tf_class : GetParam().flax_class);
    Output result;
    ASSERT_EQ(Forward(model, inputs, &request, &result), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(result["loss"] != nullptr, tf && GetParam().tf_loss_count > 0);
    /* The keys of PyTorch's class, less the loss where there is none. */
    int64_t position = 0;
    for (int64_t i = 0; i < mo_output_length(reference.output); i++) {
      const char *key = mo_output_key_at(reference.output, i);
      if (std::strcmp(key, "loss") == 0 && result["loss"] == nullptr) continue;
      ASSERT_NE(mo_output_key_at(result.output, position), nullptr);
      EXPECT_STREQ(mo_output_key_at(result.output, position++), key);
    }
    EXPECT_EQ(position, mo_output_length(result.output));
    ExpectNear(Read(result.at("hidden_states", -1)), Read(reference.at("hidden_states", -1)), 0, "hidden states");
    if (result["loss"] == nullptr) continue;

    const std::vector<float> losses = Read(result["loss"]);
    EXPECT_EQ(mo_field_tensor(result["loss"])->rank, 1);
    ASSERT_EQ(static_cast<int64_t>(losses.size()), GetParam().tf_loss_count);
    double sum = 0;
    for (const float loss : losses) sum += loss;
    EXPECT_TRUE(std::isfinite(sum));
    /* The mean of TensorFlow's losses is PyTorch's, except for spans, where ignored positions leave the example half weight. */
    if (inputs.start_positions == nullptr) {
      EXPECT_NEAR(sum / static_cast<double>(losses.size()), Read(reference["loss"])[0], 1e-5);
    }
  }
  mo_safetensors_close(file);
}

INSTANTIATE_TEST_SUITE_P(
    Heads, Frameworks,
    ::testing::Values(
        FrameworkCase{"bert_model", "TFBaseModelOutputWithPoolingAndCrossAttentions", "FlaxBaseModelOutputWithPooling", 0},
        FrameworkCase{"distilbert_model", "TFBaseModelOutput", "FlaxBaseModelOutput", 0},
        FrameworkCase{"electra_model", "TFBaseModelOutputWithPastAndCrossAttentions",
                      "FlaxBaseModelOutputWithPastAndCrossAttentions", 0},
        FrameworkCase{"albert_model", "TFBaseModelOutputWithPooling", "FlaxBaseModelOutputWithPooling", 0},
        FrameworkCase{"distilbert_token_cls", "TFTokenClassifierOutput", "FlaxTokenClassifierOutput", 14},
        FrameworkCase{"roberta_masked_lm", "TFMaskedLMOutput", "FlaxMaskedLMOutput", 14},
        FrameworkCase{"bert_nsp", "TFNextSentencePredictorOutput", "FlaxNextSentencePredictorOutput", 2},
        FrameworkCase{"bert_seqcls_single", "TFSequenceClassifierOutput", "FlaxSequenceClassifierOutput", 2},
        FrameworkCase{"bert_seqcls_regression", "TFSequenceClassifierOutput", "FlaxSequenceClassifierOutput", 2},
        FrameworkCase{"bert_seqcls_regression_wide", "TFSequenceClassifierOutput", "FlaxSequenceClassifierOutput", 2},
        FrameworkCase{"bert_seqcls_multilabel", "TFSequenceClassifierOutput", "FlaxSequenceClassifierOutput", 2},
        FrameworkCase{"bert_multiple_choice", "TFMultipleChoiceModelOutput", "FlaxMultipleChoiceModelOutput", 2},
        FrameworkCase{"bert_qa", "TFQuestionAnsweringModelOutput", "FlaxQuestionAnsweringModelOutput", 3},
        FrameworkCase{"bert_pretraining", "TFBertForPreTrainingOutput", "FlaxBertForPreTrainingOutput", 1},
        FrameworkCase{"electra_pretraining", "TFElectraForPreTrainingOutput", "FlaxElectraForPreTrainingOutput", 0}),
    [](const auto &test) { return std::string(test.param.folder); });

TEST(Pretraining, HasATypedStruct) {
  Context context;
  LoadedModel model(context, GoldenCase("bert_pretraining"));
  ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
  std::vector<int64_t> values = RandomIds(5);
  const mo_tensor ids = Ids(values, 1, 5);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids;
  Output result;
  ASSERT_EQ(Forward(model, inputs, nullptr, &result), MO_STATUS_OK) << mo_last_error();
  const auto *outputs = reinterpret_cast<const mo_bert_for_pre_training_output *>(result.output);
  EXPECT_EQ(outputs->loss, nullptr);
  EXPECT_EQ(outputs->prediction_logits, result["prediction_logits"]);
  EXPECT_EQ(outputs->seq_relationship_logits, mo_output_at(result.output, 1));
  EXPECT_EQ(mo_output_absence(result.output, "loss"), MO_ABSENCE_NO_INPUT);
  EXPECT_EQ(mo_output_absence(result.output, "attentions"), MO_ABSENCE_NOT_REQUESTED);
}

TEST(Absence, AModelWithoutPoolerSaysSo) {
  Context context;
  LoadedModel model(context, GoldenCase("bert_model_no_pooler"));
  ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
  std::vector<int64_t> values = RandomIds(5);
  const mo_tensor ids = Ids(values, 1, 5);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids;
  Output result;
  ASSERT_EQ(Forward(model, inputs, nullptr, &result), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(result["pooler_output"], nullptr);
  EXPECT_EQ(mo_output_absence(result.output, "pooler_output"), MO_ABSENCE_NOT_IN_MODEL);
}

/* ---- Looking ------------------------------------------------------------------------------------------------------------- */

TEST(Looking, NumbersAndNames) {
  Context context;
  LoadedModel model(context, GoldenCase("distilbert_seqcls_single"));
  ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
  EXPECT_STREQ(mo_model_architecture(model), "DistilBertForSequenceClassification");
  EXPECT_EQ(mo_model_config_integer(model, "hidden_size"), 32);
  EXPECT_EQ(mo_model_config_integer(model, "dim"), 32);
  EXPECT_EQ(mo_model_config_integer(model, "num_labels"), 3);
  EXPECT_EQ(mo_model_config_integer(model, "no_such_number"), -1);
  EXPECT_EQ(mo_model_unexpected_tensor(model, 0), nullptr);
  EXPECT_EQ(mo_model_missing_tensor(model, 0), nullptr);
  const int64_t layer = 4 * (32 * 32 + 32) + 4 * 32 + 32 * 48 + 48 + 48 * 32 + 32;
  EXPECT_EQ(mo_model_parameter_count(model), 99 * 32 + 32 * 32 + 2 * 32 + 2 * layer + 32 * 32 + 32 + 3 * 32 + 3);
  int32_t count = 0;
  while (mo_model_known_architecture(count) != nullptr) count++;
  EXPECT_EQ(count, 72);
  EXPECT_EQ(mo_model_known_architecture(-1), nullptr);

  LoadedModel bare(context, GoldenCase("bert_masked_lm"), Architecture{"BertModel"});
  ASSERT_EQ(bare.status(), MO_STATUS_OK) << bare.error();
  ASSERT_NE(mo_model_unexpected_tensor(bare, 0), nullptr);
  EXPECT_NE(std::string(mo_model_unexpected_tensor(bare, 0)).find("cls.predictions"), std::string::npos);
}

/* ---- Bad input ----------------------------------------------------------------------------------------------------------- */

class BadInput : public ::testing::Test {
 protected:
  void Load(const char *name) {
    model_ = std::make_unique<LoadedModel>(context_, GoldenCase(name));
    ASSERT_EQ(model_->status(), MO_STATUS_OK) << model_->error();
  }

  /* Refused by create_output and by run, with the sentence, and nothing of a good output changes. */
  void Refused(const mo_model_inputs &inputs, const char *sentence, const mo_request *request = nullptr) {
    mo_output *made = nullptr;
    EXPECT_EQ(mo_model_create_output(*model_, &inputs, request, &made), MO_STATUS_INVALID_ARGUMENT) << sentence;
    EXPECT_EQ(made, nullptr);
    EXPECT_NE(std::string(mo_last_error()).find(sentence), std::string::npos) << mo_last_error();
    char text[512] = "";
    EXPECT_EQ(mo_context_error(context_, text, sizeof text), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_STREQ(text, mo_last_error());

    Output good;
    ASSERT_EQ(Forward(*model_, good_, nullptr, &good), MO_STATUS_OK) << mo_last_error();
    const char *key = mo_output_key_at(good.output, 0);
    const std::vector<float> before = Read(good[key]);
    EXPECT_EQ(mo_model_run(*model_, &inputs, request, good.output), MO_STATUS_INVALID_ARGUMENT) << sentence;
    EXPECT_EQ(mo_output_generation(good.output), 1u);
    EXPECT_EQ(Read(good[key]), before);
  }

  Context context_;
  std::unique_ptr<LoadedModel> model_;
  std::vector<int64_t> values_ = RandomIds(2 * 5);
  mo_tensor ids_ = Ids(values_, 2, 5);
  mo_model_inputs good_ = Inputs();

  mo_model_inputs Inputs() const {
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    inputs.input_ids = &ids_;
    return inputs;
  }
};

TEST_F(BadInput, Tokens) {
  Load("bert_model");
  mo_model_inputs inputs = good_;
  std::vector<int64_t> bad = values_;
  const mo_tensor bad_ids = Ids(bad, 2, 5);
  inputs.input_ids = &bad_ids;
  bad[6] = 99;
  Refused(inputs, "input_ids holds 99 (row 1, position 1), outside the vocabulary's range 0..98");
  bad[6] = -1;
  Refused(inputs, "input_ids holds -1");

  std::vector<int64_t> many = RandomIds(33);
  const mo_tensor long_ids = Ids(many, 1, 33);
  inputs.input_ids = &long_ids;
  Refused(inputs, "33 tokens, but the position table has 32 entries");
  const mo_tensor empty = Ids(many, 3, 0);
  inputs.input_ids = &empty;
  Refused(inputs, "length 0");
  inputs.input_ids = nullptr;
  Refused(inputs, "neither of input_ids and inputs_embeds");
  inputs = good_;
  inputs.inputs_embeds = &ids_;
  Refused(inputs, "both of input_ids and inputs_embeds");
  inputs = good_;
  inputs.struct_size = 8;
  Refused(inputs, "struct_size");

  std::vector<float> reals(10);
  const int64_t shape[2] = {2, 5}, flat[1] = {10};
  const mo_tensor floats = mo_tensor_cpu(reals.data(), MO_DTYPE_FLOAT32, 2, shape);
  inputs = good_;
  inputs.input_ids = &floats;
  Refused(inputs, "float32");
  const mo_tensor line = mo_tensor_cpu(values_.data(), MO_DTYPE_INT64, 1, flat);
  inputs.input_ids = &line;
  Refused(inputs, "has 1 dimensions, not 2");
  mo_tensor elsewhere = ids_;
  elsewhere.device = {MO_DEVICE_KIND_CUDA, 7};
  inputs.input_ids = &elsewhere;
  Refused(inputs, "cuda:7");
  mo_tensor nowhere = ids_;
  nowhere.data = nullptr;
  inputs.input_ids = &nowhere;
  Refused(inputs, "no data");
  mo_tensor huge = ids_;
  huge.shape[0] = INT64_MAX / 4;
  huge.strides[0] = 0;
  inputs.input_ids = &huge;
  Refused(inputs, "too many");
}

TEST_F(BadInput, Companions) {
  Load("bert_model");
  mo_model_inputs inputs = good_;
  std::vector<int64_t> other(10, 0), wide(12, 0);
  const mo_tensor types = Ids(other, 2, 5), wrong = Ids(wide, 2, 6);
  other[3] = 2;
  inputs.token_type_ids = &types;
  Refused(inputs, "token_type_ids holds 2");
  inputs = good_;
  inputs.attention_mask = &wrong;
  Refused(inputs, "dimension 1 of attention_mask is 6, not 5");
  inputs = good_;
  inputs.position_ids = &types;
  other[3] = 32;
  Refused(inputs, "position_ids holds 32");
  std::vector<float> half(10, 0.5f);
  const int64_t shape[2] = {2, 5};
  const mo_tensor soft = mo_tensor_cpu(half.data(), MO_DTYPE_FLOAT32, 2, shape);
  inputs = good_;
  inputs.attention_mask = &soft;
  Refused(inputs, "a floating mask has only 0 and 1");
  inputs = good_;
  inputs.labels = &ids_;
  Refused(inputs, "takes none");
  inputs = good_;
  inputs.start_positions = &ids_;
  Refused(inputs, "takes none");

  mo_request request = Everything();
  const int32_t heads[] = {4}, layers[] = {7}, twice[] = {1, 1};
  request.attention_heads = {heads, 1};
  Refused(good_, "attention_heads", &request);
  request = Everything();
  request.attention_layers = {layers, 1};
  Refused(good_, "7", &request);
  request = Everything();
  request.hidden_state_layers = {twice, 2};
  Refused(good_, "1", &request);
  request = Everything();
  request.struct_size = 3;
  Refused(good_, "struct_size", &request);

  Load("distilbert_model");
  other[3] = 0;
  inputs = good_;
  inputs.token_type_ids = &types;
  Refused(inputs, "takes none");
}

TEST_F(BadInput, Labels) {
  mo_model_inputs inputs = good_;
  std::vector<int64_t> tokens(10, -100), examples = {0, 1};
  const mo_tensor token_labels = Ids(tokens, 2, 5), example_labels = Vector(examples);
  Load("bert_masked_lm");
  inputs.labels = &token_labels;
  tokens[4] = 99;
  Refused(inputs, "labels holds 99 (row 0, position 4), outside the vocabulary's range 0..98");
  tokens[4] = -1;
  Refused(inputs, "labels holds -1");
  inputs.labels = &example_labels;
  Refused(inputs, "labels has 1 dimensions, not 2");
  tokens[4] = 3;
  inputs.labels = &token_labels;
  mo_request request = MO_REQUEST_INIT;
  request.last_logit_positions = 2;
  Refused(inputs, "the loss needs them all", &request);
  request.last_logit_positions = 6;
  Refused(good_, "last_logit_positions", &request);

  Load("bert_token_cls");
  Refused(
      [&] {
        tokens[4] = 3;
        return inputs;
      }(),
      "num_labels range 0..2");
  Load("bert_seqcls_single");
  inputs.labels = &example_labels;
  examples[1] = 3;
  Refused(inputs, "num_labels range 0..2");
  Load("bert_nsp");
  examples[1] = 2;
  Refused(inputs, "range 0..1");
  Load("bert_qa");
  Refused(inputs, "takes none");
  inputs = good_;
  std::vector<int64_t> three = {1, 2, 3};
  const mo_tensor starts = Vector(three);
  inputs.start_positions = &starts;
  inputs.end_positions = &example_labels;
  Refused(inputs, "dimension 0 of start_positions is 3, not 2");
}

TEST_F(BadInput, RobertaPositionsCountRealTokensOnly) {
  Load("roberta_model"); /* 34 positions, padding id 1: room for 32 tokens */
  std::vector<int64_t> values = RandomIds(40);
  const mo_tensor ids = Ids(values, 1, 40);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids;
  Refused(inputs, "40 tokens, but the position table has 34 entries, 32 of them behind the padding's");
  for (size_t i = 32; i < 40; i++) values[i] = 1;
  Output result;
  EXPECT_EQ(Forward(*model_, inputs, nullptr, &result), MO_STATUS_OK) << mo_last_error();
}

TEST_F(BadInput, AnOutputOfOtherInputs) {
  Load("bert_seqcls_single");
  Output output, other;
  ASSERT_EQ(Forward(*model_, good_, nullptr, &output), MO_STATUS_OK) << mo_last_error();
  std::vector<int64_t> examples = {0, 1};
  const mo_tensor labels = Vector(examples), shorter = Ids(values_, 1, 5);
  mo_model_inputs inputs = good_;
  inputs.labels = &labels;
  EXPECT_EQ(mo_model_run(*model_, &inputs, nullptr, output.output), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("made without labels"), std::string::npos) << mo_last_error();
  inputs = good_;
  inputs.input_ids = &shorter;
  EXPECT_EQ(mo_model_run(*model_, &inputs, nullptr, output.output), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("dimension 0 of the output's logits is 2, these inputs and this request give 1"),
            std::string::npos)
      << mo_last_error();
  LoadedModel base(context_, GoldenCase("bert_model"));
  ASSERT_EQ(Forward(base, good_, nullptr, &other), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_model_run(*model_, &good_, nullptr, other.output), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("not a SequenceClassifierOutput"), std::string::npos) << mo_last_error();
}

/* ---- Bad configurations and files --------------------------------------------------------------------------------------- */

/* A copy of a case's folder with keys of config.json changed. */
class Folder : public test_support::TemporaryFolder {
 public:
  Folder(const std::string &name, const std::vector<std::pair<std::string, std::string>> &changes) {
    json_t *config = json_load_file((GoldenCase(name) + "/config.json").c_str(), 0, nullptr);
    for (const auto &change : changes)
      json_object_set_new(config, change.first.c_str(), json_loads(change.second.c_str(), JSON_DECODE_ANY, nullptr));
    json_dump_file(config, File("config.json").c_str(), 0);
    json_decref(config);
    Link("model.safetensors", GoldenCase(name) + "/model.safetensors");
  }
};

struct BadConfig {
  const char *folder, *key, *value;
  mo_status_t status;
  const char *sentence;
};

class Configurations : public ::testing::TestWithParam<BadConfig> {};

TEST_P(Configurations, AreRefused) {
  Heap heap;
  {
    Context context(&heap);
    const Folder folder(GetParam().folder, {{GetParam().key, GetParam().value}});
    const int64_t live = heap.live;
    LoadedModel model(context, folder.path());
    EXPECT_EQ(model.status(), GetParam().status) << model.error();
    EXPECT_NE(model.error().find(GetParam().sentence), std::string::npos) << model.error();
    EXPECT_EQ(heap.live, live);
  }
  EXPECT_EQ(heap.live, 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, Configurations,
    ::testing::Values(
        BadConfig{"qwen2_lm_layers", "layer_types", "[\"sliding_attention\", \"chunked_attention\"]", MO_STATUS_UNSUPPORTED,
                  "layer 1 is chunked_attention in layer_types"},
        BadConfig{"qwen2_lm_layers", "layer_types", "[\"full_attention\"]", MO_STATUS_UNSUPPORTED, "layer 1 is missing"},
        BadConfig{"bert_model", "num_attention_heads", "5", MO_STATUS_BAD_FILE, "32 is not a multiple of 5"},
        BadConfig{"bert_model", "position_embedding_type", "\"relative_key\"", MO_STATUS_UNSUPPORTED, "relative_key"},
        BadConfig{"roberta_model", "is_decoder", "true", MO_STATUS_UNSUPPORTED, "is_decoder"},
        BadConfig{"bert_model", "hidden_act", "\"swiglu\"", MO_STATUS_UNSUPPORTED, "swiglu"},
        BadConfig{"bert_model", "model_type", "\"bloom\"", MO_STATUS_UNSUPPORTED, "bloom"},
        BadConfig{"bert_model", "architectures", "\"BertModel\"", MO_STATUS_BAD_FILE, "architectures"},
        BadConfig{"bert_model", "hidden_size", "\"big\"", MO_STATUS_BAD_FILE, "hidden_size"},
        BadConfig{"bert_model", "hidden_size", "64", MO_STATUS_BAD_FILE, "embeddings.word_embeddings.weight"},
        BadConfig{"bert_model", "num_hidden_layers", "3", MO_STATUS_BAD_FILE, "encoder.layer.2"},
        BadConfig{"bert_model", "vocab_size", "-1", MO_STATUS_BAD_FILE, "vocab_size"},
        BadConfig{"bert_qa", "id2label", "{\"0\": \"a\", \"1\": \"b\", \"2\": \"c\"}", MO_STATUS_BAD_FILE,
                  "question answering"},
        BadConfig{"bert_seqcls_single", "id2label", "{\"0\": \"a\"}", MO_STATUS_BAD_FILE, "classifier.weight"},
        BadConfig{"albert_model", "inner_group_num", "2", MO_STATUS_UNSUPPORTED, "inner_group_num"},
        BadConfig{"albert_model", "num_hidden_groups", "9", MO_STATUS_BAD_FILE, "9 groups"},
        BadConfig{"electra_multiple_choice", "summary_type", "\"mean\"", MO_STATUS_UNSUPPORTED, "summary_type"},
        BadConfig{"bert_seqcls_single", "problem_type", "\"ranking\"", MO_STATUS_BAD_FILE, "problem_type"}));

TEST(Loading, UnusedAndMissingTensorsAreNoted) {
  std::vector<std::string> notes;
  mo_context_options options = test_context_options();
  options.log.user_data = &notes;
  options.log.write = [](void *user, mo_log_level_t level, const char *text) {
    if (level == MO_LOG_LEVEL_WARNING) static_cast<std::vector<std::string> *>(user)->push_back(text);
  };
  mo_context_t *context = nullptr;
  ASSERT_EQ(test_context_create(&options, &context), MO_STATUS_OK) << mo_last_error();
  { LoadedModel whole(context, GoldenCase("bert_masked_lm")); }
  EXPECT_TRUE(notes.empty()) << notes.front();
  mo_model_options model_options = MO_MODEL_OPTIONS_INIT;
  model_options.architecture = "BertForTokenClassification";
  model_options.allow_missing = true;
  mo_model_t *model = nullptr;
  ASSERT_EQ(mo_model_load(context, GoldenCase("bert_masked_lm").c_str(), &model_options, &model), MO_STATUS_OK)
      << mo_last_error();
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_NE(notes[0].find("not used"), std::string::npos) << notes[0];
  EXPECT_NE(notes[0].find(mo_model_unexpected_tensor(model, 0)), std::string::npos) << notes[0];
  EXPECT_NE(notes[1].find("2 tensors are missing"), std::string::npos) << notes[1];
  EXPECT_NE(notes[1].find("classifier.weight"), std::string::npos) << notes[1];
  mo_model_destroy(model);
  mo_context_destroy(context);
}

TEST(Loading, MissingTensorsAreNamedOrZero) {
  Context context;
  LoadedModel strict(context, GoldenCase("bert_model"), Architecture{"BertForTokenClassification"});
  EXPECT_EQ(strict.status(), MO_STATUS_BAD_FILE);
  EXPECT_NE(strict.error().find("classifier.weight"), std::string::npos) << strict.error();
  mo_model_options options = MO_MODEL_OPTIONS_INIT;
  options.architecture = "BertForTokenClassification";
  options.allow_missing = true;
  mo_model_t *model = nullptr;
  ASSERT_EQ(mo_model_load(context, GoldenCase("bert_model").c_str(), &options, &model), MO_STATUS_OK) << mo_last_error();
  EXPECT_STREQ(mo_model_missing_tensor(model, 0), "classifier.weight");
  std::vector<int64_t> values = RandomIds(4);
  const mo_tensor ids = Ids(values, 1, 4);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids;
  Output result;
  ASSERT_EQ(Forward(model, inputs, nullptr, &result), MO_STATUS_OK) << mo_last_error();
  for (const float value : Read(result["logits"])) EXPECT_EQ(value, 0.0f);
  mo_model_destroy(model);

  EXPECT_EQ(mo_model_load(nullptr, "x", nullptr, &model), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_model_load(context, "/no/such/folder", nullptr, &model), MO_STATUS_IO_ERROR);
  options.dtype = MO_DTYPE_INT8;
  EXPECT_EQ(mo_model_load(context, GoldenCase("bert_model").c_str(), &options, &model), MO_STATUS_UNSUPPORTED);
}

/* ---- Threads ------------------------------------------------------------------------------------------------------------- */

TEST(Threads, TwoContextsRunAtOnce) {
  std::vector<float> results[2];
  std::vector<std::thread> threads;
  for (int worker = 0; worker < 2; worker++) {
    threads.emplace_back([worker, &results] {
      Context context(1);
      LoadedModel model(context, GoldenCase("bert_model"));
      std::vector<int64_t> values = RandomIds(3 * 11);
      const mo_tensor ids = Ids(values, 3, 11);
      mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
      inputs.input_ids = &ids;
      const mo_request request = Everything();
      for (int i = 0; i < 20; i++) {
        Output result;
        ASSERT_EQ(Forward(model, inputs, &request, &result), MO_STATUS_OK) << mo_last_error();
        const std::vector<float> state = Read(result["last_hidden_state"]);
        if (i == 0) results[worker] = state;
        ASSERT_EQ(state, results[worker]);
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_FALSE(results[0].empty());
  EXPECT_EQ(results[0], results[1]);
}

}  // namespace
