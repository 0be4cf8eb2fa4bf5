/* host/heads/sequence.h - one vector per sequence, and logits of it.
 *
 *   summary  activation(dense(first token)): poolers, and the first layer of classification heads
 *   logits   classifier(summary)
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_HEADS_SEQUENCE_H
#define MO_HEADS_SEQUENCE_H

#include "host/call/call.h"
#include "host/nn/dense.h"

typedef struct mo_sequence_layers {
  mo_dense summary, classifier;
} mo_sequence_layers;

/* The architecture's summary and a classifier of `class_count` rows. */
mo_status_t mo_sequence_load(mo_model_t *model, mo_loader *loader, int64_t class_count, mo_sequence_layers *layers);
void mo_sequence_release(mo_sequence_layers *layers);

/* The architecture's classifier: a dense layer whose rows are used as they lie in the file. */
mo_status_t mo_load_classifier(mo_model_t *model, mo_loader *loader, int64_t class_count, mo_dense *classifier);

/* summary (B, C) = activation(dense(tokens)), tokens (B, C). */
mo_status_t mo_summarise(const mo_call *call, const mo_dense *dense, const mo_tensor *tokens, const mo_tensor *summary);

/* The same without a layer: summary = tokens; or the mean of all tokens of each sequence (B, S, C). */
mo_status_t mo_copy_tokens(const mo_call *call, const mo_tensor *summary, const mo_tensor *tokens);
mo_status_t mo_mean_tokens(const mo_call *call, const mo_tensor *summary, const mo_tensor *hidden);

/* Memory for the summaries. */
void *mo_sequence_carve(mo_call *call, mo_arena *arena);

/* Logits of the first token of every sequence; `logits` may be (B, classes) or, for multiple choice, (examples, choices). */
mo_status_t mo_sequence_forward(const mo_call *call, const mo_sequence_layers *layers, const mo_tensor *hidden, void *memory,
                                const mo_tensor *logits);

/* The same of (B, C) vectors that are summaries already. */
mo_status_t mo_sequence_classify(const mo_call *call, const mo_sequence_layers *layers, const mo_tensor *summary,
                                 const mo_tensor *logits);

#endif
