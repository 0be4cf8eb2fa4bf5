/* host/core/tensor_view.h - descriptors of contiguous tensors whose shapes come from checked sizes.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_TENSOR_VIEW_H
#define MO_CORE_TENSOR_VIEW_H

#include "modelout/context.h"

/* The same memory under another shape (contiguous tensors only). */
static inline mo_tensor mo_tensor_reshaped(const mo_tensor *tensor, int32_t rank, const int64_t *shape) {
  mo_tensor view = {.data = tensor->data, .dtype = tensor->dtype, .device = tensor->device, .rank = rank};
  int64_t stride = 1;
  for (int32_t i = rank - 1; i >= 0; i--) {
    view.shape[i] = shape[i];
    view.strides[i] = stride;
    stride *= shape[i];
  }
  return view;
}

/* A contiguous tensor on the context's device, in memory of the caller's. */
static inline mo_tensor mo_device_tensor(const mo_context_t *context, void *data, mo_dtype_t dtype, int32_t rank,
                                         const int64_t *shape) {
  const mo_tensor memory = {.data = data, .dtype = dtype, .device = mo_context_device(context)};
  return mo_tensor_reshaped(&memory, rank, shape);
}

#endif
