/* host/core/string_map.h - a hash map from byte strings to numbers, and the running hash that probes it prefix by prefix.
 *
 * The keys stay where they are: the map only points at them. The hash is seeded per map, so that a hostile file cannot choose
 * colliding keys. Reading is thread-safe.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_STRING_MAP_H
#define MO_CORE_STRING_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/core/error.h"

typedef struct mo_string_slot {
  const char *text; /* NULL: free */
  size_t bytes;
  uint64_t hash;
  int64_t value;
} mo_string_slot;

typedef struct mo_string_map {
  mo_string_slot *slots;
  size_t slot_count; /* a power of two, at least twice the keys */
  size_t count;
  size_t longest_bytes; /* of all keys */
  uint64_t seed;
} mo_string_map;

/* Room for `capacity` keys; grows by itself past them. OUT_OF_MEMORY. */
mo_status_t mo_string_map_init(mo_string_map *map, size_t capacity);

/* A zeroed map is fine. */
void mo_string_map_free(mo_string_map *map);

/* The value under the key is `value` afterwards; *previous (may be NULL) is what it was, -1 if the key is new. OUT_OF_MEMORY.
 */
mo_status_t mo_string_map_put(mo_string_map *map, const char *text, size_t bytes, int64_t value, int64_t *previous);

/* -1 if it is not there. */
int64_t mo_string_map_find(const mo_string_map *map, const char *text, size_t bytes);

/* The running hash: start, one step per byte, then find_hashed with exactly those bytes. */
static inline uint64_t mo_string_hash_start(const mo_string_map *map) { return map->seed; }
static inline uint64_t mo_string_hash_step(uint64_t hash, unsigned char byte) {
  hash = (hash ^ byte) * UINT64_C(0x9E3779B97F4A7C15);
  return hash ^ hash >> 32;
}
int64_t mo_string_map_find_hashed(const mo_string_map *map, uint64_t hash, const char *text, size_t bytes);

#endif
