/* host/nn/transformer_config.h - sizes and rules of a transformer, and the names of its parameters. Each block's own stand in
 * its header; what differs from layer to layer stands in the specification of each layer.
 *
 * Zero is what BERT does.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_TRANSFORMER_CONFIG_H
#define MO_NN_TRANSFORMER_CONFIG_H

#include "host/nn/attention.h"
#include "host/nn/embedding.h"
#include "host/nn/feed_forward.h"
#include "host/nn/norm.h"
#include "host/nn/relative_bias.h"

typedef enum mo_norm_placement_t {
  MO_NORM_POST = 0, /* x = norm(x + f(x)) */
  MO_NORM_PRE,      /* x = x + f(norm(x)) */
  MO_NORM_AROUND,   /* x = x + norm'(f(norm(x))) */
  MO_NORM_PARALLEL, /* x = x + attention(norm(x)) + feed_forward(norm'(x)) */
} mo_norm_placement_t;

/* Whether a norm follows the last layer, and which of the hidden states is its result. */
typedef enum mo_final_norm_t {
  MO_FINAL_NORM_NONE = 0,
  MO_FINAL_NORM_IN_STATES,    /* the last of hidden_states too */
  MO_FINAL_NORM_AFTER_STATES, /* only last_hidden_state: the last of hidden_states is what the layer gave (CLIP) */
} mo_final_norm_t;

/* The dtype of the hidden state between the layers. */
typedef enum mo_residual_t {
  MO_RESIDUAL_AS_WEIGHTS = 0,
  MO_RESIDUAL_FLOAT32_FOR_FLOAT16, /* T5: in float16 it exceeds 65504 */
} mo_residual_t;

/* A dense layer that makes the last hidden state. */
typedef enum mo_output_projection_t {
  MO_OUTPUT_PROJECTION_TO_OTHER_SIZE = 0, /* if output_size is not hidden_size, without a bias (OPT) */
  MO_OUTPUT_PROJECTION_ALWAYS,            /* with a bias (AltCLIP) */
} mo_output_projection_t;

/* One layer. */
typedef struct mo_layer_spec {
  int64_t parameters;    /* which set of parameters it takes: its own number, unless layers share them (ALBERT) */
  int64_t window;        /* sliding window of its self attention; 0: none */
  float attention_scale; /* of its attention scores */
  bool rotary;           /* queries and keys are rotated, */
  bool rotary_is_local;  /* by the second tables */
  mo_feed_forward_kind_t feed_forward;
} mo_layer_spec;

typedef struct mo_transformer_config {
  mo_embedding_config embedding;
  mo_attention_config attention;
  mo_relative_bias_config relative_bias;
  mo_feed_forward_config feed_forward;
  mo_norm_config norm;
  mo_norm_placement_t norm_placement;
  mo_residual_t residual;
  int64_t hidden_size;
  int64_t output_size; /* of the last hidden state */
  mo_output_projection_t output_projection;
  int64_t layer_count;
  mo_layer_spec *layers; /* layer_count of them, owned (malloc) */
  mo_final_norm_t final_norm;
  mo_rotary_config local_rotary; /* of layers whose rotary_is_local; rotary_dim 0: there are none */
  bool cache_slides;             /* a cache that the run makes drops what layers with a window no longer see */
  bool decoder;                  /* causal, with a cache */
  bool causal;                   /* without one (CLIP's text model) */
  bool cross_attention;
  /* Of models, not of their layers. */
  bool caches_cross_attention; /* a cache that the run makes itself keeps the cross keys and values too */
  float logit_cap;             /* of the vocabulary's logits; 0: none */
  int64_t start_id;            /* first token of a decoder whose ids are made of others, -1: none */
  int64_t end_id;              /* end of a sequence; -1: none */
} mo_transformer_config;

/* Parameter names without ".weight" and ".bias", and without the base prefix. NULL: the family has none. */
typedef struct mo_transformer_names {
  mo_embedding_names embedding;
  const char *layer_prefix, *layer_infix; /* "encoder.layer." NUMBER "."; what follows stands behind it */
  mo_attention_names attention, cross;
  mo_feed_forward_names feed_forward;
  const char *attention_norm, *cross_norm, *feed_forward_norm; /* beside the block of that name, wherever it is placed */
  const char *attention_end_norm, *feed_forward_end_norm;      /* behind it, with MO_NORM_AROUND */
  const char *final_norm, *output_projection;
  const char *relative_bias; /* whole name, of the first layer's table */
} mo_transformer_names;

static inline bool mo_transformer_projects_output(const mo_transformer_config *config) {
  return config->output_projection == MO_OUTPUT_PROJECTION_ALWAYS || config->output_size != config->hidden_size;
}

/* The sliding window of a layer; 0: none. */
static inline int64_t mo_transformer_window(const mo_transformer_config *config, int64_t layer) {
  return layer < config->layer_count ? config->layers[layer].window : 0;
}

#endif
