/* host/cache/paged_storage.h - the storage of paged caches.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_PAGED_STORAGE_H
#define MO_CACHE_PAGED_STORAGE_H

#include "host/cache/cache_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const mo_cache_storage mo_paged_storage;

#ifdef __cplusplus
}
#endif
#endif
