/* host/heads/question_answering.c - where an answer starts and ends: two logits per token.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "host/heads/heads.h"
#include "host/heads/labels.h"
#include "host/heads/rows.h"
#include "host/heads/sequence.h"
#include "modelout/loss.h"

#define ENDS 2 /* start and end */

typedef struct span_call {
  int32_t starts, ends; /* placements */
} span_call;

static const mo_input_spec labels[] = {{{"start_positions", MO_INPUT_TENSOR, MO_LABELS_INTEGERS, "(batch)"}, NULL},
                                       {{"end_positions", MO_INPUT_TENSOR, MO_LABELS_INTEGERS, "(batch)"}, NULL},
                                       {.info.name = NULL}};

static mo_status_t load(mo_model_t *model, mo_loader *loader) {
  MO_CHECK(model->label_count == ENDS, MO_STATUS_BAD_FILE,
           "%s: config.json has %" PRId64 " labels, question answering needs 2 (start and end)", model->architecture.name,
           model->label_count);
  return mo_load_classifier(model, loader, ENDS, model->head);
}

static void release(mo_model_t *model) { mo_dense_release(model->head); }

/* One without the other gives no loss, as in Transformers. */
static mo_status_t check(mo_call *call) {
  MO_CALL_HEAD(span_call, head, call);
  const mo_tensor *starts = mo_call_tensor(call, "start_positions"), *ends = mo_call_tensor(call, "end_positions");
  if (starts != NULL) MO_TRY(mo_check_per_example(call, "start_positions", starts, MO_LABELS_INTEGERS));
  if (ends != NULL) MO_TRY(mo_check_per_example(call, "end_positions", ends, MO_LABELS_INTEGERS));
  if (starts == NULL || ends == NULL) return MO_STATUS_OK;
  call->has_loss = true;
  head->starts = mo_place_classes(call, starts, call->example_count, 0);
  head->ends = mo_place_classes(call, ends, call->example_count, 0);
  return MO_STATUS_OK;
}

/* Starts and ends are two fields, so each row of the layer is a product of its own. */
static mo_status_t forward(mo_call *call, const mo_tensor *last_hidden) {
  const mo_dense *classifier = call->model->head;
  for (int row = 0; row < ENDS; row++) {
    const mo_tensor *logits = mo_call_output(call, row == 0 ? "start_logits" : "end_logits");
    const mo_tensor rows = mo_last_tokens(last_hidden, logits->shape[1]);
    const mo_tensor destination = mo_like_rows(logits, &rows, 1);
    const mo_slice part[1] = {MO_SLICE_RANGE(row, row + 1)};
    mo_dense single = {.rows = 1, .columns = last_hidden->shape[2]};
    MO_TRY(mo_tensor_slice(&classifier->weight.tensor, part, 1, &single.weight.tensor));
    if (mo_weight_tensor(&classifier->bias) != NULL)
      MO_TRY(mo_tensor_slice(&classifier->bias.tensor, part, 1, &single.bias.tensor));
    MO_TRY(mo_dense_apply(call->model->context, &single, MO_ACTIVATION_NONE, &destination, &rows, NULL));
  }
  return MO_STATUS_OK;
}

static mo_status_t loss(mo_call *call, const mo_tensor *loss) {
  MO_CALL_HEAD(span_call, head, call);
  const mo_tensor starts = mo_call_placed(call, head->starts), ends = mo_call_placed(call, head->ends);
  mo_span_loss_params params = MO_SPAN_LOSS_PARAMS_INIT;
  params.loss = loss;
  params.start_logits = mo_call_output(call, "start_logits");
  params.end_logits = mo_call_output(call, "end_logits");
  params.start_positions = &starts;
  params.end_positions = &ends;
  params.reduction = call->model->framework == MO_FRAMEWORK_TF ? MO_LOSS_REDUCTION_NONE : MO_LOSS_REDUCTION_MEAN;
  return mo_span_loss(call->model->context, &params);
}

const mo_head_kind mo_question_answering_head = {.bytes = sizeof(mo_dense),
                                                 .labels = labels,
                                                 .needs_label_count = true,
                                                 .load = load,
                                                 .release = release,
                                                 .check = check,
                                                 .forward = forward,
                                                 .loss = loss};
