/* host/nn/pass.h - one forward pass: what every block of a transformer sees of it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_PASS_H
#define MO_NN_PASS_H

#include "host/core/tensor_view.h"
#include "host/nn/sinks.h"
#include "modelout/cache.h"

typedef struct mo_pass mo_pass;

/* What gives a transformer its first states where they are not those of tokens: writes state 0, (B * S, C). */
typedef struct mo_embedder {
  mo_status_t (*embed)(const void *state, const mo_pass *pass, const mo_tensor *destination);
  const void *state;
} mo_embedder;

/* Inputs on the device, checked. Descriptors with dtype NONE are not given. */
typedef struct mo_transformer_inputs {
  int64_t batch_size, sequence_length;
  mo_embedder embedder; /* embed NULL: the transformer's own embedding, of what follows */
  mo_tensor ids;        /* (B, S) */
  mo_tensor embeds;     /* (B, S, E), instead of ids */
  mo_tensor types;      /* (B, S) */
  mo_tensor positions;  /* (B|1, S); rows of the whole position table if positions_are_rows */
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

struct mo_pass {
  mo_context_t *context;
  mo_dtype_t dtype; /* of the weights, and of everything between the layers unless they say otherwise */
  const mo_transformer_inputs *inputs;
  const mo_sinks *sinks;
  int64_t tokens; /* B * S */
  void *wide;     /* temporaries of the block that is running */
};

/* (rows, width), contiguous. */
static inline mo_tensor mo_pass_matrix(const mo_pass *pass, void *data, int64_t rows, int64_t width) {
  return mo_device_tensor(pass->context, data, pass->dtype, 2, (int64_t[]){rows, width});
}

/* (B * S, width), contiguous. */
static inline mo_tensor mo_pass_tokens(const mo_pass *pass, void *data, int64_t width) {
  return mo_pass_matrix(pass, data, pass->tokens, width);
}

/* (B, S, width), contiguous. */
static inline mo_tensor mo_pass_states(const mo_pass *pass, void *data, int64_t width) {
  const int64_t shape[3] = {pass->inputs->batch_size, pass->inputs->sequence_length, width};
  return mo_device_tensor(pass->context, data, pass->dtype, 3, shape);
}

#endif
