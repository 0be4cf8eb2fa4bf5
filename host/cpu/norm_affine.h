/* host/cpu/norm_affine.h - what is done to each normalised row.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_NORM_AFFINE_H
#define MO_CPU_NORM_AFFINE_H

#include "host/cpu/isa.h"
#include "host/cpu/rows.h"

/* The second half, the same for all three: what is done with a row of unrounded sums. */
typedef struct mo_norm_affine {
  int64_t count;      /* C */
  const void *weight; /* or NULL: 1 */
  const void *bias;   /* or NULL: 0 */
  mo_dtype_t weight_dtype;
  float epsilon;
  float weight_offset;
  bool rms;
} mo_norm_affine;

#endif
