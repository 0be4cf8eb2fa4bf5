/* host/cache/block.c - counted device blocks, and where keys, values and scales lie in them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cache/block.h"

#include <string.h>

#include "host/core/arena.h"

mo_status_t mo_cache_check_not_captured(mo_context_t *context, const char *what) {
  MO_CHECK(!mo_context_stream_is_capturing(context, mo_context_stream(context)), MO_STATUS_WRONG_STATE,
           "cache: %s while the stream is captured (mo_cache_reserve before makes room)", what);
  return MO_STATUS_OK;
}

mo_status_t mo_cache_block_create(mo_context_t *context, size_t bytes, mo_cache_block **block) {
  MO_TRY(mo_cache_check_not_captured(context, "memory is needed"));
  mo_cache_block *made = mo_host_allocate(context, sizeof *made);
  if (made == NULL) return MO_STATUS_OUT_OF_MEMORY;
  const mo_status_t status = mo_context_allocate(context, bytes, &made->memory);
  if (status != MO_STATUS_OK) {
    mo_host_free(context, made, sizeof *made);
    return status;
  }
  atomic_init(&made->references, 1);
  made->context = mo_context_retain(context);
  made->bytes = bytes;
  *block = made;
  return MO_STATUS_OK;
}

mo_cache_block *mo_cache_block_retain(mo_cache_block *block) {
  if (block != NULL) atomic_fetch_add_explicit(&block->references, 1, memory_order_relaxed);
  return block;
}

void mo_cache_block_release(void *memory) {
  mo_cache_block *block = memory;
  if (block == NULL || atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel) != 1) return;
  mo_context_t *context = block->context;
  mo_context_release(context, block->memory);
  mo_host_free(context, block, sizeof *block);
  mo_context_release_reference(context);
}

bool mo_cache_block_is_shared(const mo_cache_block *block) {
  return atomic_load_explicit(&block->references, memory_order_acquire) > 1;
}

mo_status_t mo_cache_upload(mo_context_t *context, void *device, const void *host, size_t bytes) {
  MO_TRY(mo_cache_check_not_captured(context, "host memory has to be copied"));
  return mo_context_upload(context, device, host, bytes);
}

/* ---- Layout ---- */

mo_status_t mo_cache_check_groups(const mo_cache_extents *extents) {
  const int64_t size = extents->group_size;
  MO_CHECK(size >= 0, MO_STATUS_INVALID_ARGUMENT, "cache: group_size %" PRId64 " is negative", size);
  MO_CHECK(size == 0 || (extents->key_size % size == 0 && extents->value_size % size == 0), MO_STATUS_INVALID_ARGUMENT,
           "cache: group_size %" PRId64 " does not divide heads of %" PRId64 " and %" PRId64 " elements", size,
           extents->key_size, extents->value_size);
  return MO_STATUS_OK;
}

static int64_t groups_of(const mo_cache_extents *extents, int64_t size) {
  if (extents->storage == MO_DTYPE_NONE) return 0;
  return extents->group_size == 0 ? 1 : size / extents->group_size;
}

/* The four parts: last extent and dtype. */
static void parts_of(const mo_cache_extents *extents, int64_t sizes[4], mo_dtype_t dtypes[4]) {
  const mo_dtype_t stored = extents->storage == MO_DTYPE_NONE ? extents->dtype : extents->storage;
  const mo_dtype_t scale = extents->storage == MO_DTYPE_NONE ? MO_DTYPE_NONE : MO_DTYPE_FLOAT32;
  sizes[0] = extents->key_size, dtypes[0] = stored;
  sizes[1] = extents->value_size, dtypes[1] = stored;
  sizes[2] = groups_of(extents, extents->key_size), dtypes[2] = scale;
  sizes[3] = groups_of(extents, extents->value_size), dtypes[3] = scale;
}

/* Where each part begins, and the end of all; SIZE_MAX after an overflow. */
static void offsets_of(const mo_cache_extents *extents, int64_t batch, int64_t capacity, size_t offsets[5]) {
  int64_t sizes[4];
  mo_dtype_t dtypes[4];
  mo_arena arena = {.base = NULL};
  parts_of(extents, sizes, dtypes);
  for (int i = 0; i < 4; i++) {
    int64_t bytes = 0;
    offsets[i] = arena.used;
    if (dtypes[i] == MO_DTYPE_NONE) continue;
    const bool fits = mo_checked_mul(batch, extents->heads, &bytes) && mo_checked_mul(bytes, capacity, &bytes) &&
                      mo_checked_mul(bytes, sizes[i], &bytes) &&
                      mo_checked_mul(bytes, (int64_t)mo_dtype_bytes(dtypes[i]), &bytes);
    mo_arena_carve(&arena, fits ? (size_t)bytes : SIZE_MAX);
  }
  offsets[4] = arena.used;
}

mo_status_t mo_cache_block_bytes(const mo_cache_extents *extents, int64_t batch, int64_t capacity, size_t *bytes) {
  size_t offsets[5];
  offsets_of(extents, batch, capacity, offsets);
  MO_CHECK(offsets[4] <= INT64_MAX, MO_STATUS_OUT_OF_MEMORY,
           "cache: %" PRId64 " rows of %" PRId64 " tokens, %" PRId64 " heads of %" PRId64
           " elements are more memory than can be addressed",
           batch, capacity, extents->heads, extents->key_size);
  *bytes = offsets[4];
  return MO_STATUS_OK;
}

void mo_cache_block_tensors(const mo_cache_extents *extents, mo_context_t *context, const mo_cache_block *block, int64_t batch,
                            int64_t capacity, int64_t first, int64_t count, mo_tensor tensors[4]) {
  int64_t sizes[4];
  mo_dtype_t dtypes[4];
  size_t offsets[5];
  parts_of(extents, sizes, dtypes);
  offsets_of(extents, batch, capacity, offsets);
  for (int i = 0; i < 4; i++) {
    mo_tensor *tensor = &tensors[i];
    memset(tensor, 0, sizeof *tensor);
    if (dtypes[i] == MO_DTYPE_NONE) continue;
    const size_t shift = (size_t)(first * sizes[i]) * mo_dtype_bytes(dtypes[i]);
    *tensor = (mo_tensor){
        .data = (char *)block->memory + offsets[i] + shift,
        .dtype = dtypes[i],
        .device = mo_context_device(context),
        .rank = 4,
        .shape = {batch, extents->heads, count, sizes[i]},
        .strides = {extents->heads * capacity * sizes[i], capacity * sizes[i], sizes[i], 1},
    };
  }
}
