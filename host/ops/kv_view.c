/* host/ops/kv_view.c - what every op that takes a cache's view asks of it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/ops/kv_view.h"

#include <inttypes.h>

#define STORED (MO_DTYPES_FLOAT | MO_DTYPE_BIT(MO_DTYPE_INT8) | MO_DTYPE_BIT(MO_DTYPE_FLOAT8_E4M3))

static mo_status_t check_scale(const char *op, const char *name, const mo_context_t *context, const mo_tensor *scale,
                               const mo_tensor *stored, bool quantised) {
  MO_CHECK((scale != NULL) == quantised, MO_STATUS_INVALID_ARGUMENT, "%s: %s %s, the cache is stored as %s", op, name,
           scale != NULL ? "was given" : "is missing", mo_dtype_name(stored->dtype));
  if (!quantised) return MO_STATUS_OK;
  MO_TRY(mo_check_tensor(op, name, context, scale, MO_DTYPE_BIT(MO_DTYPE_FLOAT32), 4, 4));
  MO_TRY(mo_check_last_stride(op, name, scale));
  const int64_t groups = scale->shape[3], size = stored->shape[3];
  MO_CHECK(size == 0 || (groups > 0 && size % groups == 0), MO_STATUS_INVALID_ARGUMENT,
           "%s: %s has %" PRId64 " groups, which do not divide heads of %" PRId64 " elements", op, name, groups, size);
  const int64_t shape[4] = {stored->shape[0], stored->shape[1], stored->shape[2], groups};
  return mo_check_shape(op, name, scale, 4, shape);
}

mo_status_t mo_check_kv_view(const char *op, const mo_context_t *context, const mo_kv_view *view, mo_kv_shape *shape) {
  const mo_tensor *key = view->key, *value = view->value, *table = view->block_table;
  MO_TRY(mo_check_tensor(op, "cache key", context, key, STORED, 4, 4));
  MO_TRY(mo_check_last_stride(op, "cache key", key));
  MO_TRY(mo_check_tensor(op, "cache value", context, value, MO_DTYPE_BIT(key->dtype), 4, 4));
  MO_TRY(mo_check_last_stride(op, "cache value", value));
  MO_TRY(mo_check_shape(op, "cache value", value, 4,
                        (const int64_t[]){key->shape[0], key->shape[1], key->shape[2], value->shape[3]}));
  *shape = (mo_kv_shape){.batch = key->shape[0],
                         .heads = key->shape[1],
                         .key_size = key->shape[3],
                         .value_size = value->shape[3],
                         .capacity = key->shape[2],
                         .dtype = key->dtype,
                         .quantised = !mo_dtype_is_float(key->dtype)};
  MO_TRY(check_scale(op, "key_scale", context, view->key_scale, key, shape->quantised));
  MO_TRY(check_scale(op, "value_scale", context, view->value_scale, value, shape->quantised));
  if (table == NULL) return MO_STATUS_OK;
  const int64_t page = key->shape[2];
  MO_CHECK(page >= 16 && page <= 256 && (page & (page - 1)) == 0, MO_STATUS_INVALID_ARGUMENT,
           "%s: pages of %" PRId64 " tokens, a power of two from 16 to 256 is needed", op, page);
  MO_TRY(mo_check_tensor(op, "block_table", context, table, MO_DTYPE_BIT(MO_DTYPE_INT32), 2, 2));
  MO_TRY(mo_check_last_stride(op, "block_table", table));
  MO_CHECK(table->shape[1] <= INT64_MAX / page, MO_STATUS_INVALID_ARGUMENT, "%s: %" PRId64 " pages per row are too many", op,
           table->shape[1]);
  shape->batch = table->shape[0];
  shape->capacity = table->shape[1] * page;
  return MO_STATUS_OK;
}

const mo_tensor *mo_kv_view_tensor(const mo_kv_view *view, int which) {
  const mo_tensor *const tensors[5] = {view->key, view->value, view->key_scale, view->value_scale, view->block_table};
  return tensors[which];
}

const char *const mo_kv_view_names[5] = {"cache key", "cache value", "key_scale", "value_scale", "block_table"};

mo_status_t mo_check_kv_written(const char *op, const mo_kv_view *view, const char *other_name, const mo_tensor *other) {
  for (int i = 0; i < 4; i++) {
    const mo_tensor *tensor = mo_kv_view_tensor(view, i);
    if (tensor == NULL) continue;
    MO_TRY(mo_check_destination(op, mo_kv_view_names[i], tensor));
    MO_TRY(mo_check_no_overlap(op, mo_kv_view_names[i], tensor, other_name, other, false));
    for (int k = i + 1; k < 5; k++)
      MO_TRY(mo_check_no_overlap(op, mo_kv_view_names[i], tensor, mo_kv_view_names[k], mo_kv_view_tensor(view, k), false));
  }
  return MO_STATUS_OK;
}
