/* tests/ops/kv_update_shim.c - the cache update called as a C11 program calls it; tests/ops/kv_update_test.cc compares.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kv_update_shim.h"

#include "tests/support/device_mirror.h"

mo_status_t shim_append_token(mo_context_t *context, float *cache_key, float *cache_value, int64_t capacity, const float *key,
                              const float *value, int64_t heads, int64_t size, int64_t slot) {
  const int64_t shape[4] = {1, heads, capacity, size}, one[4] = {1, heads, 1, size};
  const mo_tensor tensors[4] = {
      mo_tensor_cpu(cache_key, MO_DTYPE_FLOAT32, 4, shape), mo_tensor_cpu(cache_value, MO_DTYPE_FLOAT32, 4, shape),
      mo_tensor_cpu((void *)key, MO_DTYPE_FLOAT32, 4, one), mo_tensor_cpu((void *)value, MO_DTYPE_FLOAT32, 4, one)};
  const mo_kv_update_layer layer = {
      .cache = {.key = &tensors[0], .value = &tensors[1]}, .key = &tensors[2], .value = &tensors[3]};
  mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
  params.layers = &layer;
  params.layer_count = 1;
  params.offset = slot;
  return test_kv_update(context, &params);
}
