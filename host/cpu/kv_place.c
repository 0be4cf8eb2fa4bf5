/* host/cpu/kv_place.c - the entries of a block table that a call uses, looked at before it writes.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/kv_place.h"

#include <inttypes.h>
#include <string.h>

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

/* ---- Pages that are written to ---- */

#define PAGES_AT_ONCE 32768 /* a bit for each on the stack; larger pools are looked at in as many passes */

typedef struct page_use {
  const char *op;
  const mo_kv_view *view;
  int64_t first_page; /* of this pass */
  uint64_t written[PAGES_AT_ONCE / 64];
} page_use;

/* The entry, counted from the first page of the pass; negative or past the end for a page of another pass or none. */
static int64_t page_of(const page_use *pages, int64_t row, int64_t entry) {
  const mo_tensor *table = pages->view->block_table;
  const int32_t page = ((const int32_t *)table->data)[row * table->strides[0] + entry];
  return page < 0 ? -1 : page - pages->first_page;
}

static bool is_written(const page_use *pages, int64_t page) {
  return page >= 0 && page < PAGES_AT_ONCE && (pages->written[page / 64] >> (page % 64) & 1) != 0;
}

static mo_status_t shared_page(const page_use *pages, int64_t row, int64_t entry) {
  return mo_fail(MO_STATUS_INVALID_ARGUMENT,
                 "%s: new tokens would go to page %" PRId64 ", which block_table lists twice (once in row %" PRId64
                 ", entry %" PRId64 ")",
                 pages->op, page_of(pages, row, entry) + pages->first_page, row, entry);
}

static int64_t end_entry(const page_use *pages, int64_t tokens) {
  const int64_t page_size = pages->view->key->shape[2];
  return tokens / page_size + (tokens % page_size != 0);
}

static mo_status_t note_written(page_use *pages, int64_t row, mo_kv_row_use use) {
  if (use.first >= use.end) return MO_STATUS_OK;
  for (int64_t i = use.first / pages->view->key->shape[2]; i < end_entry(pages, use.end); ++i) {
    const int64_t page = page_of(pages, row, i);
    if (is_written(pages, page)) return shared_page(pages, row, i);
    if (page >= 0 && page < PAGES_AT_ONCE) pages->written[page / 64] |= UINT64_C(1) << (page % 64);
  }
  return MO_STATUS_OK;
}

/* What is read besides the row's own new tokens. */
static mo_status_t check_read(const page_use *pages, int64_t row, mo_kv_row_use use) {
  const int64_t written = use.first < use.end ? use.first / pages->view->key->shape[2] : INT64_MAX;
  const int64_t written_end = end_entry(pages, use.end), end = end_entry(pages, use.read);
  for (int64_t i = 0; i < end; ++i) {
    const bool is_own = i >= written && i < written_end;
    if (!is_own && is_written(pages, page_of(pages, row, i))) return shared_page(pages, row, i);
  }
  return MO_STATUS_OK;
}

mo_status_t mo_kv_check_written_once(const char *op, const mo_kv_view *view, mo_kv_row_use_function use, const void *params) {
  if (view->block_table == NULL) return MO_STATUS_OK;
  const int64_t rows = view->block_table->shape[0], pool = view->key->shape[0];
  page_use pages = {.op = op, .view = view};
  for (; pages.first_page < pool; pages.first_page += PAGES_AT_ONCE) {
    memset(pages.written, 0, sizeof pages.written);
    for (int64_t row = 0; row < rows; ++row) MO_TRY(note_written(&pages, row, use(params, row)));
    for (int64_t row = 0; row < rows; ++row) MO_TRY(check_read(&pages, row, use(params, row)));
  }
  return MO_STATUS_OK;
}
