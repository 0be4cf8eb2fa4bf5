/* host/families/transformer_keys.h - what families of transformers share in reading config.json (transformer_keys.c,
 * rotary_keys.c).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_FAMILIES_TRANSFORMER_KEYS_H
#define MO_FAMILIES_TRANSFORMER_KEYS_H

#include "host/checkpoint/config.h"
#include "host/nn/transformer_config.h"

/* What a family's config.json calls its values. NULL: the default's, or for what all families call alike, that name. */
typedef struct mo_transformer_keys {
  const char *hidden_size, *layer_count, *head_count, *intermediate_size;
  const char *activation;           /* NULL: the family reads it itself */
  const char *position_count;       /* NULL: "max_position_embeddings" */
  const char *key_value_head_count; /* NULL: head_count */
  const char *head_size;            /* NULL, or not in the file: hidden size / heads */
  const char *epsilon;
  mo_transformer_config defaults; /* epsilon included; intermediate_size 0: 4 times the hidden size */
  mo_layer_spec layer;            /* what every layer is; attention_scale 0: 1 / sqrt(head size) */
  const char *default_activation;
  bool may_decode; /* is_decoder and add_cross_attention are obeyed; otherwise they are refused (unless the default is a
                      decoder) */
} mo_transformer_keys;

/* Reads the keys and checks what all families share: heads divide the hidden size, key/value heads divide the heads, absolute
 * positions. The embedding size is `embedding_size` if the default's is not 0, else the hidden size. */
mo_status_t mo_transformer_read_config(const mo_config_t *config, const mo_transformer_keys *keys,
                                       mo_transformer_config *transformer);

/* A token's id, which only some calls need: the fallback if the file is silent, and no token (-1) if it is null, negative or
 * not one number. */
int64_t mo_transformer_read_token(const mo_config_t *config, const char *key, int64_t fallback);

/* Every layer from `first` on has a sliding window; 0: none has. */
void mo_transformer_slide(mo_transformer_config *transformer, int64_t window, int64_t first);

/* What Gemma adds: attention_bias, query_pre_attn_scalar, attn_logit_softcapping and final_logit_softcapping with their
 * defaults (0: none), and the windows: of all layers but every `pattern`-th, or as layer_types says. */
mo_status_t mo_transformer_read_gemma(const mo_config_t *config, double attention_cap, double logit_cap, int64_t pattern,
                                      mo_transformer_config *transformer);

/* layer_types, where the file has it: which layers slide and which do not, in any order. UNSUPPORTED names other kinds. */
mo_status_t mo_transformer_read_layer_types(const mo_config_t *config, mo_transformer_config *transformer);

/* A second rotary embedding, of layers with a window: its theta under `key`. The first one was read before. */
mo_status_t mo_transformer_read_local_rotary(const mo_config_t *config, const char *key, double fallback,
                                             mo_transformer_config *transformer);

/* For families that do not take layer_types from the file: UNSUPPORTED names a layer that is listed as what it is not. */
mo_status_t mo_transformer_read_check_layer_types(const mo_config_t *config, const mo_transformer_config *transformer);

/* Where a family's rotary embedding stands in config.json, beside its object. */
typedef struct mo_rotary_keys {
  const char *theta, *fraction; /* of a head that is rotated */
  double default_fraction;
  double default_theta; /* 0: 10000 */
  bool whole_heads;     /* no other fraction than 1 */
} mo_rotary_keys;

/* LLaMA's. */
#define MO_ROTARY_KEYS                                                                                                         \
  (&(const mo_rotary_keys){                                                                                                    \
      .theta = "rope_theta", .fraction = "partial_rotary_factor", .default_fraction = 1.0, .whole_heads = true})

/* The rotary embedding: theta, which part of a head it rotates and its scaling. BAD_FILE where a rule lacks its numbers,
 * UNSUPPORTED names the rules there are. */
mo_status_t mo_transformer_read_rotary(const mo_config_t *config, const mo_rotary_keys *keys,
                                       mo_transformer_config *transformer);

#endif
