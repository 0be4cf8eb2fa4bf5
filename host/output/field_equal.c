/* host/output/field_equal.c - Python's == for fields (rule 38).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/output/field_equal.h"

#include <stdlib.h>
#include <string.h>

#include "host/output/output_internal.h"

#define FIRST_SLOTS 64

typedef struct mo_equal_slot {
  const mo_field *field;  /* NULL: empty */
  const mo_field *parent; /* another of its set, nearer to the one that stands for the set; itself: that one */
} mo_equal_slot;

/* ---- Sets of equal fields ------------------------------------------------------------------------------------------ */

static mo_equal_slot *slot_of(const mo_equality *known, const mo_field *field) {
  size_t at = (size_t)mo_spread_bits((uintptr_t)field) & (known->slot_count - 1);
  while (known->slots[at].field != NULL && known->slots[at].field != field) at = (at + 1) & (known->slot_count - 1);
  return &known->slots[at];
}

/* Room for two more; false without memory. */
static bool make_room(mo_equality *known) {
  if (known->slots != NULL && 2 * (known->count + 2) <= known->slot_count) return true;
  const mo_equality before = *known;
  mo_equality grown = {.slot_count = before.slots == NULL ? FIRST_SLOTS : 2 * before.slot_count, .count = before.count};
  grown.slots = calloc(grown.slot_count, sizeof *grown.slots);
  if (grown.slots == NULL) return false;
  for (size_t i = 0; before.slots != NULL && i < before.slot_count; i++) {
    if (before.slots[i].field != NULL) *slot_of(&grown, before.slots[i].field) = before.slots[i];
  }
  free(before.slots);
  *known = grown;
  return true;
}

/* The field that stands for the set; the way to it becomes shorter. */
static const mo_field *set_of(mo_equality *known, const mo_field *field) {
  mo_equal_slot *slot = slot_of(known, field);
  if (slot->field == NULL) {
    *slot = (mo_equal_slot){.field = field, .parent = field};
    known->count++;
  }
  while (slot->parent != slot->field) {
    mo_equal_slot *next = slot_of(known, slot->parent);
    slot->parent = next->parent;
    slot = slot_of(known, slot->parent);
  }
  return slot->field;
}

/* True if the two were in one set; else they are now. */
static bool join(mo_equality *known, const mo_field *a, const mo_field *b) {
  if (!make_room(known)) return false;
  const mo_field *first = set_of(known, a), *second = set_of(known, b);
  if (first == second) return true;
  slot_of(known, first)->parent = second;
  return false;
}

void mo_equality_release(mo_equality *known) { free(known->slots); }

/* ---- Comparing ----------------------------------------------------------------------------------------------------- */

static bool same_tensor(const mo_tensor *a, const mo_tensor *b) {
  if (a->data != b->data || a->dtype != b->dtype || a->rank != b->rank) return false;
  if (a->device.kind != b->device.kind || a->device.index != b->device.index) return false;
  for (int32_t i = 0; i < a->rank; i++) {
    if (a->shape[i] != b->shape[i] || a->strides[i] != b->strides[i]) return false;
  }
  return true;
}

static bool same_items(mo_equality *known, const mo_field *a, const mo_field *b) {
  if (a->as.items.count != b->as.items.count) return false;
  if (join(known, a, b)) return true;
  for (int64_t i = 0; i < a->as.items.count; i++) {
    if (a->kind == MO_FIELD_DICT && strcmp(a->as.items.keys[i], b->as.items.keys[i]) != 0) return false;
    if (!mo_field_equal_known(known, a->as.items.items[i], b->as.items.items[i])) return false;
  }
  return true;
}

bool mo_field_equal_known(mo_equality *known, const mo_field *a, const mo_field *b) {
  if (a == b) return true;
  if (a == NULL || b == NULL || a->kind != b->kind) return false;
  switch (a->kind) {
    case MO_FIELD_TENSOR:
      return same_tensor(&a->as.tensor.tensor, &b->as.tensor.tensor);
    case MO_FIELD_INTEGER:
      return a->as.integer == b->as.integer;
    case MO_FIELD_REAL:
      return a->as.real == b->as.real;
    case MO_FIELD_STRING:
      return strcmp(a->as.string, b->as.string) == 0;
    case MO_FIELD_TUPLE:
    case MO_FIELD_CACHE:
    case MO_FIELD_DICT:
      break;
  }
  return same_items(known, a, b);
}

bool mo_field_equal(const mo_field *a, const mo_field *b) {
  mo_equality known = {.slots = NULL};
  const bool equal = mo_field_equal_known(&known, a, b);
  mo_equality_release(&known);
  return equal;
}
