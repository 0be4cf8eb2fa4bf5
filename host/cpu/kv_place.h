/* host/cpu/kv_place.h - where a token of a cache's row lies.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_KV_PLACE_H
#define MO_CPU_KV_PLACE_H

#include "modelout/kv_update.h"

/* The index of its block along the first dimension, and the slot in it. */
typedef struct mo_kv_place {
  int64_t block, slot;
  bool is_there; /* false: a table entry that is no page */
} mo_kv_place;

static inline mo_kv_place mo_kv_find_place(const mo_kv_view *view, int64_t row, int64_t token) {
  const mo_tensor *table = view->block_table;
  if (table == NULL) return (mo_kv_place){.block = row, .slot = token, .is_there = true};
  const int64_t page_size = view->key->shape[2];
  const int64_t page = ((const int32_t *)table->data)[row * table->strides[0] + token / page_size];
  return (mo_kv_place){.block = page, .slot = token % page_size, .is_there = page >= 0 && page < view->key->shape[0]};
}

/* The table's entries for tokens `first` .. `end` - 1 of a row, which lie within its capacity, are pages of the pool or -1.
 * Without a table there is nothing to see. */
mo_status_t mo_kv_check_pages(const char *op, const mo_kv_view *view, int64_t row, int64_t first, int64_t end);

/* The tokens that a call writes to a row, first .. end - 1, and how many it reads there from the first on. */
typedef struct mo_kv_row_use {
  int64_t first, end, read;
} mo_kv_row_use;

typedef mo_kv_row_use (*mo_kv_row_use_function)(const void *params, int64_t row);

/* A page that is written to stands once among the entries of all rows that the call writes to or reads: else rows would write
 * over one another's tokens. Of entries that mo_kv_check_pages has found good. */
mo_status_t mo_kv_check_written_once(const char *op, const mo_kv_view *view, mo_kv_row_use_function use, const void *params);

/* A tensor without elements may have no memory, to which nothing may be added. */
static inline char *mo_kv_address(const mo_tensor *tensor, int64_t block, int64_t head, int64_t slot) {
  const uintptr_t offset = (uintptr_t)block * (uintptr_t)tensor->strides[0] + (uintptr_t)head * (uintptr_t)tensor->strides[1] +
                           (uintptr_t)slot * (uintptr_t)tensor->strides[2];
  return (char *)((uintptr_t)tensor->data + offset * mo_dtype_bytes(tensor->dtype));
}

/* Tokens a row can hold. */
static inline int64_t mo_kv_capacity(const mo_kv_view *view) {
  return view->block_table == NULL ? view->key->shape[2] : view->block_table->shape[1] * view->key->shape[2];
}

#endif
