/* host/output/output_state.h - the two stores of an output, keys and attributes, and the primitives that change them.
 *
 * As in the original an output has entries (ordered, by key) and attributes (struct members, and named extras); they may
 * disagree (rule 33). Each holds its own reference. Changing is two steps, so that a failed call changes nothing: prepare
 * everything that allocates (intern, reserve), then commit, which cannot fail.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_OUTPUT_STATE_H
#define MO_OUTPUT_STATE_H

#include "host/output/class_internal.h"
#include "host/output/output_internal.h"

/* The entry of a key, NULL if there is none. */
mo_output_entry *mo_output_find_entry(const mo_output *output, const char *key);

/* The name as the output will keep it: a class field's own string, or one copy per name that lives as long as the output, also
 * after the key or the attribute is gone. Interning alone is not visible. */
mo_status_t mo_output_intern(mo_output *output, const char *name, const char **interned);

/* Room for `count` further entries. */
mo_status_t mo_output_reserve_entries(mo_output *output, int64_t count);

/* Commits. `name` is interned; room for an entry is reserved. */
void mo_output_store_entry(mo_output *output, const char *name, mo_field *field);
void mo_output_store_attribute(mo_output *output, const char *name, mo_field *field);

/* Takes the entry at `position` out; its reference goes to the caller. */
mo_field *mo_output_take_entry(mo_output *output, int32_t position);

/* False if there is no such attribute. A deleted member shows its class default, None, as in the original. */
bool mo_output_find_attribute(const mo_output *output, const char *name, mo_field **field);

/* `del x.name` without the rules; false if there is nothing to delete. */
bool mo_output_drop_attribute(mo_output *output, const char *name);

/* x[name] = field without checks of the arguments: entry and attribute (rule 31). Changes nothing when it fails. */
mo_status_t mo_output_assign_item(mo_output *output, const char *name, mo_field *field);

/* The reference of a struct member: none to a field of the output's own block, which state->block holds. */
static inline mo_field *mo_output_hold(const mo_output *output, mo_field *field) {
  const bool own = field != NULL && field->block != NULL && field->block == output->state->block;
  return own ? field : mo_field_retain(field);
}

static inline void mo_output_let_go(const mo_output *output, mo_field *field) {
  const bool own = field != NULL && field->block != NULL && field->block == output->state->block;
  if (!own) mo_field_release(field);
}

static inline bool mo_output_is_base(const mo_output *output) { return output->output_class->framework == MO_FRAMEWORK_BASE; }

static inline bool mo_output_is_frozen(const mo_output *output) { return output->output_class->framework == MO_FRAMEWORK_FLAX; }

/* Attributes that are no struct members, by position; NULL for one that was deleted or only interned. */
const char *mo_output_extra_attribute(const mo_output *output, int32_t position, mo_field **field);

#endif
