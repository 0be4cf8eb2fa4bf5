/* modelout/tensor.h - the tensor descriptor: a pointer, a dtype, a device, a shape and strides. It owns nothing.
 *
 * Strides are in ELEMENTS, not bytes. A stride of 0 broadcasts that dimension. A tensor of rank 0 is a scalar. Any extent
 * may be 0; `data` may then be NULL.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_TENSOR_H
#define MODELOUT_TENSOR_H

#include "modelout/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MO_MAX_DIMS 8

typedef enum mo_device_kind_t {
  MO_DEVICE_KIND_CPU = 1,
  MO_DEVICE_KIND_CUDA = 2,
  MO_DEVICE_KIND_CUSTOM = 3, /* a backend of the caller's own (modelout/backend.h) */
} mo_device_kind_t;

typedef struct mo_device {
  mo_device_kind_t kind;
  int32_t index; /* which card; 0 for the CPU */
} mo_device;

typedef struct mo_tensor {
  void *data;
  mo_dtype_t dtype;
  mo_device device;
  int32_t rank;
  int64_t shape[MO_MAX_DIMS];
  int64_t strides[MO_MAX_DIMS];
} mo_tensor;

/* "cpu", "cuda:0" and so on into `text` (always terminated); returns `text`. */
MO_API const char *mo_device_name(mo_device device, char *text, size_t text_bytes);

/* A contiguous (row-major) descriptor. INVALID_ARGUMENT: unknown dtype, rank outside 0..MO_MAX_DIMS, a negative extent, a
 * product over INT64_MAX bytes, or NULL data with elements. */
MO_API mo_status_t mo_tensor_init(mo_tensor *tensor, void *data, mo_dtype_t dtype, mo_device device, int32_t rank,
                                  const int64_t *shape);

/* The same with strides of the caller's (elements, not negative). */
MO_API mo_status_t mo_tensor_init_strided(mo_tensor *tensor, void *data, mo_dtype_t dtype, mo_device device, int32_t rank,
                                          const int64_t *shape, const int64_t *strides);

/* A contiguous tensor on the CPU in one expression-like call: mo_tensor_cpu(data, MO_DTYPE_FLOAT32, 2, (int64_t[]){3, 4}).
 * An invalid request gives a descriptor with dtype MO_DTYPE_NONE, which every op refuses. */
MO_API mo_tensor mo_tensor_cpu(void *data, mo_dtype_t dtype, int32_t rank, const int64_t *shape);

/* Product of the extents (1 for a scalar; 0 for NULL, as the bytes are). */
MO_API int64_t mo_tensor_count(const mo_tensor *tensor);

/* Bytes of all elements once: count * element bytes. */
MO_API int64_t mo_tensor_bytes(const mo_tensor *tensor);

/* Row-major without gaps. Extents of 1 may have any stride; an empty tensor is contiguous, NULL is not. */
MO_API bool mo_tensor_is_contiguous(const mo_tensor *tensor);

/* One dimension of a slice, with the meaning of Python's start:stop:step. Use MO_SLICE_ALL, _FROM, _RANGE, _AT, or fill it. */
typedef struct mo_slice {
  int64_t start; /* negative counts from the end; MO_SLICE_UNSET = default of the step's direction */
  int64_t stop;
  int64_t step; /* not 0; a negative step is only allowed on tuples and outputs, not on tensors */
} mo_slice;

#define MO_SLICE_UNSET INT64_MIN
#define MO_SLICE_ALL MO_SLICE_OF(MO_SLICE_UNSET, MO_SLICE_UNSET, 1)
#define MO_SLICE_FROM(first) MO_SLICE_OF(first, MO_SLICE_UNSET, 1)
#define MO_SLICE_RANGE(first, end) MO_SLICE_OF(first, end, 1)
/* One position, keeping the dimension (extent 1). */
#define MO_SLICE_AT(position)                                                                                                  \
  MO_SLICE_OF(position, MO_SLICE_NUMBER(position) == -1 ? MO_SLICE_UNSET : MO_SLICE_NUMBER(position) + 1, 1)
/* Three numbers of any integer types as an expression, in the form each language has for it. */
#define MO_SLICE_OF(start, stop, step) (MO_SLICE_STRUCT{MO_SLICE_NUMBER(start), MO_SLICE_NUMBER(stop), MO_SLICE_NUMBER(step)})
#ifdef __cplusplus
#define MO_SLICE_STRUCT mo_slice
#define MO_SLICE_NUMBER(number) static_cast<int64_t>(number)
#else
#define MO_SLICE_STRUCT (mo_slice)
#define MO_SLICE_NUMBER(number) ((int64_t)(number))
#endif

/* Resolves a slice over `length` items as Python's slice.indices does: first position, step and number of positions.
 * VALUE_ERROR for a step of 0. */
MO_API mo_status_t mo_slice_resolve(mo_slice slice, int64_t length, int64_t *first, int64_t *step, int64_t *count);

/* A view of `tensor`: slices[i] applies to dimension i, dimensions past `slice_count` are kept whole. Copies nothing.
 * INVALID_ARGUMENT: more slices than dimensions, a step below 1. */
MO_API mo_status_t mo_tensor_slice(const mo_tensor *tensor, const mo_slice *slices, int32_t slice_count, mo_tensor *view);

#ifdef __cplusplus
}
#endif
#endif
