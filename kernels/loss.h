/* kernels/loss.h - the loss kernels' launchers.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_LOSS_H
#define MO_KERNELS_LOSS_H

#include <cuda_runtime_api.h>

#include "modelout/loss.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Cross entropy ---- */

/* Positions are (batch, length); rank 2 logits are one sequence. */
typedef struct mo_cross_entropy_kernel_args {
  int64_t batch, length, vocabulary;
  const void *logits; /* stride 1 along the vocabulary */
  mo_dtype_t dtype;
  int64_t logits_strides[2];
  const void *labels;
  mo_dtype_t labels_dtype;
  int64_t labels_strides[2];
  int64_t ignore_index;
  bool shift;
  mo_loss_reduction_t reduction;
  float *loss;
  int64_t loss_strides[2]; /* NONE: of position (b, s); COMPACT: [1] of the n-th loss */
  int64_t loss_columns;    /* NONE: positions of a sequence that have a place */
  int64_t loss_capacity;   /* COMPACT: places */
  float *log_sum_exp;      /* NULL */
  int64_t log_sum_exp_strides[2];
  /* Set by mo_plan_cross_entropy; the memory is the caller's. */
  int64_t splits;  /* parts of a row that are summed apart */
  double *scratch; /* NULL where none is needed */
} mo_cross_entropy_kernel_args;

/* Decides how the work is shared out on a card of so many multiprocessors, and returns the bytes of scratch this needs. */
size_t mo_plan_cross_entropy(mo_cross_entropy_kernel_args *args, int32_t multiprocessors);
cudaError_t mo_launch_cross_entropy(const mo_cross_entropy_kernel_args *args, cudaStream_t stream);

/* ---- Elementwise ---- */

typedef enum mo_elementwise_kernel_t { MO_ELEMENTWISE_KERNEL_BCE = 0, MO_ELEMENTWISE_KERNEL_MSE = 1 } mo_elementwise_kernel_t;

typedef struct mo_elementwise_loss_kernel_args {
  mo_elementwise_kernel_t kind;
  int64_t extents[4]; /* right-aligned, 1 in front */
  const void *logits;
  const void *labels;
  mo_dtype_t dtype, labels_dtype;
  int64_t logits_strides[4], labels_strides[4], loss_strides[4];
  bool contiguous; /* all that is read and written lies in one row-major piece */
  mo_loss_reduction_t reduction;
  float *loss;
  float *scratch; /* mo_elementwise_loss_scratch_bytes(args) */
} mo_elementwise_loss_kernel_args;

size_t mo_elementwise_loss_scratch_bytes(const mo_elementwise_loss_kernel_args *args);
cudaError_t mo_launch_elementwise_loss(const mo_elementwise_loss_kernel_args *args, cudaStream_t stream);

/* ---- Span ---- */

/* Index 0: start, 1: end. */
typedef struct mo_span_loss_kernel_args {
  int64_t batch, length;
  const void *logits[2];
  mo_dtype_t dtype;
  int64_t logits_strides[2][2];
  const void *positions[2];
  mo_dtype_t positions_dtype[2];
  int64_t positions_strides[2];
  mo_loss_reduction_t reduction; /* MEAN or NONE */
  float *loss;
  int64_t loss_stride;
  float *scratch; /* 2 * batch floats */
} mo_span_loss_kernel_args;

cudaError_t mo_launch_span_loss(const mo_span_loss_kernel_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
