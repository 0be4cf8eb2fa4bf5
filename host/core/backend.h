/* host/core/backend.h - the backend table (modelout/backend.h) and what only the library's own backends have.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_BACKEND_H
#define MO_CORE_BACKEND_H

#include <stddef.h>

#include "host/core/error.h"
#include "host/core/op_list.h"
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

/* The list of ops against the table as it is written out: the same ops with the same parameters, one behind another. Packing
 * follows linear. */
#ifndef __cplusplus
#define MO_LISTED_OP(prefix, name, params_type) mo_status_t (*name)(mo_context_t *, const params_type *);
struct mo_listed_ops {
  MO_OP_LIST(MO_LISTED_OP, )
};
#undef MO_LISTED_OP
#define MO_PACKING_BYTES(name)                                                                                                 \
  (offsetof(struct mo_listed_ops, name) > offsetof(struct mo_listed_ops, linear)                                               \
       ? offsetof(mo_backend, pooling) - offsetof(mo_backend, linear_pack)                                                     \
       : 0)
#define MO_CHECK_OP(prefix, name, params_type)                                                                                 \
  _Static_assert(offsetof(mo_backend, name) ==                                                                                 \
                     offsetof(mo_backend, attention) + offsetof(struct mo_listed_ops, name) + MO_PACKING_BYTES(name),          \
                 "the op '" #name "' stands elsewhere in the list (op_list.h) than in modelout/backend.h");                    \
  _Static_assert(_Generic(((mo_backend *)0)->name, mo_status_t(*)(mo_context_t *, const params_type *) : 1, default : 0),      \
                 "the op '" #name "' has other parameters in the list (op_list.h) than in modelout/backend.h");
MO_OP_LIST(MO_CHECK_OP, )
_Static_assert(sizeof(mo_backend) == offsetof(mo_backend, linear_pack) + MO_PACKING_BYTES(pooling) +
                                         sizeof(struct mo_listed_ops) - offsetof(struct mo_listed_ops, pooling),
               "modelout/backend.h has an op that the list (op_list.h) lacks");
#undef MO_CHECK_OP
#undef MO_PACKING_BYTES
#endif

#ifdef __cplusplus
}
#endif

#endif
