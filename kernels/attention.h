/* kernels/attention.h - the attention kernels' arguments and launcher. Formula and rules: include/modelout/attention.h.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ATTENTION_H
#define MO_KERNELS_ATTENTION_H

#include <stdbool.h>

#include <cuda_runtime_api.h>

#include "modelout/request.h"
#include "modelout/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Selected heads travel with the launch, so that no copy is needed. */
#define MO_ATTENTION_MAX_SELECTED_HEADS 256

/* Further than any key, and far from overflow. */
#define MO_ATTENTION_FAR (INT64_C(1) << 61)

typedef struct mo_attention_kernel_args {
  int64_t batch, heads, key_value_heads, query_length, key_length;
  int32_t head_dim, value_dim;
  mo_dtype_t dtype; /* of query, key, value, output */

  const void *query, *key, *value;
  void *output;
  int64_t query_strides[3], key_strides[3], value_strides[3], output_strides[3]; /* batch, head, position; the last is 1 */

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
  int64_t first_weight_row;    /* rows from here on are selected */
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

  /* Row i may see the keys i + first_distance .. i + last_distance: causal masks and windows. Unlimited: +-MO_ATTENTION_FAR. */
  int64_t first_distance, last_distance;
  float scale, soft_cap; /* soft_cap 0: none */
} mo_attention_kernel_args;

/* shared_bytes_limit: what a block may have on this card. */
cudaError_t mo_launch_attention(const mo_attention_kernel_args *args, size_t shared_bytes_limit, cudaStream_t stream);

/* Its second half where weights are reduced: from the statistics that the first has written. tensor_cores: whether that did its
 * products there, so that these round alike. */
cudaError_t mo_launch_attention_reduced(const mo_attention_kernel_args *args, bool tensor_cores, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
