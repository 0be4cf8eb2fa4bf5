/* kernels/sampling.h - the sampling kernel's launcher.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_SAMPLING_H
#define MO_KERNELS_SAMPLING_H

#include <cuda_runtime_api.h>

#include "modelout/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One element per row; data NULL: not there. */
typedef struct mo_sampling_column {
  void *data;
  int64_t stride;
} mo_sampling_column;

typedef struct mo_sampling_kernel_args {
  int64_t rows, count; /* count: the vocabulary */
  const void *logits;
  int64_t logits_stride; /* of rows, elements */
  mo_dtype_t dtype;
  float *scores; /* NULL */
  int64_t scores_stride;
  mo_sampling_column tokens, log_probabilities, step_counts, row_numbers, finished, lengths, positions;
  mo_dtype_t token_dtype;
  mo_sampling_column end_tokens; /* one element per end token */
  mo_dtype_t end_token_dtype;
  int64_t end_token_count, pad_token;
  mo_sampling_column suppressed_tokens; /* one element per token */
  mo_dtype_t suppressed_dtype;
  int64_t suppressed_count;
  bool marks_no_choice;
  bool log_softmax; /* of the logits, then suppressed: only with greedy */

  float temperature;         /* 0: greedy */
  int64_t top_k;             /* 0: off */
  uint64_t removed_fraction; /* (1 - top_p) * 2^64; 0: off */
  bool min_p;
  float log_min_p;
  uint64_t seed, step;
} mo_sampling_kernel_args;

cudaError_t mo_launch_sampling(const mo_sampling_kernel_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
