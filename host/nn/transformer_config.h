/* host/nn/transformer_config.h - sizes and rules of a transformer, block by block, and the names of its parameters.
 *
 * Zero is what BERT does.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_TRANSFORMER_CONFIG_H
#define MO_NN_TRANSFORMER_CONFIG_H

#include "modelout/linear.h"
#include "modelout/rotary.h"

#define MO_NO_TOKEN INT64_MIN /* where an id may be any number, in the vocabulary or not: there is none */

#define MO_LISTED_LAYERS 1024 /* layers whose kind of attention config.json may list */

/* ---- Embeddings --------------------------------------------------------------------------------------------------------- */

typedef enum mo_positions_rule_t {
  MO_POSITIONS_LEARNED = 0,  /* a table, counted from the first token (behind the past) */
  MO_POSITIONS_SKIP_PADDING, /* RoBERTa: counted from padding_id + 1 on; padding stays at padding_id */
  MO_POSITIONS_FROM_MASK,    /* OPT: a running count of the visible tokens */
  MO_POSITIONS_NONE,         /* no table: rotary embedding, a relative bias, or nothing */
} mo_positions_rule_t;

typedef struct mo_embedding_config {
  int64_t vocab_size;
  int64_t size; /* of a row of the word table */
  mo_positions_rule_t positions;
  int64_t position_count;
  int64_t position_offset; /* rows of the table before the one of position 0 (OPT, BART: 2) */
  int64_t type_count;      /* 0: the family has no token types */
  int64_t padding_id;      /* MO_NO_TOKEN: none; perhaps no token of the vocabulary */
  float word_scale;        /* of the word table's rows; 0: 1 */
  bool types_are_words;    /* token types are looked up in the word table (GPT-2), and only where they are given */
  bool projected;          /* a dense layer between the embeddings' size and hidden_size */
  bool projection_lacks_bias;
  bool positions_after_projection; /* OPT: the position table is as wide as the layers */
} mo_embedding_config;

/* ---- Attention ---------------------------------------------------------------------------------------------------------- */

/* How the rows of the query, key and value layers lie in the checkpoint. */
typedef enum mo_projections_t {
  MO_PROJECTIONS_SEPARATE = 0, /* three layers, packed as one */
  MO_PROJECTIONS_FUSED,        /* one layer: all queries, all keys, all values */
  MO_PROJECTIONS_PER_HEAD,     /* one layer: query, key and value of the first head, of the second, ... (GPT-NeoX) */
} mo_projections_t;

typedef struct mo_attention_config {
  int64_t head_count, key_value_head_count, head_size;
  bool lacks_bias, output_lacks_bias;
  mo_projections_t projections;
  int64_t encoder_size; /* width of encoder_hidden_states */
  int64_t window;       /* sliding window of layers first_window_layer and later; 0: none */
  int64_t first_window_layer;
  uint64_t full_layers[MO_LISTED_LAYERS / 64];     /* bit i: but not of layer i */
  float scale;                                     /* 0: 1 / sqrt(head_size) */
  bool scale_by_layer;                             /* divided by the layer's number, from 1 on */
  mo_rotary_config rotary;                         /* rotary_dim 0: none */
  int64_t relative_buckets, relative_max_distance; /* T5's bias, shared by all layers; 0: none */
} mo_attention_config;

/* ---- Feed-forward ------------------------------------------------------------------------------------------------------- */

typedef struct mo_feed_forward_config {
  int64_t size; /* of the inner layer */
  mo_activation_t activation;
  bool gated; /* output(activation(gate(x)) * intermediate(x)) */
  bool lacks_bias;
} mo_feed_forward_config;

/* ---- The whole ---------------------------------------------------------------------------------------------------------- */

typedef enum mo_norm_kind_t { MO_NORM_LAYER = 0, MO_NORM_RMS } mo_norm_kind_t;

typedef enum mo_norm_placement_t {
  MO_NORM_AFTER = 0, /* x = norm(x + f(x)) */
  MO_NORM_BEFORE,    /* x = x + f(norm(x)) */
} mo_norm_placement_t;

typedef struct mo_transformer_config {
  mo_embedding_config embedding;
  mo_attention_config attention;
  mo_feed_forward_config feed_forward;
  int64_t hidden_size;
  int64_t output_size; /* of the last hidden state; hidden_size unless it is projected (OPT) */
  int64_t layer_count;
  int64_t layer_group_count; /* layers that have parameters of their own; layer_count unless they are shared (ALBERT) */
  float epsilon;
  mo_norm_kind_t norm;
  mo_norm_placement_t norm_placement;
  bool parallel_residual;  /* x + attention(norm(x)) + mlp(norm'(x)) */
  bool final_norm;         /* behind the last layer; the last of hidden_states is its result */
  bool float32_residual;   /* in float16 the hidden state between the layers is float32: it exceeds 65504 (T5) */
  bool project_output;     /* a dense layer from hidden_size to output_size behind the last layer */
  bool transposed_weights; /* dense layers of the layers lie as (in, out) in the checkpoint (GPT-2) */
  bool decoder;            /* causal, with a cache */
  bool cross_attention;
  /* Of models, not of their layers. */
  bool caches_cross_attention; /* a cache that the run makes itself keeps the cross keys and values too */
  int64_t start_id;            /* first token of a decoder whose ids are made of others, -1: none */
  int64_t end_id;              /* end of a sequence; -1: none */
} mo_transformer_config;

/* Parameter names without ".weight" and ".bias", and without the base prefix. NULL: the family has none. */
typedef struct mo_transformer_names {
  const char *base_prefix; /* "bert" */
  const char *word, *position, *type, *embedding_norm, *projection;
  const char *const *word_aliases; /* NULL-terminated: other names of the word table, looked for in this order; NULL: none */
  const char *own_word; /* the stack's own word table, taken if it is stored and the configuration ties none; NULL: as `word` */
  const char *layer_prefix, *layer_infix; /* "encoder.layer." NUMBER "." */
  const char *query, *key, *value;        /* separate layers, or */
  const char *query_key_value;            /* one */
  const char *attention_output, *attention_norm;
  const char *cross_query, *cross_key, *cross_value; /* or cross_key_value, one layer */
  const char *cross_key_value;
  const char *cross_output, *cross_norm;
  const char *gate, *intermediate, *output, *output_norm;
  const char *ungated_intermediate; /* where the layers have no gate; NULL: intermediate */
  const char *final_norm, *output_projection;
  const char *relative_bias; /* whole name, of the first layer's table */
} mo_transformer_names;

/* The sliding window of a layer; 0: none. */
int64_t mo_transformer_window(const mo_transformer_config *config, int64_t layer);

#endif
