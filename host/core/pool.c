/* host/core/pool.c - the block pool: a hash table of the blocks handed out, a sorted array of those kept.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/pool.h"

#include <string.h>

#define KEPT_BLOCKS_LIMIT 4096
#define FIRST_SLOTS 64

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

/* ---- The blocks handed out ---- */

/* Where the block at an address is, or the empty slot where it belongs. */
static int64_t slot_of(const mo_pool_table *table, const void *memory) {
  const uint64_t bits = (uint64_t)(uintptr_t)memory * UINT64_C(0x9E3779B97F4A7C15);
  int64_t at = (int64_t)(bits >> 32) & (table->capacity - 1);
  while (table->slots[at].memory != NULL && table->slots[at].memory != memory) at = (at + 1) & (table->capacity - 1);
  return at;
}

/* Room for one more, so that the insertion that follows cannot fail. */
static bool make_slot(mo_pool *pool) {
  mo_pool_table *live = &pool->live, grown = {.count = live->count};
  if (2 * (live->count + 1) <= live->capacity) return true;
  grown.capacity = live->capacity == 0 ? FIRST_SLOTS : 2 * live->capacity;
  grown.slots = mo_host_allocate(pool->context, (size_t)grown.capacity * sizeof *grown.slots);
  if (grown.slots == NULL) return false;
  for (int64_t i = 0; i < live->capacity; i++) {
    if (live->slots[i].memory != NULL) grown.slots[slot_of(&grown, live->slots[i].memory)] = live->slots[i];
  }
  if (live->slots != NULL) mo_host_free(pool->context, live->slots, (size_t)live->capacity * sizeof *live->slots);
  *live = grown;
  return true;
}

static void put_live(mo_pool_table *live, mo_pool_block block) {
  live->slots[slot_of(live, block.memory)] = block;
  live->count++;
}

/* Empties a slot; blocks behind it that belong nearer to where their search begins move up. */
static mo_pool_block take_live(mo_pool_table *live, int64_t hole) {
  const mo_pool_block taken = live->slots[hole];
  const int64_t mask = live->capacity - 1;
  live->slots[hole].memory = NULL;
  live->count--;
  for (int64_t at = (hole + 1) & mask; live->slots[at].memory != NULL; at = (at + 1) & mask) {
    const mo_pool_block moving = live->slots[at];
    live->slots[at].memory = NULL;
    live->slots[slot_of(live, moving.memory)] = moving;
  }
  return taken;
}

/* ---- The blocks kept ---- */

static void free_list(mo_pool *pool, mo_pool_list *list) {
  if (list->blocks == NULL) return;
  mo_host_free(pool->context, list->blocks, (size_t)list->capacity * sizeof *list->blocks);
}

/* The same for the kept ones. */
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
  list->count++;
}

static mo_pool_block remove_at(mo_pool_list *list, int64_t position) {
  const mo_pool_block block = list->blocks[position];
  list->count--;
  memmove(list->blocks + position, list->blocks + position + 1, (size_t)(list->count - position) * sizeof block);
  return block;
}

static bool keeps_all(const mo_pool *pool) { return pool->keeps_all != NULL && pool->keeps_all(pool->context); }

static void release_kept(mo_pool *pool) {
  for (int64_t i = 0; i < pool->kept.count; i++) {
    pool->release(pool->context, pool->kept.blocks[i].memory, pool->kept.blocks[i].bytes);
  }
  pool->kept.count = 0;
  pool->held_bytes -= pool->kept_bytes;
  pool->kept_bytes = 0;
}

static mo_status_t take_locked(mo_pool *pool, size_t bytes, void **memory) {
  if (!make_slot(pool)) return MO_STATUS_OUT_OF_MEMORY;
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
    pool->allocation_count++;
    pool->held_bytes += bytes;
    if (pool->held_bytes > pool->held_bytes_peak) pool->held_bytes_peak = pool->held_bytes;
  }
  put_live(&pool->live, block);
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
  const int64_t slot = pool->live.count > 0 ? slot_of(&pool->live, memory) : -1;
  if (slot >= 0 && pool->live.slots[slot].memory == memory) {
    const mo_pool_block block = take_live(&pool->live, slot);
    const bool fits = pool->kept.count < KEPT_BLOCKS_LIMIT && block.bytes <= pool->kept_bytes_limit &&
                      pool->kept_bytes <= pool->kept_bytes_limit - block.bytes;
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
  for (int64_t i = 0; i < pool->live.capacity; i++) {
    const mo_pool_block *block = &pool->live.slots[i];
    if (block->memory != NULL) pool->release(pool->context, block->memory, block->bytes);
  }
  if (pool->live.slots != NULL)
    mo_host_free(pool->context, pool->live.slots, (size_t)pool->live.capacity * sizeof(mo_pool_block));
  free_list(pool, &pool->kept);
  pthread_mutex_destroy(&pool->mutex);
}
