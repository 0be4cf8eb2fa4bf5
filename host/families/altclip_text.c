/* host/families/altclip_text.c - the text model of AltCLIP: XLM-RoBERTa, a norm and a projection.
 *
 * Names and defaults: transformers/models/altclip/{modeling,configuration}_altclip.py. last_hidden_state and the pooled vector,
 * its first token, are projected; hidden_states are XLM-RoBERTa's.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {
    .final_norm = "pre_LN", .output_projection = "transformation", MO_BERT_PARAMETER_NAMES};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_transformer_keys keys = {MO_BERT_CONFIGURATION_KEYS, .default_activation = "gelu", .epsilon = "layer_norm_eps",
                                    .defaults = {.embedding.vocab_size = 250002,
                                                 .hidden_size = 1024,
                                                 .layer_count = 24,
                                                 .attention.head_count = 16,
                                                 .feed_forward.size = 4096,
                                                 .embedding.position_count = 514,
                                                 .embedding.type_count = 1,
                                                 .embedding.padding_id = 1,
                                                 .embedding.positions = MO_POSITIONS_SKIP_PADDING,
                                                 .norm.epsilon = 1e-5f,
                                                 .final_norm = MO_FINAL_NORM_AFTER_STATES,
                                                 .output_projection = MO_OUTPUT_PROJECTION_ALWAYS}};
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  return mo_config_integer(config, "project_dim", 1, 1 << 20, 768, &stack->output_size);
}

static const mo_architecture architectures[] = {
    {.name = "AltCLIPTextModel",
     .head = &mo_base_head,
     .output_class = {"BaseModelOutputWithPoolingAndProjection"},
     .summary = {.of_first = true}},
};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_altclip_text_family = {.name = "altclip_text_model",
                                          .base_prefix = "roberta",
                                          .base = &mo_token_base,
                                          .rules = &rules,
                                          .architectures = architectures,
                                          .architecture_count = sizeof architectures / sizeof architectures[0]};
