/* modelout/kv_update.h - writing new keys and values to their place in a cache, and gathering them from it.
 *
 * Usable alone on plain tensors. On a GPU one launch serves K and V of up to 128 layers: transpose, rotary embedding of the
 * keys, quantisation and scatter.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_KV_UPDATE_H
#define MODELOUT_KV_UPDATE_H

#include "modelout/rotary.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where the keys and values of one layer lie. All tensors on the context's device, last stride 1, other strides free, so that
 * NHD and HND pages, or K and V in one block, are the same thing here.
 *
 * Contiguous: key (B, Hkv, C, D), value (B, Hkv, C, Dv): token t of row b is [b, :, t, :].
 * Paged: key (P, Hkv, page_size, D): token t of row b is [block_table[b, t / page_size], :, t % page_size, :]. page_size is a
 * power of two, 16 to 256. An entry of -1 is no page: writes to it are dropped, reads of it give zeros. Any other entry outside
 * 0..P-1 that a call uses is INVALID_ARGUMENT on the CPU, which looks at them before it writes; a GPU, which cannot refuse what
 * only the data show, takes it for -1. Entries that a call does not use may hold anything.
 *
 * Quantised storage (int8 or float8 e4m3): x = stored * scale, symmetric; one scale per token, head and group of
 * D / G elements; scale = largest magnitude / 127 (int8) or / 448 (e4m3), rounded to nearest even, NaN stays NaN in e4m3 and
 * becomes 0 in int8. */
typedef struct mo_kv_view {
  const mo_tensor *key, *value;             /* float32, float16, bfloat16, int8 or float8 e4m3; the same dtype */
  const mo_tensor *key_scale, *value_scale; /* quantised: (B|P, Hkv, C|page_size, G) float32; NULL otherwise */
  const mo_tensor *block_table;             /* paged: (B, max_pages) int32; NULL: contiguous */
} mo_kv_view;

typedef struct mo_kv_update_layer {
  mo_kv_view cache;
  const mo_tensor *key, *value; /* new ones: (B, Hkv, T, D) and (B, Hkv, T, Dv), last stride 1, float32, float16 or bfloat16:
                                   the cache's dtype unless that is quantised */
} mo_kv_update_layer;

typedef struct mo_kv_update_params {
  size_t struct_size;
  const mo_kv_update_layer *layers; /* all of the same shapes and dtypes */
  int32_t layer_count;
  int64_t offset;                /* the slot of the first new token */
  const mo_tensor *offsets;      /* (B) int32 on the device instead: per row, may move under a captured graph; NULL */
  const mo_tensor *counts;       /* (B) int32: only the first counts[b] new tokens of a row are written; NULL: all */
  const mo_rotary *rotary;       /* keys are rotated on the way; NULL */
  const mo_tensor *position_ids; /* (B|1, T) int32 or int64, for rotary; NULL: the slot */

  /* Rows with different numbers of new tokens, packed: (B + 1) int32, contiguous, not falling, on the device. Then key is
   * (1, Hkv, T, D), value likewise, position_ids (1, T), row b owns the new tokens cumulative_lengths[b] ..
   * cumulative_lengths[b + 1] - 1, and counts is NULL. NULL: (B, Hkv, T, D). A struct_size that ends before here is welcome. */
  const mo_tensor *cumulative_lengths;
} mo_kv_update_params;

#define MO_KV_UPDATE_PARAMS_INIT MO_STRUCT_INIT(mo_kv_update_params)

/* INVALID_ARGUMENT: also slots outside the cache, counts and cumulative lengths that leave the new tokens, positions outside
 * the rotary tables, entries of the block table (of the slots that are written) that are neither a page nor -1, and a page that
 * stands twice among them, in which tokens would be written over one another. The CPU names the first of them and writes
 * nothing. A GPU can refuse only what parameters in host memory show: there a token whose
 * slot lies past the capacity or in no page is not written, nor is any token of a row whose offset is negative; a count past T
 * counts as T, a negative one as 0; a page that stands twice holds tokens of either place; a position outside the tables makes what turns of its key NaN, stored as above; nothing
 * outside the tensors is touched. UNSUPPORTED, DEVICE_ERROR. Asynchronous on a GPU. */
MO_API mo_status_t mo_kv_update(mo_context_t *context, const mo_kv_update_params *params);

typedef struct mo_kv_gather_params {
  size_t struct_size;
  mo_kv_view source;
  mo_kv_view destination; /* contiguous, (N, Hkv, L, D): of the source's dtype (scales are copied too) or, of a quantised
                             source, a floating one (dequantised) */
  const mo_tensor *rows;  /* (N) int32 on the device: row n is row rows[n] of the source; NULL: row n (N = B) */
  int64_t start;          /* first token of the source; destination token t is source token start + t */
} mo_kv_gather_params;

#define MO_KV_GATHER_PARAMS_INIT MO_STRUCT_INIT(mo_kv_gather_params)

/* destination[n, :, t, :] = source[rows[n], :, start + t, :]: reordering beams, repeating and selecting rows, making a paged or
 * quantised cache readable as plain tensors. Source and destination do not overlap. INVALID_ARGUMENT: on the CPU also a row
 * that the source does not have, and entries of the block table (of the tokens that are read) that are neither a page nor -1,
 * before anything is written; on a GPU both read as zeros. UNSUPPORTED, DEVICE_ERROR. */
MO_API mo_status_t mo_kv_gather(mo_context_t *context, const mo_kv_gather_params *params);

#ifdef __cplusplus
}
#endif
#endif
