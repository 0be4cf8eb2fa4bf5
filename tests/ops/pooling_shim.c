/* tests/ops/pooling_shim.c - pooling as a C program calls it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/pooling.h"
#include "tests/support/device_mirror.h"

mo_status_t mo_test_masked_mean(mo_context_t *context, float *hidden, uint8_t *mask, int64_t batch, int64_t length,
                                int64_t channels, float *output);

mo_status_t mo_test_masked_mean(mo_context_t *context, float *hidden, uint8_t *mask, int64_t batch, int64_t length,
                                int64_t channels, float *output) {
  const mo_tensor input = mo_tensor_cpu(hidden, MO_DTYPE_FLOAT32, 3, (int64_t[]){batch, length, channels});
  const mo_tensor mask_tensor = mo_tensor_cpu(mask, MO_DTYPE_BOOL, 2, (int64_t[]){batch, length});
  const mo_tensor output_tensor = mo_tensor_cpu(output, MO_DTYPE_FLOAT32, 2, (int64_t[]){batch, channels});
  mo_pooling_params params = MO_POOLING_PARAMS_INIT;
  params.mode = MO_POOLING_MEAN;
  params.input = &input;
  params.mask = &mask_tensor;
  params.output = &output_tensor;
  return test_pooling(context, &params);
}
