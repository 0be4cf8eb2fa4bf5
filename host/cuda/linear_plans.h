/* host/cuda/linear_plans.h - cuBLASLt products, planned once per shape.
 *
 *   D = epilogue(X W^T + bias + C)      X (M, K), W (N, K), D and C (M, N), all row-major; `batch` of X, C and D with one W
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CUDA_LINEAR_PLANS_H
#define MO_CUDA_LINEAR_PLANS_H

#include <cublasLt.h>

#include "host/cuda/cuda_ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Everything an algorithm is chosen by. Compared byte by byte: no padding, and zeroed before it is filled. */
typedef struct mo_linear_plan_key {
  int64_t rows, columns, depth, batch;                              /* M, N, K */
  int64_t input_stride, weight_stride, output_stride, added_stride; /* from row to row; added: C */
  int64_t input_batch, output_batch, added_batch;                   /* from batch to batch; 0 with one */
  int32_t dtype, output_dtype, bias_dtype;                          /* mo_dtype_t; bias NONE: none */
  int32_t epilogue;                                                 /* cublasLtEpilogue_t */
  int32_t has_added;
  /* bytes the addresses are multiples of, at most 256 */
  uint32_t input_alignment, weight_alignment, output_alignment, added_alignment, bias_alignment;
} mo_linear_plan_key;

typedef struct mo_linear_plan {
  struct mo_linear_plan *next;
  mo_linear_plan_key key;
  cublasLtMatmulDesc_t operation;
  cublasLtMatrixLayout_t weight, input, output, added; /* added NULL: none */
  cublasLtMatmulAlgo_t algorithm;
  size_t workspace_bytes;
  bool is_supported; /* cuBLASLt has an algorithm */
} mo_linear_plan;

/* The context's plans and its handle of cuBLASLt, made at the first call, which must not be in a capture: WRONG_STATE. Old
 * plans may go at this call, and only here. */
mo_status_t mo_cuda_linear_plans_of(mo_context_t *context, struct mo_cuda_linear_plans **plans);

/* The plan of a key; chosen now if it is new. No algorithm for the key is not an error: is_supported says so. */
mo_status_t mo_cuda_linear_plan_find(struct mo_cuda_linear_plans *plans, const mo_linear_plan_key *key, const void *bias,
                                     const mo_linear_plan **plan);

typedef struct mo_linear_operands {
  const void *input, *weight, *bias, *added;
  void *output;
  void *workspace; /* plan->workspace_bytes */
} mo_linear_operands;

mo_status_t mo_cuda_linear_plan_run(struct mo_cuda_linear_plans *plans, const mo_linear_plan *plan,
                                    const mo_linear_operands *operands, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
