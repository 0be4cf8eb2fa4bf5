/* host/output/name_index.c - a hash table of positions, with linear probing.
 *
 * Names come from files too, so the hash begins with a number that differs from process to process.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/output/name_index.h"

/* FNV-1a, its bits spread. The loader puts the library, and so this function's address, somewhere else each time. */
static uint32_t hash_name(const char *name) {
  uint64_t hash = mo_spread_bits((uintptr_t)&mo_name_index_find) ^ UINT64_C(0xcbf29ce484222325);
  for (; *name != '\0'; name++) hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
  return (uint32_t)(mo_spread_bits(hash) >> 16);
}

int64_t mo_name_index_slots(int64_t count) {
  if (count <= MO_NAME_INDEX_FROM) return 0;
  int64_t slots = 4 * MO_NAME_INDEX_FROM;
  while (slots < 2 * count) slots *= 2;
  return slots;
}

void mo_name_index_build(mo_name_index *index, mo_name_slot *slots, int64_t slot_count, mo_name_list list, int64_t count) {
  *index = (mo_name_index){.slots = slots, .slot_count = slot_count};
  for (int64_t i = 0; i < count; i++) mo_name_index_add(index, mo_name_at(list, i), i);
}

int64_t mo_name_index_find(const mo_name_index *index, mo_name_list list, const char *name) {
  const uint32_t hash = hash_name(name);
  const int64_t mask = index->slot_count - 1;
  for (int64_t at = hash & mask; index->slots[at].position != 0; at = (at + 1) & mask) {
    const int64_t position = index->slots[at].position - 1;
    if (index->slots[at].hash == hash && strcmp(mo_name_at(list, position), name) == 0) return position;
  }
  return -1;
}

void mo_name_index_add(mo_name_index *index, const char *name, int64_t position) {
  const uint32_t hash = hash_name(name);
  const int64_t mask = index->slot_count - 1;
  int64_t at = hash & mask;
  while (index->slots[at].position != 0) at = (at + 1) & mask;
  index->slots[at] = (mo_name_slot){.hash = hash, .position = (int32_t)position + 1};
}

/* Empties a slot; what was pushed past it moves back, so that no search ends too early. */
static void empty_slot(mo_name_index *index, int64_t hole) {
  const int64_t mask = index->slot_count - 1;
  for (int64_t at = (hole + 1) & mask; index->slots[at].position != 0; at = (at + 1) & mask) {
    const int64_t home = index->slots[at].hash & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    index->slots[hole] = index->slots[at];
    hole = at;
  }
  index->slots[hole].position = 0;
}

void mo_name_index_remove(mo_name_index *index, const char *name, int64_t position, int64_t count) {
  const int64_t mask = index->slot_count - 1;
  int64_t at = hash_name(name) & mask;
  while (index->slots[at].position != position + 1) at = (at + 1) & mask;
  empty_slot(index, at);
  if (position == count - 1) return;
  for (int64_t i = 0; i <= mask; i++) {
    if (index->slots[i].position > position + 1) index->slots[i].position--;
  }
}

void mo_name_index_move(mo_name_index *index, int64_t from, int64_t to) {
  for (int64_t i = 0; i < index->slot_count && from != to; i++) {
    const int64_t position = index->slots[i].position - 1;
    if (position < 0) continue;
    if (position == from) index->slots[i].position = (int32_t)to + 1;
    else if (from < to && position > from && position <= to) index->slots[i].position--;
    else if (to < from && position >= to && position < from) index->slots[i].position++;
  }
}
