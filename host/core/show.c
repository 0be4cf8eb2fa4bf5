/* host/core/show.c - text of files and callers as sentences and terminals show it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/show.h"

#include <string.h>

#include "host/core/utf8.h"

#define NAME_BYTES ((size_t)80)

/* Marks and controls of bidirectional text: Unicode's Bidi_Control; and its two separators. */
static bool upsets_terminals(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x061C || code == 0x200E || code == 0x200F ||
         (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

size_t mo_show_character(const char *text, char shown[4], size_t *shown_bytes) {
  uint32_t code;
  const size_t available = strnlen(text, 4);
  const size_t length = mo_utf8_decode(text, available, &code);
  if (length == 0 || upsets_terminals(code)) {
    shown[0] = '?';
    *shown_bytes = 1;
    return length > 0 ? length : 1;
  }
  memcpy(shown, text, length);
  *shown_bytes = length;
  return length;
}

/* Cuts behind `limit` bytes. */
static mo_shown show(const char *text, size_t limit) {
  mo_shown result;
  size_t used = 0, end = 0; /* end: where a cut would be */
  while (*text != '\0') {
    char shown[4];
    size_t bytes;
    text += mo_show_character(text, shown, &bytes);
    if (used + bytes > limit) {
      memcpy(result.text + end, "...", 4);
      return result;
    }
    memcpy(result.text + used, shown, bytes);
    used += bytes;
    if (used + 3 <= limit) end = used;
  }
  result.text[used] = '\0';
  return result;
}

mo_shown mo_name_show(const char *name) { return show(name != NULL ? name : "(none)", NAME_BYTES); }

mo_shown mo_path_show(const char *path) {
  const size_t limit = sizeof(mo_shown) - 1;
  const size_t length = strlen(path);
  if (length <= limit) return show(path, limit);
  path += length - (limit - 3);
  while (((unsigned char)*path & 0xC0) == 0x80) path++; /* do not begin within a character */
  const mo_shown end = show(path, limit - 3);
  mo_shown result = {"..."};
  memcpy(result.text + 3, end.text, strlen(end.text) + 1);
  return result;
}
