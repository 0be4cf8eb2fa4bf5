/* tests/ops/cast_shim.h - a call of modelout/cast.h made from C.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OPS_CAST_SHIM_H
#define MO_TESTS_OPS_CAST_SHIM_H

#include "modelout/cast.h"

#ifdef __cplusplus
extern "C" {
#endif

mo_status_t shim_cast_saturating(mo_context_t *context, const mo_tensor *output, const mo_tensor *input);
mo_status_t shim_cast(mo_context_t *context, const mo_tensor *output, const mo_tensor *input);

#ifdef __cplusplus
}
#endif
#endif
