/* host/nn/norm.h - layer norms and RMS norms.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_NORM_H
#define MO_NN_NORM_H

#include "host/checkpoint/loader.h"

typedef enum mo_norm_kind_t {
  MO_NORM_LAYER = 0,
  MO_NORM_RMS,
  MO_NORM_RMS_ABOVE_ONE, /* the factor is 1 + weight (Gemma) */
} mo_norm_kind_t;

typedef struct mo_norm_config {
  mo_norm_kind_t kind;
  float epsilon;
} mo_norm_config;

typedef struct mo_norm_weights {
  mo_norm_kind_t kind;
  mo_weight weight, bias; /* RMS norms have no bias */
} mo_norm_weights;

/* PREFIX STEM.weight and, of a layer norm, .bias. `dtype` is that of what the norm reads. */
mo_status_t mo_load_norm(mo_loader *loader, const char *prefix, const char *stem, mo_norm_kind_t kind, mo_dtype_t dtype,
                         int64_t count, mo_norm_weights *norm);

void mo_norm_weights_release(mo_norm_weights *norm);

/* output = norm(input + residual); residual may be NULL; output may be input. */
mo_status_t mo_norm_apply(mo_context_t *context, const mo_norm_weights *norm, float epsilon, const mo_tensor *output,
                          const mo_tensor *input, const mo_tensor *residual);

#endif
