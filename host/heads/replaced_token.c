/* host/heads/replaced_token.c - whether each token was replaced by another (ELECTRA's discriminator): one logit per token,
 * classifier(activation(dense(hidden))).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/call/input_check.h"
#include "host/heads/heads.h"
#include "host/heads/labels.h"
#include "host/heads/loss_ops.h"
#include "host/heads/rows.h"
#include "host/heads/sequence.h"

typedef struct replaced_head {
  mo_dense dense, classifier;
} replaced_head;

typedef struct replaced_call {
  int32_t labels, mask; /* placements; the mask only where it hides something */
  bool masked;
  void *inner, *values; /* hidden states on their way; one loss per token */
} replaced_call;

static const mo_input_spec labels[] = {{{"labels", MO_INPUT_TENSOR, MO_LABELS_NUMBERS, "(batch, sequence)"}, NULL},
                                       {.info.name = NULL}};

static mo_status_t load(mo_model_t *model, mo_loader *loader) {
  replaced_head *head = model->head;
  const int64_t width = model->facts.output_size;
  MO_TRY(mo_load_simple_dense(loader, model->architecture.token_dense, width, width, &head->dense));
  return mo_load_classifier(model, loader, 1, &head->classifier);
}

static void release(mo_model_t *model) {
  replaced_head *head = model->head;
  mo_dense_release(&head->dense);
  mo_dense_release(&head->classifier);
}

/* The loss is the mean over the tokens that the mask shows. */
static mo_status_t check(mo_call *call) {
  MO_CALL_HEAD(replaced_call, head, call);
  const mo_tensor *given = mo_call_tensor(call, "labels"), *mask = mo_call_tensor(call, "attention_mask");
  const int64_t tokens[2] = {call->example_count, call->sequence_length}, row[2] = {1, tokens[0] * tokens[1]};
  if (given == NULL) return MO_STATUS_OK;
  MO_TRY(mo_check_input(call->model, "labels", given, MO_LABELS_NUMBERS, 2, tokens));
  MO_CHECK(mask == NULL || mask->rank == 2, MO_STATUS_INVALID_ARGUMENT,
           "%s: labels with an attention_mask per query, but the loss counts the tokens of a (batch, sequence) mask",
           call->model->architecture.name);
  call->has_loss = true;
  head->labels = mo_place_numbers(call, given, tokens[0], tokens[1]);
  if (mask != NULL) MO_TRY(mo_check_mask(call->model, "attention_mask", mask, &head->masked));
  if (head->masked) head->mask = mo_call_place(call, mask, MO_DTYPE_BOOL, MO_DTYPES_MASK, 2, row);
  return MO_STATUS_OK;
}

static void carve(mo_call *call, mo_arena *arena) {
  MO_CALL_HEAD(replaced_call, head, call);
  const size_t tokens = (size_t)(call->batch_size * call->sequence_length);
  const size_t width = (size_t)call->model->facts.output_size;
  head->inner = mo_call_carve_after_base(call, arena, tokens * width * mo_dtype_bytes(call->model->dtype));
  if (head->masked) head->values = mo_call_carve_after_base(call, arena, tokens * sizeof(float));
}

static mo_status_t forward(mo_call *call, const mo_tensor *last_hidden) {
  MO_CALL_HEAD(replaced_call, state, call);
  const mo_model_t *model = call->model;
  const replaced_head *head = model->head;
  const mo_tensor *logits = mo_call_output(call, "logits");
  const mo_tensor rows = mo_last_tokens(last_hidden, logits->shape[1]);
  const mo_tensor space = {.data = state->inner, .dtype = model->dtype, .device = last_hidden->device};
  const mo_tensor inner = mo_like_rows(&space, &rows, last_hidden->shape[2]);
  const mo_tensor destination = mo_like_rows(logits, &rows, 1);
  MO_TRY(mo_dense_apply(model->context, &head->dense, model->facts.activation, &inner, &rows, NULL));
  return mo_dense_apply(model->context, &head->classifier, MO_ACTIVATION_NONE, &destination, &inner, NULL);
}

static mo_status_t loss(mo_call *call, const mo_tensor *loss) {
  MO_CALL_HEAD(replaced_call, head, call);
  const mo_tensor *logits = mo_call_output(call, "logits"), numbers = mo_call_placed(call, head->labels);
  if (!head->masked) return mo_number_loss(call, MO_NUMBER_LOSS_BINARY, loss, logits, &numbers, MO_LOSS_REDUCTION_MEAN);
  const mo_tensor values = mo_device_tensor(call->model->context, head->values, MO_DTYPE_FLOAT32, 2, logits->shape);
  const mo_tensor mask = mo_call_placed(call, head->mask), row = mo_tensor_reshaped(&values, 2, mask.shape);
  MO_TRY(mo_number_loss(call, MO_NUMBER_LOSS_BINARY, &values, logits, &numbers, MO_LOSS_REDUCTION_NONE));
  return mo_row_means(call, loss, &row, &mask);
}

const mo_head_kind mo_replaced_token_head = {.bytes = sizeof(replaced_head),
                                             .labels = labels,
                                             .load = load,
                                             .release = release,
                                             .check = check,
                                             .carve = carve,
                                             .forward = forward,
                                             .loss = loss};
