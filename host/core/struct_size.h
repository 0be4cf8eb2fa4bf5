/* host/core/struct_size.h - structs that callers of other versions hand over.
 *
 * A public struct that may grow begins with struct_size, which its _INIT macro sets. Every front door takes such a struct
 * through here, so that the promise of modelout/version.h is kept in one place:
 *
 *   shorter than this version's    an older caller: members it does not know keep the defaults of the _INIT macro
 *   longer, nothing set behind     a newer caller that uses nothing new: welcome
 *   longer, something set behind   INVALID_ARGUMENT: this version would ignore what the caller asks for
 *   shorter than the first version's, or 0    INVALID_ARGUMENT names the _INIT macro
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_STRUCT_SIZE_H
#define MO_CORE_STRUCT_SIZE_H

#include <stddef.h>

#include "modelout/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The size of a struct whose last member is `last`: what the first version of it had. */
#define MO_SIZE_TO(type, last) (offsetof(type, last) + sizeof(((type *)0)->last))

/* MO_TAKE("cache", MO_CACHE_OPTIONS_INIT, given, MO_SIZE_TO(mo_cache_options, keeps_addresses), &options): `taken` points to a
 * struct of this version that was set by the _INIT macro; what `given` says is copied over it, struct_size is this version's.
 */
#define MO_TAKE(op, init, given, first_size, taken) mo_struct_take((op), #init, (given), (first_size), sizeof *(taken), (taken))

mo_status_t mo_struct_take(const char *op, const char *init, const void *given, size_t first_size, size_t known_size,
                           void *taken);

/* The same for a struct whose size does not stand in front: `taken` has it as it was given. */
mo_status_t mo_struct_take_bytes(const char *op, const char *init, const void *given, size_t given_size, size_t first_size,
                                 size_t known_size, void *taken);

#ifdef __cplusplus
}
#endif

#endif
