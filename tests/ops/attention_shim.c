/* tests/ops/attention_shim.c - attention called as a C11 program calls it; tests/ops/attention_test.cc compares.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "attention_shim.h"

#include "tests/support/device_mirror.h"

mo_status_t shim_attention_simple(mo_context_t *context, float *output, float *weights, const float *query, const float *key,
                                  const float *value, int64_t batch, int64_t heads, int64_t length, int64_t head_dim) {
  const int64_t shape[4] = {batch, heads, length, head_dim};
  const mo_tensor out = mo_tensor_cpu(output, MO_DTYPE_FLOAT32, 4, shape);
  const mo_tensor q = mo_tensor_cpu((void *)query, MO_DTYPE_FLOAT32, 4, shape);
  const mo_tensor k = mo_tensor_cpu((void *)key, MO_DTYPE_FLOAT32, 4, shape);
  const mo_tensor v = mo_tensor_cpu((void *)value, MO_DTYPE_FLOAT32, 4, shape);
  const mo_tensor w = mo_tensor_cpu(weights, MO_DTYPE_FLOAT32, 4, (int64_t[]){batch, heads, length, length});
  mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
  params.output = &out;
  params.query = &q;
  params.key = &k;
  params.value = &v;
  params.weights = weights == NULL ? NULL : &w;
  return test_attention(context, &params);
}

mo_attention_params shim_attention_params(void) {
  mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
  return params;
}
