/* tests/ops/decode_attention_shim.c - decode attention called as a C11 program calls it; tests/ops/decode_attention_test.cc
 * compares.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "decode_attention_shim.h"

#include "tests/support/device_mirror.h"

mo_status_t shim_decode_step(mo_context_t *context, float *output, float *weights, const float *query, const float *key,
                             const float *value, float *cache_key, float *cache_value, int64_t heads, int64_t size,
                             int64_t capacity, int64_t length) {
  const int64_t one[4] = {1, heads, 1, size}, cache[4] = {1, heads, capacity, size}, row[4] = {1, heads, 1, length + 1};
  const mo_tensor out = mo_tensor_cpu(output, MO_DTYPE_FLOAT32, 4, one), w = mo_tensor_cpu(weights, MO_DTYPE_FLOAT32, 4, row),
                  q = mo_tensor_cpu((void *)query, MO_DTYPE_FLOAT32, 4, one),
                  k = mo_tensor_cpu((void *)key, MO_DTYPE_FLOAT32, 4, one),
                  v = mo_tensor_cpu((void *)value, MO_DTYPE_FLOAT32, 4, one),
                  cache_k = mo_tensor_cpu(cache_key, MO_DTYPE_FLOAT32, 4, cache),
                  cache_v = mo_tensor_cpu(cache_value, MO_DTYPE_FLOAT32, 4, cache);
  mo_decode_attention_params params = MO_DECODE_ATTENTION_PARAMS_INIT;
  params.output = &out;
  params.weights = &w;
  params.query = &q;
  params.key = &k;
  params.value = &v;
  params.cache.key = &cache_k;
  params.cache.value = &cache_v;
  params.length = length;
  return test_decode_attention(context, &params);
}
