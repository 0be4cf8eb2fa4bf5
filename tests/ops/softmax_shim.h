/* tests/ops/softmax_shim.h - what softmax_shim.c offers.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_SOFTMAX_SHIM_H
#define MO_TESTS_SOFTMAX_SHIM_H

#include "modelout/softmax.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Softmax of a contiguous (rows, columns) float32 matrix. */
mo_status_t shim_softmax_simple(mo_context_t *context, float *output, const float *input, int64_t rows, int64_t columns);

/* The initialiser macro, as C sees it. */
mo_softmax_params shim_softmax_params(void);

#ifdef __cplusplus
}
#endif
#endif
