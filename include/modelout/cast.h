/* modelout/cast.h - a tensor in another dtype.
 *
 *   output[i] = input[i], as the dtype of output holds it
 *
 * The rules are those of PyTorch's Tensor.to, and where that leaves a value to the machine, these:
 *
 * To float32, float16, bfloat16, float8_e4m3: rounded to nearest even. Past the largest value: infinity (float8_e4m3, which has
 * none: NaN), or with `saturate` that value. NaN stays NaN; its bits may change. Integers and bool go through float32.
 *
 * Floating to integer: towards zero; past the ends of the type its nearest end; NaN is 0. Integer to integer: the low bits
 * (modulo 2^8, 2^32). To bool: whether it is not 0 (NaN is true). From bool: 0 or 1. To the same dtype: the same bits.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_CAST_H
#define MODELOUT_CAST_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_cast_params {
  size_t struct_size;
  const mo_tensor *output; /* any dtype, any rank, any strides under which no two elements share an address */
  const mo_tensor *input;  /* output's shape; any dtype; any strides, 0 among them; shares no memory with output */
  bool saturate;           /* to float16, bfloat16, float8_e4m3: past the largest value that value, infinities too */
} mo_cast_params;

#define MO_CAST_PARAMS_INIT MO_STRUCT_INIT(mo_cast_params)

/* INVALID_ARGUMENT, UNSUPPORTED, DEVICE_ERROR. Does not allocate. Asynchronous on a GPU. For memory of the host alone there is
 * mo_dtype_convert, which refuses integers that do not fit. */
MO_API mo_status_t mo_cast(mo_context_t *context, const mo_cast_params *params);

#ifdef __cplusplus
}
#endif
#endif
