/* tests/ops/gate_shim.c - a call of modelout/gate.h the way a C program writes it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/gate_shim.h"

#include "tests/support/device_mirror.h"

mo_status_t shim_gate_halves(mo_context_t *context, const mo_tensor *product, mo_activation_t activation) {
  const int32_t last = product->rank - 1;
  const int64_t columns = product->shape[last] / 2;
  mo_tensor gate = *product, input = *product;
  gate.shape[last] = input.shape[last] = columns;
  input.data = (char *)product->data + (size_t)columns * mo_dtype_bytes(product->dtype);
  mo_gate_params params = MO_GATE_PARAMS_INIT;
  params.output = &gate;
  params.gate = &gate;
  params.input = &input;
  params.activation = activation;
  return test_gate(context, &params);
}
