/* host/heads/labels.c - labels: which loss they ask for, and whether they can be used.
 *
 * Rules of the forward() functions of modeling_bert.py and its relatives. Transformers stores the problem type it derives from
 * the first labels in the configuration; here every run derives it anew.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/core/checked_math.h"
#include "host/ops/check.h"
#include "host/run/model_internal.h"

#define INTEGERS (MO_DTYPES_INDEX | MO_DTYPE_BIT(MO_DTYPE_INT8) | MO_DTYPE_BIT(MO_DTYPE_UINT8))
#define NUMBERS (INTEGERS | MO_DTYPES_FLOAT | MO_DTYPE_BIT(MO_DTYPE_BOOL))

static mo_status_t refuse(const mo_model_t *model, const char *name, const mo_tensor *tensor) {
  MO_CHECK(tensor == NULL, MO_STATUS_INVALID_ARGUMENT, "%s: %s was given, but this architecture takes none",
           model->architecture.name, name);
  return MO_STATUS_OK;
}

/* How many elements, and in how many dimensions they lie that are longer than 1; false for a shape that is none. */
static bool measure(const mo_tensor *labels, int64_t *count, int32_t *long_dimensions) {
  *count = 1;
  *long_dimensions = 0;
  if (labels->rank < 0 || labels->rank > MO_MAX_DIMS) return false;
  for (int32_t i = 0; i < labels->rank; i++) {
    if (labels->shape[i] < 0 || !mo_checked_mul(*count, labels->shape[i], count)) return false;
    *long_dimensions += labels->shape[i] != 1;
  }
  return true;
}

/* Labels that forward() flattens (labels.view(-1)): as many as the extents have, in whatever shape. */
static mo_status_t check_flattened(const mo_model_t *model, const char *name, const mo_tensor *labels, uint32_t dtypes,
                                   int32_t rank, const int64_t *extents) {
  int64_t wanted = 1, count;
  int32_t long_dimensions;
  for (int32_t i = 0; i < rank; i++) wanted *= extents[i];
  const bool fits = measure(labels, &count, &long_dimensions) && count == wanted;
  return mo_check_input(model, name, labels, dtypes, fits ? labels->rank : rank, fits ? labels->shape : extents);
}

/* Labels that forward() squeezes: one per example, beside dimensions of 1. */
static mo_status_t check_squeezed(const mo_model_t *model, const char *name, const mo_tensor *labels, uint32_t dtypes,
                                  int64_t example_count) {
  int64_t count;
  int32_t long_dimensions;
  const bool vector = measure(labels, &count, &long_dimensions) && long_dimensions <= 1;
  if (vector) return check_flattened(model, name, labels, dtypes, 1, &example_count);
  return mo_check_input(model, name, labels, dtypes, 1, &example_count);
}

typedef enum label_shape_t { LABELS_EXACT, LABELS_FLATTENED } label_shape_t;

/* Class numbers of the given shape; counts those that are not ignored. */
static mo_status_t check_classes(const mo_model_t *model, const char *name, const mo_tensor *labels, label_shape_t kind,
                                 int32_t rank, const int64_t *extents, int64_t class_count, const char *rule,
                                 mo_run_shape *shape) {
  int64_t ignored = 0;
  MO_TRY(kind == LABELS_FLATTENED ? check_flattened(model, name, labels, INTEGERS, rank, extents)
                                  : mo_check_input(model, name, labels, INTEGERS, rank, extents));
  MO_CHECK(model->framework != MO_FRAMEWORK_TF || mo_input_is_readable(model, labels), MO_STATUS_UNSUPPORTED,
           "%s: %s lies on the device, but the length of a TensorFlow loss is counted on the host", model->architecture.name,
           name);
  MO_TRY(mo_check_values(model, name, labels, 0, class_count, true, &ignored, rule));
  shape->loss_count = mo_tensor_count(labels) - ignored;
  return MO_STATUS_OK;
}

/* Each position is compared with the label behind it, so the first label is looked at by nobody, but must be one. They are
 * shifted before they are flattened, so each row must be one; a single row may be a vector. */
static mo_status_t check_next_tokens(const mo_model_t *model, const mo_tensor *labels, mo_run_shape *shape) {
  const int64_t tokens[2] = {shape->example_count, shape->sequence_length};
  const mo_slice behind[2] = {MO_SLICE_ALL, MO_SLICE_RANGE(1, MO_SLICE_UNSET)};
  mo_tensor counted, rows = *labels;
  if (labels->rank == 1 && shape->example_count == 1) {
    rows.rank = 2;
    rows.shape[0] = 1;
    rows.shape[1] = labels->shape[0];
    rows.strides[0] = 0;
    rows.strides[1] = labels->strides[0];
  }
  shape->loss = MO_LOSS_NEXT_TOKENS;
  MO_TRY(check_classes(model, "labels", &rows, LABELS_EXACT, 2, tokens, model->stack.config.embedding.vocab_size,
                       "the vocabulary's", shape));
  MO_TRY(mo_tensor_slice(&rows, behind, 2, &counted));
  const int64_t extents[2] = {counted.shape[0], counted.shape[1]};
  return check_classes(model, "labels", &counted, LABELS_EXACT, 2, extents, model->stack.config.embedding.vocab_size,
                       "the vocabulary's", shape);
}

/* (B), or (B, 1), whose last dimension forward() takes away. */
static mo_status_t check_per_example(const mo_model_t *model, const char *name, const mo_tensor *labels, uint32_t dtypes,
                                     int64_t count) {
  const int32_t rank = labels->rank == 2 ? 2 : 1;
  return mo_check_input(model, name, labels, dtypes, rank, (int64_t[]){count, 1});
}

static mo_status_t check_sequence_labels(const mo_model_t *model, const mo_tensor *labels, mo_run_shape *shape) {
  const int64_t count = model->label_count;
  const char *type = model->problem_type;
  const bool integers = labels->dtype == MO_DTYPE_INT32 || labels->dtype == MO_DTYPE_INT64;
  const bool regression = type != NULL ? strcmp(type, "regression") == 0 : count == 1;
  const bool single = type != NULL ? strcmp(type, "single_label_classification") == 0 : integers;
  shape->loss_count = shape->example_count;
  if (regression) {
    shape->loss = MO_LOSS_REGRESSION;
    if (count == 1) return check_squeezed(model, "labels", labels, NUMBERS, shape->example_count);
    return mo_check_input(model, "labels", labels, NUMBERS, 2, (int64_t[]){shape->example_count, count});
  }
  if (single) {
    shape->loss = MO_LOSS_EXAMPLES;
    MO_TRY(check_classes(model, "labels", labels, LABELS_FLATTENED, 1, &shape->example_count, count, "num_labels", shape));
    shape->loss_count = shape->example_count;
    return MO_STATUS_OK;
  }
  shape->loss = MO_LOSS_MULTI_LABEL;
  return mo_check_input(model, "labels", labels, NUMBERS, 2, (int64_t[]){shape->example_count, count});
}

static mo_status_t check_spans(const mo_model_t *model, const mo_model_inputs *inputs, mo_run_shape *shape) {
  const int64_t count = shape->example_count;
  if (inputs->start_positions != NULL)
    MO_TRY(check_per_example(model, "start_positions", inputs->start_positions, INTEGERS, count));
  if (inputs->end_positions != NULL) MO_TRY(check_per_example(model, "end_positions", inputs->end_positions, INTEGERS, count));
  /* One without the other gives no loss, as in Transformers. */
  if (inputs->start_positions != NULL && inputs->end_positions != NULL) shape->loss = MO_LOSS_SPAN;
  return MO_STATUS_OK;
}

static mo_status_t check_pretraining(const mo_model_t *model, const mo_model_inputs *inputs, mo_run_shape *shape) {
  const int64_t tokens[2] = {shape->example_count, shape->sequence_length};
  if (inputs->labels != NULL)
    MO_TRY(check_classes(model, "labels", inputs->labels, LABELS_FLATTENED, 2, tokens, model->stack.config.embedding.vocab_size,
                         "the vocabulary's", shape));
  if (inputs->next_sentence_label != NULL)
    MO_TRY(check_classes(model, "next_sentence_label", inputs->next_sentence_label, LABELS_FLATTENED, 1, tokens, 2,
                         "the two answers'", shape));
  if (inputs->labels != NULL && inputs->next_sentence_label != NULL) shape->loss = MO_LOSS_PRETRAINING;
  shape->loss_count = 1;
  return MO_STATUS_OK;
}

static mo_status_t check_replaced_tokens(const mo_model_t *model, const mo_tensor *labels, mo_run_shape *shape) {
  const int64_t tokens[2] = {shape->example_count, shape->sequence_length};
  MO_TRY(mo_check_input(model, "labels", labels, NUMBERS, 2, tokens));
  MO_CHECK(!shape->mask_per_query, MO_STATUS_INVALID_ARGUMENT,
           "%s: labels with an attention_mask per query, but the loss counts the tokens of a (batch, sequence) mask",
           model->architecture.name);
  shape->loss = MO_LOSS_REPLACED_TOKEN;
  return MO_STATUS_OK;
}

mo_status_t mo_labels_check(const mo_model_t *model, const mo_model_inputs *inputs, mo_run_shape *shape) {
  const mo_head_kind_t head = model->architecture.head;
  const int64_t tokens[2] = {shape->example_count, shape->sequence_length};
  const mo_tensor *labels = inputs->labels;
  if (head == MO_HEAD_NONE || head == MO_HEAD_QUESTION_ANSWERING) MO_TRY(refuse(model, "labels", labels));
  if (head != MO_HEAD_PRETRAINING && head != MO_HEAD_NEXT_SENTENCE)
    MO_TRY(refuse(model, "next_sentence_label", inputs->next_sentence_label));
  if (head != MO_HEAD_QUESTION_ANSWERING) {
    MO_TRY(refuse(model, "start_positions", inputs->start_positions));
    MO_TRY(refuse(model, "end_positions", inputs->end_positions));
  }
  if (head == MO_HEAD_NEXT_SENTENCE && labels == NULL) labels = inputs->next_sentence_label;
  if (head == MO_HEAD_QUESTION_ANSWERING) return check_spans(model, inputs, shape);
  if (head == MO_HEAD_PRETRAINING) return check_pretraining(model, inputs, shape);
  if (labels == NULL) return MO_STATUS_OK;

  switch (head) {
    case MO_HEAD_MASKED_LM:
      shape->loss = MO_LOSS_TOKENS;
      return check_classes(model, "labels", labels, LABELS_FLATTENED, 2, tokens, model->stack.config.embedding.vocab_size,
                           "the vocabulary's", shape);
    case MO_HEAD_CAUSAL_LM:
      return check_next_tokens(model, labels, shape);
    case MO_HEAD_TOKEN_CLASSIFICATION:
      shape->loss = MO_LOSS_TOKENS;
      return check_classes(model, "labels", labels, LABELS_FLATTENED, 2, tokens, model->label_count, "num_labels", shape);
    case MO_HEAD_NEXT_SENTENCE:
      shape->loss = MO_LOSS_EXAMPLES;
      return check_classes(model, "labels", labels, LABELS_FLATTENED, 1, tokens, 2, "the two answers'", shape);
    case MO_HEAD_MULTIPLE_CHOICE:
      shape->loss = MO_LOSS_EXAMPLES;
      return check_classes(model, "labels", labels, LABELS_EXACT, 1, tokens, shape->choice_count, "the choices'", shape);
    case MO_HEAD_SEQUENCE_CLASSIFICATION:
      return check_sequence_labels(model, labels, shape);
    case MO_HEAD_REPLACED_TOKEN:
      return check_replaced_tokens(model, labels, shape);
    case MO_HEAD_NONE:
    case MO_HEAD_QUESTION_ANSWERING:
    case MO_HEAD_PRETRAINING:
      break;
  }
  return mo_fail(MO_STATUS_INTERNAL, "%s: no rule for its labels", model->architecture.name);
}
