/* tests/ops/position_bias_shim.c - position biases called as a C11 program calls them; tests/ops/position_bias_test.cc
 * compares.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "position_bias_shim.h"

#include "tests/support/device_mirror.h"

mo_status_t shim_alibi(mo_context_t *context, float *output, int64_t heads, int64_t length) {
  float slopes[64];
  const mo_status_t status = heads <= 64 ? mo_alibi_slopes(heads, slopes) : MO_STATUS_INVALID_ARGUMENT;
  if (status != MO_STATUS_OK) return status;
  const mo_tensor bias = mo_tensor_cpu(output, MO_DTYPE_FLOAT32, 4, (int64_t[]){1, heads, length, length});
  const mo_tensor per_head = mo_tensor_cpu(slopes, MO_DTYPE_FLOAT32, 1, &heads);
  mo_position_bias_params params = MO_POSITION_BIAS_PARAMS_INIT;
  params.kind = MO_POSITION_BIAS_ALIBI;
  params.output = &bias;
  params.slopes = &per_head;
  return test_position_bias(context, &params);
}
