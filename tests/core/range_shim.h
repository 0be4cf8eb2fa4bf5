/* tests/core/range_shim.h - a front door of the tests' own, in C.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_CORE_RANGE_SHIM_H
#define MO_TESTS_CORE_RANGE_SHIM_H

#include "modelout/modelout.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct range_shim_params {
  size_t struct_size;
  const mo_tensor *output, *input;
  mo_kv_view view;
  int *looks; /* counts how often the range's line was evaluated */
  bool fails;
} range_shim_params;

mo_status_t range_shim_front_door(mo_context_t *context, const range_shim_params *params);

/* False in a build with MODELOUT_NVTX=OFF. */
bool range_shim_is_compiled_in(void);
int range_shim_listeners(void);

#ifdef __cplusplus
}
#endif
#endif
