/* host/families/albert.c - ALBERT: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/albert/{modeling,configuration}_albert.py. Layers share the parameters of
 * their group, and the embeddings are always projected.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {.embedding.word = "embeddings.word_embeddings",
                                           .embedding.position = "embeddings.position_embeddings",
                                           .embedding.type = "embeddings.token_type_embeddings",
                                           .embedding.norm = "embeddings.LayerNorm",
                                           .embedding.projection = "encoder.embedding_hidden_mapping_in",
                                           .layer_prefix = "encoder.albert_layer_groups.",
                                           .layer_infix = ".albert_layers.0.",
                                           .attention.query = "attention.query",
                                           .attention.key = "attention.key",
                                           .attention.value = "attention.value",
                                           .attention.output = "attention.dense",
                                           .attention_norm = "attention.LayerNorm",
                                           .feed_forward.intermediate = "ffn",
                                           .feed_forward.output = "ffn_output",
                                           .feed_forward_norm = "full_layer_layer_norm"};

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
                                                 .norm.epsilon = 1e-12f}};
  int64_t inner, groups;
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  MO_TRY(mo_config_integer(config, "inner_group_num", 1, INT32_MAX, 1, &inner));
  MO_CHECK(inner == 1, MO_STATUS_UNSUPPORTED, "albert: inner_group_num %" PRId64 ", only 1 layer per group is supported",
           inner);
  MO_TRY(mo_config_integer(config, "num_hidden_groups", 1, INT32_MAX, 1, &groups));
  MO_CHECK(groups <= stack->layer_count, MO_STATUS_BAD_FILE,
           "albert: config.json has %" PRId64 " groups for %" PRId64 " layers", groups, stack->layer_count);
  /* Which group a layer belongs to: the division Transformers makes, in floating point. */
  for (int64_t i = 0; i < stack->layer_count; i++)
    stack->layers[i].parameters = (int64_t)((double)i / ((double)stack->layer_count / (double)groups));
  stack->embedding.projection = MO_EMBEDDING_PROJECTED;
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
