/* tests/ops/linear_shim.h - calls of modelout/linear.h made from C.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OPS_LINEAR_SHIM_H
#define MO_TESTS_OPS_LINEAR_SHIM_H

#include "modelout/linear.h"

#ifdef __cplusplus
extern "C" {
#endif

/* weight or packed is NULL; bias and residual may be. */
mo_status_t shim_linear(mo_context_t *context, const mo_tensor *output, const mo_tensor *input, const mo_tensor *weight,
                        const mo_packed_weight_t *packed, const mo_tensor *bias, const mo_tensor *residual,
                        mo_activation_t activation);

#ifdef __cplusplus
}
#endif
#endif
