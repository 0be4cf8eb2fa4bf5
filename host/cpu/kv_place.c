/* host/cpu/kv_place.c - the entries of a block table that a call uses, looked at before it writes.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/kv_place.h"

#include <inttypes.h>

#include "host/core/error.h"

/* Neither a page of the pool nor -1: one comparison per entry, for -1 becomes 0 and all below it wrap above every limit. */
static bool is_outside(int32_t entry, uint32_t limit) { return (uint32_t)entry + 1 > limit; }

mo_status_t mo_kv_check_pages(const char *op, const mo_kv_view *view, int64_t row, int64_t first, int64_t end) {
  const mo_tensor *table = view->block_table;
  if (table == NULL || first >= end) return MO_STATUS_OK;
  const int32_t *entries = (const int32_t *)table->data + row * table->strides[0];
  const int64_t page_size = view->key->shape[2], pages = view->key->shape[0];
  const uint32_t limit = pages > INT32_MAX ? (uint32_t)INT32_MAX + 1 : (uint32_t)pages;
  const int64_t first_entry = first / page_size, last_entry = (end - 1) / page_size;
  bool outside = false; /* no way out of the loop, so that it vectorises */
  for (int64_t i = first_entry; i <= last_entry; ++i) outside |= is_outside(entries[i], limit);
  if (!outside) return MO_STATUS_OK;
  int64_t found = first_entry;
  while (!is_outside(entries[found], limit)) ++found;
  return mo_fail(MO_STATUS_INVALID_ARGUMENT,
                 "%s: block_table holds %d (row %" PRId64 ", entry %" PRId64 "), the pool has %" PRId64
                 " pages and -1 stands for none",
                 op, (int)entries[found], row, found, pages);
}
