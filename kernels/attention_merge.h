/* kernels/attention_merge.h - the launcher of the merge of two partial attentions.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ATTENTION_MERGE_H
#define MO_KERNELS_ATTENTION_MERGE_H

#include <cuda_runtime_api.h>

#include "kernels/common/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_attention_merge_kernel_args {
  mo_row_shape shape;
  int64_t columns;
  mo_dtype_t dtype;
  void *output; /* may be a or b */
  const void *a, *b;
  float *log_sum_exp; /* NULL; may be log_sum_exp_a or _b */
  const float *log_sum_exp_a, *log_sum_exp_b;
  mo_row_strides output_rows, a_rows, b_rows;
  mo_row_strides sum_rows, sum_a_rows, sum_b_rows; /* of the log-sum-exps */
} mo_attention_merge_kernel_args;

cudaError_t mo_launch_attention_merge(const mo_attention_merge_kernel_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
