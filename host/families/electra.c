/* host/families/electra.c - ELECTRA: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/electra/{modeling,configuration}_electra.py. The embeddings may be narrower than
 * the encoder, there is no pooler, and the heads use gelu.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {.embedding.projection = "embeddings_project", MO_BERT_PARAMETER_NAMES};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_transformer_keys keys = {MO_BERT_CONFIGURATION_KEYS, .default_activation = "gelu", .epsilon = "layer_norm_eps",
                                    .defaults = {.embedding.vocab_size = 30522,
                                                 .embedding.size = 128,
                                                 .hidden_size = 256,
                                                 .layer_count = 12,
                                                 .attention.head_count = 4,
                                                 .feed_forward.size = 1024,
                                                 .embedding.position_count = 512,
                                                 .embedding.type_count = 2,
                                                 .norm.epsilon = 1e-12f}};
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  if (stack->embedding.size != stack->hidden_size) stack->embedding.projection = MO_EMBEDDING_PROJECTED;
  return MO_STATUS_OK;
}

/* The summary of the multiple choice head is configurable; the default and all published checkpoints take the first token. */
static mo_status_t adapt(const mo_config_t *config, mo_architecture *architecture) {
  const char *type, *activation;
  bool projection, to_labels;
  if (architecture->head != &mo_multiple_choice_head) return MO_STATUS_OK;
  MO_TRY(mo_config_string(config, "summary_type", "first", &type));
  MO_TRY(mo_config_flag(config, "summary_use_proj", true, &projection));
  MO_TRY(mo_config_flag(config, "summary_proj_to_labels", false, &to_labels));
  const bool bare = mo_config_is_null(config, "summary_activation"); /* null: no activation */
  MO_TRY(mo_config_string(config, "summary_activation", bare ? "linear" : "gelu", &activation));
  MO_CHECK(strcmp(type, "first") == 0 && projection && !to_labels, MO_STATUS_UNSUPPORTED,
           "%s: summary_type %s%s%s, only the projected first token is supported", architecture->name, type,
           projection ? "" : " without projection", to_labels ? " projected to labels" : "");
  return mo_activation_from_name(activation, &architecture->summary.activation);
}

static const mo_architecture architectures[] = {
    {.name = "ElectraModel",
     .head = &mo_base_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("BaseModelOutputWithPastAndCrossAttentions")},
    {.name = "ElectraForPreTraining",
     .head = &mo_replaced_token_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("ElectraForPreTrainingOutput"),
     .classifier = "discriminator_predictions.dense_prediction",
     .token_dense = "discriminator_predictions.dense"},
    {.name = "ElectraForMaskedLM",
     .head = &mo_masked_lm_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("MaskedLMOutput"),
     .decoder = {.transform = "generator_predictions.dense",
                 .norm = "generator_predictions.LayerNorm",
                 .decoder = "generator_lm_head",
                 .bias = "generator_lm_head.bias",
                 .always_gelu = true}},
    {.name = "ElectraForSequenceClassification",
     .head = &mo_sequence_classification_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("SequenceClassifierOutput"),
     .summary = {.dense = "classifier.dense", .activation = MO_ACTIVATION_GELU},
     .classifier = "classifier.out_proj"},
    {.name = "ElectraForMultipleChoice",
     .head = &mo_multiple_choice_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("MultipleChoiceModelOutput"),
     .summary = {.dense = "sequence_summary.summary", .activation = MO_ACTIVATION_GELU},
     .classifier = "classifier"},
    {.name = "ElectraForTokenClassification",
     .head = &mo_token_classification_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("TokenClassifierOutput"),
     .classifier = "classifier"},
    {.name = "ElectraForQuestionAnswering",
     .head = &mo_question_answering_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("QuestionAnsweringModelOutput"),
     .classifier = "qa_outputs"},
};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_electra_family = {.name = "electra",
                                     .base_prefix = "electra",
                                     .base = &mo_token_base,
                                     .rules = &rules,
                                     .adapt = adapt,
                                     .architectures = architectures,
                                     .architecture_count = sizeof architectures / sizeof architectures[0]};
