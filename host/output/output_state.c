/* host/output/output_state.c - storage of an output: one allocation, its keys and its attributes.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/output/output_state.h"

#include <inttypes.h>
#include <string.h>

#include "host/core/checked_math.h"

enum { MO_BASE_ENTRIES = 8 }; /* room in the first allocation of a bare ModelOutput */

/* Stands in a slot of extra_attributes whose name is kept but which is no attribute. */
static mo_field mo_no_attribute;

/* ---- Life ---------------------------------------------------------------------------------------------------------- */

/* The allocation: typed struct, state, first entries, one absence per class field. */
mo_status_t mo_output_allocate(mo_context_t *context, const mo_class *output_class, mo_output **output) {
  MO_CHECK(context != NULL, MO_STATUS_INVALID_ARGUMENT, "output: context is NULL");
  MO_CHECK(output != NULL, MO_STATUS_INVALID_ARGUMENT, "output: output is NULL, it receives the result");
  MO_TRY(mo_class_check(output_class));
  const size_t field_count = (size_t)output_class->field_count;
  const size_t capacity = output_class->framework == MO_FRAMEWORK_BASE ? MO_BASE_ENTRIES : field_count;
  const size_t state_offset = mo_align_up(output_class->struct_bytes, _Alignof(struct mo_output_state));
  const size_t entries_offset = mo_align_up(state_offset + sizeof(struct mo_output_state), _Alignof(mo_output_entry));
  const size_t absences_offset = entries_offset + capacity * sizeof(mo_output_entry);
  const size_t bytes = absences_offset + field_count;
  char *memory = mo_host_allocate(context, bytes);
  if (memory == NULL) return MO_STATUS_OUT_OF_MEMORY;

  mo_output *made = (mo_output *)memory;
  made->output_class = output_class;
  made->state = (struct mo_output_state *)(memory + state_offset);
  made->state->context = mo_context_retain(context);
  made->state->entries = (mo_output_entry *)(memory + entries_offset);
  made->state->entry_capacity = (int32_t)capacity;
  made->state->absences = (uint8_t *)(memory + absences_offset);
  memset(made->state->absences, MO_ABSENCE_NOT_SET, field_count);
  made->state->host_bytes = bytes;
  *output = made;
  return MO_STATUS_OK;
}

/* The first entries lie in the output's own allocation. */
static bool entries_are_separate(const mo_output *output) {
  const char *entries = (const char *)output->state->entries;
  const char *start = (const char *)output;
  return entries < start || entries >= start + output->state->host_bytes;
}

static void free_entries(mo_output *output) {
  struct mo_output_state *state = output->state;
  if (entries_are_separate(output)) {
    mo_host_free(state->context, state->entries, (size_t)state->entry_capacity * sizeof(mo_output_entry));
  }
}

static void free_index(mo_context_t *context, mo_name_index *index) {
  if (index->slots != NULL) mo_host_free(context, index->slots, (size_t)index->slot_count * sizeof *index->slots);
  *index = (mo_name_index){.slots = NULL};
}

static void free_extras(struct mo_output_state *state) {
  for (int32_t i = 0; i < state->extra_attribute_count; i++) {
    mo_output_entry *extra = &state->extra_attributes[i];
    if (extra->field != &mo_no_attribute) mo_field_release(extra->field);
    mo_host_free(state->context, (char *)extra->key, strlen(extra->key) + 1);
  }
  if (state->extra_attributes != NULL) {
    mo_host_free(state->context, state->extra_attributes, (size_t)state->extra_attribute_capacity * sizeof(mo_output_entry));
  }
}

void mo_output_destroy(mo_output *output) {
  if (output == NULL) return;
  struct mo_output_state *state = output->state;
  mo_context_t *context = state->context;
  mo_output_block *block = state->block;
  for (int32_t i = 0; i < state->entry_count; i++) mo_field_release(state->entries[i].field);
  for (int32_t i = 0; i < output->output_class->field_count; i++) mo_output_let_go(output, *mo_output_member(output, i));
  free_entries(output);
  free_extras(state);
  free_index(context, &state->entry_index);
  free_index(context, &state->extra_attribute_index);
  mo_host_free(context, output, state->host_bytes);
  if (block != NULL) mo_output_block_release(block);
  mo_context_release_reference(context);
}

/* ---- Names --------------------------------------------------------------------------------------------------------- */

/* A list of entries that has room for `count` more, or a larger copy of it in *grown (NULL if there is room already). */
static mo_status_t grow(mo_output *output, const mo_output_entry *list, int32_t used, int32_t *capacity, int64_t count,
                        mo_output_entry **grown) {
  *grown = NULL;
  if (count <= *capacity - used) return MO_STATUS_OK;
  int64_t wanted = (int64_t)used + count;
  MO_CHECK(count <= INT32_MAX / 4 && wanted <= INT32_MAX / 4, MO_STATUS_OUT_OF_MEMORY, "output: %" PRId64 " keys are too many",
           count);
  if (wanted < 2 * (int64_t)*capacity) wanted = 2 * (int64_t)*capacity;
  mo_output_entry *larger = mo_host_allocate(output->state->context, (size_t)wanted * sizeof *larger);
  if (larger == NULL) return MO_STATUS_OUT_OF_MEMORY;
  if (used > 0) memcpy(larger, list, (size_t)used * sizeof *larger);
  *capacity = (int32_t)wanted;
  *grown = larger;
  return MO_STATUS_OK;
}

static mo_name_list names_of(const mo_output_entry *list) {
  return (mo_name_list){list == NULL ? NULL : &list->key, sizeof *list};
}

/* Makes sure that names can be added to the index of a list of `used` until there are `total`. */
static mo_status_t reserve_index(mo_output *output, mo_name_index *index, const mo_output_entry *list, int32_t used,
                                 int64_t total) {
  const int64_t needed = mo_name_index_slots(total);
  if (needed <= index->slot_count) return MO_STATUS_OK;
  mo_name_slot *slots = mo_host_allocate(output->state->context, (size_t)needed * sizeof *slots);
  if (slots == NULL) return MO_STATUS_OUT_OF_MEMORY;
  free_index(output->state->context, index);
  mo_name_index_build(index, slots, needed, names_of(list), used);
  return MO_STATUS_OK;
}

static mo_output_entry *find_extra(const mo_output *output, const char *name) {
  const struct mo_output_state *state = output->state;
  if (state->extra_attribute_index.slots != NULL) {
    const int64_t position = mo_name_index_find(&state->extra_attribute_index, names_of(state->extra_attributes), name);
    return position < 0 ? NULL : &state->extra_attributes[position];
  }
  for (int32_t i = 0; i < state->extra_attribute_count; i++) {
    if (state->extra_attributes[i].key == name || strcmp(state->extra_attributes[i].key, name) == 0) {
      return &state->extra_attributes[i];
    }
  }
  return NULL;
}

mo_status_t mo_output_intern(mo_output *output, const char *name, const char **interned) {
  struct mo_output_state *state = output->state;
  const int32_t index = mo_class_field_index(output->output_class, name);
  if (index >= 0) {
    *interned = output->output_class->fields[index].name;
    return MO_STATUS_OK;
  }
  const mo_output_entry *known = find_extra(output, name);
  if (known != NULL) {
    *interned = known->key;
    return MO_STATUS_OK;
  }
  const int32_t capacity = state->extra_attribute_capacity;
  mo_output_entry *grown = NULL;
  MO_TRY(grow(output, state->extra_attributes, state->extra_attribute_count, &state->extra_attribute_capacity, 1, &grown));
  if (grown != NULL) {
    mo_host_free(state->context, state->extra_attributes, (size_t)capacity * sizeof *grown);
    state->extra_attributes = grown;
  }
  MO_TRY(reserve_index(output, &state->extra_attribute_index, state->extra_attributes, state->extra_attribute_count,
                       (int64_t)state->extra_attribute_count + 1));
  const size_t length = strlen(name) + 1;
  char *copy = mo_host_allocate(state->context, length);
  if (copy == NULL) return MO_STATUS_OUT_OF_MEMORY;
  memcpy(copy, name, length);
  state->extra_attributes[state->extra_attribute_count++] =
      (mo_output_entry){.key = copy, .field = &mo_no_attribute, .owns_key = true};
  if (state->extra_attribute_index.slots != NULL) {
    mo_name_index_add(&state->extra_attribute_index, copy, state->extra_attribute_count - 1);
  }
  *interned = copy;
  return MO_STATUS_OK;
}

/* ---- Entries ------------------------------------------------------------------------------------------------------- */

mo_output_entry *mo_output_find_entry(const mo_output *output, const char *key) {
  mo_output_entry *entries = output->state->entries;
  const int32_t count = output->state->entry_count;
  if (output->state->entry_index.slots != NULL) {
    const int64_t position = mo_name_index_find(&output->state->entry_index, names_of(entries), key);
    return position < 0 ? NULL : &entries[position];
  }
  for (int32_t i = 0; i < count; i++) {
    if (entries[i].key == key) return &entries[i];
  }
  const char first = key[0];
  for (int32_t i = 0; i < count; i++) {
    if (entries[i].key[0] == first && strcmp(entries[i].key, key) == 0) return &entries[i];
  }
  return NULL;
}

mo_status_t mo_output_reserve_entries(mo_output *output, int64_t count) {
  struct mo_output_state *state = output->state;
  int32_t capacity = state->entry_capacity;
  mo_output_entry *grown = NULL;
  MO_TRY(grow(output, state->entries, state->entry_count, &capacity, count, &grown));
  if (grown != NULL) {
    free_entries(output);
    state->entries = grown;
    state->entry_capacity = capacity;
  }
  return reserve_index(output, &state->entry_index, state->entries, state->entry_count, (int64_t)state->entry_count + count);
}

/* A new entry at the end; room is reserved. */
static mo_output_entry *add_entry(mo_output *output, const char *key) {
  struct mo_output_state *state = output->state;
  mo_output_entry *entry = &state->entries[state->entry_count++];
  *entry = (mo_output_entry){.key = key};
  if (state->entry_index.slots != NULL) mo_name_index_add(&state->entry_index, key, state->entry_count - 1);
  return entry;
}

mo_status_t mo_output_append_entry(mo_output *output, const char *key, mo_field *field) {
  MO_TRY(mo_output_reserve_entries(output, 1));
  add_entry(output, key)->field = mo_field_retain(field);
  return MO_STATUS_OK;
}

void mo_output_store_entry(mo_output *output, const char *name, mo_field *field) {
  mo_output_entry *entry = mo_output_find_entry(output, name);
  mo_field *before = entry != NULL ? entry->field : NULL;
  if (entry == NULL) entry = add_entry(output, name);
  entry->field = mo_field_retain(field);
  mo_field_release(before);
}

mo_field *mo_output_take_entry(mo_output *output, int32_t position) {
  struct mo_output_state *state = output->state;
  mo_field *field = state->entries[position].field;
  if (state->entry_index.slots != NULL) {
    mo_name_index_remove(&state->entry_index, state->entries[position].key, position, state->entry_count);
  }
  state->entry_count--;
  memmove(&state->entries[position], &state->entries[position + 1],
          (size_t)(state->entry_count - position) * sizeof(mo_output_entry));
  return field;
}

/* ---- Attributes ---------------------------------------------------------------------------------------------------- */

void mo_output_store_attribute(mo_output *output, const char *name, mo_field *field) {
  const int32_t index = mo_class_field_index(output->output_class, name);
  if (index >= 0) {
    mo_field **member = mo_output_member(output, index);
    mo_field *before = *member;
    *member = mo_output_hold(output, field);
    mo_output_let_go(output, before);
    output->state->deleted_attributes &= ~(UINT64_C(1) << index);
    return;
  }
  mo_output_entry *extra = find_extra(output, name);
  mo_field *before = extra->field;
  extra->field = mo_field_retain(field);
  if (before != &mo_no_attribute) mo_field_release(before);
}

bool mo_output_find_attribute(const mo_output *output, const char *name, mo_field **field) {
  const int32_t index = mo_class_field_index(output->output_class, name);
  if (index >= 0) {
    *field = *mo_output_member(output, index);
    return true;
  }
  const mo_output_entry *extra = find_extra(output, name);
  if (extra == NULL || extra->field == &mo_no_attribute) return false;
  *field = extra->field;
  return true;
}

bool mo_output_drop_attribute(mo_output *output, const char *name) {
  const int32_t index = mo_class_field_index(output->output_class, name);
  if (index >= 0) {
    const uint64_t bit = UINT64_C(1) << index;
    mo_field **member = mo_output_member(output, index);
    if ((output->state->deleted_attributes & bit) != 0) return false;
    mo_output_let_go(output, *member);
    *member = NULL;
    output->state->deleted_attributes |= bit;
    return true;
  }
  mo_output_entry *extra = find_extra(output, name);
  if (extra == NULL || extra->field == &mo_no_attribute) return false;
  mo_field_release(extra->field);
  extra->field = &mo_no_attribute;
  return true;
}

const char *mo_output_extra_attribute(const mo_output *output, int32_t position, mo_field **field) {
  const mo_output_entry *extra = &output->state->extra_attributes[position];
  if (extra->field == &mo_no_attribute) return NULL;
  *field = extra->field;
  return extra->key;
}

/* ---- Both ---------------------------------------------------------------------------------------------------------- */

mo_status_t mo_output_assign_item(mo_output *output, const char *name, mo_field *field) {
  const char *interned = NULL;
  MO_TRY(mo_output_intern(output, name, &interned));
  MO_TRY(mo_output_reserve_entries(output, 1));
  mo_output_store_entry(output, interned, field);
  mo_output_store_attribute(output, interned, field);
  return MO_STATUS_OK;
}
