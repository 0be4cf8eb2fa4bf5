/* host/heads/causal_lm.c - logits of the next token: each position is compared with the label of the next one.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/heads/heads.h"
#include "host/heads/labels.h"
#include "host/heads/loss_ops.h"
#include "host/heads/vocabulary.h"

typedef struct lm_call {
  int32_t labels; /* placement */
  void *memory;
} lm_call;

static const mo_input_spec labels[] = {{{"labels", MO_INPUT_TENSOR, MO_LABELS_INTEGERS, "(batch, sequence)"}, NULL},
                                       {.info.name = NULL}};

static mo_status_t load(mo_model_t *model, mo_loader *loader) { return mo_vocabulary_load(model, loader, model->head); }

static void release(mo_model_t *model) { mo_vocabulary_release(model->head); }

/* Labels are shifted before they are flattened, so each row must be one; a single row may be a vector. The first label of a row
 * is compared with nothing, but must be a class too; it does not count. */
static mo_status_t check(mo_call *call) {
  MO_CALL_HEAD(lm_call, head, call);
  const mo_tensor *given = mo_call_tensor(call, "labels");
  const int64_t tokens[2] = {call->example_count, call->sequence_length}, classes = call->model->facts.vocab_size;
  const mo_slice but_the_first[2] = {MO_SLICE_ALL, MO_SLICE_RANGE(1, MO_SLICE_UNSET)};
  if (given == NULL) return MO_STATUS_OK;
  mo_tensor counted, rows = *given;
  if (given->rank == 1 && call->example_count == 1) {
    rows.rank = 2;
    rows.shape[0] = 1;
    rows.shape[1] = given->shape[0];
    rows.strides[0] = 0;
    rows.strides[1] = given->strides[0];
  }
  MO_TRY(mo_check_classes(call, "labels", &rows, MO_LABELS_EXACT, 2, tokens, classes, "the vocabulary's"));
  MO_TRY(mo_tensor_slice(&rows, but_the_first, 2, &counted));
  const int64_t extents[2] = {counted.shape[0], counted.shape[1]};
  MO_TRY(mo_check_classes(call, "labels", &counted, MO_LABELS_EXACT, 2, extents, classes, "the vocabulary's"));
  call->has_loss = true;
  mo_count_token_losses(call);
  head->labels = mo_place_classes(call, given, tokens[0], tokens[1]);
  return MO_STATUS_OK;
}

static void carve(mo_call *call, mo_arena *arena) {
  MO_CALL_HEAD(lm_call, head, call);
  head->memory = mo_vocabulary_carve(call, arena);
}

static mo_status_t forward(mo_call *call, const mo_tensor *last_hidden) {
  MO_CALL_HEAD(lm_call, head, call);
  return mo_vocabulary_forward(call, call->model->head, last_hidden, head->memory, mo_call_output(call, "logits"));
}

static mo_status_t loss(mo_call *call, const mo_tensor *loss) {
  MO_CALL_HEAD(lm_call, head, call);
  const mo_tensor classes = mo_call_placed(call, head->labels);
  return mo_token_loss(call, loss, mo_call_output(call, "logits"), &classes, true);
}

const mo_head_kind mo_causal_lm_head = {.bytes = sizeof(mo_vocabulary),
                                        .labels = labels,
                                        .logits = "logits",
                                        .load = load,
                                        .release = release,
                                        .check = check,
                                        .carve = carve,
                                        .forward = forward,
                                        .loss = loss};
