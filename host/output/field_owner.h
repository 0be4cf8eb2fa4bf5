/* host/output/field_owner.h - an object that a field made by hand holds alive, and how to find it again.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_OUTPUT_FIELD_OWNER_H
#define MO_OUTPUT_FIELD_OWNER_H

#include "modelout/field.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The field calls `release` with `owner` when it goes. Of a tuple, cache or dict made by hand that nobody else has seen yet. */
void mo_field_set_owner(mo_field *field, void *owner, mo_release_function release);

/* The owner set with this function; NULL if there is none. */
void *mo_field_owner(const mo_field *field, mo_release_function release);

#ifdef __cplusplus
}
#endif
#endif
