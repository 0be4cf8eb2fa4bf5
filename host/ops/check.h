/* host/ops/check.h - the checks that front doors share. Each returns OK or leaves a sentence that names op, argument and rule.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_OPS_CHECK_H
#define MO_OPS_CHECK_H

#include "host/core/backend.h"
#include "host/core/struct_size.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MO_DTYPE_BIT(dtype) (1u << (dtype))
#define MO_DTYPES_FLOAT (MO_DTYPE_BIT(MO_DTYPE_FLOAT32) | MO_DTYPE_BIT(MO_DTYPE_FLOAT16) | MO_DTYPE_BIT(MO_DTYPE_BFLOAT16))
#define MO_DTYPES_INDEX (MO_DTYPE_BIT(MO_DTYPE_INT32) | MO_DTYPE_BIT(MO_DTYPE_INT64))
#define MO_DTYPES_MASK                                                                                                         \
  (MO_DTYPES_INDEX | MO_DTYPE_BIT(MO_DTYPE_BOOL) | MO_DTYPE_BIT(MO_DTYPE_UINT8) | MO_DTYPE_BIT(MO_DTYPE_INT8))

/* Takes the parameters of a caller of any version (host/core/struct_size.h) into `taken`, which was set by the _INIT macro.
 * Neither the context nor `given` may be NULL. */
#define MO_TAKE_PARAMS(op, context, init, given, first_size, taken)                                                            \
  mo_check_params((op), (context), #init, (given), (first_size), sizeof *(taken), (taken))
mo_status_t mo_check_params(const char *op, const mo_context_t *context, const char *init, const void *given, size_t first_size,
                            size_t known_size, void *taken);

/* Present, a valid descriptor (rank, extents, no overflow, data unless empty, aligned to its element), on the context's device,
 * a dtype of the set, rank in [rank_min, rank_max]. */
mo_status_t mo_check_tensor(const char *op, const char *name, const mo_context_t *context, const mo_tensor *tensor,
                            uint32_t dtypes, int32_t rank_min, int32_t rank_max);

/* Exact shape: `rank` extents. */
mo_status_t mo_check_shape(const char *op, const char *name, const mo_tensor *tensor, int32_t rank, const int64_t *shape);

/* Each extent equals that of `shape` or is 1. */
mo_status_t mo_check_broadcast(const char *op, const char *name, const mo_tensor *tensor, int32_t rank, const int64_t *shape);

/* stride of the last dimension is 1 (or its extent is at most 1). */
mo_status_t mo_check_last_stride(const char *op, const char *name, const mo_tensor *tensor);

/* A destination: no stride of 0 on an extent above 1, no two elements on one address as far as sorted strides show. */
mo_status_t mo_check_destination(const char *op, const char *name, const mo_tensor *tensor);

/* Nothing to write there: not given, or without elements. A call all of whose destinations are so ends at the front door, for
 * beside an extent of 0 the others may be of any size, and products of them none. */
static inline bool mo_is_empty(const mo_tensor *tensor) { return mo_tensor_count(tensor) == 0; }

/* From the first byte of a tensor that has elements to the end of its last one. */
void mo_tensor_byte_range(const mo_tensor *tensor, uintptr_t *begin, uintptr_t *end);

/* The two do not share memory. `exact_ok`: the same data, shape, strides and dtype is allowed (in place). NULL tensors pass.
 * Views whose address ranges meet but whose elements do not (two column blocks of one matrix) pass. */
mo_status_t mo_check_no_overlap(const char *op, const char *destination_name, const mo_tensor *destination, const char *name,
                                const mo_tensor *tensor, bool exact_ok);

/* Indices in -length..length-1, none twice. Writes the resolved, non-negative numbers to `resolved` (list.count of them;
 * capacity must suffice; may be NULL). An empty list passes. */
mo_status_t mo_check_index_list(const char *op, const char *name, mo_index_list list, int64_t length, int32_t *resolved);

/* Tables of a rotary embedding (modelout/rotary.h) that turn at most `head_size` elements. */
mo_status_t mo_check_rotary(const char *op, const mo_context_t *context, const mo_rotary *rotary, int64_t head_size);

/* UNSUPPORTED sentence for a NULL entry of the backend table. */
mo_status_t mo_unsupported_op(const char *op, const mo_context_t *context);

#ifdef __cplusplus
}
#endif

#endif
