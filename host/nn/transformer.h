/* host/nn/transformer.h - the layer stack all families share: embeddings and N layers of attention and feed-forward.
 *
 *   norms behind (BERT, BART):          y = norm(x + attention(x));  [z = norm(y + cross(y));]  x = norm(z + mlp(z))
 *   norms before (GPT-2, LLaMA, T5):    y = x + attention(norm(x));  [z = y + cross(norm(y));]  x = z + mlp(norm(z))
 *   in parallel (GPT-NeoX):             x = x + attention(norm(x)) + mlp(norm'(x))
 *
 * Everything else is in mo_transformer_config. Query, key and value are one product. Each layer's last kernel writes
 * hidden_states[i + 1] of the output if that is present, which then is the next layer's input, else one workspace buffer;
 * attention weights go straight into attentions[i]. A final norm stands between the last layer and the last of hidden_states.
 *
 * CACHES. Keys and values are written to their place in the cache (mo_cache_prepare) and counted only when the whole run has
 * been enqueued (mo_transformer_commit): a run that fails leaves the cache as it was.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_TRANSFORMER_H
#define MO_NN_TRANSFORMER_H

#include "host/core/arena.h"
#include "host/nn/transformer_config.h"
#include "host/nn/weights.h"
#include "modelout/cache.h"
#include "modelout/output.h"

typedef struct mo_transformer_layer {
  mo_dense query_key_value, attention_output;
  mo_norm_weights attention_norm;
  mo_dense cross_query, cross_key_value, cross_output;
  mo_norm_weights cross_norm;
  mo_dense intermediate; /* gated: the gate's rows, then the others */
  mo_dense output;
  mo_norm_weights output_norm;
} mo_transformer_layer;

typedef struct mo_transformer {
  mo_transformer_config config;
  mo_context_t *context;
  mo_dtype_t dtype;
  mo_weight word, position, type, relative_bias;
  mo_norm_weights embedding_norm, final_norm;
  mo_dense projection, output_projection;
  mo_transformer_layer *layers; /* config.layer_group_count of them */
  /* Cosines and sines of the positions 0 .. rotary_count - 1, one block; rotary_length is what dynamic scaling was told. */
  void *rotary_tables;
  int64_t rotary_count, rotary_length;
} mo_transformer;

/* Of the hidden state between the layers. */
static inline mo_dtype_t mo_transformer_residual_dtype(const mo_transformer *stack) {
  return stack->config.float32_residual && stack->dtype == MO_DTYPE_FLOAT16 ? MO_DTYPE_FLOAT32 : stack->dtype;
}

/* ---- stack_load.c ---- */

/* Loads (or, in the looking walk, only checks) every parameter. `layers` is allocated at the first walk. On failure the stack
 * is still to be released. */
mo_status_t mo_transformer_load(mo_transformer *stack, mo_loader *loader, const mo_transformer_names *names);
void mo_transformer_release(mo_transformer *stack);

/* Rotary tables for `position_count` positions of a sequence of `length`. Does nothing once they are there; growing waits for
 * the device. */
mo_status_t mo_transformer_prepare_rotary(mo_transformer *stack, int64_t position_count, int64_t length);

/* ---- stack_run.c ---- */

/* Inputs on the device, checked. Descriptors with dtype NONE are not given. */
typedef struct mo_transformer_inputs {
  int64_t batch_size, sequence_length;
  mo_tensor ids;       /* (B, S) */
  mo_tensor embeds;    /* (B, S, E), instead of ids */
  mo_tensor types;     /* (B, S) */
  mo_tensor positions; /* (B|1, S); rows of the whole position table if positions_are_rows */
  bool positions_are_rows;
  mo_tensor mask; /* (B, 1, 1|S, past + S); NONE: every key is visible */
  /* Decoders. */
  mo_cache_t *cache_pair;  /* self and cross cache as one object; NULL: there is no cross cache */
  mo_cache_t *cache;       /* of the self attention; NULL: none */
  mo_cache_t *cross_cache; /* NULL: none */
  bool cache_is_new;       /* nothing has been written yet, so its extents are not known */
  bool cross_is_new;
  bool cross_is_cached;     /* the cross cache holds the keys and values already */
  int64_t past_length;      /* tokens in the cache */
  bool rows_differ;         /* those of the longest row */
  int64_t key_length;       /* past and new ones; with cache_lengths the most there can be */
  mo_tensor cache_lengths;  /* (B) int32: what each row holds, instead of past_length */
  mo_tensor encoder_hidden; /* (B * T, C), contiguous */
  mo_tensor encoder_mask;   /* (B, 1, 1, T) */
  int64_t encoder_length;   /* T, also where only the cross cache has it; 0: no cross attention */
} mo_transformer_inputs;

/* Where the results go; NULL: not wanted. */
typedef struct mo_transformer_outputs {
  mo_field *last_hidden_state, *hidden_states, *attentions, *cross_attentions;
} mo_transformer_outputs;

/* Device memory of a run. */
typedef struct mo_transformer_workspace {
  void *hidden;   /* B * S * max(C, output size): the hidden state where the output has no place for it, in its own dtype */
  void *attended; /* B * S * C */
  void *second;   /* like hidden: the second norm of parallel residuals, or the result where it cannot lie in hidden; not free
                     after the run */
  void *wide;     /* B * S * mo_transformer_wide_size() */
  void *cross;    /* keys and values of the encoder */
  void *spare;    /* attended and wide, which nobody needs after the run */
  size_t spare_bytes;
  void *bias; /* relative position bias, of every row if they differ */
} mo_transformer_workspace;

/* Elements per token of the widest temporary. */
int64_t mo_transformer_wide_size(const mo_transformer_config *config);

/* `inputs` needs its extents and caches only. */
void mo_transformer_carve(const mo_transformer *stack, const mo_transformer_inputs *inputs, mo_arena *arena,
                          mo_transformer_workspace *workspace);

/* Runs it. `last_hidden` (B, S, output size) describes the result wherever it lies. */
mo_status_t mo_transformer_forward(const mo_transformer *stack, const mo_transformer_inputs *inputs,
                                   const mo_transformer_workspace *workspace, const mo_request *request,
                                   const mo_transformer_outputs *outputs, mo_tensor *last_hidden);

/* Counts the tokens that a forward pass has written to the caches. */
mo_status_t mo_transformer_commit(const mo_transformer *stack, const mo_transformer_inputs *inputs);

/* ---- stack_attention.c ---- */

/* What stays the same over the layers of one run. */
typedef struct mo_transformer_run {
  const mo_transformer *stack;
  const mo_transformer_inputs *inputs;
  const mo_transformer_workspace *workspace;
  const mo_request *request;
  const mo_transformer_outputs *outputs;
  int64_t tokens; /* B * S */
} mo_transformer_run;

/* (rows, width), contiguous. */
mo_tensor mo_transformer_matrix(const mo_transformer_run *run, void *data, int64_t rows, int64_t width);

/* The bias all layers share, if the stack has one: once per run, before the layers. */
mo_status_t mo_transformer_relative_bias(const mo_transformer_run *run);

/* From the product of query, key and value (B * S, ...) to the mixed values (B * S, heads * head size). */
mo_status_t mo_transformer_self_attention(const mo_transformer_run *run, int64_t index, const mo_tensor *product,
                                          const mo_tensor *mixed);

/* From the queries (B * S, heads * head size) to the mixed values. Keys and values are made of encoder_hidden, or are in the
 * cross cache. */
mo_status_t mo_transformer_cross_attention(const mo_transformer_run *run, int64_t index, const mo_transformer_layer *layer,
                                           const mo_tensor *query, const mo_tensor *mixed);

/* What both ways of a layer's attention share: its scale, and the part of a field's weights that belongs to the last
 * `key_length` keys; what lies before it is cleared. *view is dtype NONE if the weights are not wanted. */
float mo_transformer_attention_scale(const mo_transformer_config *config, int64_t index);
mo_status_t mo_transformer_weights_view(const mo_transformer_run *run, const mo_field *field, int64_t index, int64_t key_length,
                                        mo_tensor *view);

/* The last `count` entries of the last dimension. */
mo_tensor mo_transformer_last_columns(const mo_tensor *tensor, int64_t count);

/* The relative bias of the run as it lies in the workspace. */
mo_tensor mo_transformer_bias(const mo_transformer_run *run);

/* ---- stack_decode.c: the same for a few new tokens over a cache, which is one call ---- */

/* Whether it is: few enough tokens, and a cache whose extents are known. */
bool mo_transformer_decodes(const mo_transformer_run *run);

/* Turns and appends the new keys and values, and attends. Views as mo_attention takes them. */
mo_status_t mo_transformer_decode(const mo_transformer_run *run, int64_t index, const mo_rotary *rotary, const mo_tensor *query,
                                  const mo_tensor *key, const mo_tensor *value, const mo_tensor *output);

/* Over the keys and values of the encoder that the cross cache holds. */
mo_status_t mo_transformer_decode_cross(const mo_transformer_run *run, int64_t index, const mo_tensor *query,
                                        const mo_tensor *output);

#endif
