/* host/cpu/sum_kernels.h - one row of a weighted sum.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_SUM_KERNELS_H
#define MO_CPU_SUM_KERNELS_H

#include "host/cpu/isa.h"
#include "modelout/dtype.h"

/* A term of the row; data NULL: none. */
typedef struct mo_sum_term {
  const void *data;
  mo_dtype_t dtype;
  float scale;
  int64_t stride; /* 1, or 0: the first element for all */
} mo_sum_term;

MO_CPU_DECLARE(void, mo_sum_row, (void *output, mo_dtype_t dtype, const mo_sum_term *terms, float constant, int64_t count));

#endif
