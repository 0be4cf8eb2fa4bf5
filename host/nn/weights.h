/* host/nn/weights.h - loading what models are made of: dense layers, norms and tables.
 *
 * Everything is loaded twice by the same code: a walk with context NULL that only looks (see host/checkpoint/checkpoint.h),
 * then the walk that loads.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_WEIGHTS_H
#define MO_NN_WEIGHTS_H

#include "host/checkpoint/checkpoint.h"
#include "host/core/tensor_view.h"
#include "host/nn/transformer_config.h"
#include "modelout/linear.h"

#define MO_PARAMETER_NAME_BYTES 256

typedef struct mo_loader {
  mo_checkpoint_t *checkpoint;
  mo_context_t *context; /* NULL: look only */
  mo_dtype_t dtype;
  mo_load_mode_t mode;
  bool allow_missing;
  /* NULL-terminated stems: heads that the configuration ties to the word table, which may be stored under their name alone. */
  const char *const *tied_heads;
  int64_t parameter_count; /* elements loaded, shared ones once */
  bool any_mapped;         /* some weight lay in the mapped file when it was loaded */
} mo_loader;

/* A dense layer. Exactly one of `packed` and `weight` is there; a borrowed weight (tied to a table) has no owner. */
typedef struct mo_dense {
  int64_t rows, columns; /* N, K */
  mo_packed_weight_t *packed;
  mo_weight weight;
  mo_weight bias; /* dtype NONE: no bias */
} mo_dense;

typedef struct mo_norm_weights {
  mo_norm_kind_t kind;
  mo_weight weight, bias; /* RMS norms have no bias */
} mo_norm_weights;

/* "prefix" "name" "suffix" into one name. INTERNAL if it does not fit. */
mo_status_t mo_parameter_name(char name[MO_PARAMETER_NAME_BYTES], const char *prefix, const char *stem, const char *suffix);

mo_status_t mo_load_table(mo_loader *loader, const char *name, int64_t rows, int64_t columns, mo_weight *weight);
mo_status_t mo_load_vector(mo_loader *loader, const char *name, int64_t count, mo_weight *weight);

/* How a dense layer lies in the checkpoint. */
typedef struct mo_dense_rule {
  int64_t rows[3]; /* of one to three layers, packed as one product one under the other; 0: no further layer */
  int64_t columns;
  bool lacks_bias;
  bool transposed; /* the weight is (columns, rows) in the file */
} mo_dense_rule;

/* PREFIX STEM.weight and .bias, packed; the originals are given back. */
mo_status_t mo_load_dense(mo_loader *loader, const char *prefix, const char *const *stems, const mo_dense_rule *rule,
                          mo_dense *dense);

/* The same for one layer that has a bias and lies as it is used. */
mo_status_t mo_load_simple_dense(mo_loader *loader, const char *stem, int64_t rows, int64_t columns, mo_dense *dense);

/* The same for one layer without packing: for layers whose rows are used one by one. */
mo_status_t mo_load_plain_dense(mo_loader *loader, const char *stem, int64_t rows, int64_t columns, bool lacks_bias,
                                mo_dense *dense);

/* PREFIX STEM.weight and, of a layer norm, .bias. `dtype` is that of what the norm reads. */
mo_status_t mo_load_norm(mo_loader *loader, const char *prefix, const char *stem, mo_norm_kind_t kind, mo_dtype_t dtype,
                         int64_t count, mo_norm_weights *norm);

void mo_dense_release(mo_dense *dense);
void mo_norm_weights_release(mo_norm_weights *norm);

/* output = activation(input * weight^T + bias) + residual; residual may be NULL, or output. */
mo_status_t mo_dense_apply(mo_context_t *context, const mo_dense *dense, mo_activation_t activation, const mo_tensor *output,
                           const mo_tensor *input, const mo_tensor *residual);

/* output = norm(input + residual); residual may be NULL; output may be input. */
mo_status_t mo_norm_apply(mo_context_t *context, const mo_norm_weights *norm, float epsilon, const mo_tensor *output,
                          const mo_tensor *input, const mo_tensor *residual);

/* The descriptor of a loaded weight, NULL if it is not there. */
static inline const mo_tensor *mo_weight_tensor(const mo_weight *weight) {
  return weight->tensor.dtype == MO_DTYPE_NONE ? NULL : &weight->tensor;
}

#endif
