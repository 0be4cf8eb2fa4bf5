/* host/output/output_access.c - reading and changing outputs as mapping, sequence and struct (rules 21 to 39, 46).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/output/field_equal.h"
#include "host/output/output_state.h"

static mo_status_t note(const mo_output *output, mo_status_t status) { return mo_context_note(output->state->context, status); }

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

int64_t mo_output_length(const mo_output *output) { return output == NULL ? 0 : output->state->entry_count; }

mo_status_t mo_output_item(const mo_output *output, const char *key, mo_field **field) {
  MO_CHECK(output != NULL && key != NULL && field != NULL, MO_STATUS_INVALID_ARGUMENT, "output_item: an argument is NULL");
  const mo_output_entry *entry = mo_output_find_entry(output, key);
  if (entry == NULL) {
    return note(output, mo_fail(MO_STATUS_KEY_ERROR, "%s: no key '%s'", output->output_class->name, key));
  }
  *field = entry->field;
  return MO_STATUS_OK;
}

mo_field *mo_output_get(const mo_output *output, const char *key) {
  if (output == NULL || key == NULL) return NULL;
  const mo_output_entry *entry = mo_output_find_entry(output, key);
  return entry == NULL ? NULL : entry->field;
}

bool mo_output_contains(const mo_output *output, const char *key) {
  return output != NULL && key != NULL && mo_output_find_entry(output, key) != NULL;
}

mo_status_t mo_output_item_at(const mo_output *output, int64_t index, mo_field **field) {
  MO_CHECK(output != NULL && field != NULL, MO_STATUS_INVALID_ARGUMENT, "output_item_at: an argument is NULL");
  const int64_t count = output->state->entry_count;
  if (index < -count || index >= count) {
    return note(output, mo_fail(MO_STATUS_INDEX_ERROR, "%s: position %" PRId64 " of %" PRId64 " present values",
                                output->output_class->name, index, count));
  }
  *field = output->state->entries[index < 0 ? index + count : index].field;
  return MO_STATUS_OK;
}

mo_field *mo_output_at(const mo_output *output, int64_t index) {
  const int64_t count = mo_output_length(output);
  if (index < -count || index >= count) return NULL;
  return output->state->entries[index < 0 ? index + count : index].field;
}

mo_status_t mo_output_slice(const mo_output *output, mo_slice slice, mo_field **fields, int64_t capacity, int64_t *count) {
  MO_CHECK(output != NULL && count != NULL, MO_STATUS_INVALID_ARGUMENT, "output_slice: an argument is NULL");
  MO_CHECK(capacity >= 0 && (fields != NULL || capacity == 0), MO_STATUS_INVALID_ARGUMENT,
           "output_slice: room for %" PRId64 " fields at NULL or negative", capacity);
  int64_t first = 0, step = 1, total = 0;
  const mo_status_t status = mo_slice_resolve(slice, output->state->entry_count, &first, &step, &total);
  if (status != MO_STATUS_OK) return note(output, status);
  for (int64_t i = 0; i < total && i < capacity; i++) fields[i] = output->state->entries[first + i * step].field;
  *count = total;
  return MO_STATUS_OK;
}

mo_status_t mo_output_to_tuple(const mo_output *output, mo_field **tuple) {
  MO_CHECK(output != NULL && tuple != NULL, MO_STATUS_INVALID_ARGUMENT, "output_to_tuple: an argument is NULL");
  const struct mo_output_state *state = output->state;
  mo_field *few[32] = {NULL};
  mo_field **values = few;
  const size_t bytes = (size_t)state->entry_count * sizeof *values;
  if (bytes > sizeof few) {
    values = mo_host_allocate(state->context, bytes);
    if (values == NULL) return note(output, MO_STATUS_OUT_OF_MEMORY);
  }
  for (int32_t i = 0; i < state->entry_count; i++) values[i] = state->entries[i].field;
  const mo_status_t status = mo_field_create_tuple(state->context, values, state->entry_count, tuple);
  if (values != few) mo_host_free(state->context, values, bytes);
  return status;
}

const char *mo_output_key_at(const mo_output *output, int64_t position) {
  return position >= 0 && position < mo_output_length(output) ? output->state->entries[position].key : NULL;
}

mo_status_t mo_output_attribute(const mo_output *output, const char *name, mo_field **field) {
  MO_CHECK(output != NULL && name != NULL && field != NULL, MO_STATUS_INVALID_ARGUMENT,
           "output_attribute: an argument is NULL");
  if (!mo_output_find_attribute(output, name, field)) {
    return note(output, mo_fail(MO_STATUS_ATTRIBUTE_ERROR, "%s: no attribute '%s'", output->output_class->name, name));
  }
  return MO_STATUS_OK;
}

/* An ordered dict's equality: same keys in the same order with equal values. */
static bool entries_equal(mo_equality *known, const mo_output *a, const mo_output *b) {
  if (a->state->entry_count != b->state->entry_count) return false;
  for (int32_t i = 0; i < a->state->entry_count; i++) {
    if (strcmp(a->state->entries[i].key, b->state->entries[i].key) != 0) return false;
    if (!mo_field_equal_known(known, a->state->entries[i].field, b->state->entries[i].field)) return false;
  }
  return true;
}

/* Of outputs of one class. */
static bool members_equal(mo_equality *known, const mo_output *a, const mo_output *b) {
  for (int32_t i = 0; i < a->output_class->field_count; i++) {
    if (!mo_field_equal_known(known, *mo_output_member(a, i), *mo_output_member(b, i))) return false;
  }
  return true;
}

bool mo_output_equal(const mo_output *a, const mo_output *b) {
  if (a == b) return true;
  if (a == NULL || b == NULL) return false;
  mo_equality known = {.slots = NULL};
  const bool as_dicts = mo_output_is_base(a) || mo_output_is_base(b);
  const bool equal = as_dicts ? entries_equal(&known, a, b) : a->output_class == b->output_class && members_equal(&known, a, b);
  mo_equality_release(&known);
  return equal;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static mo_status_t assign_attribute(mo_output *output, const char *name, mo_field *field) {
  const mo_class *output_class = output->output_class;
  const char *interned = NULL;
  MO_CHECK(!mo_output_is_base(output), MO_STATUS_TYPE_ERROR,
           "%s: attribute '%s' cannot be assigned on the base class, set the item instead", output_class->name, name);
  MO_CHECK(!mo_output_is_frozen(output), MO_STATUS_BLOCKED, "%s: attribute '%s' cannot be assigned, Flax classes are frozen",
           output_class->name, name);
  MO_TRY(mo_output_intern(output, name, &interned));
  if (field != NULL && mo_class_field_index(output_class, interned) >= 0) {
    MO_TRY(mo_output_reserve_entries(output, 1));
    mo_output_store_entry(output, interned, field);
  }
  mo_output_store_attribute(output, interned, field);
  return MO_STATUS_OK;
}

mo_status_t mo_output_set_attribute(mo_output *output, const char *name, mo_field *field) {
  MO_CHECK(output != NULL && name != NULL, MO_STATUS_INVALID_ARGUMENT, "output_set_attribute: an argument is NULL");
  return note(output, assign_attribute(output, name, field));
}

mo_status_t mo_output_set_item(mo_output *output, const char *key, mo_field *field) {
  MO_CHECK(output != NULL && key != NULL, MO_STATUS_INVALID_ARGUMENT, "output_set_item: an argument is NULL");
  return note(output, mo_output_assign_item(output, key, field));
}

static mo_status_t refuse(const mo_output *output, const char *operation) {
  if (output == NULL) return mo_fail(MO_STATUS_BLOCKED, "output: %s is not allowed on an output", operation);
  return note(output, mo_fail(MO_STATUS_BLOCKED, "%s: %s is not allowed on an output", output->output_class->name, operation));
}

mo_status_t mo_output_delete_item(mo_output *output, const char *key) {
  (void)key;
  return refuse(output, "deleting a key");
}

mo_status_t mo_output_pop(mo_output *output, const char *key, mo_field **field) {
  (void)key;
  (void)field;
  return refuse(output, "pop");
}

mo_status_t mo_output_set_default(mo_output *output, const char *key, mo_field *field) {
  (void)key;
  (void)field;
  return refuse(output, "setdefault");
}

mo_status_t mo_output_update(mo_output *output, const mo_item *items, int64_t count) {
  (void)items;
  (void)count;
  return refuse(output, "update");
}

mo_status_t mo_output_pop_last(mo_output *output, const char **key, mo_field **field) {
  MO_CHECK(output != NULL && key != NULL && field != NULL, MO_STATUS_INVALID_ARGUMENT, "output_pop_last: an argument is NULL");
  const int32_t count = output->state->entry_count;
  if (count == 0) {
    return note(output, mo_fail(MO_STATUS_KEY_ERROR, "%s: no keys are left", output->output_class->name));
  }
  *key = output->state->entries[count - 1].key;
  *field = mo_output_take_entry(output, count - 1);
  return MO_STATUS_OK;
}

mo_status_t mo_output_clear(mo_output *output) {
  MO_CHECK(output != NULL, MO_STATUS_INVALID_ARGUMENT, "output_clear: output is NULL");
  while (output->state->entry_count > 0) mo_field_release(mo_output_take_entry(output, output->state->entry_count - 1));
  return MO_STATUS_OK;
}

mo_status_t mo_output_move_to_end(mo_output *output, const char *key, bool last) {
  MO_CHECK(output != NULL && key != NULL, MO_STATUS_INVALID_ARGUMENT, "output_move_to_end: an argument is NULL");
  mo_output_entry *entry = mo_output_find_entry(output, key);
  if (entry == NULL) {
    return note(output, mo_fail(MO_STATUS_KEY_ERROR, "%s: no key '%s'", output->output_class->name, key));
  }
  mo_output_entry *entries = output->state->entries;
  const mo_output_entry moved = *entry;
  const int32_t position = (int32_t)(entry - entries);
  const int32_t end = output->state->entry_count - 1;
  if (output->state->entry_index.slots != NULL) {
    mo_name_index_move(&output->state->entry_index, position, last ? end : 0);
  }
  if (last) {
    memmove(entry, entry + 1, (size_t)(end - position) * sizeof moved);
    entries[end] = moved;
  } else {
    memmove(entries + 1, entries, (size_t)position * sizeof moved);
    entries[0] = moved;
  }
  return MO_STATUS_OK;
}

/* Everything that can fail comes first, so that either all items are merged or none. */
static mo_status_t merge_items(mo_output *output, const mo_item *items, int64_t count) {
  const char *name = NULL;
  MO_CHECK(count >= 0 && (items != NULL || count == 0), MO_STATUS_INVALID_ARGUMENT,
           "output_merge: %" PRId64 " items at NULL or a negative count", count);
  for (int64_t i = 0; i < count; i++) {
    MO_CHECK(items[i].name != NULL, MO_STATUS_INVALID_ARGUMENT, "output_merge: the name of item %" PRId64 " is NULL", i);
  }
  for (int64_t i = 0; i < count; i++) MO_TRY(mo_output_intern(output, items[i].name, &name));
  MO_TRY(mo_output_reserve_entries(output, count));
  for (int64_t i = 0; i < count; i++) MO_TRY(mo_output_assign_item(output, items[i].name, items[i].field));
  return MO_STATUS_OK;
}

mo_status_t mo_output_merge(mo_output *output, const mo_item *items, int64_t count) {
  MO_CHECK(output != NULL, MO_STATUS_INVALID_ARGUMENT, "output_merge: output is NULL");
  return note(output, merge_items(output, items, count));
}

mo_status_t mo_output_delete_attribute(mo_output *output, const char *name) {
  MO_CHECK(output != NULL && name != NULL, MO_STATUS_INVALID_ARGUMENT, "output_delete_attribute: an argument is NULL");
  mo_status_t status = MO_STATUS_OK;
  if (mo_output_is_frozen(output)) {
    status = mo_fail(MO_STATUS_BLOCKED, "%s: attribute '%s' cannot be deleted, Flax classes are frozen",
                     output->output_class->name, name);
  } else if (!mo_output_drop_attribute(output, name)) {
    status = mo_fail(MO_STATUS_ATTRIBUTE_ERROR, "%s: no attribute '%s'", output->output_class->name, name);
  }
  return note(output, status);
}
