/* modelout/field.h - a field: one value of an output, on the device until somebody reads it.
 *
 * A field is a tensor, a tuple of fields (entries may be NULL = None), a cache, a dict, or a host scalar. Fields are reference
 * counted and belong to no particular output: the same field may stand in two outputs, or twice in one. Fields made by
 * mo_output_create() live in the output's arena and hold it alive while they are retained. Tuples, caches and dicts may stand
 * in one another 256 deep (INVALID_ARGUMENT past that); whatever walks over them looks at each field once, however many places
 * it stands in.
 *
 * READING. On the CPU device a read is a pointer: it copies nothing and counts 0 bytes. Elsewhere the first read of a tensor
 * (or of a slice of it) enqueues that copy on the context's copy stream behind the output's ready event, waits for that copy
 * only, and keeps it; later reads cost nothing until the output's generation moves on (mo_output_mark_written). All functions
 * that read are safe from several threads at once.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_FIELD_H
#define MODELOUT_FIELD_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_field mo_field;

typedef enum mo_field_kind_t {
  MO_FIELD_TENSOR = 1,
  MO_FIELD_TUPLE = 2,
  MO_FIELD_CACHE = 3,   /* a tuple over layers of tuples (key, value[, cross_key, cross_value]) of tensors */
  MO_FIELD_DICT = 4,    /* fields under string keys, in order of insertion */
  MO_FIELD_INTEGER = 5, /* a host scalar; outputs of models never hold one, ad-hoc outputs may */
  MO_FIELD_REAL = 6,
  MO_FIELD_STRING = 7,
} mo_field_kind_t;

/* ---- Looking at a field (never copies, never synchronises) ---- */

/* NULL (None) gives 0. */
MO_API mo_field_kind_t mo_field_kind(const mo_field *field);

/* The device tensor: the zero-copy way for everything that runs on the device. NULL if the field is no tensor. The pointer
 * lives as long as the field. */
MO_API const mo_tensor *mo_field_tensor(const mo_field *field);

/* Number of entries of a tuple, cache or dict; 0 for anything else and for NULL. */
MO_API int64_t mo_field_length(const mo_field *field);

/* Entry of a tuple, cache or dict by position (negative counts from the end). NULL for None and out of range; borrowed. */
MO_API mo_field *mo_field_item(const mo_field *field, int64_t index);

/* Entry of a dict by key; NULL if there is none; borrowed. */
MO_API mo_field *mo_field_item_by_key(const mo_field *field, const char *key);

/* Key of a dict's entry by position; NULL if there is none. */
MO_API const char *mo_field_key(const mo_field *field, int64_t index);

/* Values of the host scalars; 0, 0.0, NULL for other kinds. */
MO_API int64_t mo_field_integer(const mo_field *field);
MO_API double mo_field_real(const mo_field *field);
MO_API const char *mo_field_string(const mo_field *field);

/* Python's `==` for values: same kind and equal entries in order; two tensors are equal when they are the same memory with the
 * same dtype, shape and strides (identity, as comparing the content would copy and Python refuses it: rule 38). */
MO_API bool mo_field_equal(const mo_field *a, const mo_field *b);

/* ---- Reading on the host ---- */

/* A host view of a tensor field or of a part of it. `data` belongs to the field (or is device memory on the CPU device) and is
 * valid while the field lives; its content is that of `generation`. */
typedef struct mo_host_view {
  const void *data;
  mo_dtype_t dtype; /* as stored; nothing is converted on the way */
  int32_t rank;
  int64_t shape[MO_MAX_DIMS];
  int64_t strides[MO_MAX_DIMS]; /* elements */
  uint64_t generation;
} mo_host_view;

/* The whole tensor. TYPE_ERROR if the field is no tensor, OUT_OF_MEMORY, DEVICE_ERROR. Waits for its own copy only. */
MO_API mo_status_t mo_field_read(mo_field *field, mo_host_view *view);

/* A part: slices[i] applies to dimension i, later dimensions are whole (rules of mo_tensor_slice). Only the bytes of the part
 * cross the bus; a part of a tensor that is already on the host costs nothing. */
MO_API mo_status_t mo_field_read_slice(mo_field *field, const mo_slice *slices, int32_t slice_count, mo_host_view *view);

/* The same into memory of the caller, contiguous, in the stored dtype. `bytes` must be exactly the size of the part, else
 * WORKSPACE_TOO_SMALL or INVALID_ARGUMENT names both. If the device fails while copying, part of it may be written. Keeps no
 * mirror. slices may be NULL with count 0. */
MO_API mo_status_t mo_field_read_into(mo_field *field, const mo_slice *slices, int32_t slice_count, void *destination,
                                      size_t bytes);

/* The same converted to float32 on the host: `count` elements. The bytes cross the bus in the stored dtype. */
MO_API mo_status_t mo_field_read_float32(mo_field *field, const mo_slice *slices, int32_t slice_count, float *destination,
                                         int64_t count);

/* The k largest of the last dimension and their positions (int64), largest first, equal values by position; taken on the
 * device, so only k values and k positions per row cross. Shape: the field's with k as last extent. The views are kept like
 * those of slices. This runs an op: safe beside other readers, but not while another thread issues ops on the same context.
 * INVALID_ARGUMENT: k outside 1..last extent, scalar field. */
MO_API mo_status_t mo_field_read_top_k(mo_field *field, int64_t k, mo_host_view *values, mo_host_view *indices);

/* Starts the copy of the whole tensor (of a tuple or cache: of every entry) and returns at once. A later read waits only for
 * what is left. */
MO_API mo_status_t mo_field_prefetch(mo_field *field);

/* True when a read would neither copy nor wait. For tuples: all entries. Never blocks. */
MO_API bool mo_field_is_ready(mo_field *field);

/* OK while the view shows what the device holds; STALE_VIEW once the output was marked as written again. */
MO_API mo_status_t mo_field_check_view(const mo_field *field, const mo_host_view *view);

/* What reading this field has cost so far (tuples: the sum of the tensors below, each once). */
typedef struct mo_field_counters {
  uint64_t host_copies;     /* copies enqueued */
  uint64_t host_copy_bytes; /* bytes that crossed the bus */
} mo_field_counters;

MO_API mo_field_counters mo_field_get_counters(const mo_field *field);

/* ---- Making fields of your own (for ad-hoc outputs, wrappers, tests) ---- */

/* Called when the last reference to a wrapped tensor goes. */
typedef void (*mo_release_function)(void *user_data);

/* Wraps a tensor of the caller's: nothing is copied; the memory must stay valid until `release` is called (NULL: until the
 * field is gone). The tensor must be on the context's device or on the CPU. */
MO_API mo_status_t mo_field_create_tensor(mo_context_t *context, const mo_tensor *tensor, mo_release_function release,
                                          void *user_data, mo_field **field);

/* A tuple of `count` entries, each may be NULL (None). Retains its entries. */
MO_API mo_status_t mo_field_create_tuple(mo_context_t *context, mo_field *const *items, int64_t count, mo_field **field);

/* A cache: per layer `tensors_per_layer` (2 or 4) tensor fields, layer after layer. Retains them. */
MO_API mo_status_t mo_field_create_cache(mo_context_t *context, mo_field *const *tensors, int64_t layer_count,
                                         int32_t tensors_per_layer, mo_field **field);

/* A dict; keys are copied, values retained; a repeated key keeps its place and takes the last value. */
MO_API mo_status_t mo_field_create_dict(mo_context_t *context, const char *const *keys, mo_field *const *values, int64_t count,
                                        mo_field **field);

MO_API mo_status_t mo_field_create_integer(mo_context_t *context, int64_t value, mo_field **field);
MO_API mo_status_t mo_field_create_real(mo_context_t *context, double value, mo_field **field);
MO_API mo_status_t mo_field_create_string(mo_context_t *context, const char *value, mo_field **field);

/* Reference counting; NULL is fine. Thread-safe. mo_field_retain returns its argument. */
MO_API mo_field *mo_field_retain(mo_field *field);
MO_API void mo_field_release(mo_field *field);

#ifdef __cplusplus
}
#endif
#endif
