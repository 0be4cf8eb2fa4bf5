/* host/cpu/rows.h - a tensor seen as rows of its last dimension, whatever the strides of the leading ones.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_ROWS_H
#define MO_CPU_ROWS_H

#include "modelout/tensor.h"

/* Leading dimensions, those that lie evenly one inside the other merged: `rank` is at most 1 for nearly every tensor. */
typedef struct mo_rows {
  int64_t count;
  int32_t rank;
  int64_t extents[MO_MAX_DIMS];
  int64_t strides[MO_MAX_DIMS]; /* in elements; strides[0] is 0 where there is one row */
} mo_rows;

static inline mo_rows mo_rows_of(const mo_tensor *tensor) {
  mo_rows rows = {1, 0, {0}, {0}};
  for (int32_t i = 0; i < tensor->rank - 1; ++i) {
    const int64_t extent = tensor->shape[i], stride = tensor->strides[i];
    rows.count *= extent;
    if (extent == 1) continue;
    const int32_t outer = rows.rank - 1;
    if (outer >= 0 && rows.strides[outer] == stride * extent) {
      rows.extents[outer] *= extent;
      rows.strides[outer] = stride;
    } else {
      rows.extents[rows.rank] = extent;
      rows.strides[rows.rank++] = stride;
    }
  }
  return rows;
}

/* Offset of the row's first element, in elements. */
static inline int64_t mo_rows_offset(const mo_rows *rows, int64_t row) {
  int64_t offset = 0;
  for (int32_t i = rows->rank - 1; i > 0; --i) {
    offset += row % rows->extents[i] * rows->strides[i];
    row /= rows->extents[i];
  }
  return offset + row * rows->strides[0];
}

#endif
