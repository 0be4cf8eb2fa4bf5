/* host/call/tensor_rows.h - walking over a tensor on the host, row by row.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CALL_TENSOR_ROWS_H
#define MO_CALL_TENSOR_ROWS_H

#include "modelout/tensor.h"

/* Rows are everything but the last dimension. */
static inline int64_t mo_row_count(const mo_tensor *tensor) {
  int64_t count = 1;
  for (int32_t i = 0; i + 1 < tensor->rank; i++) count *= tensor->shape[i];
  return count;
}

static inline int64_t mo_row_length(const mo_tensor *tensor) { return tensor->rank == 0 ? 1 : tensor->shape[tensor->rank - 1]; }

static inline int64_t mo_row_offset(const mo_tensor *tensor, int64_t row) {
  int64_t offset = 0;
  for (int32_t i = tensor->rank - 2; i >= 0; i--) {
    offset += row % tensor->shape[i] * tensor->strides[i];
    row /= tensor->shape[i];
  }
  return offset;
}

static inline int64_t mo_row_stride(const mo_tensor *tensor) {
  return tensor->rank == 0 ? 1 : tensor->strides[tensor->rank - 1];
}

#endif
