/* host/core/show.h - text of files and callers as sentences and terminals show it.
 *
 * A name in a checkpoint may hold anything. Shown, it holds nothing that a terminal obeys or that turns the order of what
 * stands beside it: control characters (C0, DEL, C1), the marks of bidirectional text, line and paragraph separators and bytes
 * that are no UTF-8 are "?" each. Everything else stays as it is.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_SHOW_H
#define MO_CORE_SHOW_H

#include <stdbool.h>
#include <stddef.h>

typedef struct mo_shown {
  char text[128];
} mo_shown;

/* A name, cut behind its first 80 bytes ("..."). NULL: "(none)". */
mo_shown mo_name_show(const char *name);

/* A path, cut at its beginning ("..."), as its end says more. */
mo_shown mo_path_show(const char *path);

/* The first character of `text` (which must not be empty) as it is shown, at most 4 bytes and not terminated: how many bytes of
 * `text` it takes, and in *shown_bytes how many it has. */
size_t mo_show_character(const char *text, char shown[4], size_t *shown_bytes);

#endif
