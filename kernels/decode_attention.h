/* kernels/decode_attention.h - the decode attention kernels' arguments, plan and launcher. Formula and rules:
 * include/modelout/decode_attention.h.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_DECODE_ATTENTION_H
#define MO_KERNELS_DECODE_ATTENTION_H

#include <cuda_runtime_api.h>

#include "host/rules/decode_keys.h"
#include "kernels/kv/view.h"
#include "modelout/request.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Selected heads travel with the launch, so that no copy is needed. */
#define MO_DECODE_MAX_SELECTED_HEADS 256

#define MO_DECODE_MAX_HEAD_SIZE 256

/* The queries that share a key/value head are its rows: row r is query head kv_head * group + r / tokens, new token r % tokens.
 */
typedef struct mo_decode_kernel_args {
  int64_t batch, heads, key_value_heads;
  int32_t group, tokens, row_count; /* row_count = group * tokens */
  mo_dtype_t dtype, stored_dtype;   /* of query, output and new tokens; of the cache */

  const void *query;
  void *output;
  int64_t query_strides[3], output_strides[3]; /* batch, head, token; the last is 1 */
  mo_kv_heads new_key, new_value;              /* data NULL: nothing is appended */
  mo_kv_store key, value;
  mo_kv_table table;
  mo_kv_turn turn; /* of queries and new keys */

  const int32_t *lengths, *key_starts; /* NULL: `length`, 0 */
  int64_t lengths_stride, key_starts_stride, length;
  mo_decode_rules rules;

  float *log_sum_exp; /* NULL: not wanted */
  int64_t log_sum_exp_strides[3];
  void *weights; /* NULL: not wanted */
  mo_dtype_t weights_dtype;
  mo_weights_reduction_t weights_reduction;
  int64_t weights_strides[3];  /* batch, head slot, row slot; 0 where reduced */
  int32_t first_weight_row;    /* tokens from here on are selected */
  int32_t selected_head_count; /* 0: all */
  int16_t selected_heads[MO_DECODE_MAX_SELECTED_HEADS];

  const void *mask; /* NULL */
  mo_dtype_t mask_dtype;
  int64_t mask_strides[4]; /* batch, head, row, key; 0 broadcasts */
  const void *bias;        /* NULL */
  mo_dtype_t bias_dtype;
  int64_t bias_strides[4];
  float scale, soft_cap; /* soft_cap 0: none */

  /* The plan (mo_plan_decode_attention), and scratch memory. */
  int32_t part_count; /* parts that the keys of a row are shared out in */
  int32_t row_tiles;  /* blocks that share the rows of a key/value head */
  int32_t block_rows; /* of a block without tensor cores */
  int32_t tile_keys, stages;
  bool tensor_cores, aligned; /* aligned: every head in the cache begins at a multiple of 16 bytes */
  size_t shared_bytes;
  int64_t score_stride;
  float *sums;   /* (B, Hkv, parts, rows, value size): of probabilities times values, relative to the part's maximum */
  float *states; /* (B, Hkv, parts, rows, 2): maximum (log2 units) and sum of the part */
  float *scores; /* (B, head slots, weight rows, score_stride), log2 units; only with weights */
} mo_decode_kernel_args;

/* Fills the plan for the current card; shapes, key_limit, cache and selection are set. `scratch_bytes` is what the launch
 * needs. cudaErrorLaunchOutOfResources: a head is too large for the card's shared memory. */
cudaError_t mo_plan_decode_attention(mo_decode_kernel_args *args, int32_t multiprocessor_count, size_t shared_bytes_limit,
                                     size_t *scratch_bytes);

/* Points sums, states and scores into the scratch memory and launches. */
cudaError_t mo_launch_decode_attention(mo_decode_kernel_args *args, void *scratch, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
