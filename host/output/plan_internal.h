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
  bool holds_weights;             /* attention weights, which the request reduces */
  const mo_field_extents *stated; /* the model's own extents; NULL: `tensor` and `last` */
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

/* Caches of any framework's form. */
bool mo_class_field_is_cache(mo_class_field_kind_t kind);

/* Resolves every field. The plan points into the lists of `request`. INVALID_ARGUMENT names the missing or wrong extent. */
mo_status_t mo_plan_resolve(const mo_class *output_class, const mo_dimensions *dimensions, const mo_request *request,
                            mo_plan *plan);

/* ---- Fields whose extents the model states ---- */

/* NULL: none are. */
const mo_field_extents *mo_plan_find_stated(const mo_dimensions *dimensions, const char *field);
/* Whether every statement can be meant. */
mo_status_t mo_plan_check_stated(const mo_class *output_class, const mo_dimensions *dimensions);
/* What the request leaves of attention weights (batch, heads, rows, keys); of any other rank everything. */
void mo_plan_reduce(const mo_request *request, mo_tensor *weights);
/* A tensor that is stated: an entry, or an item of one. */
void mo_plan_stated_tensor(const mo_plan *plan, const mo_field_plan *field, const mo_entry_extents *entry, mo_tensor *tensor);
/* Entry `index` of a tuple, stated or not. False: None. Of an entry with items `tensor` is not set. */
bool mo_plan_entry(const mo_plan *plan, const mo_field_plan *field, int64_t index, mo_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
