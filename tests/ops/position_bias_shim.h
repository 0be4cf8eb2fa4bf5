/* tests/ops/position_bias_shim.h - position biases called from C.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OPS_POSITION_BIAS_SHIM_H
#define MO_TESTS_OPS_POSITION_BIAS_SHIM_H

#include "modelout/modelout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ALiBi of `heads` heads into (1, heads, length, length), contiguous float32. */
mo_status_t shim_alibi(mo_context_t *context, float *output, int64_t heads, int64_t length);

#ifdef __cplusplus
}
#endif
#endif
