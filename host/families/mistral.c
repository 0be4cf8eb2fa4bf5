/* host/families/mistral.c - Mistral: LLaMA with a sliding window.
 *
 * Names and defaults: transformers/models/mistral/{modeling,configuration}_mistral.py.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {MO_LLAMA_PARAMETER_NAMES};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_transformer_keys keys = {
      MO_LLAMA_CONFIGURATION_KEYS,
      .defaults = {MO_LLAMA_RULES, .embedding.vocab_size = 32000, .hidden_size = 4096, .layer_count = 32,
                   .attention.head_count = 32, .attention.key_value_head_count = 8, .feed_forward.size = 14336,
                   .embedding.position_count = 4096 * 32}};
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  stack->attention.lacks_bias = stack->attention.output_lacks_bias = stack->feed_forward.lacks_bias = true;
  /* Later checkpoints have none: null, which is not the same as silence here. */
  int64_t window = 0;
  if (!mo_config_is_null(config, "sliding_window"))
    MO_TRY(mo_config_integer(config, "sliding_window", 1, INT32_MAX, 4096, &window));
  mo_transformer_slide(stack, window, 0);
  MO_TRY(mo_transformer_read_check_layer_types(config, stack));
  return mo_transformer_read_rotary(config, MO_ROTARY_KEYS, stack);
}

static const mo_architecture architectures[] = {MO_LLAMA_ARCHITECTURES("Mistral", "model")};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_mistral_family = {.name = "mistral",
                                     .base_prefix = "model",
                                     .base = &mo_token_base,
                                     .rules = &rules,
                                     .answers_with_two = true,
                                     .architectures = architectures,
                                     .architecture_count = sizeof architectures / sizeof architectures[0]};
