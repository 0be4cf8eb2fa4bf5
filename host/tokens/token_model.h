/* host/tokens/token_model.h - the base model of families that read tokens: one transformer, or an encoder and a decoder.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TOKENS_TOKEN_MODEL_H
#define MO_TOKENS_TOKEN_MODEL_H

#include "host/call/model.h"
#include "host/nn/transformer.h"

/* What a family says of itself: mo_family.rules where mo_family.base is mo_token_base. */
typedef struct mo_token_rules {
  const mo_transformer_names *names;
  mo_status_t (*configure)(const mo_config_t *config, mo_transformer_config *transformer);
  /* Encoder-decoder families: the above are the decoder's, these the encoder's; NULL: one transformer. */
  const mo_transformer_names *encoder_names;
  mo_status_t (*configure_encoder)(const mo_config_t *config, mo_transformer_config *transformer);
  bool decodes_inputs; /* decoder ids, where nothing gives them, are made of input_ids (BART) */
} mo_token_rules;

typedef struct mo_token_model {
  mo_transformer transformer; /* of an encoder-decoder model: the decoder */
  mo_entry_extents *weights;  /* of a call's attentions, one per layer, where their extents differ; NULL: they never do */
  mo_transformer encoder;     /* its word table is the decoder's; beside a decoder only (facts.has_encoder) */
} mo_token_model;

/* For the initialisers of families: .base = &mo_token_base, .rules = &rules. */
extern const mo_base_model mo_token_base;

/* The token model of a model whose family has it. */
static inline mo_token_model *mo_token_model_of(const mo_model_t *model) { return model->base; }
static inline const mo_token_rules *mo_token_rules_of(const mo_model_t *model) { return model->family->rules; }
/* The configuration of what generates: the decoder, or the one transformer. */
static inline const mo_transformer_config *mo_token_config(const mo_model_t *model) {
  return &mo_token_model_of(model)->transformer.config;
}

/* How the output's states of what generates are called. */
typedef struct mo_state_names {
  const char *hidden_states, *attentions;
} mo_state_names;
static inline mo_state_names mo_token_state_names(const mo_model_t *model) {
  if (model->facts.has_encoder) return (mo_state_names){"decoder_hidden_states", "decoder_attentions"};
  return (mo_state_names){"hidden_states", "attentions"};
}

#endif
