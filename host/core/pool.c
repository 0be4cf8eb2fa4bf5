/* host/core/pool.c - the block pool: two sorted arrays, binary search.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/pool.h"

#include <string.h>

mo_status_t mo_pool_init(mo_pool *pool, mo_status_t (*allocate)(mo_context_t *, size_t, void **),
                         void (*release)(mo_context_t *, void *, size_t), mo_context_t *context, size_t kept_bytes_limit) {
  *pool = (mo_pool){.allocate = allocate, .release = release, .context = context, .kept_bytes_limit = kept_bytes_limit};
  MO_CHECK(pthread_mutex_init(&pool->mutex, NULL) == 0, MO_STATUS_OUT_OF_MEMORY, "context: a mutex could not be made");
  return MO_STATUS_OK;
}

/* First position whose size is at least `bytes`. */
static int64_t position_by_size(const mo_pool_list *list, size_t bytes) {
  int64_t low = 0, high = list->count;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (list->blocks[middle].bytes < bytes) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* First position whose address is at least `memory`. */
static int64_t position_by_address(const mo_pool_list *list, const void *memory) {
  int64_t low = 0, high = list->count;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if ((uintptr_t)list->blocks[middle].memory < (uintptr_t)memory) low = middle + 1;
    else high = middle;
  }
  return low;
}

static void free_list(mo_pool *pool, mo_pool_list *list) {
  mo_host_free(pool->context, list->blocks, (size_t)list->capacity * sizeof *list->blocks);
}

/* Room for one more, so that the insertion that follows cannot fail. */
static bool make_room(mo_pool *pool, mo_pool_list *list) {
  if (list->count < list->capacity) return true;
  const int64_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
  mo_pool_block *blocks = mo_host_allocate(pool->context, (size_t)capacity * sizeof *blocks);
  if (blocks == NULL) return false;
  if (list->count > 0) memcpy(blocks, list->blocks, (size_t)list->count * sizeof *blocks);
  free_list(pool, list);
  list->blocks = blocks;
  list->capacity = capacity;
  return true;
}

static void insert_at(mo_pool_list *list, int64_t position, mo_pool_block block) {
  memmove(list->blocks + position + 1, list->blocks + position, (size_t)(list->count - position) * sizeof block);
  list->blocks[position] = block;
  ++list->count;
}

static mo_pool_block remove_at(mo_pool_list *list, int64_t position) {
  const mo_pool_block block = list->blocks[position];
  --list->count;
  memmove(list->blocks + position, list->blocks + position + 1, (size_t)(list->count - position) * sizeof block);
  return block;
}

static bool keeps_all(const mo_pool *pool) { return pool->keeps_all != NULL && pool->keeps_all(pool->context); }

static void release_kept(mo_pool *pool) {
  for (int64_t i = 0; i < pool->kept.count; ++i) {
    pool->release(pool->context, pool->kept.blocks[i].memory, pool->kept.blocks[i].bytes);
  }
  pool->kept.count = 0;
  pool->held_bytes -= pool->kept_bytes;
  pool->kept_bytes = 0;
}

static mo_status_t take_locked(mo_pool *pool, size_t bytes, void **memory) {
  if (!make_room(pool, &pool->live)) return MO_STATUS_OUT_OF_MEMORY;
  mo_pool_block block = {.bytes = bytes};
  const int64_t fit = position_by_size(&pool->kept, bytes);
  if (fit < pool->kept.count && pool->kept.blocks[fit].bytes - bytes <= bytes / 4) {
    block = remove_at(&pool->kept, fit);
    pool->kept_bytes -= block.bytes;
  } else {
    mo_status_t status = pool->allocate(pool->context, bytes, &block.memory);
    if (status == MO_STATUS_OUT_OF_MEMORY && pool->kept.count > 0) {
      release_kept(pool);
      status = pool->allocate(pool->context, bytes, &block.memory);
    }
    MO_TRY(status);
    ++pool->allocation_count;
    pool->held_bytes += bytes;
    if (pool->held_bytes > pool->held_bytes_peak) pool->held_bytes_peak = pool->held_bytes;
  }
  insert_at(&pool->live, position_by_address(&pool->live, block.memory), block);
  *memory = block.memory;
  return MO_STATUS_OK;
}

mo_status_t mo_pool_take(mo_pool *pool, size_t bytes, void **memory) {
  pthread_mutex_lock(&pool->mutex);
  const mo_status_t status = take_locked(pool, bytes, memory);
  pthread_mutex_unlock(&pool->mutex);
  return status;
}

void mo_pool_give(mo_pool *pool, void *memory) {
  if (memory == NULL) return;
  pthread_mutex_lock(&pool->mutex);
  const int64_t position = position_by_address(&pool->live, memory);
  if (position < pool->live.count && pool->live.blocks[position].memory == memory) {
    const mo_pool_block block = remove_at(&pool->live, position);
    const bool fits = block.bytes <= pool->kept_bytes_limit && pool->kept_bytes <= pool->kept_bytes_limit - block.bytes;
    if ((fits || keeps_all(pool)) && make_room(pool, &pool->kept)) {
      insert_at(&pool->kept, position_by_size(&pool->kept, block.bytes), block);
      pool->kept_bytes += block.bytes;
    } else {
      pool->held_bytes -= block.bytes;
      pool->release(pool->context, block.memory, block.bytes);
    }
  }
  pthread_mutex_unlock(&pool->mutex);
}

void mo_pool_trim(mo_pool *pool) {
  pthread_mutex_lock(&pool->mutex);
  if (!keeps_all(pool)) release_kept(pool);
  pthread_mutex_unlock(&pool->mutex);
}

void mo_pool_destroy(mo_pool *pool) {
  release_kept(pool);
  for (int64_t i = 0; i < pool->live.count; ++i) {
    pool->release(pool->context, pool->live.blocks[i].memory, pool->live.blocks[i].bytes);
  }
  free_list(pool, &pool->live);
  free_list(pool, &pool->kept);
  pthread_mutex_destroy(&pool->mutex);
}
