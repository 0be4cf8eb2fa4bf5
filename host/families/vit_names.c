/* host/families/vit_names.c - parameter names and configuration keys of ViT and DeiT.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/vit_names.h"

#include <string.h>

const mo_transformer_names mo_vit_names = {.layer_prefix = "encoder.layer.",
                                           .layer_infix = ".",
                                           .attention.query = "attention.attention.query",
                                           .attention.key = "attention.attention.key",
                                           .attention.value = "attention.attention.value",
                                           .attention.output = "attention.output.dense",
                                           .attention_norm = "layernorm_before",
                                           .feed_forward.intermediate = "intermediate.dense",
                                           .feed_forward.output = "output.dense",
                                           .feed_forward_norm = "layernorm_after",
                                           .final_norm = "layernorm"};

mo_status_t mo_vit_configure(const mo_config_t *config, mo_transformer_config *stack, mo_patch_config *patches) {
  const mo_transformer_keys keys = {
      MO_BERT_CONFIGURATION_KEYS, .default_activation = "gelu", .epsilon = "layer_norm_eps",
      .defaults = {MO_VISION_RULES, .hidden_size = 768, .layer_count = 12, .attention.head_count = 12,
                   .feed_forward.size = 3072, .norm.epsilon = 1e-12f, .final_norm = MO_FINAL_NORM_AFTER_STATES}};
  const char *pooler;
  int64_t pooled;
  bool has_bias;
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  MO_TRY(mo_config_flag(config, "qkv_bias", true, &has_bias));
  stack->attention.lacks_bias = !has_bias;
  MO_TRY(mo_config_string(config, "pooler_act", "tanh", &pooler));
  MO_TRY(mo_config_integer(config, "pooler_output_size", 1, INT32_MAX, stack->hidden_size, &pooled));
  MO_CHECK(strcmp(pooler, "tanh") == 0 && pooled == stack->hidden_size, MO_STATUS_UNSUPPORTED,
           "model load: a pooler with pooler_act %.40s and pooler_output_size %lld, only tanh and hidden_size are supported",
           pooler, (long long)pooled);
  patches->masks = true;
  return mo_vision_read_patches(config, 224, 16, patches);
}
