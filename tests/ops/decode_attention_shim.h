/* tests/ops/decode_attention_shim.h - decode attention called from C.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OPS_DECODE_ATTENTION_SHIM_H
#define MO_TESTS_OPS_DECODE_ATTENTION_SHIM_H

#include "modelout/modelout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One new token of one row: `heads` heads of `size` elements, contiguous caches of `capacity` slots, `length` of them filled.
 */
mo_status_t shim_decode_step(mo_context_t *context, float *output, float *weights, const float *query, const float *key,
                             const float *value, float *cache_key, float *cache_value, int64_t heads, int64_t size,
                             int64_t capacity, int64_t length);

#ifdef __cplusplus
}
#endif

#endif
