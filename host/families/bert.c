/* host/families/bert.c - BERT: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/bert/{modeling,configuration}_bert.py.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/family.h"

static const mo_transformer_names names = {.base_prefix = "bert",
                                           .cross.query = "crossattention.self.query",
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

/* FlaxBertModel answers with a class that has cross attentions and is not one of the documented outputs; without a decoder its
 * keys are those of FlaxBaseModelOutputWithPooling. */
static const mo_architecture architectures[] = {
    {.name = "BertModel",
     .head = MO_HEAD_NONE,
     .output_class = {"BaseModelOutputWithPoolingAndCrossAttentions", "TFBaseModelOutputWithPoolingAndCrossAttentions",
                      "FlaxBaseModelOutputWithPooling"},
     .summary = {.dense = "pooler.dense", .activation = MO_ACTIVATION_TANH, .may_be_absent = true}},
    {.name = "BertForPreTraining",
     .head = MO_HEAD_PRETRAINING,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("BertForPreTrainingOutput"),
     .summary = POOLER,
     .decoder = DECODER,
     .classifier = "cls.seq_relationship"},
    {.name = "BertForMaskedLM",
     .head = MO_HEAD_MASKED_LM,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("MaskedLMOutput"),
     .decoder = DECODER},
    {.name = "BertLMHeadModel",
     .head = MO_HEAD_CAUSAL_LM,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("CausalLMOutputWithCrossAttentions"),
     .decoder = DECODER},
    {.name = "BertForNextSentencePrediction",
     .head = MO_HEAD_NEXT_SENTENCE,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("NextSentencePredictorOutput"),
     .summary = POOLER,
     .classifier = "cls.seq_relationship"},
    {.name = "BertForSequenceClassification",
     .head = MO_HEAD_SEQUENCE_CLASSIFICATION,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("SequenceClassifierOutput"),
     .summary = POOLER,
     .classifier = "classifier"},
    {.name = "BertForMultipleChoice",
     .head = MO_HEAD_MULTIPLE_CHOICE,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("MultipleChoiceModelOutput"),
     .summary = POOLER,
     .classifier = "classifier"},
    {.name = "BertForTokenClassification",
     .head = MO_HEAD_TOKEN_CLASSIFICATION,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("TokenClassifierOutput"),
     .classifier = "classifier"},
    {.name = "BertForQuestionAnswering",
     .head = MO_HEAD_QUESTION_ANSWERING,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("QuestionAnsweringModelOutput"),
     .classifier = "qa_outputs"},
};

const mo_family mo_bert_family = {.name = "bert",
                                  .names = &names,
                                  .configure = configure,
                                  .architectures = architectures,
                                  .architecture_count = sizeof architectures / sizeof architectures[0]};
