/* modelout/dtype.h - element types.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_DTYPE_H
#define MODELOUT_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modelout/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(NAME, value, name, safetensors name, bytes). float8_e4m3 (finite, no infinity: OCP "E4M3FN") is a storage type only. */
#define MO_DTYPE_MAP(X)                                                                                                        \
  X(FLOAT32, 1, "float32", "F32", 4)                                                                                           \
  X(FLOAT16, 2, "float16", "F16", 2)                                                                                           \
  X(BFLOAT16, 3, "bfloat16", "BF16", 2)                                                                                        \
  X(FLOAT8_E4M3, 4, "float8_e4m3", "F8_E4M3", 1)                                                                               \
  X(INT8, 5, "int8", "I8", 1)                                                                                                  \
  X(INT32, 6, "int32", "I32", 4)                                                                                               \
  X(INT64, 7, "int64", "I64", 8)                                                                                               \
  X(UINT8, 8, "uint8", "U8", 1)                                                                                                \
  X(BOOL, 9, "bool", "BOOL", 1)

typedef enum mo_dtype_t {
  MO_DTYPE_NONE = 0, /* unset: the library decides, where that is allowed */
#define MO_DTYPE_ENTRY(name, value, text, safetensors, bytes) MO_DTYPE_##name = value,
  MO_DTYPE_MAP(MO_DTYPE_ENTRY)
#undef MO_DTYPE_ENTRY
} mo_dtype_t;

/* Bytes of one element; 0 for MO_DTYPE_NONE or an unknown number. */
MO_API size_t mo_dtype_bytes(mo_dtype_t dtype);

/* "float32"; "none" for anything that is no dtype. */
MO_API const char *mo_dtype_name(mo_dtype_t dtype);

/* The safetensors name ("F32"); NULL for anything that is no dtype. */
MO_API const char *mo_dtype_safetensors_name(mo_dtype_t dtype);

/* From "float32", or "F32", or the short forms f32, f16, bf16. MO_DTYPE_NONE if unknown. */
MO_API mo_dtype_t mo_dtype_from_name(const char *name);

/* True for float32, float16 and bfloat16: the types ops compute with. */
MO_API bool mo_dtype_is_float(mo_dtype_t dtype);

/* Converts `count` contiguous host elements. Floating to floating rounds to nearest even and saturates to infinity
 * (float8_e4m3: to NaN, as the format has no infinity); integers to floating round likewise. Integer to integer is
 * exact: VALUE_ERROR names the first value that does not fit, and nothing is written. Source and destination must not overlap.
 * UNSUPPORTED for floating to integer. Does not allocate. */
MO_API mo_status_t mo_dtype_convert(void *destination, mo_dtype_t destination_dtype, const void *source,
                                    mo_dtype_t source_dtype, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
