/* host/families/bert.c - BERT: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/bert/{modeling,configuration}_bert.py.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {.cross.query = "crossattention.self.query",
                                           .cross.key = "crossattention.self.key",
                                           .cross.value = "crossattention.self.value",
                                           .cross.output = "crossattention.output.dense",
                                           .cross_norm = "crossattention.output.LayerNorm",
                                           MO_BERT_PARAMETER_NAMES};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_transformer_keys keys = {MO_BERT_CONFIGURATION_KEYS, .default_activation = "gelu", .epsilon = "layer_norm_eps",
                                    .may_decode = true,
                                    .defaults = {.embedding.vocab_size = 30522,
                                                 .hidden_size = 768,
                                                 .layer_count = 12,
                                                 .attention.head_count = 12,
                                                 .feed_forward.size = 3072,
                                                 .embedding.position_count = 512,
                                                 .embedding.type_count = 2,
                                                 .caches_cross_attention = true,
                                                 .norm.epsilon = 1e-12f}};
  return mo_transformer_read_config(config, &keys, stack);
}

#define POOLER                                                                                                                 \
  { .dense = "pooler.dense", .activation = MO_ACTIVATION_TANH }
#define DECODER                                                                                                                \
  {                                                                                                                            \
    .transform = "cls.predictions.transform.dense", .norm = "cls.predictions.transform.LayerNorm",                             \
    .decoder = "cls.predictions.decoder", .bias = "cls.predictions.bias"                                                       \
  }

static const mo_architecture architectures[] = {
    {.name = "BertModel",
     .head = &mo_base_head,
     .output_class = {"BaseModelOutputWithPoolingAndCrossAttentions", "TFBaseModelOutputWithPoolingAndCrossAttentions",
                      "FlaxBaseModelOutputWithPoolingAndCrossAttentions"},
     .summary = {.dense = "pooler.dense", .activation = MO_ACTIVATION_TANH, .may_be_absent = true}},
    {.name = "BertForPreTraining",
     .head = &mo_pretraining_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("BertForPreTrainingOutput"),
     .summary = POOLER,
     .decoder = DECODER,
     .classifier = "cls.seq_relationship"},
    {.name = "BertForMaskedLM",
     .head = &mo_masked_lm_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("MaskedLMOutput"),
     .decoder = DECODER},
    {.name = "BertLMHeadModel",
     .head = &mo_causal_lm_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("CausalLMOutputWithCrossAttentions"),
     .decoder = DECODER},
    /* What Flax calls the same. */
    {.name = "BertForCausalLM",
     .head = &mo_causal_lm_head,
     .output_class = {NULL, NULL, "FlaxCausalLMOutputWithCrossAttentions"},
     .decoder = DECODER},
    {.name = "BertForNextSentencePrediction",
     .head = &mo_next_sentence_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("NextSentencePredictorOutput"),
     .summary = POOLER,
     .classifier = "cls.seq_relationship"},
    {.name = "BertForSequenceClassification",
     .head = &mo_sequence_classification_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("SequenceClassifierOutput"),
     .summary = POOLER,
     .classifier = "classifier"},
    {.name = "BertForMultipleChoice",
     .head = &mo_multiple_choice_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("MultipleChoiceModelOutput"),
     .summary = POOLER,
     .classifier = "classifier"},
    {.name = "BertForTokenClassification",
     .head = &mo_token_classification_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("TokenClassifierOutput"),
     .classifier = "classifier"},
    {.name = "BertForQuestionAnswering",
     .head = &mo_question_answering_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("QuestionAnsweringModelOutput"),
     .classifier = "qa_outputs"},
};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_bert_family = {.name = "bert",
                                  .base_prefix = "bert",
                                  .base = &mo_token_base,
                                  .rules = &rules,
                                  .architectures = architectures,
                                  .architecture_count = sizeof architectures / sizeof architectures[0]};
