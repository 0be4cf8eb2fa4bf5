/* host/cache/page_pool.h - what paged caches use of a pool beyond the public header.
 *
 * Memory: layer after layer, page after page; a page's keys, values and scales lie together, so that copying a page is one copy
 * per layer. A page number means the same page in every layer.
 *
 * A page is free or held, by its reference count:
 *
 *   free     0 references, on the stack of free pages
 *     take   -> held, 1 reference
 *   held     1 reference: the holder may write to it
 *   shared   2 or more: nobody writes to it (paged_pages.h copies it first)
 *     retain -> one reference more; release -> one less; the last release puts it on the stack
 *
 * Holders are the rows of caches, and callers that took pages by hand (mo_page_pool_allocate, mo_page_pool_share).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_PAGE_POOL_H
#define MO_CACHE_PAGE_POOL_H

#include "host/cache/block.h"

#ifdef __cplusplus
extern "C" {
#endif

struct mo_page_pool {
  _Atomic int64_t references;
  mo_context_t *context;
  mo_cache_extents extents;
  int64_t page_count, page_size, layer_count;
  void *memory; /* device */
  size_t page_bytes;
  mo_tensor (*tensors)[5]; /* per layer: key, value, their scales; the fifth stays empty */
  int64_t *page_references;
  int32_t *free_pages; /* a stack */
  int64_t free_count;
  uint64_t *marks; /* per page: the last count (mo_page_pool_begin_count) that saw it */
  uint64_t mark;
};

/* References of pages that are known to be good. */
void mo_page_pool_retain_page(mo_page_pool_t *pool, int32_t page);
void mo_page_pool_release_page(mo_page_pool_t *pool, int32_t page);
/* Of a pool with free pages. */
int32_t mo_page_pool_take_page(mo_page_pool_t *pool);

/* All layers of a page. */
mo_status_t mo_page_pool_copy_page(mo_page_pool_t *pool, int32_t from, int32_t to);

/* Counting distinct pages: begin, then count_once per page, which is true the first time a page is seen. */
void mo_page_pool_begin_count(mo_page_pool_t *pool);
bool mo_page_pool_count_once(mo_page_pool_t *pool, int32_t page);

#ifdef __cplusplus
}
#endif
#endif
