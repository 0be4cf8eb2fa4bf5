/* host/core/utf8.h - one character of UTF-8, checked.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_UTF8_H
#define MO_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the character that `bytes` begin with (1 to 4) and its code point; 0 if they are no valid UTF-8: cut short,
 * overlong, a surrogate, or past U+10FFFF. bytes_left must not be 0. */
static inline size_t mo_utf8_decode(const char *bytes, size_t bytes_left, uint32_t *code_point) {
  static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const unsigned char first = (unsigned char)bytes[0];
  *code_point = first;
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || length > bytes_left) return 0;
  uint32_t code = first & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    const unsigned char byte = (unsigned char)bytes[i];
    if ((byte & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte & 0x3F);
  }
  *code_point = code;
  return code < smallest[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF) ? 0 : length;
}

/* Whether all of a terminated text is UTF-8. */
static inline bool mo_utf8_is_valid(const char *text) {
  size_t left = strlen(text);
  while (left > 0) {
    uint32_t code_point;
    const size_t length = mo_utf8_decode(text, left, &code_point);
    if (length == 0) return false;
    text += length;
    left -= length;
  }
  return true;
}

/* Writes a code point (no surrogate, at most U+10FFFF) as 1 to 4 bytes; returns how many. */
static inline size_t mo_utf8_encode(uint32_t code, char *bytes) {
  if (code < 0x80) {
    bytes[0] = (char)code;
    return 1;
  }
  const size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = length - 1; i > 0; --i, code >>= 6) bytes[i] = (char)(0x80 | (code & 0x3F));
  bytes[0] = (char)((0xF00u >> length & 0xF0u) | code);
  return length;
}

#endif
