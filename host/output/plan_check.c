/* host/output/plan_check.c - mo_output_check_plan(): is an output the one that a plan describes?
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/output/output_state.h"
#include "host/output/plan_internal.h"

/* `name` for sentences. A single number may have any rank. */
static mo_status_t check_tensor(const mo_output *output, const char *name, const mo_field *field, const mo_tensor *planned) {
  const char *op = output->output_class->name;
  const mo_tensor *tensor = mo_field_tensor(field);
  MO_CHECK(tensor != NULL && tensor->dtype == planned->dtype && mo_tensor_is_contiguous(tensor), MO_STATUS_INVALID_ARGUMENT,
           "%s: the output's %s is no contiguous %s tensor, make it with mo_model_create_output or mo_output_create", op, name,
           mo_dtype_name(planned->dtype));
  if (mo_tensor_count(planned) == 1 && mo_tensor_count(tensor) == 1) return MO_STATUS_OK;
  MO_CHECK(tensor->rank == planned->rank, MO_STATUS_INVALID_ARGUMENT, "%s: the output's %s has %d dimensions, not %d", op, name,
           (int)tensor->rank, (int)planned->rank);
  for (int32_t i = 0; i < planned->rank; i++)
    MO_CHECK(tensor->shape[i] == planned->shape[i], MO_STATUS_INVALID_ARGUMENT,
             "%s: dimension %d of the output's %s is %" PRId64 ", these inputs and this request give %" PRId64, op, (int)i,
             name, tensor->shape[i], planned->shape[i]);
  return MO_STATUS_OK;
}

static bool selects(const mo_field_plan *plan, int64_t index) {
  if (plan->selection == NULL) return true;
  for (int32_t i = 0; i < plan->selection->count; i++) {
    const int64_t selected = plan->selection->indices[i];
    if ((selected < 0 ? selected + plan->length : selected) == index) return true;
  }
  return false;
}

static mo_status_t check_items(const mo_output *output, const char *name, const mo_field *tuple, const mo_plan *plan,
                               const mo_field_plan *field, const mo_entry_extents *entry) {
  MO_CHECK(mo_field_kind(tuple) == MO_FIELD_TUPLE && mo_field_length(tuple) == entry->item_count, MO_STATUS_INVALID_ARGUMENT,
           "%s: an entry of the output's %s is no tuple of %d tensors", output->output_class->name, name,
           (int)entry->item_count);
  for (int32_t i = 0; i < entry->item_count; i++) {
    mo_tensor planned;
    if (entry->items[i].rank < 0) continue;
    mo_plan_stated_tensor(plan, field, &entry->items[i], &planned);
    MO_TRY(check_tensor(output, name, mo_field_item(tuple, i), &planned));
  }
  return MO_STATUS_OK;
}

/* The entries that the request selects, and no others. */
static mo_status_t check_tuple(const mo_output *output, const char *name, const mo_field *tuple, const mo_plan *whole,
                               const mo_field_plan *plan) {
  const char *op = output->output_class->name;
  MO_CHECK(mo_field_length(tuple) == plan->length, MO_STATUS_INVALID_ARGUMENT,
           "%s: the output's %s have %" PRId64 " entries, the model gives %" PRId64, op, name, mo_field_length(tuple),
           plan->length);
  for (int64_t i = 0; i < plan->length; i++) {
    const mo_field *item = mo_field_item(tuple, i);
    mo_tensor planned;
    const mo_entry_extents *stated = plan->stated != NULL ? &plan->stated->entries[i] : NULL;
    const bool wanted = selects(plan, i) && mo_plan_entry(whole, plan, i, &planned);
    MO_CHECK((item != NULL) == wanted, MO_STATUS_INVALID_ARGUMENT,
             "%s: the output has %s of layer %" PRId64 ", which this request %s", op, item != NULL ? name : "nothing", i,
             wanted ? "selects" : "does not select");
    if (item == NULL) continue;
    if (stated != NULL && stated->item_count > 0) MO_TRY(check_items(output, name, item, whole, plan, stated));
    else MO_TRY(check_tensor(output, name, item, &planned));
  }
  return MO_STATUS_OK;
}

static mo_status_t check_field(const mo_output *output, const mo_plan *whole, int32_t index) {
  const mo_class_field *class_field = &whole->output_class->fields[index];
  const mo_field_plan *plan = &whole->fields[index];
  const char *name = class_field->name;
  const mo_field *field = mo_output_get(output, name);
  const bool wanted = plan->absence == MO_ABSENCE_PRESENT;
  /* A run may have put it in, and this one puts in another. */
  if (mo_class_field_is_cache(class_field->kind) && whole->dimensions.no_cache && whole->dimensions.cache_is_given)
    return MO_STATUS_OK;
  MO_CHECK(mo_output_contains(output, name) == wanted, MO_STATUS_INVALID_ARGUMENT,
           "%s: the output was made %s %s, this call has %s", output->output_class->name, wanted ? "without" : "with",
           strcmp(name, "loss") == 0 ? "labels" : name, wanted ? "them" : "none");
  if (!wanted || plan->is_given) return MO_STATUS_OK;
  if (class_field->kind == MO_CLASS_FIELD_TENSOR) return check_tensor(output, name, field, &plan->tensor);
  if (class_field->kind == MO_CLASS_FIELD_TENSOR_TUPLE) return check_tuple(output, name, field, whole, plan);
  return MO_STATUS_OK; /* caches: their own call checks them */
}

static mo_status_t check_plan(const mo_output *output, const mo_plan *plan) {
  MO_CHECK(output->output_class == plan->output_class, MO_STATUS_INVALID_ARGUMENT,
           "output_check_plan: the output is a %s, not a %s", output->output_class->name, plan->output_class->name);
  for (int32_t i = 0; i < plan->output_class->field_count; i++) MO_TRY(check_field(output, plan, i));
  return MO_STATUS_OK;
}

mo_status_t mo_output_check_plan(const mo_output *output, const mo_class *output_class, const mo_dimensions *dimensions,
                                 const mo_request *request) {
  mo_plan plan;
  MO_CHECK(output != NULL, MO_STATUS_INVALID_ARGUMENT, "output_check_plan: the output is NULL");
  MO_TRY(mo_plan_resolve(output_class, dimensions, request, &plan));
  return check_plan(output, &plan);
}
