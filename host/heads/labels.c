/* host/heads/labels.c - checks of labels that heads share.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/heads/labels.h"

#include "host/call/input_check.h"
#include "host/core/checked_math.h"

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

/* As many elements as the extents have, in whatever shape. */
static mo_status_t check_flattened(const mo_call *call, const char *name, const mo_tensor *labels, uint32_t dtypes,
                                   int32_t rank, const int64_t *extents) {
  int64_t wanted = 1, count;
  int32_t long_dimensions;
  for (int32_t i = 0; i < rank; i++) wanted *= extents[i];
  const bool fits = measure(labels, &count, &long_dimensions) && count == wanted;
  return mo_check_input(call->model, name, labels, dtypes, fits ? labels->rank : rank, fits ? labels->shape : extents);
}

mo_status_t mo_check_squeezed(const mo_call *call, const char *name, const mo_tensor *labels) {
  int64_t count;
  int32_t long_dimensions;
  const bool vector = measure(labels, &count, &long_dimensions) && long_dimensions <= 1;
  if (vector) return check_flattened(call, name, labels, MO_LABELS_NUMBERS, 1, &call->example_count);
  return mo_check_input(call->model, name, labels, MO_LABELS_NUMBERS, 1, &call->example_count);
}

mo_status_t mo_check_per_example(const mo_call *call, const char *name, const mo_tensor *labels, uint32_t dtypes) {
  const int32_t rank = labels->rank == 2 ? 2 : 1;
  return mo_check_input(call->model, name, labels, dtypes, rank, (int64_t[]){call->example_count, 1});
}

mo_status_t mo_check_classes(mo_call *call, const char *name, const mo_tensor *labels, mo_label_shape_t kind, int32_t rank,
                             const int64_t *extents, int64_t class_count, const char *rule) {
  const mo_model_t *model = call->model;
  int64_t ignored = 0;
  MO_TRY(kind == MO_LABELS_FLATTENED ? check_flattened(call, name, labels, MO_LABELS_INTEGERS, rank, extents)
                                     : mo_check_input(model, name, labels, MO_LABELS_INTEGERS, rank, extents));
  MO_CHECK(model->framework != MO_FRAMEWORK_TF || mo_model_can_read(model, labels), MO_STATUS_UNSUPPORTED,
           "%s: %s lies on the device, but the length of a TensorFlow loss is counted on the host", model->architecture.name,
           name);
  MO_TRY(mo_check_values(model, name, labels, 0, class_count, true, &ignored, rule));
  call->loss_count = mo_tensor_count(labels) - ignored;
  return MO_STATUS_OK;
}

int32_t mo_place_classes(mo_call *call, const mo_tensor *labels, int64_t rows, int64_t columns) {
  return mo_call_place(call, labels, MO_DTYPE_INT64, MO_DTYPES_INDEX, columns > 0 ? 2 : 1, (int64_t[]){rows, columns});
}

int32_t mo_place_numbers(mo_call *call, const mo_tensor *labels, int64_t rows, int64_t columns) {
  const uint32_t as_they_are = MO_DTYPE_BIT(call->model->dtype) | MO_DTYPE_BIT(MO_DTYPE_FLOAT32);
  return mo_call_place(call, labels, MO_DTYPE_FLOAT32, as_they_are, 2, (int64_t[]){rows, columns});
}
