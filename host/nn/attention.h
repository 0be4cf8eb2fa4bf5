/* host/nn/attention.h - self and cross attention of a layer, with and without caches.
 *
 *   self    output(attention(query(x), key(x), value(x))), the three projections being one product
 *   cross   output(attention(query(x), key(encoder), value(encoder)))
 *
 * CACHES. Keys and values are written to their slots of the cache (mo_cache_prepare); nothing is counted here.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_ATTENTION_H
#define MO_NN_ATTENTION_H

#include "host/core/arena.h"
#include "host/nn/dense.h"
#include "host/nn/norm.h"
#include "host/nn/pass.h"
#include "modelout/rotary.h"

/* How the rows of a fused query, key and value projection lie in the checkpoint. */
typedef enum mo_fused_order_t {
  MO_FUSED_BY_KIND = 0, /* all queries, all keys, all values */
  MO_FUSED_BY_HEAD,     /* query, key and value of the first head, of the second, ... (GPT-NeoX) */
} mo_fused_order_t;

typedef struct mo_attention_config {
  int64_t head_count, key_value_head_count, head_size;
  bool lacks_bias, output_lacks_bias;
  mo_fused_order_t fused_order;
  mo_dense_layout_t layout;
  int64_t encoder_size;    /* width of encoder_hidden_states */
  int64_t window;          /* sliding window of those layers that have one, which a cache of the model's own has too; 0: none */
  mo_rotary_config rotary; /* rotary_dim 0: none */
  float soft_cap;          /* of the scores: cap tanh(score / cap); 0: none */
  mo_norm_config head_norm; /* of each head's query and key, before they are rotated, where the names have one */
} mo_attention_config;

/* Behind the layer's prefix, without ".weight" and ".bias". */
typedef struct mo_attention_names {
  const char *query, *key, *value; /* separate layers, or */
  const char *fused;               /* one: of self attention for all three, of cross attention for key and value */
  const char *output;
  const char *query_norm, *key_norm; /* of self attention; NULL: none */
} mo_attention_names;

typedef struct mo_self_attention {
  mo_dense query_key_value, output;
  mo_norm_weights query_norm, key_norm; /* over one head; dtype NONE: none */
} mo_self_attention;

typedef struct mo_cross_attention {
  mo_dense query, key_value, output;
} mo_cross_attention;

/* What differs from layer to layer. */
typedef struct mo_attention_layer {
  int64_t index;           /* of the layer, in the cache and the sinks */
  int64_t window;          /* 0: every key */
  float scale, soft_cap;   /* of the scores; soft_cap 0: none */
  const mo_rotary *rotary; /* NULL: none */
  const mo_tensor *bias;   /* (1|B, heads, S, keys); NULL: none */
  bool causal;
} mo_attention_layer;

/* `width` is that of the hidden state. */
mo_status_t mo_self_attention_load(mo_self_attention *block, mo_loader *loader, const char *prefix,
                                   const mo_attention_names *names, const mo_attention_config *config, int64_t width);
mo_status_t mo_cross_attention_load(mo_cross_attention *block, mo_loader *loader, const char *prefix,
                                    const mo_attention_names *names, const mo_attention_config *config, int64_t width);
void mo_self_attention_release(mo_self_attention *block);
void mo_cross_attention_release(mo_cross_attention *block);

/* Elements per token of their temporaries, in pass->wide: queries, keys and values, and what attention gives. */
int64_t mo_attention_wide_size(const mo_attention_config *config);

/* Memory for the keys and values that cross attention makes of the encoder's hidden states; NULL: it makes none. */
void *mo_cross_attention_carve(const mo_attention_config *config, mo_dtype_t dtype, const mo_transformer_inputs *inputs,
                               mo_arena *arena);

/* output = block(input) + residual; residual may be NULL, or output. */
mo_status_t mo_self_attention_forward(const mo_self_attention *block, const mo_pass *pass, const mo_attention_config *config,
                                      const mo_attention_layer *layer, const mo_tensor *output, const mo_tensor *input,
                                      const mo_tensor *residual);

/* The same over the encoder's hidden states, or what the cross cache holds of them. `memory` is what was carved. */
mo_status_t mo_cross_attention_forward(const mo_cross_attention *block, const mo_pass *pass, const mo_attention_config *config,
                                       const mo_attention_layer *layer, void *memory, const mo_tensor *output,
                                       const mo_tensor *input, const mo_tensor *residual);

#endif
