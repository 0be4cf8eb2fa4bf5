/* host/core/string_map.c - a hash map from byte strings to numbers: open addressing, linear probing.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/string_map.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SMALLEST_SLOT_COUNT ((size_t)16)

static uint64_t hash_bytes(const mo_string_map *map, const char *text, size_t bytes) {
  uint64_t hash = mo_string_hash_start(map);
  for (size_t i = 0; i < bytes; ++i) hash = mo_string_hash_step(hash, (unsigned char)text[i]);
  return hash;
}

/* The slot that holds the key, or the free one where it belongs. There is always a free one. */
static mo_string_slot *probe(mo_string_slot *slots, size_t slot_count, uint64_t hash, const char *text, size_t bytes) {
  size_t at = (size_t)hash & (slot_count - 1);
  while (slots[at].text != NULL &&
         (slots[at].hash != hash || slots[at].bytes != bytes || memcmp(slots[at].text, text, bytes) != 0))
    at = (at + 1) & (slot_count - 1);
  return &slots[at];
}

static mo_status_t allocate_slots(size_t slot_count, mo_string_slot **slots) {
  *slots = calloc(slot_count, sizeof **slots);
  MO_CHECK(*slots != NULL, MO_STATUS_OUT_OF_MEMORY, "string map: no memory for %zu slots", slot_count);
  return MO_STATUS_OK;
}

mo_status_t mo_string_map_init(mo_string_map *map, size_t capacity) {
  MO_CHECK(capacity <= SIZE_MAX / (4 * sizeof(mo_string_slot)), MO_STATUS_OUT_OF_MEMORY, "string map: no memory for %zu keys",
           capacity);
  size_t slot_count = SMALLEST_SLOT_COUNT;
  while (slot_count < 2 * capacity) slot_count *= 2;
  mo_string_map made = {.slot_count = slot_count};
  MO_TRY(allocate_slots(slot_count, &made.slots));
  /* Without entropy (an early boot) the address still differs from run to run. The seed never shows in a result. */
  if (getrandom(&made.seed, sizeof made.seed, GRND_NONBLOCK) != (ssize_t)sizeof made.seed)
    made.seed = (uint64_t)(uintptr_t)made.slots * UINT64_C(0xD6E8FEB86659FD93);
  *map = made;
  return MO_STATUS_OK;
}

void mo_string_map_free(mo_string_map *map) {
  free(map->slots);
  *map = (mo_string_map){0};
}

static mo_status_t grow(mo_string_map *map) {
  mo_string_slot *larger;
  MO_TRY(allocate_slots(map->slot_count * 2, &larger));
  for (size_t i = 0; i < map->slot_count; ++i) {
    const mo_string_slot *slot = &map->slots[i];
    if (slot->text != NULL) *probe(larger, map->slot_count * 2, slot->hash, slot->text, slot->bytes) = *slot;
  }
  free(map->slots);
  map->slots = larger;
  map->slot_count *= 2;
  return MO_STATUS_OK;
}

mo_status_t mo_string_map_put(mo_string_map *map, const char *text, size_t bytes, int64_t value, int64_t *previous) {
  if (2 * (map->count + 1) > map->slot_count) MO_TRY(grow(map));
  const uint64_t hash = hash_bytes(map, text, bytes);
  mo_string_slot *slot = probe(map->slots, map->slot_count, hash, text, bytes);
  const bool is_new = slot->text == NULL;
  if (previous != NULL) *previous = is_new ? -1 : slot->value;
  if (is_new) {
    *slot = (mo_string_slot){text, bytes, hash, value};
    ++map->count;
    if (bytes > map->longest_bytes) map->longest_bytes = bytes;
  }
  slot->value = value;
  return MO_STATUS_OK;
}

int64_t mo_string_map_find_hashed(const mo_string_map *map, uint64_t hash, const char *text, size_t bytes) {
  if (map->slots == NULL) return -1;
  const mo_string_slot *slot = probe(map->slots, map->slot_count, hash, text, bytes);
  return slot->text == NULL ? -1 : slot->value;
}

int64_t mo_string_map_find(const mo_string_map *map, const char *text, size_t bytes) {
  if (map->slots == NULL) return -1;
  return mo_string_map_find_hashed(map, hash_bytes(map, text, bytes), text, bytes);
}
