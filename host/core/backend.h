/* host/core/backend.h - the backend table (modelout/backend.h) and what only the library's own backends have.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_BACKEND_H
#define MO_CORE_BACKEND_H

#include "host/core/error.h"
#include "modelout/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The CPU backend, always there. */
extern const mo_backend mo_cpu_backend;

/* The one symbol a backend module exports (libmodelout_cuda.so): its table, or NULL with a reason if the ABI or the machine
 * does not fit. A context is given the backend when the function returned one and open() succeeds. */
typedef const mo_backend *(*mo_backend_module_function)(uint32_t abi_version, char *reason, size_t reason_bytes);
#define MO_BACKEND_MODULE_SYMBOL "mo_backend_module"

#ifdef __cplusplus
}
#endif

#endif
