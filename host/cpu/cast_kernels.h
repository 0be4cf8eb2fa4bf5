/* host/cpu/cast_kernels.h - runs of elements in another dtype: what host/cpu/cast.c hands to its kernel.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_CAST_KERNELS_H
#define MO_CPU_CAST_KERNELS_H

#include "host/cpu/isa.h"
#include "modelout/dtype.h"

typedef struct mo_cast_job {
  mo_dtype_t destination_dtype, source_dtype;
  int64_t destination_stride, source_stride; /* of the run, in elements */
  float limit;                               /* largest value of a floating destination; 0: none */
} mo_cast_job;

/* `count` elements from these addresses on. */
MO_CPU_DECLARE(void, mo_cast_run, (const mo_cast_job *job, void *destination, const void *source, int64_t count));

#endif
