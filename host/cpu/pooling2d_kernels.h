/* host/cpu/pooling2d_kernels.h - windows of one line of the output.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_POOLING2D_KERNELS_H
#define MO_CPU_POOLING2D_KERNELS_H

#include "host/cpu/isa.h"
#include "host/rules/pooling_window.h"
#include "modelout/pooling2d.h"

typedef struct mo_pooling_line {
  const void *input; /* of the image */
  void *output;      /* of the line */
  mo_dtype_t dtype;
  mo_pooling2d_kind_t kind;
  bool count_includes_padding;
  mo_pooling_window rows; /* of the line's windows */
  mo_pooling_axis columns;
  int64_t channels;
  int64_t input_row, input_pixel, input_channel; /* strides, in elements */
  int64_t output_pixel, output_channel;
} mo_pooling_line;

MO_CPU_DECLARE(void, mo_pooling_line_run, (const mo_pooling_line *line));

#endif
