/* tests/core/range_shim.c - a front door as host/ops writes them, whose tensors count how often they are looked at.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/core/range_shim.h"

#include "host/core/range.h"

#ifndef MO_NO_RANGES
static const mo_tensor *look(const range_shim_params *params) {
  ++*params->looks;
  return params->input;
}
#endif

mo_status_t range_shim_front_door(mo_context_t *context, const range_shim_params *params) {
  (void)context; /* all that is left of it in a build without ranges */
  MO_RANGE(context, "front_door", params, params->output, look(params)->data != NULL ? params->input : NULL, params->view.key);
  MO_CHECK(params != NULL, MO_STATUS_INVALID_ARGUMENT, "front door: params is NULL");
  MO_CHECK(!params->fails, MO_STATUS_VALUE_ERROR, "front door: told to fail");
  return MO_STATUS_OK;
}

bool range_shim_is_compiled_in(void) {
#ifdef MO_NO_RANGES
  return false;
#else
  return true;
#endif
}

int range_shim_listeners(void) {
#ifdef MO_NO_RANGES
  return 0;
#else
  return atomic_load(&mo_range_listeners);
#endif
}
