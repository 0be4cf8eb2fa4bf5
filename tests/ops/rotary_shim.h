/* tests/ops/rotary_shim.h - the rotary embedding called from C.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OPS_ROTARY_SHIM_H
#define MO_TESTS_OPS_ROTARY_SHIM_H

#include "modelout/modelout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* (1, heads, length, size) in place, contiguous float32, positions from `offset` on. */
mo_status_t shim_rotary_in_place(mo_context_t *context, float *query, int64_t heads, int64_t length, int64_t size,
                                 const float *cosine, const float *sine, int64_t positions, int64_t offset);

#ifdef __cplusplus
}
#endif
#endif
