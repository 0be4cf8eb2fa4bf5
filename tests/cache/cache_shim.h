/* tests/cache/cache_shim.h - a cache used as a C11 program uses it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_CACHE_CACHE_SHIM_H
#define MO_TESTS_CACHE_CACHE_SHIM_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Appends three steps to a cache of two layers and checks the counts; INTERNAL if one is wrong. */
mo_status_t shim_use_cache(mo_context_t *context);

#ifdef __cplusplus
}
#endif
#endif
