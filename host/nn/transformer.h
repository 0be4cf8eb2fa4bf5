/* host/nn/transformer.h - a transformer: embeddings and N layers of attention and feed-forward, with their norms and residuals.
 *
 *   post-norm (BERT, BART):         y = norm(x + attention(x));  [z = norm(y + cross(y));]  x = norm(z + feed_forward(z))
 *   pre-norm (GPT-2, LLaMA, T5):    y = x + attention(norm(x));  [z = y + cross(norm(y));]  x = z + feed_forward(norm(z))
 *   around (Gemma 2):               y = x + norm'(attention(norm(x)));  x = y + norm'''(feed_forward(norm''(y)))
 *   parallel (GPT-NeoX):            x = x + attention(norm(x)) + feed_forward(norm'(x))
 *
 * Each block (embedding.h, attention.h, feed_forward.h, relative_bias.h, norm.h, dense.h) loads its parameters, says which
 * memory it needs and runs itself. Each layer's last kernel writes state i + 1 of the sinks if that is wanted, which then is
 * the next layer's input, else one workspace buffer; attention weights go straight into weights i. A final norm stands between
 * the last layer and the last state.
 *
 * CACHES. Keys and values are written to their slots of the cache (mo_cache_prepare) and counted only when the whole run has
 * been enqueued (mo_transformer_commit): a run that fails leaves the cache as it was.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_TRANSFORMER_H
#define MO_NN_TRANSFORMER_H

#include "host/core/arena.h"
#include "host/nn/rotary.h"
#include "host/nn/transformer_config.h"

/* One set of parameters, of one layer or of several. */
typedef struct mo_transformer_layer {
  mo_self_attention attention;
  mo_cross_attention cross;
  mo_feed_forward feed_forward;
  mo_norm_weights attention_norm, cross_norm, feed_forward_norm;
  mo_norm_weights attention_end_norm, feed_forward_end_norm; /* of MO_NORM_AROUND */
} mo_transformer_layer;

typedef struct mo_transformer {
  mo_transformer_config config;
  mo_context_t *context;
  mo_dtype_t dtype;
  mo_token_embedding embedding;
  mo_relative_bias relative_bias;
  mo_rotary_tables rotary, local_rotary;
  mo_transformer_layer *layers; /* layer_set_count of them */
  int64_t layer_set_count;
  mo_norm_weights final_norm;
  mo_dense output_projection;
} mo_transformer;

/* ---- transformer.c ---- */

/* Loads (or, in the looking walk, only checks) every parameter. `layers` is allocated at the first walk. On failure the
 * transformer is still to be released, as it is if nothing but its configuration was made. */
mo_status_t mo_transformer_load(mo_transformer *transformer, mo_loader *loader, const mo_transformer_names *names);
void mo_transformer_release(mo_transformer *transformer);

/* Rotary tables for `position_count` positions of a sequence of `length`. Does nothing once they are there; growing waits for
 * the device. */
mo_status_t mo_transformer_prepare_rotary(mo_transformer *transformer, int64_t position_count, int64_t length);

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
void mo_transformer_carve(const mo_transformer *transformer, const mo_transformer_inputs *inputs, mo_arena *arena,
                          mo_transformer_workspace *workspace);

/* ---- transformer_forward.c ---- */

/* Runs it. `last_hidden` (B, S, output size) describes the result wherever it lies. */
mo_status_t mo_transformer_forward(const mo_transformer *transformer, const mo_transformer_inputs *inputs,
                                   const mo_transformer_workspace *workspace, const mo_sinks *sinks, mo_tensor *last_hidden);

/* Counts the tokens that a forward pass has written to the caches. */
mo_status_t mo_transformer_commit(const mo_transformer *transformer, const mo_transformer_inputs *inputs);

/* Of the hidden state between the layers. */
static inline mo_dtype_t mo_transformer_residual_dtype(const mo_transformer *transformer) {
  const bool wide = transformer->config.residual == MO_RESIDUAL_FLOAT32_FOR_FLOAT16 && transformer->dtype == MO_DTYPE_FLOAT16;
  return wide ? MO_DTYPE_FLOAT32 : transformer->dtype;
}

#endif
