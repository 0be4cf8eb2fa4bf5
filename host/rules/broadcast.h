/* host/rules/broadcast.h - strides of operands that broadcast.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_RULES_BROADCAST_H
#define MO_RULES_BROADCAST_H

#include "modelout/tensor.h"

/* The stride to use for a dimension: 0 where its extent is 1. */
static inline int64_t mo_broadcast_stride(const mo_tensor *tensor, int32_t dimension) {
  return tensor->shape[dimension] == 1 ? 0 : tensor->strides[dimension];
}

/* Those of the first `count` dimensions. */
static inline void mo_broadcast_strides(const mo_tensor *tensor, int32_t count, int64_t *strides) {
  for (int32_t i = 0; i < count; ++i) strides[i] = mo_broadcast_stride(tensor, i);
}

#endif
