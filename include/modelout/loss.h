/* modelout/loss.h - task losses, one pass over the logits. float32 arithmetic and float32 results.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_LOSS_H
#define MODELOUT_LOSS_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mo_loss_reduction_t {
  MO_LOSS_REDUCTION_MEAN =
      0, /* one number; cross entropy: over the labels that are not ignored, NaN if there is none (PyTorch) */
  MO_LOSS_REDUCTION_SUM = 1,
  MO_LOSS_REDUCTION_NONE = 2,    /* one per position, 0 where ignored */
  MO_LOSS_REDUCTION_COMPACT = 3, /* cross entropy: only the positions not ignored, in order (TensorFlow's (n,) losses) */
} mo_loss_reduction_t;

/* -log softmax(logits)[label]; torch.nn.CrossEntropyLoss. */
typedef struct mo_cross_entropy_params {
  size_t struct_size;
  const mo_tensor *loss;        /* one element (MEAN, SUM), (N) or labels' shape (NONE), at least the valid count
                                 * (COMPACT). With shift and NONE: (batch * (S - 1)), or labels' shape with 0 in the last column */
  const mo_tensor *log_sum_exp; /* labels' shape float32, or NULL */
  const mo_tensor *logits;      /* (..., V), rank 2 or 3, last stride 1, float dtype */
  const mo_tensor *labels;      /* logits without the last dimension; int32 or int64 */
  int64_t ignore_index;         /* MO_CROSS_ENTROPY_PARAMS_INIT sets -100; such labels do not count */
  bool shift; /* rank 3: position s is compared with label s + 1 (causal language models); S - 1 positions count */
  mo_loss_reduction_t reduction;
} mo_cross_entropy_params;

#define MO_CROSS_ENTROPY_PARAMS_INIT MO_STRUCT_INIT_WITH(mo_cross_entropy_params, ignore_index, -100)

/* INVALID_ARGUMENT: also a label outside 0..V-1 that is not ignore_index, and too little room for COMPACT (the CPU names them and
 * writes nothing). A GPU cannot refuse what only the data show: there the loss of such a position is NaN (and with it the mean or
 * sum), and losses that find no room are dropped. */
MO_API mo_status_t mo_cross_entropy(mo_context_t *context, const mo_cross_entropy_params *params);

/* Elementwise losses against floating targets, mean over all elements: torch.nn.BCEWithLogitsLoss, torch.nn.MSELoss. */
typedef struct mo_elementwise_loss_params {
  size_t struct_size;
  const mo_tensor *loss;   /* one element (MEAN, SUM) or the shape of logits (NONE); float32 */
  const mo_tensor *logits; /* any shape up to rank 4, float dtype */
  const mo_tensor *labels; /* the same shape, float32 or the dtype of logits */
  mo_loss_reduction_t reduction;
} mo_elementwise_loss_params;

#define MO_ELEMENTWISE_LOSS_PARAMS_INIT MO_STRUCT_INIT(mo_elementwise_loss_params)

MO_API mo_status_t mo_bce_with_logits_loss(mo_context_t *context, const mo_elementwise_loss_params *params);
MO_API mo_status_t mo_mse_loss(mo_context_t *context, const mo_elementwise_loss_params *params);

/* Question answering: (cross entropy of starts + cross entropy of ends) / 2 over the S positions, as BertForQuestionAnswering
 * computes it: positions are clamped to 0..S, and those equal to S are ignored. */
typedef struct mo_span_loss_params {
  size_t struct_size;
  const mo_tensor *loss;            /* one element (MEAN), or (B): the two losses' mean per example (NONE); float32 */
  const mo_tensor *start_logits;    /* (B, S), float dtype; any stride (a view of (B, S, 2) will do) */
  const mo_tensor *end_logits;      /* (B, S) */
  const mo_tensor *start_positions; /* (B) or (B, 1), int32 or int64 */
  const mo_tensor *end_positions;
  mo_loss_reduction_t reduction; /* MEAN or NONE */
} mo_span_loss_params;

#define MO_SPAN_LOSS_PARAMS_INIT MO_STRUCT_INIT(mo_span_loss_params)

MO_API mo_status_t mo_span_loss(mo_context_t *context, const mo_span_loss_params *params);

#ifdef __cplusplus
}
#endif
#endif
