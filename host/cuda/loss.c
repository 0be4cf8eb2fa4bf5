/* host/cuda/loss.c - the losses on the card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/loss.h"

#include "host/cuda/cuda_ops.h"

/* Strides of a tensor of rank 1 or 2 as (batch, position); rank 1 is one sequence. */
static void position_strides(const mo_tensor *tensor, int64_t *strides) {
  strides[0] = tensor->rank == 2 ? tensor->strides[0] : 0;
  strides[1] = tensor->strides[tensor->rank - 1];
}

static void set_loss(const mo_cross_entropy_params *params, mo_cross_entropy_kernel_args *args) {
  const mo_tensor *loss = params->loss;
  args->loss = loss->data;
  args->reduction = params->reduction;
  if (params->reduction == MO_LOSS_REDUCTION_COMPACT) {
    args->loss_capacity = loss->shape[0];
    args->loss_strides[1] = loss->strides[0];
  } else if (params->reduction == MO_LOSS_REDUCTION_NONE) {
    args->loss_columns = args->length;
    position_strides(loss, args->loss_strides);
    if (loss->rank < params->labels->rank) { /* (N): with shift only positions that have a label */
      args->loss_columns -= params->shift ? 1 : 0;
      args->loss_strides[0] = args->loss_columns * loss->strides[0];
    }
  }
}

mo_status_t mo_cuda_cross_entropy(mo_context_t *context, const mo_cross_entropy_params *params) {
  const mo_tensor *logits = params->logits, *labels = params->labels;
  const mo_cuda_state *state = mo_cuda_state_of(context);
  const bool sequences = logits->rank == 3;
  mo_cross_entropy_kernel_args args = {
      .batch = sequences ? logits->shape[0] : 1,
      .length = logits->shape[logits->rank - 2],
      .vocabulary = logits->shape[logits->rank - 1],
      .logits = logits->data,
      .dtype = logits->dtype,
      .logits_strides = {sequences ? logits->strides[0] : 0, logits->strides[logits->rank - 2]},
      .labels = labels->data,
      .labels_dtype = labels->dtype,
      .ignore_index = params->ignore_index,
      .shift = params->shift,
  };
  position_strides(labels, args.labels_strides);
  set_loss(params, &args);
  if (params->log_sum_exp != NULL) {
    args.log_sum_exp = params->log_sum_exp->data;
    position_strides(params->log_sum_exp, args.log_sum_exp_strides);
  }
  const int64_t positions = mo_tensor_count(labels); /* stride 0 makes any extent a legal tensor */
  MO_CHECK(positions <= INT32_MAX, MO_STATUS_UNSUPPORTED, "cross_entropy: %lld positions, the CUDA kernels take %d",
           (long long)positions, INT32_MAX);
  const size_t scratch_bytes = mo_plan_cross_entropy(&args, state->multiprocessor_count);
  void *scratch = NULL;
  MO_CUDA_ENTER(state);
  if (scratch_bytes > 0) MO_TRY(mo_context_scratch(context, scratch_bytes, &scratch));
  args.scratch = scratch;
  return mo_cuda_status(mo_launch_cross_entropy(&args, mo_cuda_stream_of(context)), "cross_entropy");
}

static void right_aligned_strides(const mo_tensor *tensor, int64_t *strides) {
  for (int32_t i = 0; i < tensor->rank; ++i) strides[4 - tensor->rank + i] = tensor->strides[i];
}

static mo_status_t elementwise_loss(mo_context_t *context, const mo_elementwise_loss_params *params,
                                    mo_elementwise_kernel_t kind, const char *what) {
  const mo_tensor *logits = params->logits, *labels = params->labels, *loss = params->loss;
  mo_elementwise_loss_kernel_args args = {
      .kind = kind,
      .extents = {1, 1, 1, 1},
      .logits = logits->data,
      .labels = labels->data,
      .dtype = logits->dtype,
      .labels_dtype = labels->dtype,
      .contiguous = mo_tensor_is_contiguous(logits) && mo_tensor_is_contiguous(labels),
      .reduction = params->reduction,
      .loss = loss->data,
  };
  for (int32_t i = 0; i < logits->rank; ++i) args.extents[4 - logits->rank + i] = logits->shape[i];
  right_aligned_strides(logits, args.logits_strides);
  right_aligned_strides(labels, args.labels_strides);
  if (params->reduction == MO_LOSS_REDUCTION_NONE) {
    args.contiguous = args.contiguous && mo_tensor_is_contiguous(loss);
    right_aligned_strides(loss, args.loss_strides);
  }
  const size_t scratch_bytes = mo_elementwise_loss_scratch_bytes(&args);
  void *scratch = NULL;
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  if (scratch_bytes > 0) MO_TRY(mo_context_scratch(context, scratch_bytes, &scratch));
  args.scratch = scratch;
  return mo_cuda_status(mo_launch_elementwise_loss(&args, mo_cuda_stream_of(context)), what);
}

mo_status_t mo_cuda_bce_with_logits_loss(mo_context_t *context, const mo_elementwise_loss_params *params) {
  return elementwise_loss(context, params, MO_ELEMENTWISE_KERNEL_BCE, "bce_with_logits_loss");
}

mo_status_t mo_cuda_mse_loss(mo_context_t *context, const mo_elementwise_loss_params *params) {
  return elementwise_loss(context, params, MO_ELEMENTWISE_KERNEL_MSE, "mse_loss");
}

mo_status_t mo_cuda_span_loss(mo_context_t *context, const mo_span_loss_params *params) {
  const mo_tensor *logits[2] = {params->start_logits, params->end_logits};
  const mo_tensor *positions[2] = {params->start_positions, params->end_positions};
  mo_span_loss_kernel_args args = {
      .batch = logits[0]->shape[0],
      .length = logits[0]->shape[1],
      .dtype = logits[0]->dtype,
      .reduction = params->reduction,
      .loss = params->loss->data,
      .loss_stride = params->reduction == MO_LOSS_REDUCTION_NONE ? params->loss->strides[0] : 0,
  };
  for (int side = 0; side < 2; ++side) {
    args.logits[side] = logits[side]->data;
    args.positions[side] = positions[side]->data;
    args.positions_dtype[side] = positions[side]->dtype;
    args.positions_strides[side] = positions[side]->strides[0];
    for (int i = 0; i < 2; ++i) args.logits_strides[side][i] = logits[side]->strides[i];
  }
  MO_CHECK(args.batch <= INT32_MAX / 2, MO_STATUS_UNSUPPORTED, "span_loss: %lld examples, the CUDA kernels take %d",
           (long long)args.batch, INT32_MAX / 2);
  void *scratch = NULL;
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  MO_TRY(mo_context_scratch(context, 2 * (size_t)args.batch * sizeof(float), &scratch));
  args.scratch = scratch;
  return mo_cuda_status(mo_launch_span_loss(&args, mo_cuda_stream_of(context)), "span_loss");
}
