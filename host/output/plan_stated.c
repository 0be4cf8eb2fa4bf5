/* host/output/plan_stated.c - fields whose extents the model states (mo_dimensions.stated).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/core/checked_math.h"
#include "host/core/error.h"
#include "host/output/plan_internal.h"

const mo_field_extents *mo_plan_find_stated(const mo_dimensions *dimensions, const char *field) {
  for (int32_t i = 0; i < dimensions->stated_count; i++)
    if (strcmp(dimensions->stated[i].field, field) == 0) return &dimensions->stated[i];
  return NULL;
}

static mo_status_t check_entry(const char *field, const mo_entry_extents *entry, bool may_have_items) {
  if (entry->item_count != 0) {
    MO_CHECK(may_have_items && entry->item_count > 0 && entry->items != NULL, MO_STATUS_INVALID_ARGUMENT,
             "output: an entry stated of %s has %d items, which are %s", field, (int)entry->item_count,
             may_have_items ? "NULL or fewer than none" : "allowed in the entries of a tuple only");
    for (int32_t i = 0; i < entry->item_count; i++) MO_TRY(check_entry(field, &entry->items[i], false));
    return MO_STATUS_OK;
  }
  MO_CHECK(entry->rank >= -1 && entry->rank <= MO_MAX_DIMS, MO_STATUS_INVALID_ARGUMENT,
           "output: an entry stated of %s has rank %d", field, (int)entry->rank);
  MO_CHECK(entry->dtype == MO_DTYPE_NONE || mo_dtype_bytes(entry->dtype) > 0, MO_STATUS_INVALID_ARGUMENT,
           "output: an entry stated of %s has dtype %d", field, (int)entry->dtype);
  int64_t count = 8; /* no dtype has more bytes */
  for (int32_t i = 0; i < entry->rank; i++) {
    MO_CHECK(entry->shape[i] >= 0, MO_STATUS_INVALID_ARGUMENT, "output: an extent stated of %s is %" PRId64, field,
             entry->shape[i]);
    MO_CHECK(mo_checked_mul(count, entry->shape[i] > 0 ? entry->shape[i] : 1, &count), MO_STATUS_INVALID_ARGUMENT,
             "output: %s would have more than 2^63 bytes", field);
  }
  return MO_STATUS_OK;
}

mo_status_t mo_plan_check_stated(const mo_class *output_class, const mo_dimensions *dimensions) {
  MO_CHECK(dimensions->stated_count >= 0 && (dimensions->stated_count == 0 || dimensions->stated != NULL),
           MO_STATUS_INVALID_ARGUMENT, "output: %d fields are stated and the list is %s", (int)dimensions->stated_count,
           dimensions->stated == NULL ? "NULL" : "there");
  for (int32_t i = 0; i < dimensions->stated_count; i++) {
    const mo_field_extents *stated = &dimensions->stated[i];
    const int32_t index = mo_class_field_index(output_class, stated->field);
    MO_CHECK(index >= 0, MO_STATUS_INVALID_ARGUMENT, "output: %s has no field '%s', whose extents are stated",
             output_class->name, stated->field == NULL ? "(NULL)" : stated->field);
    MO_CHECK(mo_plan_find_stated(dimensions, stated->field) == stated, MO_STATUS_INVALID_ARGUMENT,
             "output: the extents of %s are stated twice", stated->field);
    const mo_class_field_kind_t kind = output_class->fields[index].kind;
    const bool tuple = kind == MO_CLASS_FIELD_TENSOR_TUPLE;
    MO_CHECK(stated->count == 0 || tuple || kind == MO_CLASS_FIELD_TENSOR, MO_STATUS_INVALID_ARGUMENT,
             "output: %s is a %s, its extents cannot be stated", stated->field, mo_class_field_kind_name(kind));
    MO_CHECK(stated->count >= 0 && stated->count <= (tuple ? MO_PLAN_MAX_LAYERS : 1) &&
                 (stated->count == 0 || stated->entries != NULL),
             MO_STATUS_INVALID_ARGUMENT, "output: %d entries are stated of %s", (int)stated->count, stated->field);
    for (int32_t k = 0; k < stated->count; k++) MO_TRY(check_entry(stated->field, &stated->entries[k], tuple));
    MO_CHECK(tuple || stated->count == 0 || stated->entries[0].rank >= 0, MO_STATUS_INVALID_ARGUMENT,
             "output: %s is stated as None; 0 entries say that it is absent", stated->field);
  }
  return MO_STATUS_OK;
}

void mo_plan_reduce(const mo_request *request, mo_tensor *weights) {
  if (weights->rank != 4) return;
  if (request->attention_heads.count > 0) weights->shape[1] = request->attention_heads.count;
  if (request->last_query_rows > 0) weights->shape[2] = request->last_query_rows;
  if (request->attention_reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN) weights->shape[1] = 1;
  if (request->attention_reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM) weights->shape[2] = 1;
  if (request->attention_dtype != MO_DTYPE_NONE) weights->dtype = request->attention_dtype;
}

void mo_plan_stated_tensor(const mo_plan *plan, const mo_field_plan *field, const mo_entry_extents *entry, mo_tensor *tensor) {
  *tensor = field->tensor; /* its dtype */
  tensor->rank = entry->rank;
  memcpy(tensor->shape, entry->shape, sizeof tensor->shape);
  if (entry->dtype != MO_DTYPE_NONE) tensor->dtype = entry->dtype;
  if (field->holds_weights) mo_plan_reduce(&plan->request, tensor);
  int64_t stride = 1;
  for (int32_t i = tensor->rank - 1; i >= 0; i--) {
    tensor->strides[i] = stride;
    stride *= tensor->shape[i] > 0 ? tensor->shape[i] : 1;
  }
}

bool mo_plan_entry(const mo_plan *plan, const mo_field_plan *field, int64_t index, mo_tensor *tensor) {
  if (field->stated == NULL) {
    *tensor = index == field->length - 1 ? field->last : field->tensor;
    return true;
  }
  const mo_entry_extents *entry = &field->stated->entries[index];
  if (entry->item_count == 0 && entry->rank < 0) return false;
  if (entry->item_count == 0) mo_plan_stated_tensor(plan, field, entry, tensor);
  return true;
}
