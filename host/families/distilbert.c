/* host/families/distilbert.c - DistilBERT: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/distilbert/{modeling,configuration}_distilbert.py. No token types, no pooler, its own
 * names for the sizes, and norms with a fixed epsilon.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {.embedding.word = "embeddings.word_embeddings",
                                           .embedding.position = "embeddings.position_embeddings",
                                           .embedding.norm = "embeddings.LayerNorm",
                                           .layer_prefix = "transformer.layer.",
                                           .layer_infix = ".",
                                           .attention.query = "attention.q_lin",
                                           .attention.key = "attention.k_lin",
                                           .attention.value = "attention.v_lin",
                                           .attention.output = "attention.out_lin",
                                           .attention_norm = "sa_layer_norm",
                                           .feed_forward.intermediate = "ffn.lin1",
                                           .feed_forward.output = "ffn.lin2",
                                           .feed_forward_norm = "output_layer_norm"};

static const mo_config_alias aliases[] = {
    {"hidden_size", "dim"}, {"num_hidden_layers", "n_layers"}, {"num_attention_heads", "n_heads"}, {NULL, NULL}};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_transformer_keys keys = {.hidden_size = "dim",
                                    .layer_count = "n_layers",
                                    .head_count = "n_heads",
                                    .intermediate_size = "hidden_dim",
                                    .activation = "activation",
                                    .default_activation = "gelu",
                                    .defaults = {.embedding.vocab_size = 30522,
                                                 .hidden_size = 768,
                                                 .layer_count = 6,
                                                 .attention.head_count = 12,
                                                 .feed_forward.size = 3072,
                                                 .embedding.position_count = 512,
                                                 .norm.epsilon = 1e-12f}};
  return mo_transformer_read_config(config, &keys, stack);
}

#define SUMMARY                                                                                                                \
  { .dense = "pre_classifier", .activation = MO_ACTIVATION_RELU }

static const mo_architecture architectures[] = {
    {.name = "DistilBertModel", .head = &mo_base_head, .output_class = MO_CLASS_IN_EACH_FRAMEWORK("BaseModelOutput")},
    {.name = "DistilBertForMaskedLM",
     .head = &mo_masked_lm_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("MaskedLMOutput"),
     .decoder = {.transform = "vocab_transform",
                 .norm = "vocab_layer_norm",
                 .decoder = "vocab_projector",
                 .bias = "vocab_projector.bias"}},
    {.name = "DistilBertForSequenceClassification",
     .head = &mo_sequence_classification_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("SequenceClassifierOutput"),
     .summary = SUMMARY,
     .classifier = "classifier"},
    {.name = "DistilBertForMultipleChoice",
     .head = &mo_multiple_choice_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("MultipleChoiceModelOutput"),
     .summary = SUMMARY,
     .classifier = "classifier"},
    {.name = "DistilBertForTokenClassification",
     .head = &mo_token_classification_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("TokenClassifierOutput"),
     .classifier = "classifier"},
    {.name = "DistilBertForQuestionAnswering",
     .head = &mo_question_answering_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("QuestionAnsweringModelOutput"),
     .classifier = "qa_outputs"},
};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_distilbert_family = {.name = "distilbert",
                                        .base_prefix = "distilbert",
                                        .base = &mo_token_base,
                                        .rules = &rules,
                                        .aliases = aliases,
                                        .architectures = architectures,
                                        .architecture_count = sizeof architectures / sizeof architectures[0]};
