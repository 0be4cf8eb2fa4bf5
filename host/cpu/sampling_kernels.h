/* host/cpu/sampling_kernels.h - the passes of sampling over a whole row.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_SAMPLING_KERNELS_H
#define MO_CPU_SAMPLING_KERNELS_H

#include "host/cpu/isa.h"
#include "modelout/tensor.h"

/* Scores come with the maximum of each block of so many; a multiple of every MO_VL. */
#define MO_SAMPLING_BLOCK 64

/* scores = logits / temperature, NaN as -inf, and the maximum of each block. Returns that of the row. */
MO_CPU_DECLARE(float, mo_sampling_scores,
               (const void *logits, mo_dtype_t dtype, int64_t count, float temperature, float *scores, float *block_maxima));

/* The sum of e^(score - maximum) of each block; maximum is finite. Returns the sum of all. */
MO_CPU_DECLARE(double, mo_sampling_sums, (const float *scores, int64_t count, float maximum, float *block_sums));

#endif
