/* host/cpu/softmax_kernels.h - what host/cpu/softmax.c prepares for the row kernel.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_SOFTMAX_KERNELS_H
#define MO_CPU_SOFTMAX_KERNELS_H

#include "host/cpu/isa.h"
#include "modelout/softmax.h"

/* Base and strides in elements of the three outer dimensions and the column, 0 where broadcast. */
typedef struct mo_softmax_view {
  char *data; /* NULL: not given */
  mo_dtype_t dtype;
  int64_t strides[4];
} mo_softmax_view;

/* The tensors with their shape padded to rank 4 by leading extents of 1. */
typedef struct mo_softmax_plan {
  int64_t shape[4];
  mo_softmax_view input, output, mask, bias;
  float scale;
  bool causal;
} mo_softmax_plan;

/* Rows [first, end) of all rows. `buffer`: two rows of columns, each rounded up to 16. */
MO_CPU_DECLARE(void, mo_softmax_rows, (const mo_softmax_plan *plan, float *buffer, int64_t first, int64_t end));

#endif
