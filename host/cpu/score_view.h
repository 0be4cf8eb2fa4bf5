/* host/cpu/score_view.h - operands of the two kinds of attention: (batch, heads, rows, columns), strides that broadcast.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_SCORE_VIEW_H
#define MO_CPU_SCORE_VIEW_H

#include "host/rules/broadcast.h"

/* Base and strides in elements. data NULL: not given. */
typedef struct mo_score_view {
  char *data;
  mo_dtype_t dtype;
  int64_t batch, head, row, column;
} mo_score_view;

/* tensor NULL: not given. */
static inline mo_score_view mo_score_view_of(const mo_tensor *tensor) {
  if (tensor == NULL) return (mo_score_view){.data = NULL};
  return (mo_score_view){.data = (char *)tensor->data,
                         .dtype = tensor->dtype,
                         .batch = mo_broadcast_stride(tensor, 0),
                         .head = mo_broadcast_stride(tensor, 1),
                         .row = mo_broadcast_stride(tensor, 2),
                         .column = mo_broadcast_stride(tensor, 3)};
}

#endif
