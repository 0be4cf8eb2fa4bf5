/* host/families/clip_text.c - the text model of CLIP: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/clip/{modeling,configuration}_clip.py. Pre-norm, causal without a cache; its final
 * norm makes last_hidden_state, but not the last of hidden_states; the pooled vector is the one of the first end token.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {.embedding.word = "embeddings.token_embedding",
                                           .embedding.position = "embeddings.position_embedding",
                                           MO_CLIP_LAYER_NAMES,
                                           .final_norm = "final_layer_norm"};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_transformer_keys keys = {MO_BERT_CONFIGURATION_KEYS, .default_activation = "quick_gelu", .epsilon = "layer_norm_eps",
                                    .defaults = {.embedding.vocab_size = 49408,
                                                 .hidden_size = 512,
                                                 .layer_count = 12,
                                                 .attention.head_count = 8,
                                                 .feed_forward.size = 2048,
                                                 .embedding.position_count = 77,
                                                 .embedding.padding_id = 1,
                                                 .norm.epsilon = 1e-5f,
                                                 .norm_placement = MO_NORM_PRE,
                                                 .final_norm = MO_FINAL_NORM_AFTER_STATES,
                                                 .causal = true}};
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  stack->end_id = mo_transformer_read_token(config, "eos_token_id", 49407);
  return MO_STATUS_OK;
}

static const mo_architecture architectures[] = {
    {.name = "CLIPTextModel",
     .head = &mo_base_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("BaseModelOutputWithPooling"),
     .summary = {.of_end = true}},
};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_clip_text_family = {.name = "clip_text_model",
                                       .base_prefix = "text_model",
                                       .base = &mo_token_base,
                                       .rules = &rules,
                                       .architectures = architectures,
                                       .architecture_count = sizeof architectures / sizeof architectures[0]};
