/* host/cache/block.h - counted device blocks, and where keys, values and scales lie in them.
 *
 * A block is one piece of device memory that a layer, the layers of copies and fields hold together:
 *
 *   K (B, Hkv, C, D) | V (B, Hkv, C, Dv) [| scales of K | scales of V]
 *
 * WHO MAY WRITE. `references` says how many hold the block, `written` below which slot somebody may read. With one holder every
 * slot may be written. With several holders only slots from `written` on may be, so that nobody's tokens change: a holder that
 * needs to write below moves its tokens to a block of its own. The last release gives the memory back.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_BLOCK_H
#define MO_CACHE_BLOCK_H

#include <inttypes.h>
#include <stdatomic.h>

#include "host/core/checked_math.h"
#include "host/core/context_internal.h"
#include "modelout/cache.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MO_CACHE_LAYER_LIMIT ((int64_t)1 << 16)

typedef struct mo_cache_block {
  _Atomic int64_t references;
  mo_context_t *context;
  void *memory;
  size_t bytes;
  int64_t written; /* slots below it may be read by another holder */
} mo_cache_block;

/* What a token of a layer is made of. 0 and NONE: not known yet. */
typedef struct mo_cache_extents {
  int64_t heads, key_size, value_size;
  mo_dtype_t dtype;   /* given and returned */
  mo_dtype_t storage; /* NONE: plain, as `dtype` */
  int64_t group_size; /* of quantised storage; 0: one group */
} mo_cache_extents;

static inline bool mo_cache_extents_known(const mo_cache_extents *extents) {
  return extents->heads > 0 && extents->key_size > 0 && extents->value_size > 0 && extents->dtype != MO_DTYPE_NONE;
}

/* The size of a group of quantised elements divides a head, as far as that is known. */
mo_status_t mo_cache_check_groups(const mo_cache_extents *extents);

/* WRONG_STATE while the stream is captured; `what`: "memory is needed". */
mo_status_t mo_cache_check_not_captured(mo_context_t *context, const char *what);

/* Not while the stream is captured. */
mo_status_t mo_cache_block_create(mo_context_t *context, size_t bytes, mo_cache_block **block);
mo_cache_block *mo_cache_block_retain(mo_cache_block *block);
void mo_cache_block_release(void *block); /* NULL is fine; the type is mo_release_function's */
bool mo_cache_block_is_shared(const mo_cache_block *block);

/* Device memory that the host fills now: `bytes` from `host`, which may change when the call returns. Not while the stream is
 * captured. */
mo_status_t mo_cache_upload(mo_context_t *context, void *device, const void *host, size_t bytes);

/* Room for the tensors of `capacity` tokens of `batch` rows; OUT_OF_MEMORY if that cannot be a number. */
mo_status_t mo_cache_block_bytes(const mo_cache_extents *extents, int64_t batch, int64_t capacity, size_t *bytes);

/* Key, value and their scales (dtype NONE if there are none) of slots first .. first + count - 1 of such a block. */
void mo_cache_block_tensors(const mo_cache_extents *extents, mo_context_t *context, const mo_cache_block *block, int64_t batch,
                            int64_t capacity, int64_t first, int64_t count, mo_tensor tensors[4]);

/* Key, value, their scales and a block table as the view that the ops take; dtype NONE: not there. The view points to them. */
static inline mo_kv_view mo_cache_view_of(const mo_tensor tensors[5]) {
  return (mo_kv_view){.key = &tensors[0],
                      .value = &tensors[1],
                      .key_scale = tensors[2].dtype == MO_DTYPE_NONE ? NULL : &tensors[2],
                      .value_scale = tensors[3].dtype == MO_DTYPE_NONE ? NULL : &tensors[3],
                      .block_table = tensors[4].dtype == MO_DTYPE_NONE ? NULL : &tensors[4]};
}

#ifdef __cplusplus
}
#endif
#endif
