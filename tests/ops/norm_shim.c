/* tests/ops/norm_shim.c - calls of modelout/norm.h the way a C program writes them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/norm_shim.h"

#include "tests/support/device_mirror.h"

mo_status_t shim_layer_norm(mo_context_t *context, const mo_tensor *output, const mo_tensor *input, const mo_tensor *residual,
                            const mo_tensor *weight, const mo_tensor *bias, float epsilon) {
  mo_norm_params params = MO_NORM_PARAMS_INIT;
  params.output = output;
  params.input = input;
  params.residual = residual;
  params.weight = weight;
  params.bias = bias;
  params.epsilon = epsilon;
  return test_layer_norm(context, &params);
}
