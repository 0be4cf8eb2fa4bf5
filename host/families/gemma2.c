/* host/families/gemma2.c - Gemma 2: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/gemma2/{modeling,configuration}_gemma2.py. Every other layer has a window, scores and
 * logits are capped.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {MO_GEMMA_PARAMETER_NAMES};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_transformer_keys keys = {
      MO_GEMMA_CONFIGURATION_KEYS,
      .defaults = {MO_GEMMA_RULES, .embedding.vocab_size = 256000, .hidden_size = 2304, .layer_count = 26,
                   .attention.head_count = 8, .attention.key_value_head_count = 4, .attention.head_size = 256,
                   .feed_forward.size = 9216, .embedding.position_count = 8192}};
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  MO_TRY(mo_transformer_read_gemma(config, 50.0, 30.0, 2, stack));
  return mo_transformer_read_rotary(config, MO_ROTARY_KEYS, stack);
}

static const mo_architecture architectures[] = {
    {.name = "Gemma2Model", .head = &mo_base_head, .output_class = MO_DECODER_MODEL_CLASSES},
    {.name = "Gemma2ForCausalLM",
     .head = &mo_causal_lm_head,
     .output_class = MO_DECODER_LM_CLASSES,
     .decoder = {.decoder = "lm_head"}},
    {.name = "Gemma2ForSequenceClassification",
     .head = &mo_sequence_classification_head,
     .output_class = MO_DECODER_CLASSIFIER_CLASSES,
     .classifier = "score",
     .classifier_lacks_bias = true,
     .classifies_last_token = true},
    {.name = "Gemma2ForTokenClassification",
     .head = &mo_token_classification_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("TokenClassifierOutput"),
     .classifier = "score"},
};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_gemma2_family = {.name = "gemma2",
                                    .base_prefix = "model",
                                    .base = &mo_token_base,
                                    .rules = &rules,
                                    .architectures = architectures,
                                    .architecture_count = sizeof architectures / sizeof architectures[0]};
