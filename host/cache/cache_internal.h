/* host/cache/cache_internal.h - how caches are laid out.
 *
 *   mo_cache --> layers[] --> mo_cache_block (counted: fields and copies share it)
 *     |                         K (B, Hkv, C, D) | V (B, Hkv, C, Dv) [| scales of K | scales of V]
 *     +--> paged: rows of pages, block table        tokens: slots start .. start + stored - 1
 *     +--> self, cross: a pair has these and no layers
 *
 * An update is prepare (room, and where to write), the write, commit (counting). Whatever can fail comes before the counting.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_INTERNAL_H
#define MO_CACHE_INTERNAL_H

#include <inttypes.h>
#include <stdatomic.h>

#include "host/core/checked_math.h"
#include "host/core/context_internal.h"
#include "modelout/cache.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MO_CACHE_LAYER_LIMIT ((int64_t)1 << 16)

/* Device memory that a layer, fields and layers of copies hold together. */
typedef struct mo_cache_block {
  _Atomic int64_t references;
  mo_context_t *context;
  void *memory;
  size_t bytes;
  int64_t written; /* slots below it may be looked at by somebody: a shared block is appended to, never written over */
} mo_cache_block;

/* What a token of a layer is made of. 0 and NONE: not known yet. */
typedef struct mo_cache_extents {
  int64_t heads, key_size, value_size;
  mo_dtype_t dtype;   /* given and returned */
  mo_dtype_t storage; /* NONE: plain, as `dtype` */
  int64_t group_size; /* of quantised storage; 0: one group */
} mo_cache_extents;

typedef struct mo_cache_layer {
  mo_cache_kind_t kind;
  mo_cache_extents extents;
  int64_t window;
  mo_cache_block *block; /* NULL: not allocated */
  int64_t batch;         /* of the block */
  int64_t capacity;      /* slots per row */
  int64_t start, stored; /* the tokens held */
  int64_t seen;          /* tokens appended so far, without the cropped ones */
  int64_t reserved;      /* capacity that must not shrink again */
  int64_t prepared;      /* tokens that mo_cache_prepare made room for */

  /* Static sliding layers: what a step that passes the end is put together in, before its last tokens go to the block. */
  mo_cache_block *staging;
  int64_t staging_capacity;
  int64_t staged; /* tokens in it once the prepared ones are written; 0: the step fits into the block */

  /* Behind the `view` of entries: key, value, their scales, block table. A prepared entry has its own, as reading must not lead
   * it elsewhere. */
  mo_tensor prepared_tensors[5], read_tensors[5];
} mo_cache_layer;

typedef struct mo_paged_rows mo_paged_rows; /* host/cache/paged.h */

struct mo_cache {
  _Atomic int64_t references;
  mo_context_t *context;
  mo_cache_kind_t kind;
  mo_cache_t *self, *cross; /* a pair, else NULL */
  bool *updated;            /* pairs: per layer of the cross cache, false past the end */
  int64_t updated_count;

  mo_cache_layer defaults; /* what a layer that is made later begins as */
  mo_cache_layer **layers;
  int64_t layer_count, layer_capacity;
  bool keeps_addresses;
  bool grows;       /* layers are made when they are first updated */
  int64_t batch;    /* -1: not known yet */
  bool batch_given; /* by the options */
  bool batch_taken; /* by tokens since the cache was made or reset: they may be cropped away, the rows stay */
  int64_t max_length;
  int64_t reserve; /* tokens that layers not allocated yet are to have room for */
  void *zeros;     /* device: one head of one token, for empty slots */
  size_t zero_bytes;
  int32_t *lengths; /* device: mo_cache_lengths */
  int64_t lengths_count;
  mo_paged_rows *paged; /* paged caches, else NULL */
};

/* ---- Blocks (block.c) ---- */

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

static inline mo_kv_view mo_cache_view_of(const mo_tensor tensors[5]) {
  return (mo_kv_view){.key = &tensors[0],
                      .value = &tensors[1],
                      .key_scale = tensors[2].dtype == MO_DTYPE_NONE ? NULL : &tensors[2],
                      .value_scale = tensors[3].dtype == MO_DTYPE_NONE ? NULL : &tensors[3],
                      .block_table = tensors[4].dtype == MO_DTYPE_NONE ? NULL : &tensors[4]};
}

/* ---- Layers in one block (layer.c) ---- */

static inline bool mo_cache_kind_is_static(mo_cache_kind_t kind) {
  return kind == MO_CACHE_STATIC || kind == MO_CACHE_STATIC_SLIDING;
}

static inline bool mo_cache_kind_is_sliding(mo_cache_kind_t kind) {
  return kind == MO_CACHE_SLIDING || kind == MO_CACHE_STATIC_SLIDING;
}

static inline bool mo_cache_extents_known(const mo_cache_extents *extents) {
  return extents->heads > 0 && extents->key_size > 0 && extents->value_size > 0 && extents->dtype != MO_DTYPE_NONE;
}

/* Tensors of tokens first .. first + count - 1, counted from slot 0. */
void mo_cache_layer_tensors(const mo_cache_t *cache, const mo_cache_layer *layer, int64_t first, int64_t count,
                            mo_tensor tensors[5]);

/* The block of a layer whose extents and batch are known: at least `tokens` slots, zeros if the layer is static. */
mo_status_t mo_cache_layer_allocate(mo_cache_t *cache, mo_cache_layer *layer, int64_t tokens);

/* Puts zeros into slots first .. first + count - 1 of a block. */
mo_status_t mo_cache_fill_zeros(mo_cache_t *cache, const mo_cache_layer *layer, const mo_cache_block *block, int64_t batch,
                                int64_t first, int64_t count);
/* Makes sure that mo_cache_fill_zeros will need no memory. */
mo_status_t mo_cache_need_zeros(mo_cache_t *cache, const mo_cache_layer *layer);

/* The CPU's gather works in scratch memory: makes sure that a change which has begun needs none. */
mo_status_t mo_cache_need_scratch(mo_cache_t *cache);
/* A change of several layers stopped in the middle: the cache is empty afterwards, and good for use. */
void mo_cache_abandon(mo_cache_t *cache);

/* Room for `count` tokens behind those held, in place, by moving or by growing: the layer holds what it held. */
mo_status_t mo_cache_layer_make_room(mo_cache_t *cache, mo_cache_layer *layer, int64_t count);

mo_status_t mo_cache_layer_prepare(mo_cache_t *cache, mo_cache_layer *layer, int64_t count, mo_cache_entry *entry,
                                   int64_t *slot);
mo_status_t mo_cache_layer_check_commit(const mo_cache_t *cache, const mo_cache_layer *layer, int64_t count);
/* Of a checked commit: fails on device errors only. */
mo_status_t mo_cache_layer_commit(mo_cache_t *cache, mo_cache_layer *layer, int64_t count);
void mo_cache_layer_read(const mo_cache_t *cache, mo_cache_layer *layer, mo_cache_entry *entry);
mo_status_t mo_cache_layer_reserve(mo_cache_t *cache, mo_cache_layer *layer, int64_t count);

/* Gives the memory back and forgets the tokens; extents stay. */
void mo_cache_layer_clear(mo_cache_layer *layer);

/* destination = tokens of source, plain copy of rows (rows NULL: the same ones). */
mo_status_t mo_cache_move(mo_cache_t *cache, const mo_tensor source[5], const mo_tensor destination[5], const mo_tensor *rows);

/* ---- Static sliding layers whose step passes the end (sliding.c) ---- */

mo_status_t mo_cache_staged_prepare(mo_cache_t *cache, mo_cache_layer *layer, int64_t count, mo_cache_entry *entry,
                                    int64_t *slot);
mo_status_t mo_cache_staged_commit(mo_cache_t *cache, mo_cache_layer *layer);
/* A block for `tokens` tokens to be put together in. */
mo_status_t mo_cache_staging_reserve(mo_cache_t *cache, mo_cache_layer *layer, int64_t tokens);

/* ---- Caches (cache.c) ---- */

mo_status_t mo_cache_allocate(mo_context_t *context, mo_cache_t **cache);
/* Layers 0 .. count - 1 exist. */
mo_status_t mo_cache_grow_layers(mo_cache_t *cache, int64_t count);
void mo_cache_drop_layers(mo_cache_t *cache, int64_t count);
/* The size of a group of quantised elements divides a head, as far as that is known. */
mo_status_t mo_cache_check_groups(const mo_cache_extents *extents);
/* The layer, or NULL. */
mo_cache_layer *mo_cache_find_layer(const mo_cache_t *cache, int64_t layer);
/* No pair, no NULL. */
mo_status_t mo_cache_check_single(const char *op, const mo_cache_t *cache);

bool mo_cache_is_capturing(const mo_cache_t *cache);

#ifdef __cplusplus
}
#endif
#endif
