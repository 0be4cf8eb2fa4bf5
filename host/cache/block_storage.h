/* host/cache/block_storage.h - the storage of dynamic, sliding, static, static sliding and quantised caches.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_BLOCK_STORAGE_H
#define MO_CACHE_BLOCK_STORAGE_H

#include "host/cache/cache_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const mo_cache_storage mo_block_storage;

#ifdef __cplusplus
}
#endif
#endif
