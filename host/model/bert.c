/* host/model/bert.c - BERT: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/bert/{modeling,configuration}_bert.py.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/model/family.h"

static const mo_encoder_names names = {.base_prefix = "bert",
                                       .word = "embeddings.word_embeddings",
                                       .position = "embeddings.position_embeddings",
                                       .type = "embeddings.token_type_embeddings",
                                       .embedding_norm = "embeddings.LayerNorm",
                                       .layer_prefix = "encoder.layer.",
                                       .layer_infix = ".",
                                       .query = "attention.self.query",
                                       .key = "attention.self.key",
                                       .value = "attention.self.value",
                                       .attention_output = "attention.output.dense",
                                       .attention_norm = "attention.output.LayerNorm",
                                       .intermediate = "intermediate.dense",
                                       .output = "output.dense",
                                       .output_norm = "output.LayerNorm"};

static mo_status_t configure(const mo_config_t *config, mo_encoder_config *encoder) {
  const mo_encoder_keys keys = {.hidden_size = "hidden_size",
                                .layer_count = "num_hidden_layers",
                                .head_count = "num_attention_heads",
                                .intermediate_size = "intermediate_size",
                                .activation = "hidden_act",
                                .default_activation = "gelu",
                                .has_epsilon = true,
                                .defaults = {.vocab_size = 30522,
                                             .hidden_size = 768,
                                             .layer_count = 12,
                                             .head_count = 12,
                                             .intermediate_size = 3072,
                                             .position_count = 512,
                                             .type_count = 2,
                                             .epsilon = 1e-12f}};
  return mo_encoder_config_read(config, &keys, encoder);
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
     .output_class = {"BertForPreTrainingOutput", "TFBertForPreTrainingOutput", "FlaxBertForPreTrainingOutput"},
     .summary = POOLER,
     .decoder = DECODER,
     .classifier = "cls.seq_relationship"},
    {.name = "BertForMaskedLM",
     .head = MO_HEAD_MASKED_LM,
     .output_class = {"MaskedLMOutput", "TFMaskedLMOutput", "FlaxMaskedLMOutput"},
     .decoder = DECODER},
    {.name = "BertForNextSentencePrediction",
     .head = MO_HEAD_NEXT_SENTENCE,
     .output_class = {"NextSentencePredictorOutput", "TFNextSentencePredictorOutput", "FlaxNextSentencePredictorOutput"},
     .summary = POOLER,
     .classifier = "cls.seq_relationship"},
    {.name = "BertForSequenceClassification",
     .head = MO_HEAD_SEQUENCE_CLASSIFICATION,
     .output_class = {"SequenceClassifierOutput", "TFSequenceClassifierOutput", "FlaxSequenceClassifierOutput"},
     .summary = POOLER,
     .classifier = "classifier"},
    {.name = "BertForMultipleChoice",
     .head = MO_HEAD_MULTIPLE_CHOICE,
     .output_class = {"MultipleChoiceModelOutput", "TFMultipleChoiceModelOutput", "FlaxMultipleChoiceModelOutput"},
     .summary = POOLER,
     .classifier = "classifier"},
    {.name = "BertForTokenClassification",
     .head = MO_HEAD_TOKEN_CLASSIFICATION,
     .output_class = {"TokenClassifierOutput", "TFTokenClassifierOutput", "FlaxTokenClassifierOutput"},
     .classifier = "classifier"},
    {.name = "BertForQuestionAnswering",
     .head = MO_HEAD_QUESTION_ANSWERING,
     .output_class = {"QuestionAnsweringModelOutput", "TFQuestionAnsweringModelOutput", "FlaxQuestionAnsweringModelOutput"},
     .classifier = "qa_outputs"},
};

const mo_family mo_bert_family = {.name = "bert",
                                  .names = &names,
                                  .configure = configure,
                                  .architectures = architectures,
                                  .architecture_count = sizeof architectures / sizeof architectures[0]};
