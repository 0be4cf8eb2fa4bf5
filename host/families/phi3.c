/* host/families/phi3.c - Phi-3: LLaMA whose projections are fused, and which may rotate a part of each head only.
 *
 * Names and defaults: transformers/models/phi3/{modeling,configuration}_phi3.py.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {.embedding.word = "embed_tokens",
                                           .layer_prefix = "layers.",
                                           .layer_infix = ".",
                                           .attention.fused = "self_attn.qkv_proj",
                                           .attention.output = "self_attn.o_proj",
                                           .attention_norm = "input_layernorm",
                                           .feed_forward.gate_up = "mlp.gate_up_proj",
                                           .feed_forward.output = "mlp.down_proj",
                                           .feed_forward_norm = "post_attention_layernorm",
                                           .final_norm = "norm"};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_rotary_keys rotary = {.theta = "rope_theta", .fraction = "partial_rotary_factor", .default_fraction = 1.0};
  mo_transformer_keys keys = {
      MO_LLAMA_CONFIGURATION_KEYS,
      .defaults = {MO_LLAMA_RULES, .embedding.vocab_size = 32064, .hidden_size = 3072, .layer_count = 32,
                   .attention.head_count = 32, .feed_forward.size = 8192, .embedding.position_count = 4096}};
  int64_t window;
  keys.defaults.norm.epsilon = 1e-5f;
  keys.defaults.embedding.padding_id = 32000;
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  stack->attention.lacks_bias = stack->attention.output_lacks_bias = stack->feed_forward.lacks_bias = true;
  if (mo_config_has(config, "sliding_window")) {
    MO_TRY(mo_config_integer(config, "sliding_window", 1, INT32_MAX, 0, &window));
    mo_transformer_slide(stack, window, 0);
  }
  MO_TRY(mo_transformer_read_check_layer_types(config, stack));
  return mo_transformer_read_rotary(config, &rotary, stack);
}

static const mo_architecture architectures[] = {
    {.name = "Phi3Model", .head = &mo_base_head, .output_class = MO_DECODER_MODEL_CLASSES},
    {.name = "Phi3ForCausalLM",
     .head = &mo_causal_lm_head,
     .output_class = MO_DECODER_LM_CLASSES,
     .decoder = {.decoder = "lm_head", .untied_by_default = true}},
    {.name = "Phi3ForSequenceClassification",
     .head = &mo_sequence_classification_head,
     .output_class = MO_DECODER_CLASSIFIER_CLASSES,
     .classifier = "score",
     .classifier_lacks_bias = true,
     .classifies_last_token = true},
    {.name = "Phi3ForTokenClassification",
     .head = &mo_token_classification_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("TokenClassifierOutput"),
     .classifier = "score"},
};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_phi3_family = {.name = "phi3",
                                  .base_prefix = "model",
                                  .base = &mo_token_base,
                                  .rules = &rules,
                                  .architectures = architectures,
                                  .architecture_count = sizeof architectures / sizeof architectures[0]};
