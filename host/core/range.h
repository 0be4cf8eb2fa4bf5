/* host/core/range.h - a named range around each public call, for profilers.
 *
 * A front door begins with one line; the range ends where the function returns, on whichever way:
 *
 *   MO_RANGE(context, "mo_pooling", params, params->output, params->input);
 *
 * The message is the function's name with the name, shape and dtype of each tensor that is there:
 * "mo_pooling: output (2, 768) float32, input (2, 128, 768) float32". Nothing of the line is evaluated, least of all formatted,
 * unless a profiler listens to one of the process's contexts: until then it costs one branch. The environment variable
 * MODELOUT_NVTX=0 switches the ranges of contexts made from then on off; built with MODELOUT_NVTX=OFF (which defines
 * MO_NO_RANGES) there is no code at all.
 *
 * Where ranges go is the backend's business (range_push and range_pop of its table); the CUDA backend's are NVTX ranges of the
 * domain "modelout".
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_RANGE_H
#define MO_CORE_RANGE_H

#include <stdatomic.h>

#include "host/core/context_internal.h"

#ifdef MO_NO_RANGES

#define MO_RANGE(context, name, params, ...) ((void)0)
#define MO_RANGE_OF(context, name, tensor_names, ...) ((void)0)
#define MO_RANGE_NAMED(context, name) ((void)0)

#else

/* Contexts of this process that a profiler listens to. */
extern atomic_int mo_range_listeners;

/* An open range; context NULL: none. */
typedef struct mo_range {
  mo_context_t *context;
} mo_range;

/* Whether ranges of this backend reach anybody; asked once per context. Counts it among the listeners if so. */
bool mo_range_listen(const mo_backend *backend, void *backend_state);
void mo_range_unlisten(void);

/* context NULL, or one that nobody listens to: opens nothing. tensor_names: the list as it stands in the source, separated by
 * commas; of "params->rotary.cosine" the part behind the last arrow is shown. Entries that are NULL are left out. */
mo_range mo_range_open(mo_context_t *context, const char *name, const char *tensor_names, const mo_tensor *const *tensors,
                       int32_t tensor_count);
void mo_range_pop(mo_context_t *context);

static inline void mo_range_close(mo_range *range) {
  if (range->context != NULL) mo_range_pop(range->context);
}

#define MO_RANGE_IF_HEARD(opened)                                                                                              \
  __attribute__((cleanup(mo_range_close), unused)) mo_range mo_range_of_this_call =                                            \
      atomic_load_explicit(&mo_range_listeners, memory_order_relaxed) == 0 ? (mo_range){NULL} : (opened)

#define MO_RANGE_TENSORS(...) ((const mo_tensor *const[]){__VA_ARGS__})
#define MO_RANGE_COUNT(...) ((int32_t)(sizeof MO_RANGE_TENSORS(__VA_ARGS__) / sizeof(const mo_tensor *)))

/* For calls with a parameter struct. The tensors are not looked at while it may be NULL or of another version. */
#define MO_RANGE(context, name, params, ...)                                                                                   \
  MO_RANGE_IF_HEARD(                                                                                                           \
      ((params) != NULL && (params)->struct_size >= sizeof *(params))                                                          \
          ? mo_range_open((context), (name), #__VA_ARGS__, MO_RANGE_TENSORS(__VA_ARGS__), MO_RANGE_COUNT(__VA_ARGS__))         \
          : mo_range_open((context), (name), "", NULL, 0))

/* For calls that take their tensors one by one. */
#define MO_RANGE_OF(context, name, tensor_names, ...)                                                                          \
  MO_RANGE_IF_HEARD(                                                                                                           \
      mo_range_open((context), (name), (tensor_names), MO_RANGE_TENSORS(__VA_ARGS__), MO_RANGE_COUNT(__VA_ARGS__)))

/* For calls without tensors. */
#define MO_RANGE_NAMED(context, name) MO_RANGE_IF_HEARD(mo_range_open((context), (name), "", NULL, 0))

#endif
#endif
