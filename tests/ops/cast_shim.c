/* tests/ops/cast_shim.c - a call of modelout/cast.h the way a C program writes it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/cast_shim.h"

#include "tests/support/device_mirror.h"

mo_status_t shim_cast_saturating(mo_context_t *context, const mo_tensor *output, const mo_tensor *input) {
  mo_cast_params params = MO_CAST_PARAMS_INIT;
  params.output = output;
  params.input = input;
  params.saturate = true;
  return test_cast(context, &params);
}

mo_status_t shim_cast(mo_context_t *context, const mo_tensor *output, const mo_tensor *input) {
  mo_cast_params params = MO_CAST_PARAMS_INIT;
  params.output = output;
  params.input = input;
  return test_cast(context, &params);
}
