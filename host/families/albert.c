/* host/families/albert.c - ALBERT: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/albert/{modeling,configuration}_albert.py. Layers share the parameters of
 * their group, and the embeddings are always projected.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {.base_prefix = "albert",
                                           .word = "embeddings.word_embeddings",
                                           .position = "embeddings.position_embeddings",
                                           .type = "embeddings.token_type_embeddings",
                                           .embedding_norm = "embeddings.LayerNorm",
                                           .projection = "encoder.embedding_hidden_mapping_in",
                                           .layer_prefix = "encoder.albert_layer_groups.",
                                           .layer_infix = ".albert_layers.0.",
                                           .query = "attention.query",
                                           .key = "attention.key",
                                           .value = "attention.value",
                                           .attention_output = "attention.dense",
                                           .attention_norm = "attention.LayerNorm",
                                           .intermediate = "ffn",
                                           .output = "ffn_output",
                                           .output_norm = "full_layer_layer_norm"};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_transformer_keys keys = {MO_BERT_CONFIGURATION_KEYS, .default_activation = "gelu_new", .epsilon = "layer_norm_eps",
                                    .defaults = {.embedding.vocab_size = 30000,
                                                 .embedding.size = 128,
                                                 .hidden_size = 4096,
                                                 .layer_count = 12,
                                                 .attention.head_count = 64,
                                                 .feed_forward.size = 16384,
                                                 .embedding.position_count = 512,
                                                 .embedding.type_count = 2,
                                                 .epsilon = 1e-12f}};
  int64_t inner;
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  MO_TRY(mo_config_integer(config, "inner_group_num", 1, INT32_MAX, 1, &inner));
  MO_CHECK(inner == 1, MO_STATUS_UNSUPPORTED, "albert: inner_group_num %" PRId64 ", only 1 layer per group is supported",
           inner);
  MO_TRY(mo_config_integer(config, "num_hidden_groups", 1, INT32_MAX, 1, &stack->layer_group_count));
  MO_CHECK(stack->layer_group_count <= stack->layer_count, MO_STATUS_BAD_FILE,
           "albert: config.json has %" PRId64 " groups for %" PRId64 " layers", stack->layer_group_count, stack->layer_count);
  stack->embedding.projected = true;
  return MO_STATUS_OK;
}

#define POOLER                                                                                                                 \
  { .dense = "pooler", .activation = MO_ACTIVATION_TANH }
#define DECODER                                                                                                                \
  {                                                                                                                            \
    .transform = "predictions.dense", .norm = "predictions.LayerNorm", .decoder = "predictions.decoder",                       \
    .bias = "predictions.bias"                                                                                                 \
  }

static const mo_architecture architectures[] = {
    {.name = "AlbertModel",
     .head = &mo_base_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("BaseModelOutputWithPooling"),
     .summary = {.dense = "pooler", .activation = MO_ACTIVATION_TANH, .may_be_absent = true}},
    {.name = "AlbertForPreTraining",
     .head = &mo_pretraining_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("AlbertForPreTrainingOutput"),
     .summary = POOLER,
     .decoder = DECODER,
     .classifier = "sop_classifier.classifier"},
    {.name = "AlbertForMaskedLM",
     .head = &mo_masked_lm_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("MaskedLMOutput"),
     .decoder = DECODER},
    {.name = "AlbertForSequenceClassification",
     .head = &mo_sequence_classification_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("SequenceClassifierOutput"),
     .summary = POOLER,
     .classifier = "classifier"},
    {.name = "AlbertForMultipleChoice",
     .head = &mo_multiple_choice_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("MultipleChoiceModelOutput"),
     .summary = POOLER,
     .classifier = "classifier"},
    {.name = "AlbertForTokenClassification",
     .head = &mo_token_classification_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("TokenClassifierOutput"),
     .classifier = "classifier"},
    {.name = "AlbertForQuestionAnswering",
     .head = &mo_question_answering_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("QuestionAnsweringModelOutput"),
     .classifier = "qa_outputs"},
};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_albert_family = {.name = "albert",
                                    .base_prefix = "albert",
                                    .base = &mo_token_base,
                                    .rules = &rules,
                                    .architectures = architectures,
                                    .architecture_count = sizeof architectures / sizeof architectures[0]};
