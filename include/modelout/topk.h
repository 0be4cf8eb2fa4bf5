/* modelout/topk.h - the k largest of each row.
 *
 * Largest first; equal values in order of position (torch.topk leaves that open); NaN counts as the largest, as in torch.topk.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_TOPK_H
#define MODELOUT_TOPK_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_topk_params {
  size_t struct_size;
  const mo_tensor *values;  /* (..., k), contiguous, dtype of input */
  const mo_tensor *indices; /* (..., k), contiguous, int64 */
  const mo_tensor *input;   /* (..., V), rank 1..MO_MAX_DIMS, float dtype, any strides */
} mo_topk_params;

#define MO_TOPK_PARAMS_INIT MO_STRUCT_INIT(mo_topk_params)

/* INVALID_ARGUMENT: k outside 1..V, shapes that do not agree. UNSUPPORTED, OUT_OF_MEMORY, DEVICE_ERROR. Asynchronous on a GPU.
 */
MO_API mo_status_t mo_topk(mo_context_t *context, const mo_topk_params *params);

#ifdef __cplusplus
}
#endif
#endif
