/* host/output/visited.h - which fields a walk has visited: a field that is held in many tuples is visited once.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_OUTPUT_VISITED_H
#define MO_OUTPUT_VISITED_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MO_VISITED_FEW 32

/* All zeros: nothing visited yet. */
typedef struct mo_visited {
  const void *few[MO_VISITED_FEW]; /* until there are more: most walks visit a handful */
  const void **slots;              /* then a hash table of `slot_count`, a power of two; NULL: empty */
  size_t slot_count, count;
  bool failed; /* no memory for the table */
} mo_visited;

/* True the first time an address (not NULL) is added. Without memory false, and `failed` is set: the walk ends early. */
bool mo_visited_add(mo_visited *visited, const void *address);

void mo_visited_release(mo_visited *visited);

#ifdef __cplusplus
}
#endif
#endif
