/* modelout/attention.h - scaled dot-product attention, self or cross, with optional weights.
 *
 *   S[b,h,i,j] = soft_cap(scale * sum_d Q[b,h,i,d] K[b,g,j,d]) + bias[b,h,i,j]      g = h / (H / Hkv)
 *   P = softmax_j(S over the keys that row i may see)
 *   O[b,h,i,:] = sum_j P[b,h,i,j] V[b,g,j,:]
 *
 * B batch, H query heads, Hkv key/value heads (H a multiple of Hkv: GQA, MQA), Sq / Sk query and key length, D head dim, Dv
 * value head dim. Scores, softmax and sums are float32 whatever the storage type.
 *
 * Masks combine: a key is visible if every mask given allows it. A masked key has weight exactly 0. A row that may see no key
 * at all gets uniform weights 1/Sk over ALL keys, never NaN: Transformers' eager path, which fills masked scores with the
 * smallest finite number (integrations/sdpa and modeling_* eager_attention_forward). Without keys (Sk = 0) the output is 0.
 *
 * Without weights, memory grows linearly in Sq and Sk (tiled online softmax). With weights, each weight is written once,
 * normalised.
 *
 * VARIABLE LENGTHS. A call works on N sequences (N = B unless they are packed). Sequence n has query rows 0 .. Lq[n] - 1 and
 * keys 0 .. Lk[n] - 1, and everything above holds of each sequence for itself: causal positions, windows, masks, bias, and the
 * uniform weights 1/Lk of a row that sees no key. Lengths lie on the device and are never read back: how the work is shared out
 * depends on the bounds max_query_length and max_key_length alone, so that a captured graph may be replayed with other lengths.
 *   queries packed   cumulative_query_lengths c: query is (1, H, T, D), sequence n owns the tokens c[n] .. c[n+1] - 1
 *                    (cu_seqlens_q of FlashAttention, qo_indptr of FlashInfer)
 *   keys packed      cumulative_key_lengths likewise over key (1, Hkv, Tk, D) and value (cu_seqlens_k)
 *   keys in a cache  `cache` instead of key and value: contiguous or paged, plain or quantised; Lk[n] = key_lengths[n]
 * Queries may be packed over keys that are not, (N, Hkv, Sk, D), and the other way round.
 *
 * CHUNKED PREFILL is two calls: mo_kv_update appends the new keys and values of a layer (rotary embedding, quantisation and
 * cumulative lengths are its part), mo_attention then reads the cache, with key_lengths counting the new tokens too; with
 * `causal`, rows are the last ones of their sequence, whatever its past. Two launches on purpose: every block of query rows
 * needs the new keys of all the others, so one launch would have to order the whole grid behind its writers, or fetch each new
 * key from two places. For 1 to 8 new tokens, where the launch is what costs, modelout/decode_attention.h does both at once.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_ATTENTION_H
#define MODELOUT_ATTENTION_H

#include "modelout/kv_update.h"
#include "modelout/request.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_attention_params {
  size_t struct_size;

  /* Destinations; each may be NULL except output. All on the context's device, none overlapping another or a source. */
  const mo_tensor *output;      /* (B, H, Sq, Dv), dtype of query, last stride 1: any layout, e.g. a view of (B, Sq, H*Dv) */
  const mo_tensor *weights;     /* P or what weights_reduction makes of it (shapes at mo_weights_reduction_t, with the
                                   selection below); float32, float16 or bfloat16; last stride 1 */
  const mo_tensor *log_sum_exp; /* (B, H, Sq) float32: log sum_j exp(S) over visible keys; log Sk plus the smallest finite
                                   float for a row without visible keys */

  /* Sources: the same floating dtype, last stride 1. */
  const mo_tensor *query; /* (B, H, Sq, D) */
  const mo_tensor *key;   /* (B, Hkv, Sk, D) */
  const mo_tensor *value; /* (B, Hkv, Sk, Dv) */

  /* Masks; each may be NULL / 0. Extents of 1 (or strides of 0) broadcast. */
  const mo_tensor *mask;        /* (B|1, H|1, Sq|1, Sk) bool, uint8 or an integer type: non-zero = visible */
  const mo_tensor *bias;        /* (B|1, H|1, Sq|1, Sk) float32 or the dtype of query, added to the scaled scores */
  const mo_tensor *key_lengths; /* (B) int32 or int64: keys at and past the length are masked; 0..Sk */
  bool causal;                  /* query row i sits at position causal_offset + i and sees keys up to its position */
  int64_t causal_offset;        /* MO_CAUSAL_OFFSET_DEFAULT: Sk - Sq, or Lk - Lq (the rows are the last ones) */
  int64_t sliding_window;       /* > 0: only keys j with |position - j| < window (with causal: the last `window` keys) */

  float scale;    /* 0: 1 / sqrt(D) */
  float soft_cap; /* > 0: S = soft_cap * tanh(S / soft_cap), before bias and masks (Gemma 2) */

  /* Which weights. Nothing outside the selection is stored. */
  mo_weights_reduction_t weights_reduction;
  mo_index_list weight_heads; /* host memory; all if count is 0 */
  int64_t weight_last_rows;   /* 0: all rows */

  /* Variable lengths and caches. A struct_size that ends before here is welcome: all of these are then NULL and 0. */
  const mo_tensor *cumulative_query_lengths; /* (N + 1) int32, contiguous, not falling; NULL: not packed. Tokens of output and
                                                log_sum_exp that belong to no sequence are not written */
  const mo_tensor *cumulative_key_lengths;   /* (N + 1) int32 likewise, for key and value; NULL */
  /* Bounds on Lq and Lk, at most what a cache can hold. 0: what is there (T; Tk, or the capacity). Where lengths vary they are
   * Sq and Sk in the shapes of weights, mask and bias, whose batch is N. Weights of rows and keys that a sequence does not have
   * are 0; weight_last_rows are the last rows of each sequence, zeros in front where it has fewer. */
  int64_t max_query_length;
  int64_t max_key_length;
  /* Instead of key and value (both NULL): N rows, stored in the dtype of query or quantised; quantised keys and values are
   * rounded to the dtype of query, as mo_kv_gather gives them. key_lengths are then no mask but how many keys there are (NULL:
   * max_key_length of them); slots behind are never read. Where a row has no page, keys and values are zeros. */
  const mo_kv_view *cache;
  const mo_tensor *causal_offsets; /* (N) int32, contiguous: causal_offset of each sequence, such as its past; NULL */
} mo_attention_params;

#define MO_CAUSAL_OFFSET_DEFAULT INT64_MIN
#define MO_ATTENTION_PARAMS_INIT MO_STRUCT_INIT_WITH(mo_attention_params, causal_offset, MO_CAUSAL_OFFSET_DEFAULT)

/* Runs it on the context's stream. Asynchronous on a GPU; complete on return on the CPU. May grow the context's scratch arena.
 * INVALID_ARGUMENT (shapes, dtypes, strides, devices, overlaps, and on the CPU, before anything is written, lengths outside
 * 0..Sk, cumulative lengths that fall, leave the tokens or exceed a bound, and entries of a block table for the keys a row
 * holds that are neither a page nor -1: on a GPU lengths are clamped to what is there, rows past max_query_length are not
 * written, and an entry outside the pool counts as -1), UNSUPPORTED (names what is), OUT_OF_MEMORY, DEVICE_ERROR. */
MO_API mo_status_t mo_attention(mo_context_t *context, const mo_attention_params *params);

#ifdef __cplusplus
}
#endif
#endif
