/* host/output/field_equal.h - comparing many fields with what is already known of their parts.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_OUTPUT_FIELD_EQUAL_H
#define MO_OUTPUT_FIELD_EQUAL_H

#include <stdbool.h>
#include <stddef.h>

#include "modelout/field.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fields with items that were found equal, or are being compared, in sets (union-find over a hash table): each comparison joins
 * two sets, so there are fewer comparisons than fields, however many tuples hold a field. Pairs that are still being compared
 * count as equal: a difference ends the whole comparison anyway. All zeros: nothing is known. */
typedef struct mo_equality {
  struct mo_equal_slot *slots; /* NULL: none, or no memory: then a field is compared once per tuple that holds it */
  size_t slot_count, count;
} mo_equality;

/* mo_field_equal with what earlier calls that gave true have found. */
bool mo_field_equal_known(mo_equality *known, const mo_field *a, const mo_field *b);

void mo_equality_release(mo_equality *known);

#ifdef __cplusplus
}
#endif
#endif
