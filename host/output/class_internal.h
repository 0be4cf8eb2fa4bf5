/* host/output/class_internal.h - what the library itself reads of the class table beyond modelout/class.h.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CLASS_INTERNAL_H
#define MO_CLASS_INTERNAL_H

#include "modelout/class.h"

typedef const char *const *mo_symbols; /* NULL-terminated */

/* The other shape a field may have (one token, several variables), NULL if it has one shape only. The class must be the
 * library's own. */
mo_symbols mo_class_alternative_shape(const mo_class *output_class, int32_t index);

#endif
