/* tests/ops/rotary_shim.c - the rotary embedding called as a C11 program calls it; tests/ops/rotary_test.cc compares.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "rotary_shim.h"

#include "tests/support/device_mirror.h"

mo_status_t shim_rotary_in_place(mo_context_t *context, float *query, int64_t heads, int64_t length, int64_t size,
                                 const float *cosine, const float *sine, int64_t positions, int64_t offset) {
  const mo_tensor values = mo_tensor_cpu(query, MO_DTYPE_FLOAT32, 4, (int64_t[]){1, heads, length, size});
  const int64_t shape[2] = {positions, size / 2};
  const mo_tensor cosines = mo_tensor_cpu((void *)cosine, MO_DTYPE_FLOAT32, 2, shape);
  const mo_tensor sines = mo_tensor_cpu((void *)sine, MO_DTYPE_FLOAT32, 2, shape);
  mo_rotary_params params = MO_ROTARY_PARAMS_INIT;
  params.rotary = (mo_rotary){.cosine = &cosines, .sine = &sines};
  params.query = params.query_output = &values;
  params.position_offset = offset;
  return test_rotary_embedding(context, &params);
}
