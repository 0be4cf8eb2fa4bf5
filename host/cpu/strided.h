/* host/cpu/strided.h - reading single elements of any dtype, and walking tensors of any strides, outside the hot loops.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_STRIDED_H
#define MO_CPU_STRIDED_H

#include "host/rules/float16.h"
#include "modelout/tensor.h"

/* Element `offset` (in elements) of a float dtype. */
static inline float mo_read_float(const void *data, mo_dtype_t dtype, int64_t offset) {
  if (dtype == MO_DTYPE_FLOAT32) return ((const float *)data)[offset];
  const uint16_t half = ((const uint16_t *)data)[offset];
  return dtype == MO_DTYPE_FLOAT16 ? mo_float_from_f16(half) : mo_float_from_bf16(half);
}

static inline void mo_write_float(void *data, mo_dtype_t dtype, int64_t offset, float value) {
  if (dtype == MO_DTYPE_FLOAT32) ((float *)data)[offset] = value;
  else ((uint16_t *)data)[offset] = dtype == MO_DTYPE_FLOAT16 ? mo_f16_from_float(value) : mo_bf16_from_float(value);
}

/* int32 or int64. */
static inline int64_t mo_read_index(const void *data, mo_dtype_t dtype, int64_t offset) {
  return dtype == MO_DTYPE_INT64 ? ((const int64_t *)data)[offset] : ((const int32_t *)data)[offset];
}

/* Element offset of the row-major position `index` over the first `rank` dimensions. */
static inline int64_t mo_strided_offset(const mo_tensor *tensor, int32_t rank, int64_t index) {
  int64_t offset = 0;
  for (int32_t i = rank - 1; i >= 0; --i) {
    offset += index % tensor->shape[i] * tensor->strides[i];
    index /= tensor->shape[i];
  }
  return offset;
}

/* Address of element `offset`. */
static inline void *mo_element_address(const mo_tensor *tensor, int64_t offset) {
  return (char *)tensor->data + offset * (int64_t)mo_dtype_bytes(tensor->dtype);
}

/* Row-major positions first..first + count - 1 of a float tensor as contiguous float32. */
static inline void mo_gather_floats(const mo_tensor *tensor, int64_t first, int64_t count, float *values) {
  const int32_t last = tensor->rank - 1;
  if (last < 0) {
    if (count > 0) values[0] = mo_read_float(tensor->data, tensor->dtype, 0);
    return;
  }
  for (int64_t i = 0; i < count;) {
    const int64_t column = (first + i) % tensor->shape[last];
    const int64_t run = tensor->shape[last] - column < count - i ? tensor->shape[last] - column : count - i;
    const int64_t offset = mo_strided_offset(tensor, tensor->rank, first + i);
    for (int64_t j = 0; j < run; ++j)
      values[i + j] = mo_read_float(tensor->data, tensor->dtype, offset + j * tensor->strides[last]);
    i += run;
  }
}

#endif
