/* host/nn/sinks.h - where a transformer's results go: tensors inside the caller's output.
 *
 * The caller knows the names of its fields and its request; a transformer asks for "state i" and "weights of layer i".
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_SINKS_H
#define MO_NN_SINKS_H

#include "modelout/field.h"
#include "modelout/request.h"

/* Attention weights, one tensor per layer, and which part of them is wanted. */
typedef struct mo_weights_sink {
  const mo_field *layers; /* a list; NULL: not wanted */
  mo_weights_reduction_t reduction;
  mo_index_list heads;
  int64_t last_rows;
  bool keys_first; /* a tensor with more columns than keys: these come first, not last; the others are 0 */
} mo_weights_sink;

typedef struct mo_sinks {
  const mo_field *states; /* a list: state 0 is what the embeddings give, state i what layer i - 1 gives; NULL: not wanted */
  const mo_field *last_state; /* NULL: not wanted */
  mo_weights_sink self_weights, cross_weights;
} mo_sinks;

/* request may be NULL: everything of every layer. */
static inline mo_weights_sink mo_weights_sink_of(const mo_field *layers, const mo_request *request) {
  mo_weights_sink sink = {.layers = layers};
  if (request == NULL) return sink;
  sink.reduction = request->attention_reduction;
  sink.heads = request->attention_heads;
  sink.last_rows = request->last_query_rows;
  return sink;
}

/* The tensor of hidden state `index`, NULL where it is not wanted. The last one may have a field of its own. */
static inline const mo_tensor *mo_sinks_state(const mo_sinks *sinks, int64_t index, bool is_last) {
  const mo_tensor *tensor = mo_field_tensor(mo_field_item(sinks->states, index));
  return tensor == NULL && is_last ? mo_field_tensor(sinks->last_state) : tensor;
}

/* The tensor of the weights of layer `index`, NULL where they are not wanted. */
static inline const mo_tensor *mo_weights_sink_layer(const mo_weights_sink *sink, int64_t index) {
  return mo_field_tensor(mo_field_item(sink->layers, index));
}

#endif
