/* host/cache/rows.c - reordering, selecting and repeating rows: of one cache, or of both caches of a pair.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/layers.h"
#include "host/core/range.h"

/* Without tokens there are no rows to change. */
static bool has_rows(const mo_cache_t *cache) {
  for (int64_t i = 0; i < cache->layer_count; i++) {
    if (cache->layers[i]->seen > 0) return true;
  }
  return false;
}

static mo_status_t check_rows(const char *op, const mo_cache_t *cache, const int64_t *rows, int64_t count) {
  for (int64_t i = 0; i < count && has_rows(cache); i++)
    MO_CHECK(rows[i] >= 0 && rows[i] < cache->batch, MO_STATUS_INDEX_ERROR,
             "%s: row %" PRId64 " (entry %" PRId64 "), the cache has %" PRId64 " rows", op, rows[i], i, cache->batch);
  return MO_STATUS_OK;
}

/* Both caches of a pair or none: all that can be refused comes before the first change. */
static mo_status_t change_rows(const char *op, mo_cache_t *const *caches, int32_t cache_count, const int64_t *const *rows,
                               const int64_t *counts) {
  void *changes[2] = {NULL, NULL}; /* NULL: no rows to change */
  mo_status_t status = MO_STATUS_OK;
  for (int32_t i = 0; i < cache_count && status == MO_STATUS_OK; i++) status = check_rows(op, caches[i], rows[i], counts[i]);
  for (int32_t i = 0; i < cache_count && status == MO_STATUS_OK; i++) {
    if (has_rows(caches[i])) status = caches[i]->storage->begin_rows(caches[i], rows[i], counts[i], &changes[i]);
  }
  for (int32_t i = 0; i < cache_count && status == MO_STATUS_OK; i++) {
    if (changes[i] == NULL) continue;
    status = caches[i]->storage->end_rows(caches[i], changes[i]);
    for (int32_t k = 0; k < cache_count && status != MO_STATUS_OK; k++) mo_cache_abandon(caches[k]);
  }
  for (int32_t i = 0; i < cache_count; i++) {
    if (changes[i] != NULL) caches[i]->storage->drop_rows(caches[i], changes[i]);
  }
  return status;
}

static mo_status_t reorder(const char *op, mo_cache_t *cache, const int64_t *rows, int64_t count) {
  mo_cache_t *const caches[2] = {mo_cache_self(cache), cache->self != NULL ? cache->cross : cache};
  const int64_t *const both[2] = {rows, rows}, counts[2] = {count, count};
  MO_CHECK(rows != NULL && count > 0, MO_STATUS_INVALID_ARGUMENT, "%s: no rows are given", op);
  MO_CHECK(count <= INT32_MAX, MO_STATUS_INVALID_ARGUMENT, "%s: %" PRId64 " rows are too many", op, count);
  return change_rows(op, caches, cache->self != NULL ? 2 : 1, both, counts);
}

mo_status_t mo_cache_reorder(mo_cache_t *cache, const int64_t *rows, int64_t count) {
  MO_RANGE_NAMED(cache != NULL ? cache->context : NULL, "mo_cache_reorder");
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache reorder: the cache is NULL");
  return mo_context_note(cache->context, reorder("cache reorder", cache, rows, count));
}

mo_status_t mo_cache_batch_select(mo_cache_t *cache, const int64_t *rows, int64_t count) {
  MO_RANGE_NAMED(cache != NULL ? cache->context : NULL, "mo_cache_batch_select");
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache batch_select: the cache is NULL");
  return mo_context_note(cache->context, reorder("cache batch_select", cache, rows, count));
}

/* Each cache of a pair has its own number of rows. */
static mo_status_t repeat(mo_cache_t *cache, int64_t count) {
  mo_cache_t *const caches[2] = {mo_cache_self(cache), cache->self != NULL ? cache->cross : cache};
  int64_t *rows[2] = {NULL, NULL}, counts[2] = {0, 0};
  mo_status_t status = MO_STATUS_OK;
  MO_CHECK(count > 0, MO_STATUS_INVALID_ARGUMENT, "cache batch_repeat: %" PRId64 " times, at least 1 is needed", count);
  const int32_t cache_count = cache->self != NULL ? 2 : 1;
  for (int32_t i = 0; i < cache_count && status == MO_STATUS_OK; i++) {
    if (!has_rows(caches[i])) continue;
    if (!mo_checked_mul(caches[i]->batch, count, &counts[i]) || counts[i] > INT32_MAX) {
      status = mo_fail(MO_STATUS_INVALID_ARGUMENT, "cache batch_repeat: %" PRId64 " times %" PRId64 " rows are too many", count,
                       caches[i]->batch);
      counts[i] = 0;
      break;
    }
    rows[i] = mo_host_allocate(cache->context, (size_t)counts[i] * sizeof(int64_t));
    if (rows[i] == NULL) status = MO_STATUS_OUT_OF_MEMORY;
    for (int64_t k = 0; k < counts[i] && rows[i] != NULL; k++) rows[i][k] = k / count;
  }
  if (status == MO_STATUS_OK)
    status = change_rows("cache batch_repeat", caches, cache_count, (const int64_t *const *)rows, counts);
  for (int32_t i = 0; i < 2; i++) mo_host_free(cache->context, rows[i], (size_t)counts[i] * sizeof(int64_t));
  return status;
}

mo_status_t mo_cache_batch_repeat(mo_cache_t *cache, int64_t count) {
  MO_RANGE_NAMED(cache != NULL ? cache->context : NULL, "mo_cache_batch_repeat");
  MO_CHECK(cache != NULL, MO_STATUS_INVALID_ARGUMENT, "cache batch_repeat: the cache is NULL");
  return mo_context_note(cache->context, repeat(cache, count));
}
