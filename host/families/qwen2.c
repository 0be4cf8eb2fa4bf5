/* host/families/qwen2.c - Qwen2: LLaMA with biased queries, keys and values, and a sliding window in some of its layers.
 *
 * Names and defaults: transformers/models/qwen2/{modeling,configuration}_qwen2.py.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {MO_LLAMA_PARAMETER_NAMES};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_transformer_keys keys = {
      MO_LLAMA_CONFIGURATION_KEYS,
      .defaults = {MO_LLAMA_RULES, .embedding.vocab_size = 151936, .hidden_size = 4096, .layer_count = 32,
                   .attention.head_count = 32, .attention.key_value_head_count = 32, .feed_forward.size = 22016,
                   .embedding.position_count = 32768}};
  bool slides;
  int64_t window, first;
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  stack->attention.output_lacks_bias = stack->feed_forward.lacks_bias = true;
  MO_TRY(mo_config_bool(config, "use_sliding_window", false, &slides));
  if (slides && !mo_config_is_null(config, "sliding_window")) {
    MO_TRY(mo_config_integer(config, "sliding_window", 1, INT32_MAX, 4096, &window));
    MO_TRY(mo_config_integer(config, "max_window_layers", 0, INT32_MAX, 28, &first));
    mo_transformer_slide(stack, window, first);
    MO_TRY(mo_transformer_read_layer_types(config, stack));
  }
  MO_TRY(mo_transformer_read_check_layer_types(config, stack));
  return mo_transformer_read_rotary(config, MO_ROTARY_KEYS, stack);
}

static const mo_architecture architectures[] = {MO_LLAMA_ARCHITECTURES("Qwen2", "transformer")};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_qwen2_family = {.name = "qwen2",
                                   .base_prefix = "model",
                                   .base = &mo_token_base,
                                   .rules = &rules,
                                   .answers_with_two = true,
                                   .architectures = architectures,
                                   .architecture_count = sizeof architectures / sizeof architectures[0]};
