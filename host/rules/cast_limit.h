/* host/rules/cast_limit.h - where a cast that saturates ends.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_RULES_CAST_LIMIT_H
#define MO_RULES_CAST_LIMIT_H

#include "modelout/cast.h"

/* The largest number of a floating output; 0: values are not limited. */
static inline float mo_cast_limit(const mo_cast_params *params) {
  if (!params->saturate) return 0.0f;
  switch (params->output->dtype) {
    case MO_DTYPE_FLOAT16:
      return 65504.0f;
    case MO_DTYPE_BFLOAT16:
      return 0x1.fep127f;
    case MO_DTYPE_FLOAT8_E4M3:
      return 448.0f;
    default:
      return 0.0f;
  }
}

#endif
