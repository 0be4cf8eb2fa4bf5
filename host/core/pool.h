/* host/core/pool.h - a pool of memory blocks over an allocator: a released block is kept for the next request of its size.
 *
 * A request takes the smallest kept block that is large enough and wastes at most a quarter. A few thousand blocks are kept at
 * most, so that finding one's place among them takes no time that counts. When the allocator has no memory
 * left, all kept blocks are given back and it is asked once more. Thread-safe.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_POOL_H
#define MO_CORE_POOL_H

#include <pthread.h>

#include "host/core/context_internal.h"
#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_pool_block {
  void *memory;
  size_t bytes;
} mo_pool_block;

typedef struct mo_pool_list {
  mo_pool_block *blocks;
  int64_t count;
  int64_t capacity;
} mo_pool_list;

/* A hash table by address, at most half full: a release takes the same time however many blocks are handed out. */
typedef struct mo_pool_table {
  mo_pool_block *slots; /* memory NULL: empty */
  int64_t count;
  int64_t capacity; /* a power of two */
} mo_pool_table;

typedef struct mo_pool {
  mo_status_t (*allocate)(mo_context_t *context, size_t bytes, void **memory);
  void (*release)(mo_context_t *context, void *memory, size_t bytes);
  bool (*keeps_all)(mo_context_t *context); /* nothing can be given back at the moment; NULL: never */
  mo_context_t *context;
  size_t kept_bytes_limit;
  pthread_mutex_t mutex;
  mo_pool_table live; /* handed out */
  mo_pool_list kept;  /* waiting for reuse, by size */
  size_t kept_bytes;
  size_t held_bytes; /* live and kept */
  size_t held_bytes_peak;
  uint64_t allocation_count; /* calls of `allocate` that gave memory */
} mo_pool;

mo_status_t mo_pool_init(mo_pool *pool, mo_status_t (*allocate)(mo_context_t *, size_t, void **),
                         void (*release)(mo_context_t *, void *, size_t), mo_context_t *context, size_t kept_bytes_limit);

/* Gives back everything, live blocks too: whoever still uses one outlived the context. */
void mo_pool_destroy(mo_pool *pool);

mo_status_t mo_pool_take(mo_pool *pool, size_t bytes, void **memory);
void mo_pool_give(mo_pool *pool, void *memory); /* NULL is fine */
void mo_pool_trim(mo_pool *pool);

#ifdef __cplusplus
}
#endif

#endif
