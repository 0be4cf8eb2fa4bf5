/* host/families/qwen2.c - Qwen2: LLaMA with biased queries, keys and values, and a sliding window in some of its layers.
 *
 * Names and defaults: transformers/models/qwen2/{modeling,configuration}_qwen2.py.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/family.h"

static const mo_stack_names names = {MO_LLAMA_PARAMETER_NAMES};

static mo_status_t configure(const mo_config_t *config, mo_stack_config *stack) {
  const mo_stack_keys keys = {
      MO_LLAMA_CONFIGURATION_KEYS,
      .defaults = {MO_LLAMA_RULES, .vocab_size = 151936, .hidden_size = 4096, .layer_count = 32, .head_count = 32,
                   .key_value_head_count = 32, .intermediate_size = 22016, .position_count = 32768}};
  bool slides;
  MO_TRY(mo_stack_config_read(config, &keys, stack));
  stack->attention_output_lacks_bias = stack->mlp_lacks_bias = true;
  MO_TRY(mo_config_bool(config, "use_sliding_window", false, &slides));
  if (slides && !mo_config_is_null(config, "sliding_window")) {
    MO_TRY(mo_config_integer(config, "sliding_window", 1, INT32_MAX, 4096, &stack->window));
    MO_TRY(mo_config_integer(config, "max_window_layers", 0, INT32_MAX, 28, &stack->first_window_layer));
    MO_TRY(mo_stack_config_layer_types(config, stack));
  }
  MO_TRY(mo_stack_config_check_layer_types(config, stack));
  return mo_stack_config_rotary(config, MO_ROTARY_KEYS, stack);
}

static const mo_architecture architectures[] = {MO_LLAMA_ARCHITECTURES("Qwen2", "transformer")};

const mo_family mo_qwen2_family = {.name = "qwen2",
                                   .names = &names,
                                   .configure = configure,
                                   .answers_with_two = true,
                                   .architectures = architectures,
                                   .architecture_count = sizeof architectures / sizeof architectures[0]};
