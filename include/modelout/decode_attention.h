/* modelout/decode_attention.h - attention of a few new tokens over a cache: append, rotary embedding, split keys, combine.
 *
 * The decode step of a layer in one call: turns the new queries and keys, writes the new keys and values to the cache, and
 * attends over what the cache then holds. Without new keys it is cross attention over a static cache. Scores, softmax and sums
 * as in modelout/attention.h (scale, soft cap, bias, masks), in float32; a quantised cache is read as it is stored.
 *
 * The cache holds afterwards what mo_kv_update would have written, bit for bit.
 *
 * PLANNING. How the keys are shared out depends on shapes, on max_key_length and on the device, never on `lengths`: the call
 * may be captured in a CUDA graph and replayed while the lengths grow on the device up to max_key_length. Results are the same
 * bits from run to run.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_DECODE_ATTENTION_H
#define MODELOUT_DECODE_ATTENTION_H

#include "modelout/kv_update.h"
#include "modelout/request.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MO_DECODE_ATTENTION_MAX_TOKENS 8

typedef struct mo_decode_attention_params {
  size_t struct_size;

  /* Destinations. All on the context's device, none overlapping another or a source. */
  const mo_tensor *output;  /* (B, H, T, Dv), dtype of query, last stride 1; T 1 to 8 */
  const mo_tensor *weights; /* as in modelout/attention.h, last extent max_key_length: keys past what a row holds have weight
                               0; float32, float16 or bfloat16. NULL: not wanted */
  const mo_tensor *log_sum_exp; /* (B, H, T) float32, as in modelout/attention.h; NULL: not wanted */

  const mo_tensor *query;       /* (B, H, T, D) float32, float16 or bfloat16, last stride 1 */
  const mo_tensor *key, *value; /* the new ones, (B, Hkv, T, D) and (B, Hkv, T, Dv), dtype of query, last stride 1; both NULL:
                                   nothing is appended */
  mo_kv_view cache;             /* of query's dtype, int8 or float8 e4m3; written too if there are new keys. No two of its slots
                                   share memory. Pages of one prefix that several rows list are shared on purpose; new tokens
                                   never go to them: a page that is appended to stands once in what all rows hold, else
                                   INVALID_ARGUMENT on the CPU, before anything is written (a GPU does not look: the page then
                                   holds new tokens of any of the rows) */
  const mo_rotary *rotary;      /* of query and the new keys; NULL */
  const mo_tensor *position_ids; /* (B|1, T) int32 or int64, for rotary; NULL: the slot of each token. Needed with `rotary`
                                    where nothing is appended */

  /* Tokens of each row in the cache before this call: new token i goes to slot length + i and sees slots 0 .. length + i.
   * Without new keys every query sees `length` keys. */
  int64_t length;
  const mo_tensor *lengths; /* (B) int32 on the device instead; NULL */
  int64_t max_key_length;   /* bound on length + T (without new keys on length), at most the cache's capacity; 0: length + T, or
                               with `lengths` the capacity. The work is shared out for that many keys */

  /* Masks; each may be NULL / 0. They combine. */
  const mo_tensor *key_starts; /* (B) int32: keys before it are masked (left padding) */
  const mo_tensor *mask;       /* (B|1, H|1, T|1, max_key_length) bool, uint8 or an integer type: non-zero = visible */
  const mo_tensor *bias;       /* (B|1, H|1, T|1, max_key_length) float32 or the dtype of query, added to the scaled scores */
  int64_t sliding_window;      /* > 0: the last `window` keys up to the token itself (without new keys: of the row) */

  float scale;    /* 0: 1 / sqrt(D) */
  float soft_cap; /* > 0: S = soft_cap * tanh(S / soft_cap), before bias and masks */

  /* Which weights. Nothing outside the selection is stored. */
  mo_weights_reduction_t weights_reduction;
  mo_index_list weight_heads; /* host memory; all if count is 0 */
  int64_t weight_last_rows;   /* of the T; 0: all */
} mo_decode_attention_params;

#define MO_DECODE_ATTENTION_PARAMS_INIT MO_STRUCT_INIT(mo_decode_attention_params)

/* A row that sees no key at all (all masked) gets uniform weights over what it holds, length + T (without new keys length), as
 * in attention.h; a row that holds nothing gives zeros, and a log-sum-exp of minus infinity.
 *
 * INVALID_ARGUMENT (shapes, dtypes, strides, devices, overlaps; lengths past max_key_length, positions outside the tables, and
 * entries of the block table for what a row holds that are neither a page nor -1, as far as the host can see them: the CPU
 * refuses before it writes; on a GPU a token past max_key_length is neither written nor seen, a negative length counts as a row
 * that holds nothing, a position outside the tables makes NaN, and an entry outside the pool is no page: new tokens there are
 * dropped, keys and values there are zeros). UNSUPPORTED (more than 8 tokens: write them with mo_kv_update and attend with
 * mo_attention; on a GPU heads of more than 256 elements). OUT_OF_MEMORY, DEVICE_ERROR. Asynchronous on a GPU; complete on
 * return on the CPU. May grow the context's scratch arena. */
MO_API mo_status_t mo_decode_attention(mo_context_t *context, const mo_decode_attention_params *params);

#ifdef __cplusplus
}
#endif
#endif
