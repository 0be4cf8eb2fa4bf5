/* modelout/pooling.h - one vector per sequence from its hidden states.
 *
 * Valid positions are those whose mask is non-zero; only they are read. A sequence without a valid position gives zeros (MAX,
 * MEAN, MEAN_STD, LAST), as sentence-transformers' clamped division does.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_POOLING_H
#define MODELOUT_POOLING_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mo_pooling_mode_t {
  MO_POOLING_FIRST =
      1,               /* hidden[:, 0] whatever the mask; with `weight`: activation tanh(first * weight^T + bias), BertPooler */
  MO_POOLING_MEAN = 2, /* over valid positions */
  MO_POOLING_MAX = 3,  /* over valid positions */
  MO_POOLING_LAST = 4, /* the last valid position */
  MO_POOLING_MEAN_STD =
      5, /* (B, 2C): mean, then standard deviation with n - 1 (statistics pooling, X-vector); n = 1: NaN, as torch.std */
} mo_pooling_mode_t;

typedef struct mo_pooling_params {
  size_t struct_size;
  mo_pooling_mode_t mode;
  const mo_tensor *output; /* (B, C), with weight (B, N), MEAN_STD (B, 2C); dtype of input */
  const mo_tensor *input;  /* (B, S, C), last stride 1 */
  const mo_tensor *mask;   /* (B, S) bool, uint8, int32, int64; NULL: all valid */
  const mo_tensor *weight; /* FIRST only: (N, C), dtype of input; NULL: the plain vector */
  const mo_tensor *bias;   /* (N) or NULL */
  bool l2_normalize;       /* divide by max(||v||_2, 1e-12) at the end (torch.nn.functional.normalize) */
} mo_pooling_params;

#define MO_POOLING_PARAMS_INIT MO_STRUCT_INIT(mo_pooling_params)

/* INVALID_ARGUMENT (S = 0 with FIRST included), UNSUPPORTED, DEVICE_ERROR. Asynchronous on a GPU. */
MO_API mo_status_t mo_pooling(mo_context_t *context, const mo_pooling_params *params);

#ifdef __cplusplus
}
#endif
#endif
