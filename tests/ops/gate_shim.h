/* tests/ops/gate_shim.h - a call of modelout/gate.h made from C.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OPS_GATE_SHIM_H
#define MO_TESTS_OPS_GATE_SHIM_H

#include "modelout/gate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The two halves of `product`'s columns, gate first, into the first. */
mo_status_t shim_gate_halves(mo_context_t *context, const mo_tensor *product, mo_activation_t activation);

#ifdef __cplusplus
}
#endif
#endif
