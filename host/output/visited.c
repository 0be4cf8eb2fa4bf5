/* host/output/visited.c - a set of addresses: a short list, then a hash table that is at most half full.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/output/visited.h"

#include <stdint.h>
#include <stdlib.h>

#include "host/output/name_index.h"

/* Where the address is, or the empty slot where it belongs. */
static const void **slot_of(const mo_visited *visited, const void *address) {
  size_t at = (size_t)mo_spread_bits((uintptr_t)address) & (visited->slot_count - 1);
  while (visited->slots[at] != NULL && visited->slots[at] != address) at = (at + 1) & (visited->slot_count - 1);
  return &visited->slots[at];
}

/* A table twice as large, or the first one. */
static bool grow(mo_visited *visited) {
  const mo_visited before = *visited;
  const size_t slot_count = before.slots == NULL ? 4 * MO_VISITED_FEW : 2 * before.slot_count;
  const void **slots = calloc(slot_count, sizeof *slots);
  if (slots == NULL) return false;
  visited->slots = slots;
  visited->slot_count = slot_count;
  const size_t listed = before.slots == NULL ? before.count : before.slot_count;
  for (size_t i = 0; i < listed; i++) {
    const void *address = before.slots == NULL ? before.few[i] : before.slots[i];
    if (address != NULL) *slot_of(visited, address) = address;
  }
  free((void *)before.slots);
  return true;
}

bool mo_visited_add(mo_visited *visited, const void *address) {
  if (visited->failed) return false;
  if (visited->slots == NULL) {
    for (size_t i = 0; i < visited->count; i++) {
      if (visited->few[i] == address) return false;
    }
    if (visited->count < MO_VISITED_FEW) {
      visited->few[visited->count++] = address;
      return true;
    }
  }
  if ((visited->slots == NULL || 2 * visited->count >= visited->slot_count) && !grow(visited)) {
    visited->failed = true;
    return false;
  }
  const void **slot = slot_of(visited, address);
  if (*slot != NULL) return false;
  *slot = address;
  visited->count++;
  return true;
}

void mo_visited_release(mo_visited *visited) { free((void *)visited->slots); }
