/* host/heads/loss_ops.c - losses as heads call for them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/heads/loss_ops.h"

#include "host/call/input_check.h"
#include "host/core/tensor_view.h"
#include "host/nn/elementwise.h"
#include "modelout/pooling.h"

mo_status_t mo_class_loss(const mo_call *call, const mo_tensor *loss, const mo_tensor *logits, const mo_tensor *labels,
                          bool shift, mo_loss_reduction_t tensorflow) {
  mo_cross_entropy_params params = MO_CROSS_ENTROPY_PARAMS_INIT;
  params.loss = loss;
  params.logits = logits;
  params.labels = labels;
  params.ignore_index = MO_IGNORED_LABEL;
  params.shift = shift;
  params.reduction = call->model->framework == MO_FRAMEWORK_TF ? tensorflow : MO_LOSS_REDUCTION_MEAN;
  return mo_cross_entropy(call->model->context, &params);
}

void mo_count_token_losses(mo_call *call) {
  if (call->model->framework == MO_FRAMEWORK_TF && !call->model->legacy_tensorflow_loss) call->loss_count = 1;
}

mo_status_t mo_token_loss(const mo_call *call, const mo_tensor *loss, const mo_tensor *logits, const mo_tensor *labels,
                          bool shift) {
  const bool legacy = call->model->legacy_tensorflow_loss;
  return mo_class_loss(call, loss, logits, labels, shift, legacy ? MO_LOSS_REDUCTION_COMPACT : MO_LOSS_REDUCTION_MEAN);
}

mo_status_t mo_number_loss(const mo_call *call, mo_number_loss_t kind, const mo_tensor *loss, const mo_tensor *logits,
                           const mo_tensor *labels, mo_loss_reduction_t reduction) {
  mo_elementwise_loss_params params = MO_ELEMENTWISE_LOSS_PARAMS_INIT;
  params.loss = loss;
  params.logits = logits;
  params.labels = labels;
  params.reduction = reduction;
  return kind == MO_NUMBER_LOSS_SQUARED ? mo_mse_loss(call->model->context, &params)
                                        : mo_bce_with_logits_loss(call->model->context, &params);
}

/* Pooling over a sequence of vectors of size 1. */
mo_status_t mo_row_means(const mo_call *call, const mo_tensor *means, const mo_tensor *values, const mo_tensor *mask) {
  const int64_t rows = values->shape[0];
  const mo_tensor column = mo_tensor_reshaped(means, 2, (int64_t[]){rows, 1});
  const mo_tensor sequence = mo_tensor_reshaped(values, 3, (int64_t[]){rows, values->shape[1], 1});
  mo_pooling_params params = MO_POOLING_PARAMS_INIT;
  params.mode = MO_POOLING_MEAN;
  params.output = &column;
  params.input = &sequence;
  params.mask = mask;
  return mo_pooling(call->model->context, &params);
}

mo_status_t mo_add_losses(const mo_call *call, const mo_tensor *loss, const mo_tensor *term) {
  const int64_t one = 1;
  const mo_tensor sum = mo_tensor_reshaped(loss, 1, &one), other = mo_tensor_reshaped(term, 1, &one);
  return mo_add(call->model->context, &sum, &sum, &other);
}
