/* tests/ops/linear_shim.c - calls of modelout/linear.h the way a C program writes them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/linear_shim.h"

#include "tests/support/device_mirror.h"

mo_status_t shim_linear(mo_context_t *context, const mo_tensor *output, const mo_tensor *input, const mo_tensor *weight,
                        const mo_packed_weight_t *packed, const mo_tensor *bias, const mo_tensor *residual,
                        mo_activation_t activation) {
  mo_linear_params params = MO_LINEAR_PARAMS_INIT;
  params.output = output;
  params.input = input;
  params.weight = weight;
  params.packed_weight = packed;
  params.bias = bias;
  params.residual = residual;
  params.activation = activation;
  return test_linear(context, &params);
}
