/* host/heads/sequence_classification.c - classes, numbers or several labels of a sequence, by its first token (encoders), the
 * last one that is not padding (decoders) or the last end token (BART).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/call/input_check.h"
#include "host/call/tensor_rows.h"
#include "host/heads/heads.h"
#include "host/heads/labels.h"
#include "host/heads/loss_ops.h"
#include "host/heads/rows.h"
#include "host/heads/sequence.h"
#include "modelout/pooling.h"

typedef enum label_kind_t { CLASSES = 0, NUMBERS, SEVERAL_CLASSES } label_kind_t;

typedef struct sequence_call {
  label_kind_t kind;
  int32_t labels, token_mask;      /* placements; the mask shows which tokens may be the one that counts, -1: all */
  void *tokens, *summary, *values; /* the tokens that count, their summaries, one loss per label */
  mo_entry_extents losses;         /* TensorFlow */
  mo_field_extents stated;
} sequence_call;

static const mo_input_spec labels[] = {{{"labels", MO_INPUT_TENSOR, MO_LABELS_NUMBERS, "(batch) or (batch, num_labels)"}, NULL},
                                       {.info.name = NULL}};

static mo_status_t load(mo_model_t *model, mo_loader *loader) {
  return mo_sequence_load(model, loader, model->label_count, model->head);
}

static void release(mo_model_t *model) { mo_sequence_release(model->head); }

/* ---- Which token counts ------------------------------------------------------------------------------------------------ */

static void find_padding(const mo_call *call, const mo_placement *placement, void *destination) {
  const mo_tensor *ids = placement->source;
  const int64_t length = mo_row_length(ids), stride = mo_row_stride(ids), padding = call->model->facts.padding_id;
  bool *real = destination;
  for (int64_t row = 0; row < mo_row_count(ids); row++, real += length) {
    bool any = false;
    for (int64_t i = 0; i < length; i++) {
      real[i] = mo_read_integer(ids, mo_row_offset(ids, row) + i * stride) != padding;
      any |= real[i];
    }
    real[0] |= !any; /* nothing but padding: its first token, as an argmax gives it */
  }
}

static void find_ends(const mo_call *call, const mo_placement *placement, void *destination) {
  const mo_tensor *ids = placement->source;
  const int64_t length = mo_row_length(ids), stride = mo_row_stride(ids);
  bool *ends = destination;
  for (int64_t row = 0; row < mo_row_count(ids); row++, ends += length)
    for (int64_t i = 0; i < length; i++)
      ends[i] = mo_read_integer(ids, mo_row_offset(ids, row) + i * stride) == call->model->facts.end_id;
}

static int32_t place_token_mask(mo_call *call, const mo_tensor *ids, mo_fill_input fill) {
  return mo_call_make(call, ids, fill, MO_DTYPE_BOOL, call->batch_size, call->sequence_length);
}

/* The last token that is not padding is looked for among the ids. */
static mo_status_t check_last_tokens(mo_call *call) {
  MO_CALL_HEAD(sequence_call, head, call);
  const mo_model_t *model = call->model;
  const mo_tensor *ids = mo_call_tensor(call, "input_ids");
  const char *op = model->architecture.name;
  const bool has_padding = model->facts.padding_id != MO_NO_TOKEN;
  MO_CHECK(has_padding || call->example_count <= 1, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " sequences, but config.json has no pad_token_id to tell where each ends", op, call->example_count);
  MO_CHECK(!has_padding || ids == NULL || mo_model_can_read(model, ids), MO_STATUS_UNSUPPORTED,
           "%s: input_ids lie on the device, but the last token that is not padding is looked for on the host", op);
  if (has_padding && ids != NULL) head->token_mask = place_token_mask(call, ids, find_padding);
  return MO_STATUS_OK;
}

/* Every row of ids has the same number of end tokens, and at least one. */
static mo_status_t check_ends(mo_call *call) {
  MO_CALL_HEAD(sequence_call, head, call);
  const mo_model_t *model = call->model;
  const mo_tensor *ids = mo_call_tensor(call, "input_ids");
  const char *op = model->architecture.name;
  MO_CHECK(ids != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: without input_ids the end of the sequences is not known", op);
  MO_CHECK(mo_model_can_read(model, ids), MO_STATUS_UNSUPPORTED,
           "%s: input_ids lie on the device, but the end of each sequence is looked for on the host", op);
  MO_CHECK(call->sequence_length == ids->shape[1], MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " decoder tokens and %" PRId64 " input_ids, the end found in one is taken from the other", op,
           call->sequence_length, ids->shape[1]);
  int64_t expected = -1;
  for (int64_t row = 0; row < call->batch_size; row++) {
    int64_t count = 0;
    for (int64_t i = 0; i < ids->shape[1]; i++)
      count += mo_read_integer(ids, row * ids->strides[0] + i * ids->strides[1]) == model->facts.end_id;
    MO_CHECK(count > 0 && (expected < 0 || count == expected), MO_STATUS_INVALID_ARGUMENT,
             "%s: row %" PRId64 " of input_ids has %" PRId64 " eos tokens (%" PRId64
             "), every row needs the same number and at least one",
             op, row, count, model->facts.end_id);
    expected = count;
  }
  head->token_mask = place_token_mask(call, ids, find_ends);
  return MO_STATUS_OK;
}

/* ---- Labels ------------------------------------------------------------------------------------------------------------ */

static label_kind_t kind_of(const mo_model_t *model, const mo_tensor *given) {
  const char *type = model->problem_type;
  const bool integers = given->dtype == MO_DTYPE_INT32 || given->dtype == MO_DTYPE_INT64;
  const bool regression = type != NULL ? strcmp(type, "regression") == 0 : model->label_count == 1;
  const bool single = type != NULL ? strcmp(type, "single_label_classification") == 0 : integers;
  return regression ? NUMBERS : single ? CLASSES : SEVERAL_CLASSES;
}

static mo_status_t check_labels(mo_call *call) {
  MO_CALL_HEAD(sequence_call, head, call);
  const mo_tensor *given = mo_call_tensor(call, "labels");
  const int64_t extents[2] = {call->example_count, call->model->label_count};
  if (given == NULL) return MO_STATUS_OK;
  head->kind = kind_of(call->model, given);
  if (head->kind == CLASSES)
    MO_TRY(mo_check_classes(call, "labels", given, MO_LABELS_FLATTENED, 1, extents, extents[1], "num_labels"));
  else if (head->kind == NUMBERS && extents[1] == 1) MO_TRY(mo_check_squeezed(call, "labels", given));
  else MO_TRY(mo_check_input(call->model, "labels", given, MO_LABELS_NUMBERS, 2, extents));
  call->has_loss = true;
  call->loss_count = call->example_count;
  head->labels = head->kind == CLASSES ? mo_place_classes(call, given, extents[0], 0)
                                       : mo_place_numbers(call, given, extents[0], extents[1]);
  return MO_STATUS_OK;
}

static mo_status_t check(mo_call *call) {
  MO_CALL_HEAD(sequence_call, head, call);
  head->token_mask = -1;
  if (call->model->architecture.classifies_last_token) MO_TRY(check_last_tokens(call));
  if (call->model->architecture.summarises_end) MO_TRY(check_ends(call));
  return check_labels(call);
}

/* ---- Running ----------------------------------------------------------------------------------------------------------- */

/* TensorFlow's loss is one per example, also where its class documents one number. */
static void set_dimensions(const mo_call *call, mo_dimensions *dimensions) {
  MO_CALL_HEAD(sequence_call, head, call);
  if (call->model->framework != MO_FRAMEWORK_TF || !call->has_loss || dimensions->stated_count > 0) return;
  head->losses = (mo_entry_extents){.dtype = MO_DTYPE_FLOAT32, .rank = 1, .shape = {call->example_count}};
  head->stated = (mo_field_extents){"loss", &head->losses, 1};
  dimensions->stated = &head->stated;
  dimensions->stated_count = 1;
}

static void carve(mo_call *call, mo_arena *arena) {
  MO_CALL_HEAD(sequence_call, head, call);
  const size_t count = (size_t)(call->example_count * call->model->label_count);
  head->tokens = mo_sequence_carve(call, arena);
  head->summary = mo_sequence_carve(call, arena);
  if (call->has_loss) head->values = mo_call_carve_after_base(call, arena, count * sizeof(float));
}

/* Of every sequence the last token that the mask shows, (B, C). */
static mo_status_t take_tokens(const mo_call *call, const mo_tensor *hidden, const mo_tensor *mask, const mo_tensor *tokens) {
  mo_pooling_params params = MO_POOLING_PARAMS_INIT;
  params.mode = MO_POOLING_LAST;
  params.output = tokens;
  params.input = hidden;
  params.mask = mask->dtype != MO_DTYPE_NONE ? mask : NULL;
  return mo_pooling(call->model->context, &params);
}

static mo_status_t forward(mo_call *call, const mo_tensor *last_hidden) {
  MO_CALL_HEAD(sequence_call, head, call);
  const mo_model_t *model = call->model;
  const mo_architecture *architecture = &model->architecture;
  const mo_sequence_layers *layers = model->head;
  const int64_t extents[2] = {last_hidden->shape[0], last_hidden->shape[2]};
  const mo_tensor *logits = mo_call_output(call, "logits"), mask = mo_call_placed(call, head->token_mask);
  if (!architecture->classifies_last_token && !architecture->summarises_end)
    return mo_sequence_forward(call, layers, last_hidden, head->summary, logits);
  const mo_tensor tokens = mo_device_tensor(model->context, head->tokens, model->dtype, 2, extents);
  MO_TRY(take_tokens(call, last_hidden, &mask, &tokens));
  if (architecture->classifies_last_token) return mo_sequence_classify(call, layers, &tokens, logits);
  const mo_tensor summary = mo_device_tensor(model->context, head->summary, model->dtype, 2, extents);
  MO_TRY(mo_summarise(call, &layers->summary, &tokens, &summary));
  return mo_sequence_classify(call, layers, &summary, logits);
}

/* TensorFlow's loss is one per example, of several labels their mean. */
static mo_status_t loss(mo_call *call, const mo_tensor *loss) {
  MO_CALL_HEAD(sequence_call, head, call);
  const mo_tensor *logits = mo_call_output(call, "logits"), given = mo_call_placed(call, head->labels);
  const mo_number_loss_t kind = head->kind == NUMBERS ? MO_NUMBER_LOSS_SQUARED : MO_NUMBER_LOSS_BINARY;
  if (head->kind == CLASSES) return mo_class_loss(call, loss, logits, &given, false, MO_LOSS_REDUCTION_NONE);
  if (call->model->framework != MO_FRAMEWORK_TF)
    return mo_number_loss(call, kind, loss, logits, &given, MO_LOSS_REDUCTION_MEAN);
  const mo_tensor values = mo_device_tensor(call->model->context, head->values, MO_DTYPE_FLOAT32, 2, logits->shape);
  MO_TRY(mo_number_loss(call, kind, &values, logits, &given, MO_LOSS_REDUCTION_NONE));
  return mo_row_means(call, loss, &values, NULL);
}

const mo_head_kind mo_sequence_classification_head = {.bytes = sizeof(mo_sequence_layers),
                                                      .labels = labels,
                                                      .needs_label_count = true,
                                                      .load = load,
                                                      .release = release,
                                                      .check = check,
                                                      .dimensions = set_dimensions,
                                                      .carve = carve,
                                                      .forward = forward,
                                                      .loss = loss};
