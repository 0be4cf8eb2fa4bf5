/* host/output/output_info.c - what one can ask of an output besides its values: generation, absences, memory, costs.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "host/output/output_state.h"
#include "host/output/visited.h"

uint64_t mo_output_generation(const mo_output *output) {
  if (output == NULL) return 0;
  if (output->state->block == NULL) return output->state->generation;
  return atomic_load_explicit(&output->state->block->source.generation, memory_order_acquire);
}

mo_absence_t mo_output_absence(const mo_output *output, const char *key) {
  if (output == NULL || key == NULL) return MO_ABSENCE_NOT_IN_CLASS;
  mo_field *attribute = NULL;
  const int32_t index = mo_class_field_index(output->output_class, key);
  if (mo_output_get(output, key) != NULL) return MO_ABSENCE_PRESENT;
  if (mo_output_find_attribute(output, key, &attribute) && attribute != NULL) return MO_ABSENCE_PRESENT;
  if (index < 0) return mo_output_is_base(output) ? MO_ABSENCE_NOT_SET : MO_ABSENCE_NOT_IN_CLASS;
  const mo_absence_t reason = (mo_absence_t)output->state->absences[index];
  return reason == MO_ABSENCE_PRESENT ? MO_ABSENCE_NOT_SET : reason;
}

const char *mo_absence_text(mo_absence_t absence) {
  switch (absence) {
    case MO_ABSENCE_PRESENT:
      return "present";
    case MO_ABSENCE_NOT_REQUESTED:
      return "not requested";
    case MO_ABSENCE_NOT_IN_CLASS:
      return "not a field of this class";
    case MO_ABSENCE_NO_INPUT:
      return "needs an input that was not given";
    case MO_ABSENCE_NOT_IN_MODEL:
      return "the model has no such part";
    case MO_ABSENCE_UNSUPPORTED:
      return "not supported here";
    case MO_ABSENCE_NOT_SET:
      return "not set";
  }
  return "unknown";
}

const void *mo_output_memory(const mo_output *output, size_t *bytes) {
  const mo_output_block *block = output == NULL ? NULL : output->state->block;
  if (bytes != NULL) *bytes = block == NULL ? 0 : block->memory_bytes;
  return block == NULL ? NULL : block->memory;
}

/* ---- Costs: every tensor field below the present values, each once ------------------------------------------------- */

/* Counts the tensors below a field that were not visited yet and, with room, lists them. */
static size_t collect_tensors(const mo_field *field, mo_visited *visited, const mo_field **list, size_t used, size_t capacity) {
  if (field == NULL || !mo_visited_add(visited, field)) return used;
  if (field->kind == MO_FIELD_TENSOR) {
    if (used < capacity) list[used] = field;
    return used + 1;
  }
  for (int64_t i = 0; i < mo_field_length(field); i++) {
    used = collect_tensors(field->as.items.items[i], visited, list, used, capacity);
  }
  return used;
}

/* Attributes count as present too: a key and an attribute may hold different fields (rule 33). Without memory: those visited so
 * far. */
static size_t collect_output(const mo_output *output, const mo_field **list, size_t capacity) {
  mo_visited visited = {.count = 0};
  size_t used = 0;
  for (int32_t i = 0; i < output->state->entry_count; i++) {
    used = collect_tensors(output->state->entries[i].field, &visited, list, used, capacity);
  }
  for (int32_t i = 0; i < output->output_class->field_count; i++) {
    used = collect_tensors(*mo_output_member(output, i), &visited, list, used, capacity);
  }
  mo_visited_release(&visited);
  return used;
}

/* Each once; to be freed with mo_host_free, of *allocated. NULL when there are no tensors or no memory (then nothing can be
 * told). */
static const mo_field **list_tensors(const mo_output *output, size_t *count, size_t *allocated) {
  *count = *allocated = output == NULL ? 0 : collect_output(output, NULL, 0);
  if (*count == 0) return NULL;
  const mo_field **list = mo_host_allocate(output->state->context, *allocated * sizeof *list);
  if (list == NULL) return NULL;
  const size_t listed = collect_output(output, list, *allocated);
  if (listed < *count) *count = listed;
  return list;
}

mo_field_counters mo_output_get_counters(const mo_output *output) {
  mo_field_counters sum = {0, 0};
  size_t count, allocated;
  const mo_field **list = list_tensors(output, &count, &allocated);
  if (list == NULL) return sum;
  for (size_t i = 0; i < count; i++) {
    const mo_field_counters one = mo_field_get_counters(list[i]);
    sum.host_copies += one.host_copies;
    sum.host_copy_bytes += one.host_copy_bytes;
  }
  mo_host_free(output->state->context, list, allocated * sizeof *list);
  return sum;
}

/* By address; at one address the largest first. */
static int compare_memory(const void *a, const void *b) {
  const mo_tensor *left = mo_field_tensor(*(const mo_field *const *)a);
  const mo_tensor *right = mo_field_tensor(*(const mo_field *const *)b);
  if (left->data != right->data) return (uintptr_t)left->data < (uintptr_t)right->data ? -1 : 1;
  const int64_t left_bytes = mo_tensor_bytes(left), right_bytes = mo_tensor_bytes(right);
  return (left_bytes < right_bytes) - (left_bytes > right_bytes);
}

/* The union of contiguous tensors' ranges. A strided view covers more addresses than it has elements: it counts its elements,
 * unless a tensor at the same address was counted before. */
uint64_t mo_output_device_bytes(const mo_output *output) {
  uint64_t sum = 0;
  size_t count, allocated;
  const mo_field **list = list_tensors(output, &count, &allocated);
  if (list == NULL) return 0;
  const mo_device device = mo_context_device(output->state->context);
  qsort(list, count, sizeof *list, compare_memory);
  uintptr_t end = 0;
  const void *previous = NULL;
  for (size_t i = 0; i < count; i++) {
    const mo_tensor *tensor = mo_field_tensor(list[i]);
    const bool here = tensor->device.kind == device.kind && tensor->device.index == device.index;
    const uint64_t bytes = (uint64_t)mo_tensor_bytes(tensor);
    const uintptr_t start = (uintptr_t)tensor->data;
    if (!here || bytes == 0 || tensor->data == previous) continue;
    previous = tensor->data;
    if (!mo_tensor_is_contiguous(tensor)) {
      sum += start < end ? 0 : bytes;
      continue;
    }
    const uintptr_t from = start > end ? start : end;
    if (start + bytes > from) sum += start + bytes - from;
    if (start + bytes > end) end = start + bytes;
  }
  mo_host_free(output->state->context, list, allocated * sizeof *list);
  return sum;
}
