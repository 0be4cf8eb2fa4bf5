/* host/cpu/softmax_kernels.c - softmax of rows: one read of the input into a cache-resident float32 row, one write of the
 * output.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/softmax_kernels.h"

#include "host/cpu/softmax_rows.h"

static inline int64_t mo_element_(const mo_softmax_view *view, const int64_t index[3]) {
  return index[0] * view->strides[0] + index[1] * view->strides[1] + index[2] * view->strides[2];
}

static inline void mo_load_scaled_(float *row, const void *data, const mo_dtype_t dtype, int64_t element, int64_t count,
                                   float scale) {
  const mo_vf s = mo_vf_set1(scale);
  for (int64_t j = 0; j < count; j += MO_VL) {
    const int n = count - j < MO_VL ? (int)(count - j) : MO_VL;
    mo_vf_store(row + j, mo_vf_mul(mo_vf_load_any(data, dtype, element + j, n), s));
  }
}

static inline void mo_store_scaled_(void *data, const mo_dtype_t dtype, int64_t element, const float *row, int64_t count,
                                    float scale) {
  const mo_vf s = mo_vf_set1(scale);
  for (int64_t j = 0; j < count; j += MO_VL) {
    const int n = count - j < MO_VL ? (int)(count - j) : MO_VL;
    const mo_vf p = row == NULL ? s : mo_vf_mul(mo_vf_load(row + j), s);
    mo_vf_store_any(data, dtype, element + j, p, n);
  }
}

/* The dtypes as constants, so that the loops hold no choice. */
static void mo_load_row_(float *row, const mo_softmax_view *input, int64_t element, int64_t count, float scale) {
  switch (input->dtype) {
    case MO_DTYPE_FLOAT32:
      mo_load_scaled_(row, input->data, MO_DTYPE_FLOAT32, element, count, scale);
      break;
    case MO_DTYPE_FLOAT16:
      mo_load_scaled_(row, input->data, MO_DTYPE_FLOAT16, element, count, scale);
      break;
    default:
      mo_load_scaled_(row, input->data, MO_DTYPE_BFLOAT16, element, count, scale);
      break;
  }
}

static void mo_store_row_(const mo_softmax_view *output, int64_t element, const float *row, int64_t count, float scale) {
  switch (output->dtype) {
    case MO_DTYPE_FLOAT32:
      mo_store_scaled_(output->data, MO_DTYPE_FLOAT32, element, row, count, scale);
      break;
    case MO_DTYPE_FLOAT16:
      mo_store_scaled_(output->data, MO_DTYPE_FLOAT16, element, row, count, scale);
      break;
    default:
      mo_store_scaled_(output->data, MO_DTYPE_BFLOAT16, element, row, count, scale);
      break;
  }
}

void MO_SIMD(mo_softmax_rows)(const mo_softmax_plan *plan, float *buffer, int64_t first, int64_t end) {
  const int64_t rows = plan->shape[2], columns = plan->shape[3];
  const mo_softmax_view *mask = &plan->mask, *bias = &plan->bias, *output = &plan->output;
  const size_t mask_bytes = mask->dtype == MO_DTYPE_INT64 ? 8 : mask->dtype == MO_DTYPE_INT32 ? 4 : 1;
  const size_t bias_bytes = bias->dtype == MO_DTYPE_FLOAT32 ? 4 : 2;
  float *additive_buffer = buffer + (columns + 15) / 16 * 16;
  for (int64_t n = first; n < end; ++n) {
    const int64_t index[3] = {n / rows / plan->shape[1], n / rows % plan->shape[1], n % rows};
    const int64_t to = mo_element_(output, index);
    int64_t count = columns; /* visible as far as causality goes */
    if (plan->causal) {
      const int64_t reach = index[2] + 1 + columns - rows;
      count = reach < 0 ? 0 : reach < columns ? reach : columns;
    }
    mo_load_row_(buffer, &plan->input, mo_element_(&plan->input, index), count, plan->scale);
    mo_row_pad_(buffer, count);
    const float *additive = NULL;
    if (mask->data != NULL || bias->data != NULL) {
      mo_row_masks masks = {.mask_dtype = mask->dtype,
                            .mask_stride = mask->strides[3],
                            .bias_dtype = bias->dtype,
                            .bias_stride = bias->strides[3]};
      if (mask->data != NULL) masks.mask = mask->data + (size_t)mo_element_(mask, index) * mask_bytes;
      if (bias->data != NULL) masks.bias = bias->data + (size_t)mo_element_(bias, index) * bias_bytes;
      additive = mo_row_additive_(&masks, 0, count, additive_buffer);
    }
    float maximum = mo_row_finish_scores_(buffer, count, 0, additive, 0.0f);
    if (maximum == -INFINITY) {
      if (!mo_row_has_nan_(buffer, count)) {
        mo_store_row_(output, to, NULL, columns, 1.0f / (float)columns);
        continue;
      }
      maximum = 0.0f; /* nothing but NaN: let it through */
    }
    const float sum = mo_row_exp_sum_(buffer, count, maximum);
    mo_store_row_(output, to, buffer, count, 1.0f / sum);
    mo_store_row_(output, to + count, NULL, columns - count, 0.0f);
  }
}
