/* tests/ops/topk_shim.c - top-k as a C program calls it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/topk.h"
#include "tests/support/device_mirror.h"

mo_status_t mo_test_topk(mo_context_t *context, float *row, int64_t count, int64_t k, float *values, int64_t *indices);

mo_status_t mo_test_topk(mo_context_t *context, float *row, int64_t count, int64_t k, float *values, int64_t *indices) {
  const mo_tensor input = mo_tensor_cpu(row, MO_DTYPE_FLOAT32, 1, (int64_t[]){count});
  const mo_tensor values_tensor = mo_tensor_cpu(values, MO_DTYPE_FLOAT32, 1, (int64_t[]){k});
  const mo_tensor indices_tensor = mo_tensor_cpu(indices, MO_DTYPE_INT64, 1, (int64_t[]){k});
  mo_topk_params params = MO_TOPK_PARAMS_INIT;
  params.values = &values_tensor;
  params.indices = &indices_tensor;
  params.input = &input;
  return test_topk(context, &params);
}
