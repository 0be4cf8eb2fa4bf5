/* host/core/arena.h - carving one block into aligned pieces; the same code first measures, then hands out.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_ARENA_H
#define MO_CORE_ARENA_H

#include "host/core/checked_math.h"

#define MO_ARENA_ALIGNMENT ((size_t)256)

/* base NULL measures: every piece is NULL, `used` grows all the same. */
typedef struct mo_arena {
  char *base;
  size_t capacity; /* ignored while measuring */
  size_t used;     /* SIZE_MAX after an overflow */
} mo_arena;

/* Next piece, NULL while measuring. Carving past the capacity gives NULL and leaves used > capacity: check once at the end with
 * mo_arena_fits. */
static inline void *mo_arena_carve(mo_arena *arena, size_t bytes) {
  const size_t start = arena->used;
  const size_t padded = mo_align_up(bytes, MO_ARENA_ALIGNMENT);
  arena->used = padded > SIZE_MAX - start ? SIZE_MAX : start + padded;
  if (arena->base == NULL || arena->used > arena->capacity) return NULL;
  return arena->base + start;
}

static inline bool mo_arena_fits(const mo_arena *arena) { return arena->used <= arena->capacity; }

#endif
