/* host/core/module.h - which backend a context gets, and why.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_MODULE_H
#define MO_CORE_MODULE_H

#include "host/core/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Chooses the backend for the options and opens its state. `reason` gets one sentence. AUTO never fails for want of a GPU. */
mo_status_t mo_backend_choose(const mo_context_options *options, const mo_backend **backend, void **state, char *reason,
                              size_t reason_bytes);

#ifdef __cplusplus
}
#endif

#endif
