// tests/output/plan_test.cc - from classes, dimensions and requests to outputs: presence, shapes, bytes, memory, costs.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "modelout/output_classes.h"
#include "tests/support/delayed_backend.h"

namespace {

using Shape = std::vector<int64_t>;

mo_dimensions PlausibleDimensions() {
  mo_dimensions d = MO_DIMENSIONS_INIT;
  d.batch_size = 2;
  d.sequence_length = 7;
  d.key_length = 9;
  d.encoder_sequence_length = 5;
  d.hidden_size = 12;
  d.num_layers = 3;
  d.encoder_num_layers = 2;
  d.num_heads = 4;
  d.encoder_num_heads = 6;
  d.num_key_value_heads = 2;
  d.vocab_size = 31;
  d.num_labels = 3;
  d.num_choices = 4;
  d.feature_size = 6;
  d.loss_count = 8;
  d.height = d.width = 6;
  d.num_channels = 3;
  d.patch_size = 5;
  d.logits_height = 3;
  d.logits_width = 2;
  d.xvector_output_dim = 11;
  d.conv_dim = 13;
  d.num_bins = 10;
  d.num_samples = 5;
  d.num_params = 3;
  d.prediction_length = 4;
  d.input_size = 1;
  d.max_length = 16;
  d.has_loss = d.add_cross_attention = true;
  return d;
}

mo_request Everything() {
  mo_request r = MO_REQUEST_INIT;
  r.output_hidden_states = r.output_attentions = r.use_cache = true;
  return r;
}

Shape ShapeOf(const mo_field *field) {
  const mo_tensor *tensor = mo_field_tensor(field);
  return tensor == nullptr ? Shape{-1} : Shape(tensor->shape, tensor->shape + tensor->rank);
}

// Every distinct tensor field below `field`.
void Tensors(mo_field *field, std::set<mo_field *> *found) {
  if (mo_field_tensor(field) != nullptr) found->insert(field);
  for (int64_t i = 0; i < mo_field_length(field); ++i) Tensors(mo_field_item(field, i), found);
}

std::set<mo_field *> Tensors(const mo_output *output) {
  std::set<mo_field *> found;
  for (int64_t i = 0; i < mo_output_length(output); ++i) Tensors(mo_output_at(output, i), &found);
  return found;
}

class PlanTest : public ::testing::Test {
 protected:
  void SetUp() override {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.device = MO_DEVICE_CHOICE_CPU;
    ASSERT_EQ(mo_context_create(&options, &context), MO_STATUS_OK);
  }
  void TearDown() override { mo_context_destroy(context); }

  mo_output *Create(const char *name, const mo_dimensions &d, const mo_request &r) {
    mo_output *output = nullptr;
    EXPECT_EQ(mo_output_create(context, mo_class_find(name), &d, &r, nullptr, 0, &output), MO_STATUS_OK)
        << name << ": " << mo_last_error();
    return output;
  }

  size_t Bytes(const char *name, const mo_dimensions &d, const mo_request &r) {
    size_t bytes = 0;
    EXPECT_EQ(mo_output_query_bytes(mo_class_find(name), &d, &r, &bytes), MO_STATUS_OK) << mo_last_error();
    return bytes;
  }

  mo_context_t *context = nullptr;
};

TEST_F(PlanTest, EveryClassCanBePlannedAndAgreesWithTheTable) {
  const mo_dimensions d = PlausibleDimensions();
  const mo_request r = Everything();
  for (int32_t i = 0; i < mo_class_count(); ++i) {
    const mo_class *output_class = mo_class_at(i);
    SCOPED_TRACE(output_class->name);
    size_t bytes = 1;
    ASSERT_EQ(mo_output_query_bytes(output_class, &d, &r, &bytes), MO_STATUS_OK) << mo_last_error();
    mo_output *output = nullptr;
    ASSERT_EQ(mo_output_create(context, output_class, &d, &r, nullptr, 0, &output), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(mo_output_check_shapes(output, &d), MO_STATUS_OK) << mo_last_error();
    // Keys in declared order, members set, everything present.
    int64_t position = 0;
    for (int32_t f = 0; f < output_class->field_count; ++f) {
      const char *name = output_class->fields[f].name, *when = output_class->fields[f].when;
      if (std::string(when) == "output_router_logits" || std::string(when) == "given by the model") {
        EXPECT_EQ(mo_output_absence(output, name), MO_ABSENCE_NOT_IN_MODEL) << name;  // nobody states their extents
        continue;
      }
      EXPECT_EQ(mo_output_absence(output, name), MO_ABSENCE_PRESENT) << name;
      EXPECT_STREQ(mo_output_key_at(output, position++), name);
      mo_field *attribute = nullptr;
      ASSERT_EQ(mo_output_attribute(output, name, &attribute), MO_STATUS_OK);
      EXPECT_EQ(attribute, mo_output_get(output, name));
      EXPECT_NE(attribute, nullptr) << name;
    }
    EXPECT_EQ(position, mo_output_length(output));
    // The arena is exactly as large as the query said, and every tensor lies within it.
    size_t held = 0;
    const char *memory = static_cast<const char *>(mo_output_memory(output, &held));
    EXPECT_EQ(held, bytes);
    std::set<const char *> starts;
    for (mo_field *field : Tensors(output)) {
      const mo_tensor *tensor = mo_field_tensor(field);
      const char *data = static_cast<const char *>(tensor->data);
      EXPECT_GE(data, memory);
      EXPECT_LE(data + mo_tensor_bytes(tensor), memory + held);
      EXPECT_TRUE(starts.insert(data).second) << "two tensors at one place";
    }
    mo_output_destroy(output);
  }
}

TEST_F(PlanTest, TensorsDoNotOverlap) {
  const mo_dimensions d = PlausibleDimensions();
  const mo_request r = Everything();
  for (const char *name :
       {"Seq2SeqModelOutput", "TFBaseModelOutputWithPast", "FlaxSeq2SeqLMOutput", "FlaxBaseModelOutputWithPast"}) {
    mo_output *output = Create(name, d, r);
    ASSERT_NE(output, nullptr);
    std::set<std::pair<const char *, const char *>> ranges;
    for (mo_field *field : Tensors(output)) {
      const char *data = static_cast<const char *>(mo_field_tensor(field)->data);
      ranges.insert({data, data + mo_tensor_bytes(mo_field_tensor(field))});
    }
    const char *end = nullptr;
    for (const auto &range : ranges) {
      EXPECT_GE(range.first, end) << name;
      end = range.second;
    }
    mo_output_destroy(output);
  }
}

TEST_F(PlanTest, ShapesOfTheBertModel) {
  mo_dimensions d = PlausibleDimensions();
  d.dtype = MO_DTYPE_BFLOAT16;
  mo_output *output = Create("BaseModelOutputWithPoolingAndCrossAttentions", d, Everything());
  ASSERT_NE(output, nullptr);
  auto *bert = reinterpret_cast<const mo_base_model_output_with_pooling_and_cross_attentions *>(output);
  EXPECT_EQ(ShapeOf(bert->last_hidden_state), (Shape{2, 7, 12}));
  EXPECT_EQ(mo_field_tensor(bert->last_hidden_state)->dtype, MO_DTYPE_BFLOAT16);
  EXPECT_EQ(ShapeOf(bert->pooler_output), (Shape{2, 12}));
  EXPECT_EQ(mo_field_length(bert->hidden_states), 4);
  EXPECT_EQ(mo_field_item(bert->hidden_states, -1), bert->last_hidden_state) << "one tensor, as in the original";
  EXPECT_EQ(ShapeOf(mo_field_item(bert->attentions, 0)), (Shape{2, 4, 7, 9}));
  EXPECT_EQ(ShapeOf(mo_field_item(bert->cross_attentions, 0)), (Shape{2, 4, 7, 5}));
  EXPECT_EQ(mo_field_kind(bert->past_key_values), MO_FIELD_CACHE);
  mo_field *layer = mo_field_item(bert->past_key_values, 1);
  ASSERT_EQ(mo_field_length(layer), 4);
  EXPECT_EQ(ShapeOf(mo_field_item(layer, 0)), (Shape{2, 2, 9, 3}));
  EXPECT_EQ(ShapeOf(mo_field_item(layer, 3)), (Shape{2, 2, 5, 3}));
  const mo_tensor *key = mo_field_tensor(mo_field_item(layer, 0)), *value = mo_field_tensor(mo_field_item(layer, 1));
  EXPECT_EQ(static_cast<char *>(key->data) + mo_tensor_bytes(key), value->data) << "key and value are one block";
  mo_output_destroy(output);
}

TEST_F(PlanTest, EncoderDecoderUsesTheEncodersExtents) {
  mo_output *output = Create("Seq2SeqLMOutput", PlausibleDimensions(), Everything());
  ASSERT_NE(output, nullptr);
  auto *seq = reinterpret_cast<const mo_seq2seq_lm_output *>(output);
  EXPECT_EQ(ShapeOf(seq->loss), Shape{});
  EXPECT_EQ(ShapeOf(seq->encoder_last_hidden_state), (Shape{2, 5, 12}));
  EXPECT_EQ(mo_field_length(seq->encoder_hidden_states), 3);
  EXPECT_EQ(mo_field_item(seq->encoder_hidden_states, -1), seq->encoder_last_hidden_state);
  EXPECT_EQ(mo_field_length(seq->decoder_hidden_states), 4);
  EXPECT_EQ(ShapeOf(mo_field_item(seq->encoder_attentions, 0)), (Shape{2, 6, 5, 5}));
  EXPECT_EQ(ShapeOf(mo_field_item(seq->decoder_attentions, 0)), (Shape{2, 4, 7, 9}));
  EXPECT_EQ(mo_field_length(mo_field_item(seq->past_key_values, 0)), 4);
  mo_output_destroy(output);
}

TEST_F(PlanTest, FrameworksShapeLossesAndCachesTheirWay) {
  const mo_dimensions d = PlausibleDimensions();
  mo_output *tf = Create("TFCausalLMOutputWithPast", d, Everything());
  EXPECT_EQ(ShapeOf(mo_output_get(tf, "loss")), Shape{8});
  mo_field *list = mo_output_get(tf, "past_key_values");
  EXPECT_EQ(mo_field_kind(list), MO_FIELD_TUPLE);
  EXPECT_EQ(ShapeOf(mo_field_item(list, 2)), (Shape{2, 2, 2, 9, 3}));
  EXPECT_TRUE(mo_tensor_is_contiguous(mo_field_tensor(mo_field_item(list, 2))));
  mo_output_destroy(tf);
  mo_output *classifier = Create("TFSequenceClassifierOutput", d, Everything());
  EXPECT_EQ(ShapeOf(mo_output_get(classifier, "loss")), Shape{2});
  mo_output_destroy(classifier);
  mo_output *flax = Create("FlaxBaseModelOutputWithPast", d, Everything());
  mo_field *dict = mo_output_get(flax, "past_key_values");
  EXPECT_EQ(mo_field_kind(dict), MO_FIELD_DICT);
  EXPECT_EQ(ShapeOf(mo_field_item_by_key(dict, "2.cached_value")), (Shape{2, 16, 2, 3}));
  mo_output_destroy(flax);
  mo_output *choice = Create("MultipleChoiceModelOutput", d, Everything());
  EXPECT_EQ(ShapeOf(mo_output_get(choice, "logits")), (Shape{2, 4}));
  EXPECT_EQ(ShapeOf(mo_field_item(mo_output_get(choice, "hidden_states"), 0)), (Shape{8, 7, 12}));
  mo_output_destroy(choice);
}

TEST_F(PlanTest, LossIsFloat32WhateverTheDtype) {
  mo_dimensions d = PlausibleDimensions();
  d.dtype = MO_DTYPE_FLOAT16;
  mo_output *output = Create("MaskedLMOutput", d, Everything());
  EXPECT_EQ(mo_field_tensor(mo_output_get(output, "loss"))->dtype, MO_DTYPE_FLOAT32);
  EXPECT_EQ(mo_field_tensor(mo_output_get(output, "logits"))->dtype, MO_DTYPE_FLOAT16);
  mo_output_destroy(output);
}

TEST_F(PlanTest, EveryAbsenceHasItsReason) {
  mo_dimensions d = PlausibleDimensions();
  d.has_loss = d.add_cross_attention = false;
  d.no_pooler = true;
  const mo_request nothing = MO_REQUEST_INIT;
  mo_output *output = Create("BaseModelOutputWithPoolingAndCrossAttentions", d, nothing);
  EXPECT_EQ(mo_output_length(output), 1);
  EXPECT_EQ(mo_output_absence(output, "last_hidden_state"), MO_ABSENCE_PRESENT);
  EXPECT_EQ(mo_output_absence(output, "pooler_output"), MO_ABSENCE_NOT_IN_MODEL);
  EXPECT_EQ(mo_output_absence(output, "cross_attentions"), MO_ABSENCE_NOT_IN_MODEL);
  EXPECT_EQ(mo_output_absence(output, "hidden_states"), MO_ABSENCE_NOT_REQUESTED);
  EXPECT_EQ(mo_output_absence(output, "attentions"), MO_ABSENCE_NOT_REQUESTED);
  EXPECT_EQ(mo_output_absence(output, "past_key_values"), MO_ABSENCE_NOT_REQUESTED);
  EXPECT_EQ(mo_output_absence(output, "logits"), MO_ABSENCE_NOT_IN_CLASS);
  auto *bert = reinterpret_cast<const mo_base_model_output_with_pooling_and_cross_attentions *>(output);
  EXPECT_EQ(bert->pooler_output, nullptr);
  EXPECT_EQ(bert->hidden_states, nullptr);
  mo_output_destroy(output);
  output = Create("MaskedLMOutput", d, nothing);
  EXPECT_EQ(mo_output_absence(output, "loss"), MO_ABSENCE_NO_INPUT);
  mo_output_destroy(output);
  d.input_size = d.feature_size = 0;
  output = Create("Seq2SeqTSModelOutput", d, nothing);
  EXPECT_EQ(mo_output_absence(output, "loc"), MO_ABSENCE_NO_INPUT);
  EXPECT_EQ(mo_output_absence(output, "static_features"), MO_ABSENCE_NO_INPUT);
  mo_output_destroy(output);
}

// "num_layers + 1 if embedding layer" leaves it to the model, "num_layers + 1" does not.
TEST_F(PlanTest, TheClassSaysWhetherTheEmbeddingIsCounted) {
  mo_dimensions d = PlausibleDimensions();
  d.no_embedding_layer = true;
  const mo_request r = Everything();
  for (int32_t i = 0; i < mo_class_count(); ++i) {
    const char *name = mo_class_at(i)->name;
    mo_output *output = Create(name, d, r);
    ASSERT_NE(output, nullptr);
    EXPECT_EQ(mo_output_check_shapes(output, nullptr), MO_STATUS_OK) << name << ": " << mo_last_error();
    EXPECT_EQ(mo_output_check_shapes(output, &d), MO_STATUS_OK) << name << ": " << mo_last_error();
    mo_output_destroy(output);
  }
  const auto length = [&](const char *name) {
    mo_output *output = Create(name, d, r);
    const int64_t found = mo_field_length(mo_output_get(output, "hidden_states"));
    mo_output_destroy(output);
    return found;
  };
  EXPECT_EQ(length("BaseModelOutput"), d.num_layers);
  EXPECT_EQ(length("Wav2Vec2BaseModelOutput"), d.num_layers + 1);
  EXPECT_EQ(length("TFBaseModelOutput"), d.num_layers + 1);
  EXPECT_EQ(length("FlaxBaseModelOutput"), d.num_layers + 1);
}

TEST_F(PlanTest, OnlyTimeSeriesHaveAnExtentForTheirVariables) {
  mo_dimensions d = PlausibleDimensions();
  d.input_size = 2;
  const mo_request r = MO_REQUEST_INIT;
  mo_output *output = Create("SampleTSPredictionOutput", d, r);
  EXPECT_EQ(ShapeOf(mo_output_get(output, "sequences")), (Shape{d.batch_size, d.num_samples, d.prediction_length, 2}));
  EXPECT_EQ(mo_output_check_shapes(output, &d), MO_STATUS_OK) << mo_last_error();
  mo_output_destroy(output);
  output = Create("Seq2SeqTSModelOutput", d, r);
  EXPECT_EQ(ShapeOf(mo_output_get(output, "loc")), (Shape{d.batch_size, 2}));
  mo_output_destroy(output);

  const mo_class *generation = mo_generation_class(MO_FRAMEWORK_PT, MO_GENERATION_GREEDY, false);
  ASSERT_EQ(mo_output_create(context, generation, &d, &r, nullptr, 0, &output), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(ShapeOf(mo_output_get(output, "sequences")).size(), 2u);
  EXPECT_EQ(mo_output_check_shapes(output, nullptr), MO_STATUS_OK) << mo_last_error();
  mo_output_destroy(output);
}

TEST_F(PlanTest, WhatHasAnEntryForEachNewTokenIsNotPlanned) {
  const mo_dimensions d = PlausibleDimensions();
  const mo_class *generation = mo_generation_class(MO_FRAMEWORK_PT, MO_GENERATION_GREEDY, false);
  mo_request r = MO_REQUEST_INIT;
  mo_output *output = nullptr;
  ASSERT_EQ(mo_output_create(context, generation, &d, &r, nullptr, 0, &output), MO_STATUS_OK) << mo_last_error();
  for (const char *name : {"scores", "logits", "attentions", "hidden_states"}) {
    EXPECT_EQ(mo_output_absence(output, name), MO_ABSENCE_NOT_REQUESTED) << name;
  }
  mo_output_destroy(output);
  r.output_attentions = true;
  EXPECT_EQ(mo_output_create(context, generation, &d, &r, nullptr, 0, &output), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("attentions has an entry for each new token"), std::string::npos)
      << mo_last_error();
}

TEST_F(PlanTest, SelectionSavesBytes) {
  mo_dimensions d = PlausibleDimensions();
  d.sequence_length = d.key_length = 128;
  d.add_cross_attention = false;
  const int32_t last[] = {-1}, heads[] = {3, 0}, layers[] = {0, -1};
  mo_request all = MO_REQUEST_INIT;
  all.output_attentions = true;
  const size_t base = Bytes("MaskedLMOutput", d, MO_REQUEST_INIT);
  const size_t full = Bytes("MaskedLMOutput", d, all) - base;
  EXPECT_EQ(full, 3u * 2 * 4 * 128 * 128 * 4);
  mo_request r = all;
  r.attention_layers = {last, 1};
  EXPECT_EQ(Bytes("MaskedLMOutput", d, r) - base, full / 3);
  r = all;
  r.attention_heads = {heads, 2};
  EXPECT_EQ(Bytes("MaskedLMOutput", d, r) - base, full / 2);
  r = all;
  r.last_query_rows = 1;
  EXPECT_EQ(Bytes("MaskedLMOutput", d, r) - base, full / 128);
  r = all;
  r.attention_reduction = MO_WEIGHTS_REDUCTION_HEAD_MEAN;
  EXPECT_EQ(Bytes("MaskedLMOutput", d, r) - base, full / 4);
  r.attention_reduction = MO_WEIGHTS_REDUCTION_COLUMN_SUM;
  EXPECT_EQ(Bytes("MaskedLMOutput", d, r) - base, full / 128);
  r = all;
  r.attention_dtype = MO_DTYPE_FLOAT16;
  EXPECT_EQ(Bytes("MaskedLMOutput", d, r) - base, full / 2);
  r = MO_REQUEST_INIT;
  r.last_logit_positions = 1;
  EXPECT_LT(Bytes("MaskedLMOutput", d, r), base / 60);

  r = all;
  r.output_hidden_states = true;
  r.attention_layers = {last, 1};
  r.hidden_state_layers = {layers, 2};
  r.attention_heads = {heads, 2};
  r.last_query_rows = 3;
  mo_output *output = Create("MaskedLMOutput", d, r);
  mo_field *attentions = mo_output_get(output, "attentions"), *hidden = mo_output_get(output, "hidden_states");
  EXPECT_EQ(mo_field_length(attentions), 3);
  EXPECT_EQ(mo_field_item(attentions, 0), nullptr);
  EXPECT_EQ(ShapeOf(mo_field_item(attentions, 2)), (Shape{2, 2, 3, 128}));
  EXPECT_NE(mo_field_item(hidden, 0), nullptr);
  EXPECT_EQ(mo_field_item(hidden, 1), nullptr);
  EXPECT_NE(mo_field_item(hidden, 3), nullptr);
  mo_output_destroy(output);
}

TEST_F(PlanTest, LastHiddenStateIsSharedOnlyWithoutAFinalNorm) {
  mo_dimensions d = PlausibleDimensions();
  mo_request r = MO_REQUEST_INIT;
  const size_t alone = Bytes("BaseModelOutput", d, r);
  r.output_hidden_states = true;
  EXPECT_EQ(Bytes("BaseModelOutput", d, r), 4 * alone);
  d.final_norm = true;
  EXPECT_EQ(Bytes("BaseModelOutput", d, r), 5 * alone);
  mo_output *output = Create("BaseModelOutput", d, r);
  EXPECT_NE(mo_field_tensor(mo_field_item(mo_output_get(output, "hidden_states"), -1))->data,
            mo_field_tensor(mo_output_get(output, "last_hidden_state"))->data);
  mo_output_destroy(output);
  d.final_norm = false;
  const int32_t first[] = {0};
  r.hidden_state_layers = {first, 1};
  EXPECT_EQ(Bytes("BaseModelOutput", d, r), 2 * alone);
  d.no_embedding_layer = true;
  d.num_layers = MO_EXTENT_ZERO;
  r.hidden_state_layers = {nullptr, 0};
  EXPECT_EQ(Bytes("BaseModelOutput", d, r), alone);
}

TEST_F(PlanTest, WrongExtentsAreNamed) {
  const mo_class *mlm = mo_class_find("MaskedLMOutput");
  const mo_request everything = Everything();
  size_t bytes = 77;
  const auto refused = [&](mo_dimensions d, mo_request r, const char *part) {
    EXPECT_EQ(mo_output_query_bytes(mlm, &d, &r, &bytes), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_NE(std::string(mo_last_error()).find(part), std::string::npos) << mo_last_error();
    mo_output *output = nullptr;
    EXPECT_EQ(mo_output_create(context, mlm, &d, &r, nullptr, 0, &output), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(output, nullptr);
  };
  const mo_dimensions good = PlausibleDimensions();
  mo_dimensions d = good;
  d.vocab_size = 0, refused(d, everything, "vocab_size");
  d = good, d.batch_size = 0, refused(d, everything, "batch_size");
  d = good, d.batch_size = -3, refused(d, everything, "-3");
  d = good, d.num_heads = 0, refused(d, everything, "num_heads");
  d = good, d.num_layers = 0, refused(d, everything, "num_layers");
  d = good, d.num_layers = INT64_MAX, refused(d, everything, "layers");
  d = good, d.hidden_size = 0, refused(d, everything, "hidden_size");
  d = good, d.dtype = MO_DTYPE_INT8, refused(d, everything, "int8");
  d = good, d.struct_size = 3, refused(d, everything, "struct_size");
  d = good, d.batch_size = int64_t{1} << 40, d.sequence_length = int64_t{1} << 30, refused(d, everything, "2^63");
  d = good, d.batch_size = int64_t{1} << 55, refused(d, everything, "2^63");
  const int32_t twice[] = {1, -3}, beyond[] = {4};
  mo_request r = everything;
  r.attention_heads = {twice, 2}, refused(good, r, "twice");
  r = everything, r.attention_heads = {beyond, 1}, refused(good, r, "4");
  r = everything, r.attention_layers = {beyond, 1}, refused(good, r, "attention_layers");
  r = everything, r.hidden_state_layers = {beyond, 1}, refused(good, r, "hidden_state_layers");
  r = everything, r.last_query_rows = 8, refused(good, r, "last_query_rows");
  r = everything, r.last_logit_positions = -1, refused(good, r, "last_logit_positions");
  r = everything, r.attention_dtype = MO_DTYPE_INT32, refused(good, r, "attention_dtype");
  EXPECT_EQ(bytes, 77u) << "a failed call changes nothing";
  d = good;
  d.batch_size = MO_EXTENT_ZERO;
  EXPECT_EQ(mo_output_query_bytes(mlm, &d, &everything, &bytes), MO_STATUS_OK) << mo_last_error();
}

TEST_F(PlanTest, MemoryOfTheCaller) {
  const mo_dimensions d = PlausibleDimensions();
  const mo_request r = Everything();
  const mo_class *output_class = mo_class_find("BaseModelOutputWithPast");
  const size_t bytes = Bytes("BaseModelOutputWithPast", d, r);
  std::vector<char> storage(bytes + 512, 'x');
  char *memory = storage.data() + (256 - reinterpret_cast<uintptr_t>(storage.data()) % 256) % 256;
  const uint64_t before = mo_context_get_counters(context).device_allocations;
  mo_output *output = nullptr;
  EXPECT_EQ(mo_output_create(context, output_class, &d, &r, memory, bytes - 1, &output), MO_STATUS_WORKSPACE_TOO_SMALL);
  EXPECT_EQ(mo_output_create(context, output_class, &d, &r, memory + 64, bytes, &output), MO_STATUS_INVALID_ARGUMENT);
  ASSERT_EQ(mo_output_create(context, output_class, &d, &r, memory, bytes, &output), MO_STATUS_OK) << mo_last_error();
  size_t held;
  EXPECT_EQ(mo_output_memory(output, &held), memory);
  EXPECT_EQ(held, bytes);
  mo_output_destroy(output);
  EXPECT_EQ(mo_context_get_counters(context).device_allocations, before);
  EXPECT_EQ(memory[0], 'x') << "creating does not touch the memory";
}

TEST_F(PlanTest, FieldsOutliveTheOutput) {
  const mo_dimensions d = PlausibleDimensions();
  mo_output *output = Create("BaseModelOutput", d, Everything());
  ASSERT_EQ(mo_output_mark_written(output, nullptr), MO_STATUS_OK);
  mo_field *kept = mo_field_retain(mo_field_item(mo_output_get(output, "attentions"), 1));
  mo_output_destroy(output);
  memset(mo_field_tensor(kept)->data, 0, static_cast<size_t>(mo_tensor_bytes(mo_field_tensor(kept))));
  mo_host_view view;
  EXPECT_EQ(mo_field_read(kept, &view), MO_STATUS_OK);
  mo_field_release(kept);
}

// BERT-base, everything requested.
mo_dimensions BertBase() {
  mo_dimensions d = MO_DIMENSIONS_INIT;
  d.batch_size = 1;
  d.sequence_length = 128;
  d.hidden_size = 768;
  d.num_layers = d.num_heads = 12;
  return d;
}

TEST_F(PlanTest, CreatingIsCheapAndOneAllocation) {
  const mo_dimensions d = BertBase();
  const mo_request r = Everything();
  const mo_class *output_class = mo_class_find("BaseModelOutputWithPoolingAndCrossAttentions");
  const uint64_t before = mo_context_get_counters(context).device_allocations;
  mo_output_destroy(Create(output_class->name, d, r));
  EXPECT_EQ(mo_context_get_counters(context).device_allocations, before + 1);
  double best = 1e9;
  for (int round = 0; round < 20; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 200; ++i) {
      mo_output *output;
      if (mo_output_create(context, output_class, &d, &r, nullptr, 0, &output) != MO_STATUS_OK) FAIL() << mo_last_error();
      mo_output_destroy(output);
    }
    const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - start;
    best = std::min(best, taken.count() / 200);
  }
  EXPECT_EQ(mo_context_get_counters(context).device_allocations, before + 1) << "the block cache serves the later ones";
  printf("create and destroy, 12 layers, everything requested: %.2f us\n", best);
  EXPECT_LT(best, 50.0);
}

// Every host and device allocation of a creation fails once.
struct Failing {
  int64_t left = -1;
  int64_t alive = 0;
};

void *FailingAllocate(void *user_data, size_t bytes, mo_stream) {
  auto *failing = static_cast<Failing *>(user_data);
  if (failing->left >= 0 && failing->left-- == 0) return nullptr;
  ++failing->alive;
  return std::aligned_alloc(256, (bytes + 256) / 256 * 256);
}

void FailingRelease(void *user_data, void *memory, size_t, mo_stream) {
  --static_cast<Failing *>(user_data)->alive;
  free(memory);
}

TEST(PlanFailureTest, EveryAllocationMayFail) {
  Failing failing;
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CPU;
  options.cached_bytes_limit = 1;
  options.host_allocator = {FailingAllocate, FailingRelease, &failing};
  options.device_allocator = {FailingAllocate, FailingRelease, &failing};
  const mo_dimensions d = BertBase();
  const mo_request r = Everything();
  int failures = 0;
  for (bool created = false; !created; ++failures) {
    mo_context_t *context; /* a fresh one each time: the list of its device blocks is an allocation too */
    ASSERT_EQ(mo_context_create(&options, &context), MO_STATUS_OK);
    failing.left = failures;
    mo_output *output = nullptr;
    const mo_status_t status = mo_output_create(context, mo_class_find("BaseModelOutputWithPast"), &d, &r, nullptr, 0, &output);
    failing.left = -1;
    created = status == MO_STATUS_OK;
    if (!created) {
      EXPECT_EQ(status, MO_STATUS_OUT_OF_MEMORY);
      EXPECT_EQ(output, nullptr);
      ASSERT_EQ(mo_output_create(context, mo_class_find("BaseModelOutputWithPast"), &d, &r, nullptr, 0, &output), MO_STATUS_OK)
          << "the context stays usable after allocation " << failures << " failed";
    }
    mo_output_destroy(output);
    mo_context_destroy(context);
    EXPECT_EQ(failing.alive, 0) << "leaked at allocation " << failures;
  }
  EXPECT_EQ(failures, 5) << "two host blocks, one device block and the list of device blocks fail, then it succeeds";
}

}  // namespace
