/* host/cuda/selected_heads.h - the heads whose weights are wanted, as kernels take them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CUDA_SELECTED_HEADS_H
#define MO_CUDA_SELECTED_HEADS_H

#include "modelout/request.h"

/* Fills `selected`, which has room for them; returns their number (0: all). Negative numbers count from the end. */
static inline int32_t mo_cuda_selected_heads(mo_index_list list, int64_t head_count, int16_t *selected) {
  for (int32_t i = 0; i < list.count; ++i) {
    const int32_t head = list.indices[i];
    selected[i] = (int16_t)(head < 0 ? head + head_count : head);
  }
  return list.count;
}

#endif
