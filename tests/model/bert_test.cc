/* tests/model/bert_test.cc - models of the BERT family beyond the recorded values: selection, memory, shapes, frameworks,
 * threads.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/bert_case.h"

namespace {

using namespace bert_case;

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
        FrameworkCase{"bert_model", "TFBaseModelOutputWithPoolingAndCrossAttentions",
                      "FlaxBaseModelOutputWithPoolingAndCrossAttentions", 0},
        FrameworkCase{"distilbert_model", "TFBaseModelOutput", "FlaxBaseModelOutput", 0},
        FrameworkCase{"electra_model", "TFBaseModelOutputWithPastAndCrossAttentions",
                      "FlaxBaseModelOutputWithPastAndCrossAttentions", 0},
        FrameworkCase{"albert_model", "TFBaseModelOutputWithPooling", "FlaxBaseModelOutputWithPooling", 0},
        FrameworkCase{"distilbert_token_cls", "TFTokenClassifierOutput", "FlaxTokenClassifierOutput", 1},
        FrameworkCase{"roberta_masked_lm", "TFMaskedLMOutput", "FlaxMaskedLMOutput", 1},
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
  EXPECT_EQ(count, 105);
  EXPECT_EQ(mo_model_known_architecture(-1), nullptr);

  LoadedModel bare(context, GoldenCase("bert_masked_lm"), Architecture{"BertModel"});
  ASSERT_EQ(bare.status(), MO_STATUS_OK) << bare.error();
  ASSERT_NE(mo_model_unexpected_tensor(bare, 0), nullptr);
  EXPECT_NE(std::string(mo_model_unexpected_tensor(bare, 0)).find("cls.predictions"), std::string::npos);
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
