/* host/model/encoder.h - the encoder stack the BERT family shares: embeddings and N layers of attention and feed-forward.
 *
 *   x = norm(word + position + type)        [then a projection, where embedding and hidden size differ]
 *   y = norm(x + dense(attention(x)))
 *   x = norm(y + dense(activation(dense(y))))
 *
 * Query, key and value are one product. Each layer's last kernel writes hidden_states[i + 1] of the output if that is present,
 * which then is the next layer's input, else one workspace buffer; attention weights go straight into attentions[i].
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_MODEL_ENCODER_H
#define MO_MODEL_ENCODER_H

#include "host/core/arena.h"
#include "host/model/family.h"
#include "host/model/weights.h"
#include "modelout/output.h"

typedef struct mo_encoder_layer {
  mo_dense query_key_value;
  mo_dense attention_output;
  mo_norm_weights attention_norm;
  mo_dense intermediate;
  mo_dense output;
  mo_norm_weights output_norm;
} mo_encoder_layer;

typedef struct mo_encoder {
  mo_encoder_config config;
  mo_context_t *context;
  mo_dtype_t dtype;
  mo_weight word, position, type;
  mo_norm_weights embedding_norm;
  mo_dense projection;
  mo_encoder_layer *layers; /* config.layer_group_count of them */
} mo_encoder;

/* Loads (or, in the looking walk, only checks) every parameter. `layers` is allocated at the first walk. On failure the encoder
 * is still to be released. */
mo_status_t mo_encoder_load(mo_encoder *encoder, mo_loader *loader, const mo_encoder_names *names);
void mo_encoder_release(mo_encoder *encoder);

/* Inputs on the device, checked. Descriptors with dtype NONE are not given. */
typedef struct mo_encoder_inputs {
  int64_t batch_size, sequence_length;
  mo_tensor ids;       /* (B, S) */
  mo_tensor embeds;    /* (B, S, E), instead of ids */
  mo_tensor types;     /* (B, S) */
  mo_tensor positions; /* (B|1, S) */
  mo_tensor mask;      /* (B, 1, 1|S, S); NONE: every key is visible */
} mo_encoder_inputs;

/* Device memory of a run. After it, everything but `hidden` is free for the heads. */
typedef struct mo_encoder_workspace {
  void *hidden;   /* B * S * C: the hidden state where the output has no place for it */
  void *attended; /* B * S * C */
  void *wide;     /* B * S * mo_encoder_wide_size() */
} mo_encoder_workspace;

/* Elements per token of the widest temporary. */
int64_t mo_encoder_wide_size(const mo_encoder_config *config);

void mo_encoder_carve(const mo_encoder *encoder, int64_t token_count, mo_arena *arena, mo_encoder_workspace *workspace);

/* Runs it. The hidden states, attentions and last_hidden_state that the output has are written; `last_hidden` (B, S, C)
 * describes the result wherever it lies. */
mo_status_t mo_encoder_forward(const mo_encoder *encoder, const mo_encoder_inputs *inputs,
                               const mo_encoder_workspace *workspace, const mo_request *request, mo_output *output,
                               mo_tensor *last_hidden);

#endif
