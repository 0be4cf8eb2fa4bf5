/* host/families/roberta.c - RoBERTa: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/roberta/{modeling,configuration}_roberta.py. Positions are counted behind the
 * padding id; the decoder uses gelu whatever the encoder does.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {.base_prefix = "roberta", MO_BERT_PARAMETER_NAMES};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_transformer_keys keys = {MO_BERT_CONFIGURATION_KEYS, .default_activation = "gelu", .epsilon = "layer_norm_eps",
                                    .defaults = {.embedding.vocab_size = 50265,
                                                 .hidden_size = 768,
                                                 .layer_count = 12,
                                                 .attention.head_count = 12,
                                                 .feed_forward.size = 3072,
                                                 .embedding.position_count = 512,
                                                 .embedding.type_count = 2,
                                                 .embedding.padding_id = 1,
                                                 .embedding.positions = MO_POSITIONS_SKIP_PADDING,
                                                 .epsilon = 1e-12f}};
  return mo_transformer_read_config(config, &keys, stack);
}

static const mo_architecture architectures[] = {
    {.name = "RobertaModel",
     .head = &mo_base_head,
     .output_class = {"BaseModelOutputWithPoolingAndCrossAttentions", "TFBaseModelOutputWithPoolingAndCrossAttentions",
                      "FlaxBaseModelOutputWithPooling"},
     .summary = {.dense = "pooler.dense", .activation = MO_ACTIVATION_TANH, .may_be_absent = true}},
    {.name = "RobertaForMaskedLM",
     .head = &mo_masked_lm_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("MaskedLMOutput"),
     .decoder = {.transform = "lm_head.dense",
                 .norm = "lm_head.layer_norm",
                 .decoder = "lm_head.decoder",
                 .bias = "lm_head.bias",
                 .always_gelu = true}},
    {.name = "RobertaForSequenceClassification",
     .head = &mo_sequence_classification_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("SequenceClassifierOutput"),
     .summary = {.dense = "classifier.dense", .activation = MO_ACTIVATION_TANH},
     .classifier = "classifier.out_proj"},
    {.name = "RobertaForMultipleChoice",
     .head = &mo_multiple_choice_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("MultipleChoiceModelOutput"),
     .summary = {.dense = "pooler.dense", .activation = MO_ACTIVATION_TANH},
     .classifier = "classifier"},
    {.name = "RobertaForTokenClassification",
     .head = &mo_token_classification_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("TokenClassifierOutput"),
     .classifier = "classifier"},
    {.name = "RobertaForQuestionAnswering",
     .head = &mo_question_answering_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("QuestionAnsweringModelOutput"),
     .classifier = "qa_outputs"},
};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_roberta_family = {.name = "roberta",
                                     .base_prefix = "roberta",
                                     .base = &mo_token_base,
                                     .rules = &rules,
                                     .architectures = architectures,
                                     .architecture_count = sizeof architectures / sizeof architectures[0]};
