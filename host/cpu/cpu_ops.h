/* host/cpu/cpu_ops.h - the CPU backend's ops, one file per stem (host/cpu/<stem>.c). Which there are: host/core/op_list.h;
 * signatures and checks: modelout/backend.h.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_CPU_OPS_H
#define MO_CPU_CPU_OPS_H

#include "host/core/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

MO_DECLARE_BACKEND_OPS(mo_cpu)

#ifdef __cplusplus
}
#endif

#endif
