/* modelout/version.h - the version of the library, at compile time and at run time.
 *
 * Promise: within one major version the ABI of everything declared under include/modelout/ is stable: structs that may
 * grow begin with `struct_size`, enum values are never renumbered, and functions are never removed. Before 1.0.0 a minor
 * version may break this; the shared object's SOVERSION is then "0.<minor>". Exported symbols carry the version that has them
 * first, MODELOUT_0.1.
 *
 * Structs with a struct_size grow at their end only, and every function treats them alike. A program that was compiled with an
 * older version hands over a shorter struct: the members it does not know keep their defaults. One compiled with a newer
 * version hands over a longer struct: that is fine while everything behind what the library knows is zero, else
 * INVALID_ARGUMENT, for the library would ignore what is asked. A struct_size that no version had (0: the _INIT macro was
 * forgotten) is INVALID_ARGUMENT, and the sentence names the macro.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_VERSION_H
#define MODELOUT_VERSION_H

#include "modelout/export.h"

#define MO_VERSION_MAJOR 0
#define MO_VERSION_MINOR 1
#define MO_VERSION_PATCH 0

/* One number that compares: 10000 * major + 100 * minor + patch. */
#define MO_VERSION_NUMBER (MO_VERSION_MAJOR * 10000 + MO_VERSION_MINOR * 100 + MO_VERSION_PATCH)

#ifdef __cplusplus
extern "C" {
#endif

/* The MO_VERSION_NUMBER the library was built with. A program may compare it with the one it was compiled with. */
MO_API int mo_version_number(void);

/* "major.minor.patch", static storage. */
MO_API const char *mo_version_string(void);

#ifdef __cplusplus
}
#endif
#endif
