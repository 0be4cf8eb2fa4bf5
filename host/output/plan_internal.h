/* host/output/plan_internal.h - from a class, dimensions and a request to concrete fields.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_OUTPUT_PLAN_INTERNAL_H
#define MO_OUTPUT_PLAN_INTERNAL_H

#include "host/output/output_internal.h"
#include "modelout/request.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MO_PLAN_MAX_FIELDS 32
#define MO_PLAN_MAX_LAYERS ((int64_t)1 << 16)

/* What one class field becomes. */
typedef struct mo_field_plan {
  mo_absence_t absence;
  int64_t length;                 /* entries of a tuple, layers of a cache */
  const mo_index_list *selection; /* which entries are present; NULL: all */
  int32_t shared_first;           /* class field whose tensor is this tuple's last entry; -1: none */
  int32_t tensors_per_layer;      /* caches: 2 or 4 */
  bool is_given;                  /* the field comes later, no memory is needed for it */
  mo_tensor tensor; /* descriptor without data; of caches: of one key or value, (batch, heads, length, head_dim) */
  mo_tensor last;   /* tuples: of the last entry */
  mo_tensor cross;  /* caches with four tensors per layer: of one cross key or value */
} mo_field_plan;

typedef struct mo_plan {
  const mo_class *output_class;
  mo_dimensions dimensions; /* what the caller gave, as this version knows it */
  mo_request request;
  mo_field_plan fields[MO_PLAN_MAX_FIELDS]; /* one per class field; absent ones hold nothing but `absence` */
} mo_plan;

/* Resolves every field. The plan points into the lists of `request`. INVALID_ARGUMENT names the missing or wrong extent. */
mo_status_t mo_plan_resolve(const mo_class *output_class, const mo_dimensions *dimensions, const mo_request *request,
                            mo_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
