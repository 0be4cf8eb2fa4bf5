/* host/families/gemma3_text.c - the text model of Gemma 3: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/gemma3/{modeling,configuration}_gemma3.py. Five of six layers have a window, and
 * rotate by a theta of their own; queries and keys are normed.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {
    .attention.query_norm = "self_attn.q_norm", .attention.key_norm = "self_attn.k_norm", MO_GEMMA_PARAMETER_NAMES};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  static const mo_rotary_keys rotary = {.theta = "rope_theta",
                                        .fraction = "partial_rotary_factor",
                                        .default_fraction = 1.0,
                                        .default_theta = 1e6,
                                        .whole_heads = true};
  const mo_transformer_keys keys = {
      MO_GEMMA_CONFIGURATION_KEYS,
      .defaults = {MO_GEMMA_RULES, .embedding.vocab_size = 262208, .hidden_size = 2304, .layer_count = 26,
                   .attention.head_count = 8, .attention.key_value_head_count = 4, .attention.head_size = 256,
                   .feed_forward.size = 9216, .embedding.position_count = 131072}};
  bool both_ways;
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  stack->attention.head_norm = stack->norm;
  MO_TRY(mo_transformer_read_gemma(config, 0.0, 0.0, 6, stack));
  stack->attention.soft_cap = 0.0f; /* read by the original's configuration, but by none of its layers */
  MO_TRY(mo_config_flag(config, "use_bidirectional_attention", false, &both_ways));
  MO_CHECK(!both_ways, MO_STATUS_UNSUPPORTED,
           "model load: use_bidirectional_attention is true, only causal attention is supported");
  MO_TRY(mo_transformer_read_rotary(config, &rotary, stack));
  return mo_transformer_read_local_rotary(config, "rope_local_base_freq", 10000.0, stack);
}

static const mo_architecture architectures[] = {
    {.name = "Gemma3TextModel", .head = &mo_base_head, .output_class = MO_DECODER_MODEL_CLASSES},
    {.name = "Gemma3ForCausalLM",
     .head = &mo_causal_lm_head,
     .output_class = MO_DECODER_LM_CLASSES,
     .decoder = {.decoder = "lm_head"}},
    {.name = "Gemma3TextForSequenceClassification",
     .head = &mo_sequence_classification_head,
     .output_class = MO_DECODER_CLASSIFIER_CLASSES,
     .classifier = "score",
     .classifier_lacks_bias = true,
     .classifies_last_token = true},
};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_gemma3_text_family = {.name = "gemma3_text",
                                         .base_prefix = "model",
                                         .base = &mo_token_base,
                                         .rules = &rules,
                                         .architectures = architectures,
                                         .architecture_count = sizeof architectures / sizeof architectures[0]};
