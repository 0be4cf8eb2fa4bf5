/* modelout/request.h - what a caller wants of a run: which optional fields, and which part of them.
 *
 * Bytes and work are saved for everything not selected: an unselected layer's attention weights are never computed, and an
 * unselected logit position never goes through the head.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_REQUEST_H
#define MODELOUT_REQUEST_H

#include "modelout/class.h"
#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mo_weights_reduction_t {
  MO_WEIGHTS_REDUCTION_NONE = 0,       /* (batch, selected heads, selected rows, key length) */
  MO_WEIGHTS_REDUCTION_HEAD_MEAN = 1,  /* mean over the selected heads: (batch, 1, selected rows, key length) */
  MO_WEIGHTS_REDUCTION_COLUMN_SUM = 2, /* sum over the selected query rows: (batch, selected heads, 1, key length) */
} mo_weights_reduction_t;

/* A list of layer or head numbers; NULL with count 0 selects all. Negative numbers count from the end. The library copies it.
 */
typedef struct mo_index_list {
  const int32_t *indices;
  int32_t count;
} mo_index_list;

typedef struct mo_request {
  size_t struct_size;
  bool output_hidden_states; /* hidden_states, encoder_ and decoder_hidden_states */
  bool output_attentions;    /* attentions, encoder_ and decoder_attentions, cross_attentions */
  bool use_cache;            /* past_key_values */
  /* Selection. Layers not selected stay in the tuple as None, so that positions hold. */
  mo_index_list hidden_state_layers; /* positions in hidden_states: 0 is the embedding output */
  mo_index_list attention_layers;
  mo_index_list attention_heads; /* kept in the order given; repeated numbers are an error */
  int64_t last_query_rows;       /* attention weights of the last n query rows only; 0: all */
  int64_t last_logit_positions;  /* logits of the last n positions only (classes with logits per token); 0: all */
  mo_weights_reduction_t attention_reduction;
  mo_dtype_t attention_dtype; /* stored type of attention weights; NONE: that of the model */
  bool output_router_logits;  /* mixtures of experts: router_logits, router_probs, and the losses of the router */
} mo_request;

#define MO_REQUEST_INIT MO_STRUCT_INIT(mo_request)

/* One entry of a tuple, or the tensor of a field. */
typedef struct mo_entry_extents {
  mo_dtype_t dtype; /* NONE: that of the field */
  int32_t rank;     /* -1: the entry is None */
  int64_t shape[MO_MAX_DIMS];
  /* Entries that are tuples themselves (router_logits of Switch): their tensors. `rank` and `shape` then say nothing. */
  const struct mo_entry_extents *items;
  int32_t item_count; /* 0: the entry is one tensor */
} mo_entry_extents;

/* What a model states of one field where the symbols of the class do not say it: entries of different extents (a pyramid of
 * stages), of another number, or fields that only the model knows of. */
typedef struct mo_field_extents {
  const char *field; /* of the class: a tensor, or a tuple of tensors */
  const mo_entry_extents *entries;
  int32_t count; /* entries of a tuple; of a tensor 1; 0: the model does not give this field */
} mo_field_extents;

/* The extents behind the symbols of a class's shapes. Fill what the class uses; 0 means "not given" and is refused where a
 * present field needs it (an extent that really is 0 is given as MO_EXTENT_ZERO). */
typedef struct mo_dimensions {
  size_t struct_size;
  mo_dtype_t dtype; /* of all floating fields; NONE: float32. Losses are always float32 */
  int64_t batch_size;
  int64_t sequence_length;         /* of the model, or of the decoder in encoder-decoder classes */
  int64_t key_length;              /* last extent of attentions; 0: sequence_length (larger with past key values) */
  int64_t encoder_sequence_length; /* encoder fields and cross attention keys; 0: sequence_length */
  int64_t hidden_size;
  int64_t num_layers;         /* of the model or decoder */
  int64_t encoder_num_layers; /* 0: num_layers */
  int64_t num_heads;
  int64_t encoder_num_heads;   /* 0: num_heads */
  int64_t num_key_value_heads; /* of caches; 0: num_heads */
  int64_t embed_size_per_head; /* head_dim of caches; 0: hidden_size / num_heads */
  int64_t vocab_size;
  int64_t num_labels;
  int64_t num_choices;
  int64_t feature_size;
  int64_t loss_count;                                                           /* TensorFlow losses of shape (n,): n; 0: 1 */
  int64_t height, width, num_channels, patch_size, logits_height, logits_width; /* image classes */
  int64_t xvector_output_dim, conv_dim, num_bins;                               /* audio classes */
  int64_t num_samples, num_params, prediction_length, input_size, max_length;   /* time series and generation */
  bool no_embedding_layer;  /* hidden_states has num_layers entries, not num_layers + 1, where the class leaves that open */
  bool final_norm;          /* a norm stands between the last layer and last_hidden_state: they do not share memory */
  bool has_loss;            /* labels (or what the class needs) are given */
  bool add_cross_attention; /* the model has cross attention */
  bool no_pooler;           /* pooler_output is absent */
  int64_t last_hidden_size; /* of the last hidden state; 0: hidden_size (models that project it); with final_norm the last of
                               hidden_states is what stands before that */
  bool no_cache;            /* the model has none: past_key_values is absent; with cache_is_given it may be put in after the run */
  bool encoder_is_given; /* the encoder has run elsewhere: encoder_last_hidden_state gets no memory and is None until it is put
                            in; the encoder's hidden states and attentions are absent */
  bool cache_is_given; /* past_key_values gets no memory: it is None until its field (mo_cache_field) is put in after the run */
  /* Fields whose extents are these, whatever the symbols say. The request is obeyed all the same: what it does not ask for is
   * absent, its selections hold, and attention weights (rank 4) are reduced as it says. May be NULL with a count of 0. */
  const mo_field_extents *stated;
  int32_t stated_count;
} mo_dimensions;

#define MO_DIMENSIONS_INIT MO_STRUCT_INIT(mo_dimensions)
#define MO_EXTENT_ZERO INT64_MIN

#ifdef __cplusplus
}
#endif
#endif
