/* host/rules/pooling_window.h - which input positions a window of pooling covers, on an axis.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_RULES_POOLING_WINDOW_H
#define MO_RULES_POOLING_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "modelout/pooling2d.h"

#if defined(__CUDACC__)
#define MO_WINDOW_FUNCTION static __host__ __device__ __forceinline__
#else
#define MO_WINDOW_FUNCTION static inline
#endif

typedef struct mo_pooling_axis {
  int32_t in, out;
  int32_t kernel, stride, padding;
  bool adaptive;
} mo_pooling_axis;

/* The rows (0) or columns (1) of checked parameters. */
static inline mo_pooling_axis mo_pooling_axis_of(const mo_pooling2d_params *params, int32_t axis) {
  mo_pooling_axis made;
  made.in = (int32_t)params->input->shape[2 + axis];
  made.out = (int32_t)params->output->shape[2 + axis];
  made.kernel = params->kernel[axis];
  made.stride = params->stride[axis];
  made.padding = params->padding[axis];
  made.adaptive = params->kind == MO_POOLING2D_ADAPTIVE_AVERAGE;
  return made;
}

/* [first, end) inside of the input; `counted` is how many positions a mean that includes the padding divides by. */
typedef struct mo_pooling_window {
  int32_t first, end, counted;
} mo_pooling_window;

MO_WINDOW_FUNCTION mo_pooling_window mo_pooling_window_at(const mo_pooling_axis *axis, int32_t position) {
  mo_pooling_window window;
  if (axis->adaptive) {
    window.first = (int32_t)((int64_t)position * axis->in / axis->out);
    window.end = (int32_t)((((int64_t)position + 1) * axis->in + axis->out - 1) / axis->out);
    window.counted = window.end - window.first;
    return window;
  }
  const int32_t first = position * axis->stride - axis->padding;
  int32_t end = first + axis->kernel;
  if (end > axis->in + axis->padding) end = axis->in + axis->padding;
  window.counted = end - first;
  window.first = first < 0 ? 0 : first;
  window.end = end > axis->in ? axis->in : end;
  return window;
}

#endif
