/* host/nn/dense.h - dense layers: output = activation(input * weight^T + bias) + residual.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_DENSE_H
#define MO_NN_DENSE_H

#include "host/checkpoint/loader.h"
#include "modelout/linear.h"

/* A dense layer. Exactly one of `packed` and `weight` is there; a borrowed weight (tied to a table) has no owner. */
typedef struct mo_dense {
  int64_t rows, columns; /* N, K */
  mo_packed_weight_t *packed;
  mo_weight weight;
  mo_weight bias; /* dtype NONE: no bias */
} mo_dense;

/* How a weight lies in the checkpoint. */
typedef enum mo_dense_layout_t {
  MO_DENSE_OUTPUT_BY_INPUT = 0, /* (rows, columns), as PyTorch's Linear has it */
  MO_DENSE_INPUT_BY_OUTPUT,     /* (columns, rows), as Transformers' Conv1D has it */
} mo_dense_layout_t;

typedef struct mo_dense_rule {
  int64_t rows[3]; /* of one to three layers, packed as one product one under the other; 0: no further layer */
  int64_t columns;
  bool lacks_bias;
  mo_dense_layout_t layout;
} mo_dense_rule;

/* PREFIX STEM.weight and .bias, packed; the originals are given back. */
mo_status_t mo_load_dense(mo_loader *loader, const char *prefix, const char *const *stems, const mo_dense_rule *rule,
                          mo_dense *dense);

/* The same for one layer that has a bias and lies as it is used. */
mo_status_t mo_load_simple_dense(mo_loader *loader, const char *stem, int64_t rows, int64_t columns, mo_dense *dense);

/* The same for one layer without packing: for layers whose rows are used one by one. */
mo_status_t mo_load_plain_dense(mo_loader *loader, const char *stem, int64_t rows, int64_t columns, bool lacks_bias,
                                mo_dense *dense);

void mo_dense_release(mo_dense *dense);

/* output = activation(input * weight^T + bias) + residual; residual may be NULL, or output. */
mo_status_t mo_dense_apply(mo_context_t *context, const mo_dense *dense, mo_activation_t activation, const mo_tensor *output,
                           const mo_tensor *input, const mo_tensor *residual);

#endif
