/* tests/ops/norm_shim.h - calls of modelout/norm.h made from C.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OPS_NORM_SHIM_H
#define MO_TESTS_OPS_NORM_SHIM_H

#include "modelout/norm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* (input + residual) normalised with weight and bias; residual may be NULL. */
mo_status_t shim_layer_norm(mo_context_t *context, const mo_tensor *output, const mo_tensor *input, const mo_tensor *residual,
                            const mo_tensor *weight, const mo_tensor *bias, float epsilon);

#ifdef __cplusplus
}
#endif
#endif
