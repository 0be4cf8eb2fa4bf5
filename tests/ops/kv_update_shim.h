/* tests/ops/kv_update_shim.h - the cache update called from C.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OPS_KV_UPDATE_SHIM_H
#define MO_TESTS_OPS_KV_UPDATE_SHIM_H

#include "modelout/modelout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One token of one row and `heads` heads of `size` floats to a slot of a contiguous (1, heads, capacity, size) cache. */
mo_status_t shim_append_token(mo_context_t *context, float *cache_key, float *cache_value, int64_t capacity, const float *key,
                              const float *value, int64_t heads, int64_t size, int64_t slot);

#ifdef __cplusplus
}
#endif
#endif
