/* kernels/common/rows.h - where the rows of a tensor of rank 1 to 4 begin, for kernels that work row by row.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_COMMON_ROWS_H
#define MO_KERNELS_COMMON_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "modelout/tensor.h"

/* Row r = (i0 * n1 + i1) * n2 + i2 begins at i0 * strides[0] + i1 * strides[1] + i2 * strides[2] (elements). The extents n1 and
 * n2 are the kernel's own, the same for all its tensors. */
typedef struct mo_row_strides {
  int64_t strides[3];
} mo_row_strides;

/* The strides of the dimensions before the last of `tensor`, right-aligned; 0 where the extent is 1, so that operands
 * broadcast. */
static inline mo_row_strides mo_row_strides_of(const mo_tensor *tensor) {
  mo_row_strides rows = {{0, 0, 0}};
  for (int32_t i = 0; i + 1 < tensor->rank; ++i) {
    rows.strides[3 - (tensor->rank - 1) + i] = tensor->shape[i] == 1 ? 0 : tensor->strides[i];
  }
  return rows;
}

/* Extents of the dimensions before the last, right-aligned, 1 in front. */
typedef struct mo_row_shape {
  int64_t extents[3];
} mo_row_shape;

static inline mo_row_shape mo_row_shape_of(const mo_tensor *tensor) {
  mo_row_shape shape = {{1, 1, 1}};
  for (int32_t i = 0; i + 1 < tensor->rank; ++i) shape.extents[3 - (tensor->rank - 1) + i] = tensor->shape[i];
  return shape;
}

static inline int64_t mo_row_count(mo_row_shape shape) { return shape.extents[0] * shape.extents[1] * shape.extents[2]; }

/* Joins dimensions that lie behind one another in all `count` tensors, so that as a rule one is left and mo_plain_row_offset
 * need not divide. The rows and their numbers stay the same. */
static inline void mo_row_shape_merge(mo_row_shape *shape, mo_row_strides *const *rows, int32_t count) {
  int32_t inner = 2;
  for (int32_t d = 1; d >= 0; --d) {
    const int64_t extent = shape->extents[d];
    if (extent == 1) continue;
    bool joins = shape->extents[inner] != 1;
    for (int32_t i = 0; i < count; ++i) {
      if (rows[i]->strides[d] != rows[i]->strides[inner] * shape->extents[inner]) joins = false;
    }
    if (joins) {
      shape->extents[inner] *= extent;
    } else {
      if (shape->extents[inner] != 1) --inner;
      for (int32_t i = 0; i < count; ++i) rows[i]->strides[inner] = rows[i]->strides[d];
      shape->extents[inner] = extent;
    }
    if (inner != d) shape->extents[d] = 1;
  }
}

/* Whether every row begins at a multiple of 16 bytes if the tensor does. `elements`: in 16 bytes. */
static inline bool mo_rows_aligned(mo_row_strides rows, int64_t elements) {
  return rows.strides[0] % elements == 0 && rows.strides[1] % elements == 0 && rows.strides[2] % elements == 0;
}

#if defined(__cplusplus)
#if defined(__CUDACC__)
#define MO_ROWS_FUNCTION __host__ __device__ __forceinline__
#else
#define MO_ROWS_FUNCTION inline
#endif
/* The offset at which a row begins. */
MO_ROWS_FUNCTION int64_t mo_row_offset(const mo_row_shape &shape, const mo_row_strides &rows, int64_t row) {
  const int64_t i2 = row % shape.extents[2], rest = row / shape.extents[2];
  const int64_t i1 = rest % shape.extents[1], i0 = rest / shape.extents[1];
  return i0 * rows.strides[0] + i1 * rows.strides[1] + i2 * rows.strides[2];
}

/* The same; nearly always the rows are one sequence, and a division of 64-bit numbers costs more than all the rest. */
MO_ROWS_FUNCTION int64_t mo_plain_row_offset(const mo_row_shape &shape, const mo_row_strides &rows, int64_t row) {
  if (shape.extents[0] == 1 && shape.extents[1] == 1) return row * rows.strides[2];
  return mo_row_offset(shape, rows, row);
}
#endif

#endif
