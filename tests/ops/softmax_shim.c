/* tests/ops/softmax_shim.c - softmax called as a C11 program calls it; tests/ops/softmax_test.cc compares.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "softmax_shim.h"

#include "tests/support/device_mirror.h"

mo_status_t shim_softmax_simple(mo_context_t *context, float *output, const float *input, int64_t rows, int64_t columns) {
  const int64_t shape[2] = {rows, columns};
  const mo_tensor to = mo_tensor_cpu(output, MO_DTYPE_FLOAT32, 2, shape);
  const mo_tensor from = mo_tensor_cpu((void *)input, MO_DTYPE_FLOAT32, 2, shape);
  mo_softmax_params params = MO_SOFTMAX_PARAMS_INIT;
  params.output = &to;
  params.input = &from;
  return test_softmax(context, &params);
}

mo_softmax_params shim_softmax_params(void) {
  mo_softmax_params params = MO_SOFTMAX_PARAMS_INIT;
  return params;
}
