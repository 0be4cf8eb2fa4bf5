/* tests/ops/attention_shim.h - what attention_shim.c offers.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_ATTENTION_SHIM_H
#define MO_TESTS_ATTENTION_SHIM_H

#include "modelout/attention.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Self-attention of contiguous float32 tensors; weights may be NULL. */
mo_status_t shim_attention_simple(mo_context_t *context, float *output, float *weights, const float *query, const float *key,
                                  const float *value, int64_t batch, int64_t heads, int64_t length, int64_t head_dim);

/* The initialiser macro, as C sees it. */
mo_attention_params shim_attention_params(void);

#ifdef __cplusplus
}
#endif
#endif
