/* tests/ops/loss_shim.c - the losses as a C program calls them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/loss.h"
#include "tests/support/device_mirror.h"

mo_status_t mo_test_mean_cross_entropy(mo_context_t *context, float *logits, int64_t *labels, int64_t rows, int64_t classes,
                                       float *loss);

mo_status_t mo_test_mean_cross_entropy(mo_context_t *context, float *logits, int64_t *labels, int64_t rows, int64_t classes,
                                       float *loss) {
  const mo_tensor logits_tensor = mo_tensor_cpu(logits, MO_DTYPE_FLOAT32, 2, (int64_t[]){rows, classes});
  const mo_tensor labels_tensor = mo_tensor_cpu(labels, MO_DTYPE_INT64, 1, (int64_t[]){rows});
  const mo_tensor loss_tensor = mo_tensor_cpu(loss, MO_DTYPE_FLOAT32, 0, NULL);
  mo_cross_entropy_params params = MO_CROSS_ENTROPY_PARAMS_INIT;
  params.logits = &logits_tensor;
  params.labels = &labels_tensor;
  params.loss = &loss_tensor;
  return test_cross_entropy(context, &params);
}
