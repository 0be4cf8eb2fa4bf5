/* host/heads/multiple_choice.c - which of several continuations is meant: one logit per choice.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/heads/heads.h"
#include "host/heads/labels.h"
#include "host/heads/loss_ops.h"
#include "host/heads/sequence.h"

typedef struct choice_call {
  int32_t labels; /* placement */
  void *memory;
} choice_call;

static const mo_input_spec labels[] = {{{"labels", MO_INPUT_TENSOR, MO_LABELS_INTEGERS, "(batch)"}, NULL}, {.info.name = NULL}};

static mo_status_t load(mo_model_t *model, mo_loader *loader) { return mo_sequence_load(model, loader, 1, model->head); }

static void release(mo_model_t *model) { mo_sequence_release(model->head); }

static mo_status_t check(mo_call *call) {
  MO_CALL_HEAD(choice_call, head, call);
  const mo_tensor *given = mo_call_tensor(call, "labels");
  if (given == NULL) return MO_STATUS_OK;
  MO_TRY(mo_check_classes(call, "labels", given, MO_LABELS_EXACT, 1, &call->example_count, call->choice_count, "the choices'"));
  call->has_loss = true;
  head->labels = mo_place_classes(call, given, call->example_count, 0);
  return MO_STATUS_OK;
}

static void set_dimensions(const mo_call *call, mo_dimensions *dimensions) { dimensions->num_choices = call->choice_count; }

static void carve(mo_call *call, mo_arena *arena) {
  MO_CALL_HEAD(choice_call, head, call);
  head->memory = mo_sequence_carve(call, arena);
}

static mo_status_t forward(mo_call *call, const mo_tensor *last_hidden) {
  MO_CALL_HEAD(choice_call, head, call);
  return mo_sequence_forward(call, call->model->head, last_hidden, head->memory, mo_call_output(call, "logits"));
}

static mo_status_t loss(mo_call *call, const mo_tensor *loss) {
  MO_CALL_HEAD(choice_call, head, call);
  const mo_tensor classes = mo_call_placed(call, head->labels);
  return mo_class_loss(call, loss, mo_call_output(call, "logits"), &classes, false, MO_LOSS_REDUCTION_NONE);
}

const mo_head_kind mo_multiple_choice_head = {.bytes = sizeof(mo_sequence_layers),
                                              .labels = labels,
                                              .takes_choices = true,
                                              .load = load,
                                              .release = release,
                                              .check = check,
                                              .dimensions = set_dimensions,
                                              .carve = carve,
                                              .forward = forward,
                                              .loss = loss};
