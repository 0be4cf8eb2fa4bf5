/* modelout/sum.h - weighted sums of two tensors, and constants.
 *
 *   output = a_scale a + b_scale b + constant             in float32, rounded once
 *
 * Residuals, losses of several terms, tensors filled with a number.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_SUM_H
#define MODELOUT_SUM_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_sum_params {
  size_t struct_size;
  const mo_tensor *output; /* float dtype, rank 0..4, last stride 1 */
  const mo_tensor *a, *b; /* shape of output, float dtypes, last stride 1 or 0, any other strides (0 broadcasts); may be exactly
                             output; NULL: nothing */
  float a_scale, b_scale; /* 0: the term is not read, and NaN in it does not matter */
  float constant;
} mo_sum_params;

/* a_scale and b_scale are 1. */
#define MO_SUM_PARAMS_INIT MO_STRUCT_INIT_WITH_TWO(mo_sum_params, a_scale, 1.0f, b_scale, 1.0f)

/* INVALID_ARGUMENT, UNSUPPORTED, DEVICE_ERROR. Does not allocate. Asynchronous on a GPU. */
MO_API mo_status_t mo_sum(mo_context_t *context, const mo_sum_params *params);

#ifdef __cplusplus
}
#endif
#endif
