/* kernels/attention.h - the attention kernels' arguments and launcher. Formula and rules: include/modelout/attention.h.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ATTENTION_H
#define MO_KERNELS_ATTENTION_H

#include <stdbool.h>

#include <cuda_runtime_api.h>

#include "kernels/kv/view.h"
#include "modelout/request.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Selected heads travel with the launch, so that no copy is needed. */
#define MO_ATTENTION_MAX_SELECTED_HEADS 256

/* Further than any key, and far from overflow. */
#define MO_ATTENTION_FAR (INT64_C(1) << 61)

typedef struct mo_attention_kernel_args {
  int64_t batch, heads, key_value_heads;
  int64_t query_length, key_length; /* of every sequence, or what none is longer than */
  int32_t head_dim, value_dim;
  mo_dtype_t dtype;        /* of query and output */
  mo_dtype_t stored_dtype; /* of key and value: int8 and e4m3 have scales, others are `dtype` */

  const void *query, *key, *value;
  void *output;
  int64_t query_strides[3], key_strides[3], value_strides[3], output_strides[3]; /* batch, head, position; the last is 1 */

  bool sequences_vary; /* in length */
  /* Sequences of their own lengths; each may be NULL. Packed: the batch stride is 0, tokens lie between cumulative lengths. */
  const int32_t *cumulative_queries, *cumulative_keys, *causal_offsets;
  int64_t query_tokens, key_tokens; /* packed ones */
  bool key_lengths_count;           /* key_lengths are how many keys there are, no mask over them */
  bool rows_are_last;               /* distances count from the sequence's last row and key, which are one position */
  bool cached;                      /* key and value are paged or quantised: the batch stride is that of pages */
  mo_kv_table table;
  mo_kv_heads key_scale, value_scale;
  int32_t key_group, value_group; /* elements per scale */
  size_t scales_at, sequence_at;  /* where a tile's scales, and the sequence, lie in shared memory; set by the launchers */

  float *log_sum_exp; /* NULL: not wanted */
  int64_t log_sum_exp_strides[3];
  /* Maximum (log2 units) and inverse sum of every row, contiguous (batch, head, row, 2): scratch memory, needed for reductions
   * of weights. The log-sum-exp would not do: where all scores of a row are near -10000 or the smallest number, its rounding is
   * as large as the differences. */
  float *statistics;

  void *weights; /* NULL: not wanted */
  mo_dtype_t weights_dtype;
  mo_weights_reduction_t weights_reduction;
  int64_t weights_strides[3];  /* batch, head slot, row slot; 0 where reduced */
  int64_t weight_rows;         /* the last ones of a sequence are selected; 0: all */
  int32_t selected_head_count; /* 0: all */
  int16_t selected_heads[MO_ATTENTION_MAX_SELECTED_HEADS];

  const void *mask; /* NULL */
  mo_dtype_t mask_dtype;
  int64_t mask_strides[4]; /* batch, head, row, key; 0 broadcasts */
  const void *bias;        /* NULL */
  mo_dtype_t bias_dtype;
  int64_t bias_strides[4];
  const void *key_lengths; /* NULL */
  mo_dtype_t key_lengths_dtype;
  int64_t key_lengths_stride;

  /* Row i may see the keys i + first_distance .. i + last_distance: causal masks and windows. Unlimited: +-MO_ATTENTION_FAR. To
   * both, a sequence adds its causal offset, or what rows_are_last says. */
  int64_t first_distance, last_distance;
  float scale, soft_cap; /* soft_cap 0: none */
} mo_attention_kernel_args;

/* shared_bytes_limit: what a block may have on this card. */
cudaError_t mo_launch_attention(const mo_attention_kernel_args *args, size_t shared_bytes_limit, cudaStream_t stream);

/* The same for one dtype, where there is something to do. `float` is what others fall back to: any dtype, any layout. */
cudaError_t mo_launch_attention_float(const mo_attention_kernel_args *args, size_t shared_bytes_limit, cudaStream_t stream);
cudaError_t mo_launch_attention_half(const mo_attention_kernel_args *args, size_t shared_bytes_limit, cudaStream_t stream);
cudaError_t mo_launch_attention_bfloat16(const mo_attention_kernel_args *args, size_t shared_bytes_limit, cudaStream_t stream);

/* Its second half where weights are reduced: from the statistics that the first has written. tensor_cores: whether that did its
 * products there, so that these round alike. */
cudaError_t mo_launch_attention_reduced(const mo_attention_kernel_args *args, bool tensor_cores, cudaStream_t stream);

/* Zeros where the weights tensor has rows and keys that their sequence does not have: the others write what it has. */
cudaError_t mo_launch_attention_outside(const mo_attention_kernel_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
