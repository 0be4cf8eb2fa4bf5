/* modelout/softmax.h - scale + mask + softmax over the last dimension, for callers who bring their own scores.
 *
 *   output[n, :] = softmax(scale * input[n, :] + bias[n, :], over the visible entries)
 *
 * float32 arithmetic. A masked entry is exactly 0; a row without a visible entry is uniform (see modelout/attention.h).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_SOFTMAX_H
#define MODELOUT_SOFTMAX_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_softmax_params {
  size_t struct_size;
  const mo_tensor
      *output; /* shape of input, rank 1..4; float dtype of its own; last stride 1; may be exactly input (in place) */
  const mo_tensor *input; /* float32, float16, bfloat16; last stride 1 */
  const mo_tensor *mask;  /* input's rank, extents equal or 1; bool, uint8 or integer, non-zero = visible; NULL */
  const mo_tensor *bias;  /* input's rank, extents equal or 1; float32 or the dtype of input; NULL */
  float scale;            /* 0: 1 */
  bool causal;            /* rank >= 2: row i of the last but one dimension sees entries up to i + (columns - rows) */
} mo_softmax_params;

#define MO_SOFTMAX_PARAMS_INIT MO_STRUCT_INIT(mo_softmax_params)

/* INVALID_ARGUMENT, UNSUPPORTED, OUT_OF_MEMORY, DEVICE_ERROR. Asynchronous on a GPU. */
MO_API mo_status_t mo_softmax(mo_context_t *context, const mo_softmax_params *params);

#ifdef __cplusplus
}
#endif
#endif
