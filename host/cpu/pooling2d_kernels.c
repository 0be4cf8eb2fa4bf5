/* host/cpu/pooling2d_kernels.c - windows of one line of the output. Compiled once per instruction set.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/pooling2d_kernels.h"

#include "host/cpu/simd.h"

#define INLINE static inline __attribute__((always_inline))

/* n channels from `channel` on: one by one where they do not lie side by side. */
INLINE mo_vf load(mo_dtype_t dtype, const void *from, int64_t index, int64_t stride, int n) {
  float lanes[MO_VL] = {0};
  if (stride == 1) return mo_vf_load_any(from, dtype, index, n);
  for (int i = 0; i < n; ++i) {
    float one[MO_VL];
    mo_vf_store(one, mo_vf_load_any(from, dtype, index + i * stride, 1));
    lanes[i] = one[0];
  }
  return mo_vf_load(lanes);
}

INLINE void store(mo_dtype_t dtype, void *to, int64_t index, int64_t stride, mo_vf v, int n) {
  float lanes[MO_VL];
  if (stride == 1) {
    mo_vf_store_any(to, dtype, index, v, n);
    return;
  }
  mo_vf_store(lanes, v);
  for (int i = 0; i < n; ++i) mo_vf_store_any(to, dtype, index + i * stride, mo_vf_set1(lanes[i]), 1);
}

/* The larger one; NaN if one of them is. Maximum keeps a NaN of its second operand alone; where the first is infinite or NaN a
 * sum tells the three apart. */
INLINE mo_vf larger(mo_vf x, mo_vf most) {
  return mo_vf_select_lt(most, mo_vf_set1(INFINITY), mo_vf_max(most, x), mo_vf_add(most, mo_vf_abs(x)));
}

INLINE void run(mo_dtype_t dtype, const mo_pooling_line *line) {
  const bool takes_most = line->kind == MO_POOLING2D_MAX;
  for (int32_t x = 0; x < line->columns.out; ++x) {
    const mo_pooling_window columns = mo_pooling_window_at(&line->columns, x);
    const int64_t inside = (int64_t)(line->rows.end - line->rows.first) * (columns.end - columns.first);
    const int64_t counted = line->count_includes_padding ? (int64_t)line->rows.counted * columns.counted : inside;
    for (int64_t c = 0; c < line->channels; c += MO_VL) {
      const int n = line->channels - c < MO_VL ? (int)(line->channels - c) : MO_VL;
      mo_vf result = mo_vf_set1(takes_most ? -INFINITY : 0.0f);
      for (int32_t i = line->rows.first; i < line->rows.end; ++i) {
        for (int32_t j = columns.first; j < columns.end; ++j) {
          const int64_t at = i * line->input_row + j * line->input_pixel + c * line->input_channel;
          const mo_vf value = load(dtype, line->input, at, line->input_channel, n);
          result = takes_most ? larger(value, result) : mo_vf_add(result, value);
        }
      }
      if (!takes_most) result = mo_vf_div(result, mo_vf_set1((float)counted));
      store(dtype, line->output, x * line->output_pixel + c * line->output_channel, line->output_channel, result, n);
    }
  }
}

void MO_SIMD(mo_pooling_line_run)(const mo_pooling_line *line) {
  if (line->dtype == MO_DTYPE_FLOAT32) run(MO_DTYPE_FLOAT32, line);
  else if (line->dtype == MO_DTYPE_FLOAT16) run(MO_DTYPE_FLOAT16, line);
  else run(MO_DTYPE_BFLOAT16, line);
}
