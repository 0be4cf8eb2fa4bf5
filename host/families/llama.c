/* host/families/llama.c - LLaMA: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/llama/{modeling,configuration}_llama.py.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {MO_LLAMA_PARAMETER_NAMES};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_transformer_keys keys = {
      MO_LLAMA_CONFIGURATION_KEYS,
      .defaults = {MO_LLAMA_RULES, .embedding.vocab_size = 32000, .hidden_size = 4096, .layer_count = 32,
                   .attention.head_count = 32, .feed_forward.size = 11008, .embedding.position_count = 2048}};
  bool attention_bias, mlp_bias;
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  MO_TRY(mo_config_flag(config, "attention_bias", false, &attention_bias));
  MO_TRY(mo_config_flag(config, "mlp_bias", false, &mlp_bias));
  stack->attention.lacks_bias = stack->attention.output_lacks_bias = !attention_bias;
  stack->feed_forward.lacks_bias = !mlp_bias;
  MO_TRY(mo_transformer_read_check_layer_types(config, stack));
  return mo_transformer_read_rotary(config, MO_ROTARY_KEYS, stack);
}

static const mo_architecture architectures[] = {MO_LLAMA_ARCHITECTURES("Llama", "transformer")};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_llama_family = {.name = "llama",
                                   .base_prefix = "model",
                                   .base = &mo_token_base,
                                   .rules = &rules,
                                   .answers_with_two = true,
                                   .architectures = architectures,
                                   .architecture_count = sizeof architectures / sizeof architectures[0]};
