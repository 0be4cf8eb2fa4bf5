/* host/cache/page_pool.c - a fixed number of pages, counted references, a stack of the free ones.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/page_pool.h"

#include <string.h>

#include "host/core/struct_size.h"

#define POOL "page pool"
#define PART_ALIGNMENT 16 /* bytes that a kernel moves at once */
#define SMALLEST_PAGE 16
#define LARGEST_PAGE 256

/* ---- Making ---- */

static mo_status_t check_options(const mo_page_pool_options *options) {
  const int64_t size = options->page_size;
  MO_CHECK(size >= SMALLEST_PAGE && size <= LARGEST_PAGE && (size & (size - 1)) == 0, MO_STATUS_INVALID_ARGUMENT,
           POOL ": pages of %" PRId64 " tokens, a power of two from %d to %d is needed", size, SMALLEST_PAGE, LARGEST_PAGE);
  MO_CHECK(options->page_count > 0 && options->page_count <= INT32_MAX, MO_STATUS_INVALID_ARGUMENT,
           POOL ": %" PRId64 " pages, there may be 1 to %d", options->page_count, INT32_MAX);
  MO_CHECK(options->layer_count > 0 && options->layer_count <= MO_CACHE_LAYER_LIMIT, MO_STATUS_INVALID_ARGUMENT,
           POOL ": %" PRId64 " layers, there may be 1 to %" PRId64, options->layer_count, MO_CACHE_LAYER_LIMIT);
  MO_CHECK(options->num_key_value_heads > 0 && options->head_dim > 0 && options->value_head_dim >= 0,
           MO_STATUS_INVALID_ARGUMENT, POOL ": %" PRId64 " key/value heads of %" PRId64 " and %" PRId64 " elements",
           options->num_key_value_heads, options->head_dim, options->value_head_dim);
  MO_CHECK(mo_dtype_is_float(options->dtype), MO_STATUS_INVALID_ARGUMENT,
           POOL ": dtype %s, keys and values are float32, float16 or bfloat16", mo_dtype_name(options->dtype));
  const mo_dtype_t storage = options->storage_dtype;
  MO_CHECK(storage == MO_DTYPE_NONE || storage == options->dtype || storage == MO_DTYPE_INT8 || storage == MO_DTYPE_FLOAT8_E4M3,
           MO_STATUS_INVALID_ARGUMENT, POOL ": storage_dtype %s, it is int8, float8 e4m3 or the dtype", mo_dtype_name(storage));
  MO_CHECK(options->group_size == 0 || storage == MO_DTYPE_INT8 || storage == MO_DTYPE_FLOAT8_E4M3, MO_STATUS_INVALID_ARGUMENT,
           POOL ": group_size %" PRId64 " without a quantised storage_dtype", options->group_size);
  return MO_STATUS_OK;
}

/* The tensors of one page's parts, and the bytes of a page. */
static mo_status_t lay_out_page(const mo_page_pool_t *pool, bool tokens_first, mo_tensor parts[4], size_t offsets[4],
                                size_t *page_bytes) {
  const mo_cache_extents *extents = &pool->extents;
  const bool quantised = extents->storage != MO_DTYPE_NONE;
  const mo_dtype_t stored = quantised ? extents->storage : extents->dtype;
  const int64_t group = extents->group_size;
  const int64_t sizes[4] = {extents->key_size, extents->value_size, group == 0 ? 1 : extents->key_size / group,
                            group == 0 ? 1 : extents->value_size / group};
  int64_t total = 0;
  for (int i = 0; i < 4; i++) {
    const mo_dtype_t dtype = i < 2 ? stored : MO_DTYPE_FLOAT32;
    int64_t bytes;
    parts[i] = (mo_tensor){.data = NULL};
    if (i >= 2 && !quantised) continue;
    MO_CHECK(mo_checked_mul(extents->heads, pool->page_size, &bytes) && mo_checked_mul(bytes, sizes[i], &bytes) &&
                 mo_checked_mul(bytes, (int64_t)mo_dtype_bytes(dtype), &bytes) && bytes <= INT64_MAX / 8,
             MO_STATUS_OUT_OF_MEMORY, POOL ": a page is more memory than can be addressed");
    offsets[i] = (size_t)total;
    total += (int64_t)mo_align_up((size_t)bytes, PART_ALIGNMENT);
    parts[i] = (mo_tensor){.dtype = dtype,
                           .device = mo_context_device(pool->context),
                           .rank = 4,
                           .shape = {pool->page_count, extents->heads, pool->page_size, sizes[i]},
                           .strides = {0, tokens_first ? sizes[i] : pool->page_size * sizes[i],
                                       tokens_first ? extents->heads * sizes[i] : sizes[i], 1}};
  }
  *page_bytes = (size_t)total;
  return MO_STATUS_OK;
}

static mo_status_t allocate_pool(mo_page_pool_t *pool, const mo_page_pool_options *options) {
  mo_context_t *context = pool->context;
  const size_t count = (size_t)pool->page_count;
  mo_tensor parts[4];
  size_t offsets[4] = {0};
  int64_t bytes;
  MO_TRY(mo_cache_check_groups(&pool->extents));
  MO_TRY(lay_out_page(pool, options->tokens_first, parts, offsets, &pool->page_bytes));
  MO_CHECK(
      mo_checked_mul((int64_t)pool->page_bytes, pool->page_count, &bytes) && mo_checked_mul(bytes, pool->layer_count, &bytes),
      MO_STATUS_OUT_OF_MEMORY, POOL ": %" PRId64 " pages of %zu bytes in %" PRId64 " layers cannot be addressed",
      pool->page_count, pool->page_bytes, pool->layer_count);
  pool->tensors = mo_host_allocate(context, (size_t)pool->layer_count * sizeof *pool->tensors);
  pool->page_references = mo_host_allocate(context, count * sizeof *pool->page_references);
  pool->free_pages = mo_host_allocate(context, count * sizeof *pool->free_pages);
  pool->marks = mo_host_allocate(context, count * sizeof *pool->marks);
  if (pool->tensors == NULL || pool->page_references == NULL || pool->free_pages == NULL || pool->marks == NULL)
    return MO_STATUS_OUT_OF_MEMORY;
  MO_TRY(mo_context_allocate(context, (size_t)bytes, &pool->memory));
  for (int64_t l = 0; l < pool->layer_count; l++) {
    char *base = (char *)pool->memory + (size_t)l * count * pool->page_bytes;
    for (int i = 0; i < 4; i++) {
      pool->tensors[l][i] = parts[i];
      if (parts[i].dtype == MO_DTYPE_NONE) continue;
      pool->tensors[l][i].data = base + offsets[i];
      pool->tensors[l][i].strides[0] = (int64_t)(pool->page_bytes / mo_dtype_bytes(parts[i].dtype));
    }
  }
  for (int64_t i = 0; i < pool->page_count; i++) pool->free_pages[i] = (int32_t)(pool->page_count - 1 - i);
  pool->free_count = pool->page_count;
  return MO_STATUS_OK;
}

static mo_status_t create(mo_context_t *context, const mo_page_pool_options *given, mo_page_pool_t **result) {
  mo_page_pool_options taken = MO_PAGE_POOL_OPTIONS_INIT;
  MO_TRY(MO_TAKE(POOL, MO_PAGE_POOL_OPTIONS_INIT, given, MO_SIZE_TO(mo_page_pool_options, tokens_first), &taken));
  const mo_page_pool_options *options = &taken;
  MO_TRY(check_options(options));
  MO_TRY(mo_cache_check_not_captured(context, "a page pool is made"));
  mo_page_pool_t *pool = mo_host_allocate(context, sizeof *pool);
  if (pool == NULL) return MO_STATUS_OUT_OF_MEMORY;
  atomic_init(&pool->references, 1);
  pool->context = mo_context_retain(context);
  pool->page_count = options->page_count;
  pool->page_size = options->page_size;
  pool->layer_count = options->layer_count;
  pool->extents =
      (mo_cache_extents){.heads = options->num_key_value_heads,
                         .key_size = options->head_dim,
                         .value_size = options->value_head_dim == 0 ? options->head_dim : options->value_head_dim,
                         .dtype = options->dtype,
                         .storage = options->storage_dtype == options->dtype ? MO_DTYPE_NONE : options->storage_dtype,
                         .group_size = options->group_size};
  const mo_status_t status = allocate_pool(pool, options);
  if (status != MO_STATUS_OK) {
    mo_page_pool_release(pool);
    return status;
  }
  *result = pool;
  return MO_STATUS_OK;
}

mo_status_t mo_page_pool_create(mo_context_t *context, const mo_page_pool_options *options, mo_page_pool_t **pool) {
  MO_CHECK(context != NULL && pool != NULL, MO_STATUS_INVALID_ARGUMENT, POOL ": an argument is NULL");
  return mo_context_note(context, create(context, options, pool));
}

mo_page_pool_t *mo_page_pool_retain(mo_page_pool_t *pool) {
  if (pool != NULL) atomic_fetch_add_explicit(&pool->references, 1, memory_order_relaxed);
  return pool;
}

void mo_page_pool_release(mo_page_pool_t *pool) {
  if (pool == NULL || atomic_fetch_sub_explicit(&pool->references, 1, memory_order_acq_rel) != 1) return;
  mo_context_t *context = pool->context;
  const size_t count = (size_t)pool->page_count;
  mo_context_release(context, pool->memory);
  mo_host_free(context, pool->tensors, (size_t)pool->layer_count * sizeof *pool->tensors);
  mo_host_free(context, pool->page_references, count * sizeof *pool->page_references);
  mo_host_free(context, pool->free_pages, count * sizeof *pool->free_pages);
  mo_host_free(context, pool->marks, count * sizeof *pool->marks);
  mo_host_free(context, pool, sizeof *pool);
  mo_context_release_reference(context);
}

/* ---- Pages, for caches ---- */

void mo_page_pool_retain_page(mo_page_pool_t *pool, int32_t page) { pool->page_references[page]++; }

void mo_page_pool_release_page(mo_page_pool_t *pool, int32_t page) {
  if (--pool->page_references[page] == 0) pool->free_pages[pool->free_count++] = page;
}

int32_t mo_page_pool_take_page(mo_page_pool_t *pool) {
  const int32_t page = pool->free_pages[--pool->free_count];
  pool->page_references[page] = 1;
  return page;
}

mo_status_t mo_page_pool_copy_page(mo_page_pool_t *pool, int32_t from, int32_t to) {
  const mo_backend *backend = mo_context_backend(pool->context);
  for (int64_t l = 0; l < pool->layer_count; l++) {
    char *base = (char *)pool->memory + (size_t)l * (size_t)pool->page_count * pool->page_bytes;
    MO_TRY(backend->copy(mo_context_backend_state(pool->context), base + (size_t)to * pool->page_bytes,
                         base + (size_t)from * pool->page_bytes, pool->page_bytes, MO_COPY_ON_DEVICE,
                         mo_context_stream(pool->context)));
  }
  return MO_STATUS_OK;
}

void mo_page_pool_begin_count(mo_page_pool_t *pool) { pool->mark++; }

bool mo_page_pool_count_once(mo_page_pool_t *pool, int32_t page) {
  const bool first = pool->marks[page] != pool->mark;
  pool->marks[page] = pool->mark;
  return first;
}

/* ---- Pages, by hand ---- */

static mo_status_t check_pages(const char *op, const mo_page_pool_t *pool, const void *pages, int64_t count) {
  MO_CHECK(pool != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: the pool is NULL", op);
  MO_CHECK(count >= 0 && (pages != NULL || count == 0), MO_STATUS_INVALID_ARGUMENT, "%s: %" PRId64 " pages, or no list of them",
           op, count);
  return MO_STATUS_OK;
}

static mo_status_t check_page(const char *op, const mo_page_pool_t *pool, int32_t page) {
  MO_CHECK(page >= 0 && page < pool->page_count, MO_STATUS_INDEX_ERROR, "%s: page %d, the pool has %" PRId64, op, (int)page,
           pool->page_count);
  MO_CHECK(pool->page_references[page] > 0, MO_STATUS_WRONG_STATE, "%s: page %d is free", op, (int)page);
  return MO_STATUS_OK;
}

mo_status_t mo_page_pool_allocate(mo_page_pool_t *pool, int64_t count, int32_t *pages) {
  MO_TRY(check_pages("page pool allocate", pool, pages, count));
  if (count > pool->free_count)
    return mo_context_note(
        pool->context, mo_fail(MO_STATUS_OUT_OF_MEMORY, "page pool allocate: %" PRId64 " pages asked for, %" PRId64 " are free",
                               count, pool->free_count));
  for (int64_t i = 0; i < count; i++) pages[i] = mo_page_pool_take_page(pool);
  return MO_STATUS_OK;
}

mo_status_t mo_page_pool_share(mo_page_pool_t *pool, const int32_t *pages, int64_t count) {
  mo_status_t status = check_pages("page pool share", pool, pages, count);
  if (status != MO_STATUS_OK) return pool == NULL ? status : mo_context_note(pool->context, status);
  for (int64_t i = 0; i < count && status == MO_STATUS_OK; i++) status = check_page("page pool share", pool, pages[i]);
  for (int64_t i = 0; i < count && status == MO_STATUS_OK; i++) mo_page_pool_retain_page(pool, pages[i]);
  return mo_context_note(pool->context, status);
}

/* A page may be given as often as it has references, so each is checked after those before it were released. */
mo_status_t mo_page_pool_give_back(mo_page_pool_t *pool, const int32_t *pages, int64_t count) {
  mo_status_t status = check_pages("page pool give_back", pool, pages, count);
  if (status != MO_STATUS_OK) return pool == NULL ? status : mo_context_note(pool->context, status);
  const int64_t free_before = pool->free_count;
  int64_t done = 0;
  for (; done < count && status == MO_STATUS_OK; done++) {
    status = check_page("page pool give_back", pool, pages[done]);
    if (status != MO_STATUS_OK) break;
    mo_page_pool_release_page(pool, pages[done]);
  }
  if (status != MO_STATUS_OK) {
    for (int64_t i = 0; i < done; i++) pool->page_references[pages[i]]++;
    pool->free_count = free_before;
  }
  return mo_context_note(pool->context, status);
}

int64_t mo_page_pool_free_pages(const mo_page_pool_t *pool) { return pool != NULL ? pool->free_count : 0; }

int64_t mo_page_pool_references(const mo_page_pool_t *pool, int32_t page) {
  return pool != NULL && page >= 0 && page < pool->page_count ? pool->page_references[page] : -1;
}

mo_status_t mo_page_pool_view(mo_page_pool_t *pool, int64_t layer, mo_kv_view *view) {
  MO_CHECK(pool != NULL && view != NULL, MO_STATUS_INVALID_ARGUMENT, "page pool view: an argument is NULL");
  if (layer < 0 || layer >= pool->layer_count)
    return mo_context_note(
        pool->context,
        mo_fail(MO_STATUS_INDEX_ERROR, "page pool view: layer %" PRId64 ", the pool has %" PRId64, layer, pool->layer_count));
  *view = mo_cache_view_of(pool->tensors[layer]);
  return MO_STATUS_OK;
}
