/* host/output/name_index.h - positions of names in a list: found by hash where a list is long.
 *
 * The list stays its owner's: `names` is where its first name pointer lies, the next one lies `stride` bytes on.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_OUTPUT_NAME_INDEX_H
#define MO_OUTPUT_NAME_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MO_NAME_INDEX_FROM 16 /* shorter lists are looked through */

typedef struct mo_name_slot {
  uint32_t hash;
  int32_t position; /* + 1; 0: empty */
} mo_name_slot;

/* All zeros: no index. */
typedef struct mo_name_index {
  mo_name_slot *slots; /* at most half full; NULL: none */
  int64_t slot_count;  /* a power of two */
} mo_name_index;

typedef struct mo_name_list {
  const void *names;
  size_t stride;
} mo_name_list;

static inline const char *mo_name_at(mo_name_list list, int64_t position) {
  const char *name;
  memcpy(&name, (const char *)list.names + (size_t)position * list.stride, sizeof name);
  return name;
}

/* Slots for a list of `count` names; 0 for a short one. */
int64_t mo_name_index_slots(int64_t count);

/* The index over zeroed slots, with the first `count` names of the list in it. */
void mo_name_index_build(mo_name_index *index, mo_name_slot *slots, int64_t slot_count, mo_name_list list, int64_t count);

/* Position of a name; -1 if it is not there. With slots. */
int64_t mo_name_index_find(const mo_name_index *index, mo_name_list list, const char *name);

/* A name that is not there yet stands at `position` now. With slots for it. */
void mo_name_index_add(mo_name_index *index, const char *name, int64_t position);

/* The name at `position` is removed; the positions of those after it go down by one. */
void mo_name_index_remove(mo_name_index *index, const char *name, int64_t position, int64_t count);

/* The name at `from` moves to `to`; those between make room. */
void mo_name_index_move(mo_name_index *index, int64_t from, int64_t to);

/* Every bit of the result depends on every bit. */
static inline uint64_t mo_spread_bits(uint64_t bits) {
  bits = (bits ^ (bits >> 33)) * UINT64_C(0xff51afd7ed558ccd);
  bits = (bits ^ (bits >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
  return bits ^ (bits >> 33);
}

#ifdef __cplusplus
}
#endif
#endif
