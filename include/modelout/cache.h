/* modelout/cache.h - key/value caches: what `past_key_values` holds.
 *
 * The caches of Transformers (src/transformers/cache_utils.py, 5.16): dynamic, static, sliding window, static sliding window,
 * quantised, paged, and the pair of two caches of an encoder-decoder model. Keys and values are (batch, key/value heads,
 * tokens, head_dim): B, Hkv, T or L, D (Dv of values).
 *
 * One cache belongs to one context and holds it alive. Cache functions put their device work on the context's stream, are
 * asynchronous on a GPU, and must be called like ops: one thread at a time. The host keeps the counts, so asking costs nothing.
 *
 * MEMORY. A layer is one device block that holds K and V, (2, B, Hkv, capacity, D), so the legacy forms (mo_cache_field) are
 * views without a copy. It is allocated by the first update or by mo_cache_initialize. Dynamic layers grow geometrically (by
 * half, at least to what is needed); mo_cache_reserve grows at once, and within what is reserved an update never allocates.
 * Blocks are reference counted: fields handed out stay readable and keep their content when the layer goes on, grows into a new
 * block, is cropped, reordered or reset, and so does a copy (mo_cache_copy), which shares blocks and pages until one side
 * writes where the other reads. Static layers are the exception: they are written in place, and views of them show it.
 *
 * KINDS. A sliding layer keeps its tokens contiguous in a block of about twice the window and moves them once per window, not
 * once per token. A full static sliding layer is shifted by every update (twice the window's bytes per token, through a second
 * block of its size): its addresses are fixed, as the original's are. Where a captured decode step matters, a static layer with
 * the attention's own sliding_window costs no shift.
 *
 * WHAT QUANTISED STORAGE CHANGES. Elements x of a token and head that share a scale (all of a head's, or group_size of them)
 * are off by half a step at most; m is the largest |x| among them:
 *   int8            |x' - x| <= m / 254
 *   float8 e4m3     |x' - x| <= max(|x| / 16, m / 458752)
 * (and by the rounding of the scale, 1e-6 m; in 16-bit floats by that of the dtype on top). Attention of a query q over such
 * keys and values: with e the largest scale * sum_d |q[d]| |k'[d] - k[d]| over the keys, so at most scale * |q|_1 m / 254 for
 * int8 with one scale per head, |q|_1 the sum of magnitudes,
 *   weights         |w' - w| <= w (exp(2 e) - 1)
 *   each element    |o' - o| <= max |v' - v| + (exp(2 e) - 1) max |v|, over the keys' values of that element
 * and nothing else of a model changes: decoding over a quantised cache is decoding over a plain one that holds the stored
 * values. A smaller group_size lowers m for elements whose neighbours are large.
 *
 * GRAPHS. While the context's stream is captured nothing may be allocated and nothing comes from host memory: a call that would
 * need either fails with WRONG_STATE before it does anything; reserve first. A step that takes its slots from
 * mo_cache_lengths can be replayed; mo_cache_commit then tells the host how many tokens the replays have added.
 *
 * WHERE THIS DIFFERS FROM THE ORIGINAL, on purpose:
 *   - crop takes the positive number of tokens to remove; more than are held empties the layer (5.16 does, earlier ones dropped
 *     only the excess); on a layer without tokens it does nothing (the original fails before the first update);
 *   - a sliding window of 1 keeps no token between updates (the original never trims it);
 *   - reset sets the length to 0 and an empty layer shows no tokens (the original zeroes the values of a dynamic layer and
 *     keeps its length, and keeps zeroed rows of a sliding one);
 *   - crop works on a static layer (removed slots are zero again), and on a sliding layer as long as no token that is still
 *     needed has been dropped; both fail in the original for want of a method or of recorded tokens;
 *   - batch_repeat and batch_select work on every kind; on encoder-decoder caches of every kind too;
 *   - the first update of any layer fixes the batch size of the whole cache until it is reset (of a static one for good);
 *     the original treats each layer on its own;
 *   - quantised layers are stored as int8 or float8 with a scale per token, head and group from the first token on (the
 *     original keeps a residue of recent tokens unquantised, and packs 1 to 8 bits).
 *
 * A failed call leaves the cache as it was: its content, its counts and what it holds of a pool. Where the device itself fails
 * (DEVICE_ERROR) while crop, reset or a change of rows is under way, the cache is empty afterwards.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_CACHE_H
#define MODELOUT_CACHE_H

#include "modelout/class.h"
#include "modelout/field.h"
#include "modelout/kv_update.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_cache mo_cache_t;
typedef struct mo_page_pool mo_page_pool_t;

typedef enum mo_cache_kind_t {
  MO_CACHE_DYNAMIC = 1,        /* DynamicLayer */
  MO_CACHE_STATIC = 2,         /* StaticLayer: max_length slots, a full tensor from the start */
  MO_CACHE_SLIDING = 3,        /* DynamicSlidingWindowLayer: the last window - 1 tokens */
  MO_CACHE_STATIC_SLIDING = 4, /* StaticSlidingWindowLayer: min(window, max_length) slots */
  MO_CACHE_QUANTIZED = 5,      /* dynamic, stored as int8 or float8 e4m3 with scales: half or a quarter of the bytes */
  MO_CACHE_PAGED = 6,          /* rows are lists of pages of a pool; prefixes can be shared */
} mo_cache_kind_t;

/* Overrides for one layer; 0 keeps the cache's. */
typedef struct mo_cache_layer_options {
  mo_cache_kind_t kind; /* dynamic and sliding may be mixed, and static and static sliding */
  int64_t num_key_value_heads, head_dim, value_head_dim;
  int64_t window;
} mo_cache_layer_options;

typedef struct mo_cache_options {
  size_t struct_size;
  mo_cache_kind_t kind;
  int64_t layer_count; /* 0: grows with the layer index of updates (dynamic, sliding, quantised), skipped layers stay empty */
  const mo_cache_layer_options *layers; /* layer_count of them, copied; NULL: all alike. Not for paged caches */
  /* Extents. 0: taken from the first update of a layer. */
  int64_t batch_size, num_key_value_heads, head_dim;
  int64_t value_head_dim;    /* 0: head_dim */
  mo_dtype_t dtype;          /* of keys and values given and returned; NONE: from the first update */
  int64_t max_length;        /* static kinds: required; paged: bound on a row's tokens, 0: all pages of the pool */
  int64_t window;            /* sliding kinds: required */
  mo_dtype_t storage_dtype;  /* quantised: INT8 or FLOAT8_E4M3; NONE: int8 */
  int64_t group_size;        /* quantised: elements per scale, divides head_dim; 0: head_dim, one scale per token and head */
  mo_page_pool_t *page_pool; /* paged: required, retained; it gives layers, heads, head_dim and dtypes */
  bool keeps_addresses; /* reorder and select leave a layer in its memory where the number of rows stays and it is not shared,
                           as they do in static kinds, for a second copy of what it holds: a captured step goes on after them */
} mo_cache_options;

#define MO_CACHE_OPTIONS_INIT MO_STRUCT_INIT(mo_cache_options)

/* INVALID_ARGUMENT names the option and the rule. Allocates no device memory. */
MO_API mo_status_t mo_cache_create(mo_context_t *context, const mo_cache_options *options, mo_cache_t **cache);

/* An EncoderDecoderCache: retains both, which are of one context and not pairs themselves. Which layers of the cross cache are
 * filled is remembered (mo_cache_is_updated): at first those that hold tokens. update, prepare, commit, read and reserve are
 * asked of the two caches themselves; what is asked of the pair is answered by the self cache; reorder, repeat, select and
 * reset act on both (reset also forgets which layers are filled), crop on the self cache. */
MO_API mo_status_t mo_cache_create_encoder_decoder(mo_cache_t *self_cache, mo_cache_t *cross_cache, mo_cache_t **cache);

/* Reference counting; NULL is fine, here and in every question to a cache or a pool: it has no layers, tokens, pages or bytes,
 * kind 0, and -1 where a number is not known. */
MO_API mo_cache_t *mo_cache_retain(mo_cache_t *cache);
MO_API void mo_cache_release(mo_cache_t *cache);

MO_API mo_context_t *mo_cache_context(const mo_cache_t *cache);
/* The parts of an encoder-decoder cache, borrowed; mo_cache_self of any other cache is the cache itself, mo_cache_cross is
 * NULL. */
MO_API mo_cache_t *mo_cache_self(mo_cache_t *cache);
MO_API mo_cache_t *mo_cache_cross(mo_cache_t *cache);
/* Encoder-decoder: whether the cross cache of a layer is filled and may be used without computing it again. */
MO_API bool mo_cache_is_updated(const mo_cache_t *cache, int64_t layer);
/* INVALID_ARGUMENT: no pair; INDEX_ERROR: a layer below 0 or past the 65536th. */
MO_API mo_status_t mo_cache_set_updated(mo_cache_t *cache, int64_t layer, bool updated);

/* ---- Update ---- */

/* What attention is to read after an update: views of the cache's memory, valid until the next call that changes this layer.
 * The tensors that `view` points to belong to the cache, so an entry may be copied; mo_cache_read leaves those of a prepared
 * entry as they are. */
typedef struct mo_cache_entry {
  mo_tensor key, value; /* (B, Hkv, L, D), (B, Hkv, L, Dv): plain tensors in the cache's dtype, as the original's update returns
                           them; dtype NONE where the storage is not plain (quantised, paged): use `view`, or mo_kv_gather */
  mo_kv_view view;      /* the storage with its whole capacity, for modelout/decode_attention.h and mo_kv_gather: token i of the
                           entry is token i of the view. Empty layers that were never allocated: all NULL */
  int64_t length;       /* L */
  int64_t token_count;  /* how many of them are tokens, from slot 0 on (the new ones of this call included): L, but for static
                           layers, whose empty slots (zeros) follow. Paged: those of the longest row */
  mo_tensor lengths;    /* paged, rows of different lengths: (B) int32 on the device: the tokens of each row, after
                           mo_cache_prepare without the new ones (mo_cache_written adds them). dtype NONE where all rows have
                           the same number. Valid until the next call on this cache */
} mo_cache_entry;

/* Appends `key` (B, Hkv, T, D) and `value` (B, Hkv, T, Dv) to a layer and says what to attend to: all of a dynamic, quantised
 * or paged layer; stored and new tokens of a sliding layer; the full tensor of a static layer, empty slots (zeros) included.
 * rotary and position_ids (may be NULL) as in mo_kv_update_params; without position_ids the position is the number of tokens
 * seen before. The first update of a layer fixes its batch size, heads and dtypes. entry may be NULL.
 * INVALID_ARGUMENT: batch, heads, head_dim, dtype or device other than the layer's, sources that overlap the cache, positions
 * outside the tables; INDEX_ERROR: the layer index, or past the end of a static layer or of a paged row; OUT_OF_MEMORY: also
 * when the pool has no free page; WRONG_STATE: would allocate while the stream is captured. */
MO_API mo_status_t mo_cache_update(mo_cache_t *cache, int64_t layer, const mo_tensor *key, const mo_tensor *value,
                                   const mo_rotary *rotary, const mo_tensor *position_ids, mo_cache_entry *entry);

/* The two halves of an update, for fused kernels (mo_decode_attention) that write the tokens themselves: makes room for `count`
 * tokens of every row in a layer, with the layer's entry as it will be after them; entry->view is where to write: the tokens
 * belong to slots *slot .. *slot + count - 1 of the view, or of rows of different lengths to slots entry->lengths[b] on (*slot
 * is then that of the longest). The extents must be known (options or an earlier update): WRONG_STATE. Nothing is counted
 * before mo_cache_commit; a second prepare replaces the first. The position of the first new token is mo_cache_length, which is
 * the slot but for sliding layers. Writing into a shared page copies it first. `slot` may be NULL.
 */
MO_API mo_status_t mo_cache_prepare(mo_cache_t *cache, int64_t layer, int64_t count, mo_cache_entry *entry, int64_t *slot);

/* The `count` tokens of the last prepare have been written, and somebody is to read them before they are counted: the entry's
 * `lengths` (paged, rows of different lengths) count them from here on. Does nothing for other entries. */
MO_API mo_status_t mo_cache_written(mo_cache_t *cache, int64_t layer, int64_t count, mo_cache_entry *entry);

/* Counts `count` tokens of every row that were written after those held. layer -1: in every layer that is allocated. Allocates
 * nothing. After k replays of a graph that wrote one token each: mo_cache_commit(cache, -1, k). WRONG_STATE: more than there is
 * room for (prepare or reserve make it), or a static sliding layer that this would fill past its end without mo_cache_prepare;
 * INDEX_ERROR: the layer index. */
MO_API mo_status_t mo_cache_commit(mo_cache_t *cache, int64_t layer, int64_t count);

/* What a layer holds now, without changing it (no tokens: an empty view, or a static layer's zeros). */
MO_API mo_status_t mo_cache_read(mo_cache_t *cache, int64_t layer, mo_cache_entry *entry);

/* Makes `count` further tokens in every layer (of every row) fit without an allocation. Layers whose extents are not known yet
 * take it into account when they are. INDEX_ERROR: past the end of a static layer or of a paged row. OUT_OF_MEMORY. */
MO_API mo_status_t mo_cache_reserve(mo_cache_t *cache, int64_t count);

/* early_initialization: allocates every layer of a cache whose layer_count is known. Extents 0 (dtype NONE): those of the
 * options. Layers already there are skipped. INVALID_ARGUMENT: an extent that is known nowhere, or differs from the options. */
MO_API mo_status_t mo_cache_initialize(mo_cache_t *cache, int64_t batch_size, int64_t num_key_value_heads, int64_t head_dim,
                                       mo_dtype_t dtype);

/* The number of tokens that layer 0 holds of each row on the device, (B) int32, for kernels of a captured step: written with
 * the host's counts by this call, unless the stream is captured; after that the caller's kernels may advance it. The address
 * is stable while the batch size stays. WRONG_STATE: the batch size is not known yet. */
MO_API mo_status_t mo_cache_lengths(mo_cache_t *cache, mo_tensor *lengths);

/* ---- Asking ---- */

MO_API mo_cache_kind_t mo_cache_kind(const mo_cache_t *cache); /* of the self cache */
MO_API int64_t mo_cache_layer_count(const mo_cache_t *cache);
/* get_seq_length: tokens seen by a layer so far, dropped ones included; 0 for a layer that does not exist. Paged: of the
 * longest row. */
MO_API int64_t mo_cache_length(const mo_cache_t *cache, int64_t layer);
/* Tokens a layer holds: less than seen where a sliding layer has dropped some. */
MO_API int64_t mo_cache_stored_length(const mo_cache_t *cache, int64_t layer);
/* get_mask_sizes: how many keys the next `query_length` tokens will attend over, and the position of the first of them. A
 * layer that does not exist: query_length and 0. */
MO_API void mo_cache_mask_sizes(const mo_cache_t *cache, int64_t query_length, int64_t layer, int64_t *kv_length,
                                int64_t *kv_offset);
/* get_max_cache_shape: -1 if unbounded. */
MO_API int64_t mo_cache_max_length(const mo_cache_t *cache, int64_t layer);
MO_API int64_t mo_cache_batch_size(const mo_cache_t *cache);  /* -1 before the first update, unless the options say it */
MO_API bool mo_cache_is_initialized(const mo_cache_t *cache); /* at least one layer, and all allocated */
MO_API bool mo_cache_is_compileable(const mo_cache_t *cache); /* every update writes to the same memory: static kinds */
MO_API bool mo_cache_is_sliding(const mo_cache_t *cache, int64_t layer);
/* Device bytes held by a layer (-1: by all; pages shared by several rows once). Blocks shared with a copy count in both. */
MO_API uint64_t mo_cache_bytes(const mo_cache_t *cache, int64_t layer);

/* ---- Changing ---- */

/* Removes the last `count` tokens of every layer and row; more than are held empties them. INVALID_ARGUMENT: negative;
 * WRONG_STATE: a sliding layer that has dropped tokens which the shorter sequence would need. */
MO_API mo_status_t mo_cache_crop(mo_cache_t *cache, int64_t count);

/* Rows become rows[0], rows[1], ... (beam search: the same number of rows; select: fewer; any order, repeats allowed). Host
 * memory. INDEX_ERROR: a row outside 0..B-1; INVALID_ARGUMENT: no rows. Does nothing, and checks no row, while no layer has
 * tokens. A static cache keeps its addresses if the number of rows stays, others by option. A paged cache shares pages. */
MO_API mo_status_t mo_cache_reorder(mo_cache_t *cache, const int64_t *rows, int64_t count);
/* batch_select_indices: mo_cache_reorder by another name, as in the original. */
MO_API mo_status_t mo_cache_batch_select(mo_cache_t *cache, const int64_t *rows, int64_t count);
/* batch_repeat_interleave: each row `count` times in a row. INVALID_ARGUMENT: below 1. */
MO_API mo_status_t mo_cache_batch_repeat(mo_cache_t *cache, int64_t count);

/* Empties every layer; memory is kept (pages go back to the pool), static layers are zero again. */
MO_API mo_status_t mo_cache_reset(mo_cache_t *cache);

/* Another cache with the same content (copy.deepcopy). Static layers are copied; others share memory until one side writes. */
MO_API mo_status_t mo_cache_copy(const mo_cache_t *cache, mo_cache_t **copy);

/* ---- As a field of an output ---- */

/* The forms that `past_key_values` has. L as mo_cache_read gives it; layers that are not allocated have extents of 0. */
typedef enum mo_cache_form_t {
  MO_CACHE_FORM_CACHE = 1,   /* PyTorch: a cache field: per layer key, value[, cross key, cross value], each (B, Hkv, L, D) */
  MO_CACHE_FORM_TUPLES = 2,  /* TensorFlow: the same as a tuple of tuples */
  MO_CACHE_FORM_STACKED = 3, /* TensorFlow, GPT-2 and the class as documented: a tuple of per layer (2, B, Hkv, L, D); UNSUPPORTED
                                if keys and values differ in size; of an encoder-decoder cache the self cache */
  MO_CACHE_FORM_DICT = 4,    /* Flax: "<layer>.cached_key" and "<layer>.cached_value" (B, L, Hkv, D), "<layer>.cache_index" an
                                integer; of an encoder-decoder cache the self cache */
} mo_cache_form_t;

/* The content in one of these forms, views of the cache's blocks (plain storage only; UNSUPPORTED otherwise). The field retains
 * the blocks and the cache: mo_field_cache. The caller releases it. */
MO_API mo_status_t mo_cache_field_as(mo_cache_t *cache, mo_cache_form_t form, mo_field **field);

/* MO_CACHE_FORM_DICT with the names of a module's parameters: "<prefix><layer><suffix>.cached_key" and so on. */
MO_API mo_status_t mo_cache_field_dict(mo_cache_t *cache, const char *prefix, const char *suffix, mo_field **field);

/* The form of a framework's documented classes: PyTorch a cache, TensorFlow stacked, Flax a dict. */
MO_API mo_status_t mo_cache_field(mo_cache_t *cache, mo_framework_t framework, mo_field **field);

/* The cache that a field of mo_cache_field or mo_cache_field_as was made from, to be passed to the next step; NULL if there is none. Borrowed. */
MO_API mo_cache_t *mo_field_cache(const mo_field *field);

/* ---- Pages ---- */

typedef struct mo_page_pool_options {
  size_t struct_size;
  int64_t page_count;
  int64_t page_size; /* tokens: a power of two, 16 to 256 */
  int64_t layer_count, num_key_value_heads, head_dim;
  int64_t value_head_dim;   /* 0: head_dim */
  mo_dtype_t dtype;         /* of keys and values given: float32, float16 or bfloat16 */
  mo_dtype_t storage_dtype; /* INT8 or FLOAT8_E4M3 with scales; NONE: dtype */
  int64_t group_size;       /* as in mo_cache_options */
  bool tokens_first;        /* pages are NHD, (page_size, heads, head_dim), instead of HND */
} mo_page_pool_options;

#define MO_PAGE_POOL_OPTIONS_INIT MO_STRUCT_INIT(mo_page_pool_options)

/* Allocates all pages of all layers at once. A page number stands for the same page in every layer. Caches of the context may
 * share a pool; like a cache it is used by one thread at a time. INVALID_ARGUMENT names the option and the rule. */
MO_API mo_status_t mo_page_pool_create(mo_context_t *context, const mo_page_pool_options *options, mo_page_pool_t **pool);
MO_API mo_page_pool_t *mo_page_pool_retain(mo_page_pool_t *pool);
MO_API void mo_page_pool_release(mo_page_pool_t *pool);

/* Pages by hand, for a scheduler of the caller's own. allocate: all or none, OUT_OF_MEMORY names asked and free. share adds a
 * reference to each; give_back removes one (per mention). WRONG_STATE: a page that is free; INDEX_ERROR: outside the pool;
 * either way none is changed. */
MO_API mo_status_t mo_page_pool_allocate(mo_page_pool_t *pool, int64_t count, int32_t *pages);
MO_API mo_status_t mo_page_pool_share(mo_page_pool_t *pool, const int32_t *pages, int64_t count);
MO_API mo_status_t mo_page_pool_give_back(mo_page_pool_t *pool, const int32_t *pages, int64_t count);
MO_API int64_t mo_page_pool_free_pages(const mo_page_pool_t *pool);
MO_API int64_t mo_page_pool_references(const mo_page_pool_t *pool, int32_t page); /* -1 outside the pool */
/* Storage of a layer: key and value (P, Hkv, page_size, D) and scales, without a block table. The tensors live as long as the
 * pool. INDEX_ERROR: the layer. */
MO_API mo_status_t mo_page_pool_view(mo_page_pool_t *pool, int64_t layer, mo_kv_view *view);

/* Tokens of a row (in layer 0); -1 for a row or a cache that has none such. */
MO_API int64_t mo_cache_row_length(const mo_cache_t *cache, int64_t row);

/* Rows of a paged cache may differ in length; WRONG_STATE while their number is not known. INVALID_ARGUMENT for other kinds;
 * INDEX_ERROR: a row outside 0..B-1, or more tokens than the source row holds or than a row of this cache may have.
 *
 * Makes a row share the first `length` tokens of another row's pages (maybe of another cache of the same pool); what the row
 * held is given back. A page that is shared and written to is copied first. */
MO_API mo_status_t mo_cache_share_prefix(mo_cache_t *cache, int64_t row, const mo_cache_t *source, int64_t source_row,
                                         int64_t length);
/* A row gives its pages back (a finished sequence) and starts empty. */
MO_API mo_status_t mo_cache_reset_row(mo_cache_t *cache, int64_t row);
/* The block table on the device, (B, max_pages) int32, -1 where a row has no page, and mo_cache_lengths: stable addresses while
 * the batch size stays. Both are brought up to date by this call; the table also by prepare, update, read and reserve. */
MO_API mo_status_t mo_cache_block_table(mo_cache_t *cache, mo_tensor *block_table, mo_tensor *lengths);

#ifdef __cplusplus
}
#endif
#endif
