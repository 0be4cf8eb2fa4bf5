/* host/nn/attention_internal.h - what attention.c and attention_decode.c share.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_ATTENTION_INTERNAL_H
#define MO_NN_ATTENTION_INTERNAL_H

#include "host/nn/attention.h"

/* Query, key, value and output of one attention as (B, heads, tokens, head size). */
typedef struct mo_head_views {
  mo_tensor query, key, value, output;
} mo_head_views;

/* The part of a layer's weights that belongs to the last `key_length` keys; what lies before it is cleared. *view is dtype
 * NONE if the weights are not wanted. */
mo_status_t mo_attention_weights_view(const mo_pass *pass, const mo_weights_sink *sink, int64_t index, int64_t key_length,
                                      mo_tensor *view);

/* The last `count` entries of the last dimension. */
mo_tensor mo_last_columns(const mo_tensor *tensor, int64_t count);

/* Whether self attention is one call of decode attention: few enough tokens, and a cache whose extents are known. */
bool mo_attention_decodes(const mo_pass *pass, const mo_attention_config *config);

/* Rotates and appends the new keys and values, and attends. */
mo_status_t mo_attention_decode(const mo_pass *pass, const mo_attention_layer *layer, const mo_head_views *heads);

/* Attends over the keys and values of the encoder that the cross cache holds. */
mo_status_t mo_attention_decode_cross(const mo_pass *pass, const mo_attention_layer *layer, const mo_tensor *query,
                                      const mo_tensor *output);

#endif
