/* host/ops/kv_view.h - what every op that takes a cache's view (modelout/kv_update.h) asks of it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_OPS_KV_VIEW_H
#define MO_OPS_KV_VIEW_H

#include "host/ops/check.h"
#include "modelout/kv_update.h"

/* What a view holds: rows of `capacity` tokens. */
typedef struct mo_kv_shape {
  int64_t batch, heads, key_size, value_size, capacity;
  mo_dtype_t dtype;
  bool quantised;
} mo_kv_shape;

/* Dtypes, shapes, strides, devices, scales and table of a view are what modelout/kv_update.h says. Fills `shape`. */
mo_status_t mo_check_kv_view(const char *op, const mo_context_t *context, const mo_kv_view *view, mo_kv_shape *shape);

/* Key, value, their scales, block table; NULL where there is none. */
const mo_tensor *mo_kv_view_tensor(const mo_kv_view *view, int which);
extern const char *const mo_kv_view_names[5];

/* The first four as destinations: apart from each other, from the table and from `other`. */
mo_status_t mo_check_kv_written(const char *op, const mo_kv_view *view, const char *other_name, const mo_tensor *other);

#endif
