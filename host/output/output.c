/* host/output/output.c - building outputs from values: construction, copy and replace (rules 6 to 20, 42, 44, 46).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/output/output_state.h"

/* ---- Elements of an iterable ---------------------------------------------------------------------------------------
 * What a constructor may be handed as its one positional value: the entries of a tuple or dict, or a caller's list of items. */

typedef struct pair_list {
  const mo_field *field; /* a tuple, dict or cache; NULL: items */
  const mo_item *items;
  int64_t count;
} pair_list;

static bool is_iterable(const mo_field *field) {
  const mo_field_kind_t kind = mo_field_kind(field);
  return kind == MO_FIELD_TUPLE || kind == MO_FIELD_CACHE || kind == MO_FIELD_DICT || kind == MO_FIELD_STRING;
}

/* The element as a name and a value; false if it is no pair. A tuple of a string and a value is one, named or not. */
static bool pair_at(const pair_list *iterable, int64_t position, mo_item *pair) {
  const mo_field *element;
  if (iterable->field != NULL) {
    element = mo_field_item(iterable->field, position);
    const char *key = mo_field_key(iterable->field, position);
    if (key != NULL) {
      *pair = (mo_item){key, (mo_field *)element};
      return true;
    }
  } else {
    *pair = iterable->items[position];
    if (pair->name != NULL) return true;
    element = pair->field;
  }
  if (mo_field_kind(element) != MO_FIELD_TUPLE || mo_field_length(element) != 2) return false;
  const char *name = mo_field_string(mo_field_item(element, 0));
  if (name == NULL) return false;
  *pair = (mo_item){name, mo_field_item(element, 1)};
  return true;
}

/* The items as one tuple field: what rule 13 stores when the first element is no pair. */
static mo_status_t items_to_tuple(mo_context_t *context, const mo_item *items, int64_t count, mo_field **tuple) {
  mo_status_t status = MO_STATUS_OK;
  mo_field **elements = mo_host_allocate(context, (size_t)count * sizeof *elements);
  if (elements == NULL) return MO_STATUS_OUT_OF_MEMORY;
  int64_t made = 0;
  for (; made < count && status == MO_STATUS_OK; made++) {
    if (items[made].name == NULL) {
      elements[made] = mo_field_retain(items[made].field);
      continue;
    }
    mo_field *pair[2] = {NULL, items[made].field};
    status = mo_field_create_string(context, items[made].name, &pair[0]);
    if (status == MO_STATUS_OK) status = mo_field_create_tuple(context, pair, 2, &elements[made]);
    mo_field_release(pair[0]);
  }
  if (status == MO_STATUS_OK) status = mo_field_create_tuple(context, elements, count, tuple);
  for (int64_t i = 0; i < made; i++) mo_field_release(elements[i]);
  mo_host_free(context, elements, (size_t)count * sizeof *elements);
  return status;
}

/* ---- Construction of a declared class ------------------------------------------------------------------------------ */

/* Rules 7, 8: every field an attribute, present ones keys in declared order. */
static mo_status_t fill(mo_output *output, mo_field *const *values) {
  for (int32_t i = 0; i < output->output_class->field_count; i++) {
    if (values[i] == NULL) continue;
    MO_TRY(mo_output_append_entry(output, output->output_class->fields[i].name, values[i]));
    *mo_output_member(output, i) = mo_output_hold(output, values[i]);
  }
  return MO_STATUS_OK;
}

/* Rules 12, 15 to 17: name/value pairs, whatever the names; None sets the attribute only. */
static mo_status_t spread(mo_output *output, const pair_list *iterable) {
  for (int64_t i = 0; i < iterable->count; i++) {
    mo_item pair = {NULL, NULL};
    const char *name = NULL;
    MO_CHECK(pair_at(iterable, i, &pair), MO_STATUS_VALUE_ERROR,
             "%s: element %" PRId64 " is no (name, value) pair as those before it are", output->output_class->name, i);
    MO_TRY(mo_output_intern(output, pair.name, &name));
    MO_TRY(mo_output_reserve_entries(output, 1));
    mo_output_store_attribute(output, name, pair.field);
    if (pair.field != NULL) mo_output_store_entry(output, name, pair.field);
  }
  return MO_STATUS_OK;
}

static mo_status_t refuse_frozen(const mo_output *output) {
  return mo_fail(MO_STATUS_TYPE_ERROR,
                 "%s: one iterable as the only value, a frozen (Flax) class takes fields by name or position only",
                 output->output_class->name);
}

/* Rules 10 to 14, 18: the first field's value when it is the only one. Nothing is stored yet. */
static mo_status_t fill_lone(mo_output *output, mo_field *first) {
  const pair_list iterable = {.field = first, .count = mo_field_length(first)};
  const bool is_empty =
      mo_field_kind(first) == MO_FIELD_STRING ? mo_field_string(first)[0] == '\0' : mo_field_length(first) == 0;
  mo_item pair = {NULL, NULL};
  if (!is_iterable(first)) return mo_output_assign_item(output, output->output_class->fields[0].name, first);
  if (mo_output_is_frozen(output)) return refuse_frozen(output);
  if (is_empty) return MO_STATUS_OK;
  if (iterable.count > 0 && pair_at(&iterable, 0, &pair)) return spread(output, &iterable);
  return mo_output_assign_item(output, output->output_class->fields[0].name, first);
}

static mo_status_t construct(mo_output *output, mo_field *const *values) {
  for (int32_t i = 1; i < output->output_class->field_count; i++) {
    if (values[i] != NULL) return fill(output, values);
  }
  return values[0] == NULL ? MO_STATUS_OK : fill_lone(output, values[0]);
}

/* ---- Construction of the bare base (rules 2, 20): what an ordered dict takes --------------------------------------- */

static mo_status_t spread_base(mo_output *output, const pair_list *iterable) {
  for (int64_t i = 0; i < iterable->count; i++) {
    mo_item pair = {NULL, NULL};
    if (!pair_at(iterable, i, &pair)) {
      const mo_field *element = iterable->field != NULL ? mo_field_item(iterable->field, i) : iterable->items[i].field;
      const bool wrong_length = is_iterable(element) && mo_field_length(element) != 2;
      return mo_fail(wrong_length ? MO_STATUS_VALUE_ERROR : MO_STATUS_TYPE_ERROR,
                     "%s: element %" PRId64 " is no (name, value) pair", output->output_class->name, i);
    }
    MO_TRY(mo_output_assign_item(output, pair.name, pair.field));
  }
  return MO_STATUS_OK;
}

static mo_status_t construct_base(mo_output *output, mo_field *const *values, int64_t count) {
  if (count == 0) return MO_STATUS_OK;
  const mo_field *first = values[0];
  MO_CHECK(count == 1, MO_STATUS_TYPE_ERROR, "%s: %" PRId64 " values, the base class takes at most 1",
           output->output_class->name, count);
  MO_CHECK(is_iterable(first), MO_STATUS_TYPE_ERROR, "%s: the value is neither a dict nor a tuple of pairs",
           output->output_class->name);
  MO_CHECK(mo_field_kind(first) != MO_FIELD_STRING || mo_field_string(first)[0] == '\0', MO_STATUS_VALUE_ERROR,
           "%s: a string is no list of (name, value) pairs", output->output_class->name);
  const pair_list iterable = {.field = first, .count = mo_field_length(first)};
  return spread_base(output, &iterable);
}

/* ---- The four constructors ----------------------------------------------------------------------------------------- */

/* Hands out what was built, or destroys it; notes the failure. */
static mo_status_t finish(mo_context_t *context, mo_output *made, mo_status_t status, mo_output **output) {
  if (status == MO_STATUS_OK) {
    *output = made;
  } else {
    mo_output_destroy(made);
  }
  return mo_context_note(context, status);
}

static mo_status_t check_list(const mo_class *output_class, const void *list, int64_t count) {
  MO_TRY(mo_class_check(output_class));
  MO_CHECK(count >= 0, MO_STATUS_INVALID_ARGUMENT, "%s: count %" PRId64 " is negative", output_class->name, count);
  MO_CHECK(list != NULL || count == 0, MO_STATUS_INVALID_ARGUMENT, "%s: the list is NULL, count is %" PRId64,
           output_class->name, count);
  return MO_STATUS_OK;
}

/* Sorts keyword arguments by declared field; `given` marks the fields named. */
static mo_status_t place_fields(const mo_class *output_class, const mo_item *fields, int64_t count, mo_field **values) {
  uint64_t given = 0;
  for (int64_t i = 0; i < count; i++) {
    MO_CHECK(fields[i].name != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: the name of field %" PRId64 " is NULL",
             output_class->name, i);
    const int32_t index = mo_class_field_index(output_class, fields[i].name);
    MO_CHECK(index >= 0 && index < MO_MAX_CLASS_FIELDS, MO_STATUS_TYPE_ERROR, "%s: unexpected field '%s'", output_class->name,
             fields[i].name);
    MO_CHECK((given & (UINT64_C(1) << index)) == 0, MO_STATUS_TYPE_ERROR, "%s: field '%s' is given twice", output_class->name,
             fields[i].name);
    given |= UINT64_C(1) << index;
    values[index] = fields[i].field;
  }
  return MO_STATUS_OK;
}

static mo_status_t base_from_fields(mo_output *output, const mo_item *fields, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    MO_CHECK(fields[i].name != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: the name of field %" PRId64 " is NULL",
             output->output_class->name, i);
    MO_CHECK(mo_output_find_entry(output, fields[i].name) == NULL, MO_STATUS_TYPE_ERROR, "%s: field '%s' is given twice",
             output->output_class->name, fields[i].name);
    MO_TRY(mo_output_assign_item(output, fields[i].name, fields[i].field));
  }
  return MO_STATUS_OK;
}

mo_status_t mo_output_create_from_fields(mo_context_t *context, const mo_class *output_class, const mo_item *fields,
                                         int64_t count, mo_output **output) {
  mo_output *made = NULL;
  mo_field *values[MO_MAX_CLASS_FIELDS] = {NULL};
  mo_status_t status = check_list(output_class, fields, count);
  if (status == MO_STATUS_OK && output_class->framework != MO_FRAMEWORK_BASE) {
    status = place_fields(output_class, fields, count, values);
  }
  if (status != MO_STATUS_OK) return mo_context_note(context, status);
  status = mo_output_allocate(context, output_class, output == NULL ? NULL : &made);
  if (status == MO_STATUS_OK) {
    status = mo_output_is_base(made) ? base_from_fields(made, fields, count) : construct(made, values);
  }
  return finish(context, made, status, output);
}

mo_status_t mo_output_create_from_values(mo_context_t *context, const mo_class *output_class, mo_field *const *values,
                                         int64_t count, mo_output **output) {
  mo_output *made = NULL;
  mo_field *all[MO_MAX_CLASS_FIELDS] = {NULL};
  mo_status_t status = check_list(output_class, values, count);
  if (status == MO_STATUS_OK && output_class->framework != MO_FRAMEWORK_BASE) {
    if (count > output_class->field_count) {
      status = mo_fail(MO_STATUS_TYPE_ERROR, "%s: %" PRId64 " values, the class has %d fields", output_class->name, count,
                       (int)output_class->field_count);
    } else if (count > 0) {
      memcpy(all, values, (size_t)count * sizeof *all);
    }
  }
  if (status != MO_STATUS_OK) return mo_context_note(context, status);
  status = mo_output_allocate(context, output_class, output == NULL ? NULL : &made);
  if (status == MO_STATUS_OK) {
    status = mo_output_is_base(made) ? construct_base(made, values, count) : construct(made, all);
  }
  return finish(context, made, status, output);
}

static mo_status_t construct_from_items(mo_output *output, const mo_item *items, int64_t count) {
  const pair_list iterable = {.items = items, .count = count};
  mo_item pair = {NULL, NULL};
  mo_field *tuple = NULL;
  if (mo_output_is_base(output)) return spread_base(output, &iterable);
  if (count == 0) return MO_STATUS_OK;
  if (mo_output_is_frozen(output)) return refuse_frozen(output);
  if (pair_at(&iterable, 0, &pair)) return spread(output, &iterable);
  MO_TRY(items_to_tuple(output->state->context, items, count, &tuple));
  const mo_status_t status = mo_output_assign_item(output, output->output_class->fields[0].name, tuple);
  mo_field_release(tuple);
  return status;
}

mo_status_t mo_output_create_from_items(mo_context_t *context, const mo_class *output_class, const mo_item *items,
                                        int64_t count, mo_output **output) {
  mo_output *made = NULL;
  mo_status_t status = check_list(output_class, items, count);
  if (status == MO_STATUS_OK) status = mo_output_allocate(context, output_class, output == NULL ? NULL : &made);
  if (status == MO_STATUS_OK) status = construct_from_items(made, items, count);
  return finish(context, made, status, output);
}

static mo_status_t construct_from_output(mo_output *output, const mo_output *source) {
  const bool is_base = mo_output_is_base(output);
  if (mo_output_is_frozen(output)) return refuse_frozen(output);
  for (int32_t i = 0; i < source->state->entry_count; i++) {
    const mo_item item = {source->state->entries[i].key, source->state->entries[i].field};
    const pair_list one = {.items = &item, .count = 1};
    MO_TRY(is_base ? spread_base(output, &one) : spread(output, &one));
  }
  return MO_STATUS_OK;
}

mo_status_t mo_output_create_from_output(mo_context_t *context, const mo_class *output_class, const mo_output *source,
                                         mo_output **output) {
  mo_output *made = NULL;
  MO_CHECK(source != NULL, MO_STATUS_INVALID_ARGUMENT, "output: source is NULL");
  mo_status_t status = mo_output_allocate(context, output_class, output == NULL ? NULL : &made);
  if (status == MO_STATUS_OK) status = construct_from_output(made, source);
  return finish(context, made, status, output);
}

/* ---- Copy and replace ---------------------------------------------------------------------------------------------- */

/* A copy or replacement of an output in an arena still stands for the same run: same memory, same generation. */
static void share_block(mo_output *made, const mo_output *source) {
  if (source->state->block != NULL) {
    mo_output_block_retain(source->state->block);
    made->state->block = source->state->block;
  }
  made->state->generation = source->state->generation;
  memcpy(made->state->absences, source->state->absences, (size_t)source->output_class->field_count);
}

static void current_values(const mo_output *output, mo_field **values) {
  for (int32_t i = 0; i < output->output_class->field_count; i++) values[i] = *mo_output_member(output, i);
}

/* Rule 42, in its order: the class called with all declared values, then the attributes, then the entries one by one. */
static mo_status_t rebuild(mo_output *made, const mo_output *source) {
  mo_field *values[MO_MAX_CLASS_FIELDS] = {NULL};
  current_values(source, values);
  if (!mo_output_is_base(source)) MO_TRY(construct(made, values));
  for (int32_t i = 0; i < source->output_class->field_count; i++) {
    if ((source->state->deleted_attributes & (UINT64_C(1) << i)) != 0) continue;
    mo_output_store_attribute(made, source->output_class->fields[i].name, values[i]);
  }
  for (int32_t i = 0; i < source->state->extra_attribute_count; i++) {
    mo_field *field;
    const char *interned = NULL;
    const char *name = mo_output_extra_attribute(source, i, &field);
    if (name == NULL) continue;
    MO_TRY(mo_output_intern(made, name, &interned));
    mo_output_store_attribute(made, interned, field);
  }
  for (int32_t i = 0; i < source->state->entry_count; i++) {
    MO_TRY(mo_output_assign_item(made, source->state->entries[i].key, source->state->entries[i].field));
  }
  return MO_STATUS_OK;
}

mo_status_t mo_output_copy(const mo_output *output, mo_output **copy) {
  mo_output *made = NULL;
  MO_CHECK(output != NULL, MO_STATUS_INVALID_ARGUMENT, "output_copy: output is NULL");
  mo_context_t *context = output->state->context;
  mo_status_t status = mo_output_allocate(context, output->output_class, copy == NULL ? NULL : &made);
  if (status == MO_STATUS_OK) {
    share_block(made, output);
    status = rebuild(made, output);
  }
  return finish(context, made, status, copy);
}

mo_status_t mo_output_replace(const mo_output *output, const mo_item *changes, int64_t count, mo_output **replaced) {
  mo_output *made = NULL;
  mo_field *values[MO_MAX_CLASS_FIELDS] = {NULL};
  MO_CHECK(output != NULL, MO_STATUS_INVALID_ARGUMENT, "output_replace: output is NULL");
  mo_context_t *context = output->state->context;
  mo_status_t status = check_list(output->output_class, changes, count);
  if (status == MO_STATUS_OK && mo_output_is_base(output)) {
    status = mo_fail(MO_STATUS_TYPE_ERROR, "output_replace: %s declares no fields", output->output_class->name);
  }
  if (status == MO_STATUS_OK) {
    current_values(output, values);
    status = place_fields(output->output_class, changes, count, values);
  }
  if (status == MO_STATUS_OK) status = mo_output_allocate(context, output->output_class, replaced == NULL ? NULL : &made);
  if (status == MO_STATUS_OK) {
    share_block(made, output);
    status = construct(made, values);
  }
  return finish(context, made, status, replaced);
}
