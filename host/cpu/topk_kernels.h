/* host/cpu/topk_kernels.h - the vectorised scan of top-k.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_TOPK_KERNELS_H
#define MO_CPU_TOPK_KERNELS_H

#include <stdint.h>

#include "host/cpu/isa.h"
#include "modelout/dtype.h"

/* Elements the scan looks at together. */
#define MO_TOPK_BLOCK 64

/* First position begin + n * MO_TOPK_BLOCK whose block may hold a value above `bound` or NaN; `end` if there is none. */
MO_CPU_DECLARE(int64_t, mo_topk_find_block, (const void *row, mo_dtype_t dtype, int64_t begin, int64_t end, float bound));

/* Sort keys of `count` contiguous values: unsigned order is the order of the values, -0 equals 0, NaN is the largest. */
MO_CPU_DECLARE(void, mo_topk_keys, (const void *row, mo_dtype_t dtype, int64_t count, uint32_t *keys));

#endif
