/* host/cache/cache_internal.h - a cache, its layers, and the table of functions that each storage fills in.
 *
 * WHO KNOWS WHAT. The public functions (cache.c, update.c, change.c, rows.c) check arguments, keep what all caches have, and
 * call the cache's storage through its table. Two storages exist:
 *
 *   block_storage.c   dynamic, sliding, static, static sliding, quantised: each layer lies in one block
 *   paged_storage.c   paged: each row is a list of pages of a pool
 *
 * A storage calls the files below it and never the public ones. A pair (encoder_decoder.c) has two caches, no layers, and no
 * storage.
 *
 * A STEP OF A LAYER. Of its functions commit alone changes the counts `stored` and `seen`.
 *
 *   allocated    holds `stored` tokens
 *     prepare    -> prepared. Room for the new tokens is made, which may move the old ones. Fails: still allocated
 *   prepared     holds `stored` tokens as before; the new ones have slots to be written to
 *     prepare    -> prepared, for other tokens: the slots are handed out again
 *     written    -> prepared. Paged: the lengths on the device count the new tokens, so that attention may read them
 *     cancel     -> allocated, as if never prepared. mo_cache_update calls it when the write fails
 *     commit     -> allocated, with the new tokens. All that can be refused is refused by check_commit before
 *     crop, release, a change of rows that moves the layer to another block -> allocated or none, the step is forgotten
 *
 * Commit needs no prepare where there is room: replays of a captured step wrote the tokens, and one commit counts them.
 * A layer that is not allocated has no memory; the first update, prepare or mo_cache_initialize allocates it, and takes that
 * back (undo_layer in update.c) if it fails later.
 *
 * THE BATCH SIZE of a cache, -1 while it is not known:
 *
 *   batch_given   the options say it: it never changes, but by a change of rows
 *   batch_taken   tokens have been counted since the cache was made or reset: it stays, also when they are cropped away
 *   neither       after mo_cache_initialize or a reset: the next update may bring another one, and layers are allocated anew
 *                 (not those of static caches, which keep theirs)
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CACHE_INTERNAL_H
#define MO_CACHE_INTERNAL_H

#include "host/cache/block.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_cache_layer {
  mo_cache_kind_t kind;
  mo_cache_extents extents;
  int64_t window;
  int64_t stored; /* tokens held; paged: of the longest row */
  int64_t seen;   /* tokens appended so far, without the cropped ones */

  /* ---- Block storage ---- */
  mo_cache_block *block; /* NULL: not allocated */
  int64_t batch;         /* of the block */
  int64_t capacity;      /* slots per row */
  int64_t start;         /* the tokens held are in slots start .. start + stored - 1 */
  int64_t reserved;      /* capacity that must not shrink again */
  int64_t prepared;      /* tokens that the last prepare made room for; 0 after commit and cancel */
  /* Static sliding layers: where a step that passes the end is put together, see sliding.h. */
  mo_cache_block *staging;
  int64_t staging_capacity;
  int64_t staged; /* tokens in it once the prepared ones are written; 0: the step fits into the block */

  /* What the `view` of an entry points to: key, value, their scales, block table. Entries of prepare and of read have tensors
   * of their own, so that reading a layer does not change where a prepared entry writes to. */
  mo_tensor prepared_tensors[5], read_tensors[5];
} mo_cache_layer;

/* The functions of one way to store tokens. `layer` is the index of a layer that exists. A function that fails changes nothing,
 * unless it says so. */
typedef struct mo_cache_storage {
  /* The layers that checked options describe. */
  mo_status_t (*create)(mo_cache_t *cache, const mo_cache_options *options);
  void (*destroy)(mo_cache_t *cache); /* layers are gone; also after a create or copy that failed */

  /* ---- Memory. Paged: rows hold all layers, so what is said of one layer is true of all ---- */
  bool (*is_allocated)(const mo_cache_t *cache, int64_t layer);
  /* Batch size and extents are known, and the layer is not allocated. `tokens`: how many are to come. */
  mo_status_t (*allocate)(mo_cache_t *cache, int64_t layer, int64_t tokens);
  /* Gives the memory back and forgets the tokens; extents stay. Not allocated is fine. */
  void (*release)(mo_cache_t *cache, int64_t layer);
  mo_status_t (*reserve)(mo_cache_t *cache, int64_t count);

  /* ---- A step, see above: of a layer that is allocated, but for read ---- */
  mo_status_t (*prepare)(mo_cache_t *cache, int64_t layer, int64_t count, mo_cache_entry *entry, int64_t *slot);
  mo_status_t (*written)(mo_cache_t *cache, int64_t layer, int64_t count, mo_cache_entry *entry);
  void (*cancel)(mo_cache_t *cache, int64_t layer);
  mo_status_t (*check_commit)(const mo_cache_t *cache, int64_t layer, int64_t count);
  /* Fails on device errors only. `entry`, of the prepare before, or NULL: shows the tokens where they are afterwards. */
  mo_status_t (*commit)(mo_cache_t *cache, int64_t layer, int64_t count, mo_cache_entry *entry);
  mo_status_t (*read)(mo_cache_t *cache, int64_t layer, mo_cache_entry *entry);

  /* ---- Changes of all layers: what can be refused or needs memory first, then what fails on device errors only ---- */
  mo_status_t (*begin_crop)(mo_cache_t *cache, int64_t count);
  mo_status_t (*crop)(mo_cache_t *cache, int64_t count);
  /* Rows become rows[0] .. rows[count - 1]. `change` belongs to the storage; drop_rows frees it, whether it has ended or not.
   */
  mo_status_t (*begin_rows)(mo_cache_t *cache, const int64_t *rows, int64_t count, void **change);
  mo_status_t (*end_rows)(mo_cache_t *cache, void *change);
  void (*drop_rows)(mo_cache_t *cache, void *change);
  /* The content of `cache` into `copy`, whose layers exist and are empty. After a failure `copy` is only good for release. */
  mo_status_t (*copy)(const mo_cache_t *cache, mo_cache_t *copy);

  /* ---- Questions ---- */
  int64_t (*row_length)(const mo_cache_t *cache, int64_t row); /* tokens of a row in layer 0 */
  int64_t (*max_length)(const mo_cache_t *cache, int64_t layer);
  bool (*is_initialized)(const mo_cache_t *cache);
  uint64_t (*bytes)(const mo_cache_t *cache, int64_t layer); /* -1: of all layers */
} mo_cache_storage;

typedef struct mo_paged_rows mo_paged_rows; /* host/cache/paged_rows.h */

struct mo_cache {
  _Atomic int64_t references;
  mo_context_t *context;
  mo_cache_kind_t kind;
  const mo_cache_storage *storage; /* NULL: a pair */
  mo_cache_t *self, *cross;        /* a pair, else NULL */
  bool *updated;                   /* pairs: per layer of the cross cache, false past the end */
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
  int32_t *lengths; /* device: mo_cache_lengths */
  int64_t lengths_count;

  /* ---- Block storage ---- */
  int64_t reserve; /* tokens that layers not allocated yet are to have room for */
  void *zeros;     /* device: one head of one token, for empty slots */
  size_t zero_bytes;

  /* ---- Paged storage ---- */
  mo_paged_rows *paged; /* else NULL */
};

static inline bool mo_cache_kind_is_static(mo_cache_kind_t kind) {
  return kind == MO_CACHE_STATIC || kind == MO_CACHE_STATIC_SLIDING;
}

static inline bool mo_cache_kind_is_sliding(mo_cache_kind_t kind) {
  return kind == MO_CACHE_SLIDING || kind == MO_CACHE_STATIC_SLIDING;
}

#ifdef __cplusplus
}
#endif
#endif
