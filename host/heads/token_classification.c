/* host/heads/token_classification.c - classes of each token.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/heads/heads.h"
#include "host/heads/labels.h"
#include "host/heads/loss_ops.h"
#include "host/heads/rows.h"
#include "host/heads/sequence.h"

typedef struct token_call {
  int32_t labels; /* placement */
} token_call;

static const mo_input_spec labels[] = {{{"labels", MO_INPUT_TENSOR, MO_LABELS_INTEGERS, "(batch, sequence)"}, NULL},
                                       {.info.name = NULL}};

static mo_status_t load(mo_model_t *model, mo_loader *loader) {
  return mo_load_classifier(model, loader, model->label_count, model->head);
}

static void release(mo_model_t *model) { mo_dense_release(model->head); }

static mo_status_t check(mo_call *call) {
  MO_CALL_HEAD(token_call, head, call);
  const mo_tensor *given = mo_call_tensor(call, "labels");
  const int64_t tokens[2] = {call->example_count, call->sequence_length};
  if (given == NULL) return MO_STATUS_OK;
  MO_TRY(mo_check_classes(call, "labels", given, MO_LABELS_FLATTENED, 2, tokens, call->model->label_count, "num_labels"));
  call->has_loss = true;
  mo_count_token_losses(call);
  head->labels = mo_place_classes(call, given, tokens[0], tokens[1]);
  return MO_STATUS_OK;
}

static mo_status_t forward(mo_call *call, const mo_tensor *last_hidden) {
  const mo_dense *classifier = call->model->head;
  const mo_tensor *logits = mo_call_output(call, "logits");
  const mo_tensor rows = mo_last_tokens(last_hidden, logits->shape[1]);
  const mo_tensor destination = mo_like_rows(logits, &rows, classifier->rows);
  return mo_dense_apply(call->model->context, classifier, MO_ACTIVATION_NONE, &destination, &rows, NULL);
}

static mo_status_t loss(mo_call *call, const mo_tensor *loss) {
  MO_CALL_HEAD(token_call, head, call);
  const mo_tensor classes = mo_call_placed(call, head->labels);
  return mo_token_loss(call, loss, mo_call_output(call, "logits"), &classes, false);
}

const mo_head_kind mo_token_classification_head = {.bytes = sizeof(mo_dense),
                                                   .labels = labels,
                                                   .logits = "logits",
                                                   .needs_label_count = true,
                                                   .load = load,
                                                   .release = release,
                                                   .check = check,
                                                   .forward = forward,
                                                   .loss = loss};
