/* host/model/qwen2.c - Qwen2: LLaMA with biased queries, keys and values, and a sliding window in its later layers.
 *
 * Names and defaults: transformers/models/qwen2/{modeling,configuration}_qwen2.py.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/model/family.h"

static const mo_stack_names names = {MO_LLAMA_PARAMETER_NAMES};

/* Newer files list the kind of each layer; full attention comes first in all that there are. */
static mo_status_t read_layer_types(const mo_config_t *config, mo_stack_config *stack) {
  bool sliding = false;
  if (!mo_config_has(config, "layer_types")) return MO_STATUS_OK;
  stack->first_window_layer = stack->layer_count;
  for (int64_t i = 0; i < stack->layer_count; i++) {
    const char *type;
    MO_TRY(mo_config_string_at(config, "layer_types", i, &type));
    const bool slides = type != NULL && strcmp(type, "sliding_attention") == 0;
    MO_CHECK(type != NULL && (slides || (strcmp(type, "full_attention") == 0 && !sliding)), MO_STATUS_UNSUPPORTED,
             "model load: layer %" PRId64
             " is %.40s in layer_types, known are full_attention and, behind it, sliding_attention",
             i, type != NULL ? type : "missing");
    if (slides && !sliding) stack->first_window_layer = i;
    sliding = slides;
  }
  return MO_STATUS_OK;
}

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
    MO_TRY(read_layer_types(config, stack));
    if (stack->first_window_layer >= stack->layer_count) stack->window = 0;
  }
  return mo_stack_config_rotary(config, 1.0, stack);
}

static const mo_architecture architectures[] = {MO_LLAMA_ARCHITECTURES("Qwen2", "transformer")};

const mo_family mo_qwen2_family = {.name = "qwen2",
                                   .names = &names,
                                   .configure = configure,
                                   .architectures = architectures,
                                   .architecture_count = sizeof architectures / sizeof architectures[0]};
