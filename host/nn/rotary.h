/* host/nn/rotary.h - cosines and sines of a rotary embedding on the device; they grow with the positions asked for.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_ROTARY_H
#define MO_NN_ROTARY_H

#include "modelout/rotary.h"

/* Of the positions 0 .. count - 1, in one block. Zero: none yet. */
typedef struct mo_rotary_tables {
  void *memory;
  int64_t pairs; /* half of rotary_dim */
  int64_t count;
  int64_t length; /* of the sequence they are for, which dynamic scaling depends on */
} mo_rotary_tables;

/* Tables of at least `position_count` positions of a sequence of `length`. Does nothing once they are there, or where
 * rotary_dim is 0; growing waits for the device. */
mo_status_t mo_rotary_tables_prepare(mo_rotary_tables *tables, mo_context_t *context, const mo_rotary_config *config,
                                     int64_t position_count, int64_t length);
void mo_rotary_tables_release(mo_rotary_tables *tables, mo_context_t *context);

/* The first tables, when a model is loaded. */
mo_status_t mo_rotary_tables_load(mo_rotary_tables *tables, mo_context_t *context, const mo_rotary_config *config,
                                  int64_t position_count);

/* As the ops take them: `rotary` points to the other members, so a view stays where it was made. */
typedef struct mo_rotary_view {
  mo_tensor cosine, sine;
  mo_rotary rotary;
} mo_rotary_view;

void mo_rotary_tables_view(const mo_rotary_tables *tables, const mo_context_t *context, mo_rotary_view *view);

#endif
