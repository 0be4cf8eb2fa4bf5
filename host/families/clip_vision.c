/* host/families/clip_vision.c - the vision model of CLIP: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/clip/{modeling,configuration}_clip.py. A norm stands before the first layer (its name
 * is the original's spelling); the pooled vector is the norm of the first token.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/conventions.h"
#include "host/families/registry.h"
#include "host/families/vision_keys.h"
#include "host/images/patch_model.h"

static const mo_transformer_names names = {MO_CLIP_LAYER_NAMES};

static const mo_patch_names patch_names = {.projection = "embeddings.patch_embedding",
                                           .class_token = "embeddings.class_embedding",
                                           .class_token_is_vector = true,
                                           .position_table = "embeddings.position_embedding.weight",
                                           .norm = "pre_layrnorm"};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack, mo_patch_config *patches) {
  const mo_transformer_keys keys = {MO_BERT_CONFIGURATION_KEYS, .default_activation = "quick_gelu", .epsilon = "layer_norm_eps",
                                    .defaults = {MO_VISION_RULES, .hidden_size = 768, .layer_count = 12,
                                                 .attention.head_count = 12, .feed_forward.size = 3072, .norm.epsilon = 1e-5f}};
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  MO_TRY(mo_vision_read_patches(config, 224, 32, patches));
  patches->lacks_bias = true;
  patches->norm_epsilon = stack->norm.epsilon;
  return MO_STATUS_OK;
}

static const mo_architecture architectures[] = {
    {.name = "CLIPVisionModel",
     .head = &mo_base_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("BaseModelOutputWithPooling"),
     .summary = {.norm = "post_layernorm"}},
};

static const mo_patch_rules rules = {.names = &names, .patch_names = &patch_names, .configure = configure};

const mo_family mo_clip_vision_family = {.name = "clip_vision_model",
                                         .base_prefix = "vision_model",
                                         .base = &mo_patch_base,
                                         .rules = &rules,
                                         .architectures = architectures,
                                         .architecture_count = sizeof architectures / sizeof architectures[0]};
