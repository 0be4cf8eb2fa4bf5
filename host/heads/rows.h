/* host/heads/rows.h - views of the last hidden state that heads make their logits of.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_HEADS_ROWS_H
#define MO_HEADS_ROWS_H

#include "host/core/tensor_view.h"

/* The first token of every sequence, (B, C). */
static inline mo_tensor mo_first_tokens(const mo_tensor *hidden) {
  mo_tensor view = *hidden;
  view.rank = 2;
  view.shape[1] = hidden->shape[2];
  view.strides[1] = 1;
  return view;
}

/* The last `count` tokens of every sequence; (B * S, C) if that is all of them, as one product is made of one matrix. */
static inline mo_tensor mo_last_tokens(const mo_tensor *hidden, int64_t count) {
  const int64_t length = hidden->shape[1];
  if (count == length) return mo_tensor_reshaped(hidden, 2, (int64_t[]){hidden->shape[0] * length, hidden->shape[2]});
  mo_tensor view = *hidden;
  view.shape[1] = count;
  view.data = (char *)hidden->data + (size_t)((length - count) * hidden->strides[1]) * mo_dtype_bytes(hidden->dtype);
  return view;
}

/* `tensor` with the leading dimensions of `rows` and `width` columns: (rows..., width). */
static inline mo_tensor mo_like_rows(const mo_tensor *tensor, const mo_tensor *rows, int64_t width) {
  int64_t shape[MO_MAX_DIMS];
  for (int32_t i = 0; i + 1 < rows->rank; i++) shape[i] = rows->shape[i];
  shape[rows->rank - 1] = width;
  return mo_tensor_reshaped(tensor, rows->rank, shape);
}

#endif
