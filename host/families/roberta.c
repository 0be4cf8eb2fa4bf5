/* host/families/roberta.c - RoBERTa: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/roberta/{modeling,configuration}_roberta.py.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {MO_BERT_PARAMETER_NAMES};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_transformer_keys keys = {MO_BERT_CONFIGURATION_KEYS, .default_activation = "gelu", .epsilon = "layer_norm_eps",
                                    .defaults = {MO_ROBERTA_RULES, .embedding.vocab_size = 50265}};
  return mo_transformer_read_config(config, &keys, stack);
}

static const mo_architecture architectures[] = {MO_ROBERTA_ARCHITECTURES("Roberta")};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_roberta_family = {.name = "roberta",
                                     .base_prefix = "roberta",
                                     .base = &mo_token_base,
                                     .rules = &rules,
                                     .architectures = architectures,
                                     .architecture_count = sizeof architectures / sizeof architectures[0]};
