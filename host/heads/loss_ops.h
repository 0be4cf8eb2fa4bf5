/* host/heads/loss_ops.h - losses as heads call for them.
 *
 * PyTorch's losses are one number. TensorFlow's are one per label that counts (token heads, next sentence) or one per example.
 * Flax has none.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_HEADS_LOSS_OPS_H
#define MO_HEADS_LOSS_OPS_H

#include "host/call/call.h"
#include "modelout/loss.h"

/* Cross entropy of class numbers; `tensorflow` is the reduction of that framework's class, PyTorch's is the mean. `shift`:
 * logits of a position against the label of the next one. */
mo_status_t mo_class_loss(const mo_call *call, const mo_tensor *loss, const mo_tensor *logits, const mo_tensor *labels,
                          bool shift, mo_loss_reduction_t tensorflow);

/* Cross entropy of each token's class, whose mean is the loss; TensorFlow's has shape (1), or with tf_legacy_loss is one number
 * per label that is not ignored. mo_count_token_losses says so to the plan, after the labels were checked. */
void mo_count_token_losses(mo_call *call);
mo_status_t mo_token_loss(const mo_call *call, const mo_tensor *loss, const mo_tensor *logits, const mo_tensor *labels,
                          bool shift);

typedef enum mo_number_loss_t { MO_NUMBER_LOSS_SQUARED = 0, MO_NUMBER_LOSS_BINARY } mo_number_loss_t;

/* Mean square error, or binary cross entropy with logits. */
mo_status_t mo_number_loss(const mo_call *call, mo_number_loss_t kind, const mo_tensor *loss, const mo_tensor *logits,
                           const mo_tensor *labels, mo_loss_reduction_t reduction);

/* Means of the columns that a mask (rows, columns) shows, one per row of `values`; mask NULL: of all columns. */
mo_status_t mo_row_means(const mo_call *call, const mo_tensor *means, const mo_tensor *values, const mo_tensor *mask);

/* loss += term, one number each. */
mo_status_t mo_add_losses(const mo_call *call, const mo_tensor *loss, const mo_tensor *term);

#endif
