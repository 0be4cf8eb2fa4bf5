/* host/heads/vocabulary.h - logits of the vocabulary: decoder(norm(activation(transform(hidden)))), or decoder(hidden).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_HEADS_VOCABULARY_H
#define MO_HEADS_VOCABULARY_H

#include "host/call/call.h"
#include "host/nn/dense.h"
#include "host/nn/norm.h"

typedef struct mo_vocabulary {
  mo_dense transform, decoder;
  mo_norm_weights transform_norm;
  float scale; /* what the decoder's input is multiplied with */
} mo_vocabulary;

mo_status_t mo_vocabulary_load(mo_model_t *model, mo_loader *loader, mo_vocabulary *vocabulary);
void mo_vocabulary_release(mo_vocabulary *vocabulary);

/* Memory for the rows on their way. */
void *mo_vocabulary_carve(mo_call *call, mo_arena *arena);

/* The logits of the last positions, as many as `logits` has. */
mo_status_t mo_vocabulary_forward(const mo_call *call, const mo_vocabulary *vocabulary, const mo_tensor *hidden, void *memory,
                                  const mo_tensor *logits);

#endif
