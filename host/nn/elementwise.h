/* host/nn/elementwise.h - sums and zeros.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_ELEMENTWISE_H
#define MO_NN_ELEMENTWISE_H

#include "modelout/sum.h"

/* output = a + b; either may be output. */
static inline mo_status_t mo_add(mo_context_t *context, const mo_tensor *output, const mo_tensor *a, const mo_tensor *b) {
  mo_sum_params params = MO_SUM_PARAMS_INIT;
  params.output = output;
  params.a = a;
  params.b = b;
  return mo_sum(context, &params);
}

/* output = scale input; may be in place. */
static inline mo_status_t mo_scale(mo_context_t *context, const mo_tensor *output, const mo_tensor *input, float scale) {
  mo_sum_params params = MO_SUM_PARAMS_INIT;
  params.output = output;
  params.a = input;
  params.a_scale = scale;
  return mo_sum(context, &params);
}

/* output = 0 */
static inline mo_status_t mo_clear(mo_context_t *context, const mo_tensor *output) {
  mo_sum_params params = MO_SUM_PARAMS_INIT;
  params.output = output;
  return mo_sum(context, &params);
}

#endif
