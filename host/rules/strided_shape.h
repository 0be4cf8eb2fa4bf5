/* host/rules/strided_shape.h - two views of one shape, walked together in as few dimensions as they need.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_RULES_STRIDED_SHAPE_H
#define MO_RULES_STRIDED_SHAPE_H

#include <string.h>

#include "modelout/tensor.h"

/* Innermost dimension first. Room for one dimension more than a tensor has: the bytes of its elements. */
typedef struct mo_strided_shape {
  int32_t rank; /* at least 1 */
  int64_t extents[MO_MAX_DIMS + 1];
  int64_t destination[MO_MAX_DIMS + 1], source[MO_MAX_DIMS + 1]; /* strides */
} mo_strided_shape;

/* One dimension further out; what is one sequence with the dimension before it, in both views, becomes part of that. */
static inline void mo_strided_shape_append(mo_strided_shape *shape, int64_t extent, int64_t destination, int64_t source) {
  const int32_t last = shape->rank - 1;
  if (last >= 0 && destination == shape->extents[last] * shape->destination[last] &&
      source == shape->extents[last] * shape->source[last]) {
    shape->extents[last] *= extent;
    return;
  }
  shape->extents[shape->rank] = extent;
  shape->destination[shape->rank] = destination;
  shape->source[shape->rank++] = source;
}

/* Dimensions of extent 1 removed, the others in the order in which they lie in the destination: work on single elements may
 * take any, and in this one neighbours write neighbours. Strides in elements of each. For views that have elements. */
static inline mo_strided_shape mo_strided_shape_of(const mo_tensor *destination, const mo_tensor *source) {
  int32_t order[MO_MAX_DIMS]; /* by rising stride of the destination */
  int32_t count = 0;
  for (int32_t d = destination->rank - 1; d >= 0; --d) {
    if (destination->shape[d] == 1) continue;
    int32_t place = count++;
    for (; place > 0 && destination->strides[order[place - 1]] > destination->strides[d]; --place)
      order[place] = order[place - 1];
    order[place] = d;
  }
  mo_strided_shape shape;
  memset(&shape, 0, sizeof shape);
  for (int32_t i = 0; i < count; ++i) {
    const int32_t d = order[i];
    mo_strided_shape_append(&shape, destination->shape[d], destination->strides[d], source->strides[d]);
  }
  if (count == 0) mo_strided_shape_append(&shape, 1, 1, 1);
  return shape;
}

/* Of a copy, in bytes: innermost a run of bytes that is contiguous in both views. `bytes`: of an element. */
static inline mo_strided_shape mo_strided_shape_in_bytes(const mo_strided_shape *elements, int64_t bytes) {
  mo_strided_shape shape;
  memset(&shape, 0, sizeof shape);
  mo_strided_shape_append(&shape, bytes, 1, 1);
  for (int32_t d = 0; d < elements->rank; ++d) {
    mo_strided_shape_append(&shape, elements->extents[d], elements->destination[d] * bytes, elements->source[d] * bytes);
  }
  return shape;
}

/* Of a copy of `view` into contiguous memory, in bytes. */
static inline mo_strided_shape mo_strided_shape_packed(const mo_tensor *view) {
  mo_tensor packed = *view;
  int64_t stride = 1;
  for (int32_t d = view->rank - 1; d >= 0; --d) {
    packed.strides[d] = stride;
    stride *= view->shape[d];
  }
  const mo_strided_shape elements = mo_strided_shape_of(&packed, view);
  return mo_strided_shape_in_bytes(&elements, (int64_t)mo_dtype_bytes(view->dtype));
}

#endif
