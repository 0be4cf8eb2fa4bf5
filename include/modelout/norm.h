/* modelout/norm.h - layer norm and RMS norm, with the residual addition and the bias before it in the same pass.
 *
 *   sum    = input + input_bias + residual                                  (stored in input's dtype if `sum` is given)
 *   layer: output = (sum - mean(sum)) / sqrt(var(sum) + epsilon) * weight + bias      biased variance
 *   rms:   output = sum / sqrt(mean(sum^2) + epsilon) * weight                        (weight_offset 1: times (1 + weight))
 *
 * over the last dimension C; statistics in float32, from the unrounded sum.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_NORM_H
#define MODELOUT_NORM_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_norm_params {
  size_t struct_size;
  const mo_tensor *output;     /* (..., C), float dtype; may be exactly input or residual (in place) */
  const mo_tensor *sum;        /* (..., C) or NULL: the hidden state before the norm; may be exactly input or residual */
  const mo_tensor *input;      /* (..., C), rank 1..4, last stride 1 */
  const mo_tensor *residual;   /* (..., C), dtype of input, or NULL */
  const mo_tensor *input_bias; /* (C), dtype of input, or NULL */
  const mo_tensor *weight;     /* (C), dtype of input or float32, or NULL: 1 */
  const mo_tensor *bias;       /* (C), dtype of weight, or NULL: 0 (layer norm only) */
  float epsilon;               /* must be >= 0 */
  float weight_offset;         /* RMS norm only: added to the weight (Gemma: 1) */
} mo_norm_params;

#define MO_NORM_PARAMS_INIT MO_STRUCT_INIT(mo_norm_params)

/* INVALID_ARGUMENT, UNSUPPORTED, DEVICE_ERROR. Asynchronous on a GPU. C = 0 does nothing. */
MO_API mo_status_t mo_layer_norm(mo_context_t *context, const mo_norm_params *params);
MO_API mo_status_t mo_rms_norm(mo_context_t *context, const mo_norm_params *params);

#ifdef __cplusplus
}
#endif
#endif
