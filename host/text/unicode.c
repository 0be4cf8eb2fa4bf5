/* host/text/unicode.c - UTF-8 and the character classes of the tokenizer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/text/unicode.h"

#include <utf8proc.h>

#include "host/text/unicode_tables.h"

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

static bool contains(const mo_unicode_range *ranges, size_t count, uint32_t scalar) {
  size_t low = 0;
  size_t high = count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (scalar > ranges[middle].last) low = middle + 1;
    else high = middle;
  }
  return low < count && ranges[low].first <= scalar;
}

/* ---- UTF-8 ---- */

uint32_t mo_utf8_decode(const char *begin, const char *end, size_t *bytes) {
  const unsigned char *text = (const unsigned char *)begin;
  const size_t available = (size_t)(end - begin);
  *bytes = 1;
  if (text[0] < 0x80) return text[0];
  const size_t length = text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;
  if (text[0] < 0xC2 || text[0] > 0xF4 || length > available) return MO_REPLACEMENT_CHARACTER;
  uint32_t scalar = text[0] & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((text[i] & 0xC0) != 0x80) return MO_REPLACEMENT_CHARACTER;
    scalar = scalar << 6 | (text[i] & 0x3Fu);
  }
  static const uint32_t smallest[] = {0x80, 0x800, 0x10000}; /* a longer form than needed is invalid */
  if (scalar < smallest[length - 2] || scalar > 0x10FFFF || (scalar >= 0xD800 && scalar <= 0xDFFF))
    return MO_REPLACEMENT_CHARACTER;
  *bytes = length;
  return scalar;
}

uint32_t mo_utf8_decode_last(const char *begin, const char *end, size_t *bytes) {
  for (size_t back = 1; back <= 4 && back <= (size_t)(end - begin); ++back) {
    const uint32_t scalar = mo_utf8_decode(end - back, end, bytes);
    if (*bytes == back && scalar != MO_REPLACEMENT_CHARACTER) return scalar;
  }
  *bytes = 1;
  return MO_REPLACEMENT_CHARACTER;
}

size_t mo_utf8_encode(uint32_t scalar, char bytes[4]) {
  if (scalar < 0x80) {
    bytes[0] = (char)scalar;
    return 1;
  }
  const size_t length = scalar < 0x800 ? 2 : scalar < 0x10000 ? 3 : 4;
  for (size_t i = length - 1; i > 0; --i) {
    bytes[i] = (char)(0x80u | (scalar & 0x3Fu));
    scalar >>= 6;
  }
  static const unsigned char lead[] = {0xC0, 0xE0, 0xF0};
  bytes[0] = (char)(lead[length - 2] | scalar);
  return length;
}

/* ---- Classes ---- */

bool mo_unicode_is_whitespace(uint32_t scalar) {
  if (scalar < 0x80) return scalar == ' ' || (scalar >= '\t' && scalar <= '\r');
  return scalar == 0x85 || scalar == 0xA0 || scalar == 0x1680 || (scalar >= 0x2000 && scalar <= 0x200A) || scalar == 0x2028 ||
         scalar == 0x2029 || scalar == 0x202F || scalar == 0x205F || scalar == 0x3000;
}

bool mo_unicode_is_removed(uint32_t scalar) {
  if (scalar < 0x7F && scalar >= 0x20) return false;
  return scalar == 0 || contains(removed_ranges, LENGTH(removed_ranges), scalar);
}

bool mo_unicode_is_punctuation(uint32_t scalar) { return contains(punctuation_ranges, LENGTH(punctuation_ranges), scalar); }

bool mo_unicode_is_nonspacing_mark(uint32_t scalar) {
  return scalar >= 0x300 && contains(nonspacing_ranges, LENGTH(nonspacing_ranges), scalar);
}

bool mo_unicode_is_cjk(uint32_t scalar) {
  /* 0x2B820..0x2B91F are ideographs too; the original begins that block at 0x2B920, and so do its users' vocabularies. */
  static const mo_unicode_range ranges[] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},  {0x20000, 0x2A6DF},
                                            {0x2A700, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};
  return scalar >= 0x3400 && contains(ranges, LENGTH(ranges), scalar);
}

bool mo_unicode_is_word(uint32_t scalar) {
  /* Alphabetic beyond letters, letter numbers and marks: the circled and squared letters. */
  static const mo_unicode_range symbols[] = {{0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};
  switch (utf8proc_category((utf8proc_int32_t)scalar)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return scalar == 0x200C || scalar == 0x200D || contains(symbols, LENGTH(symbols), scalar);
  }
}

uint8_t mo_unicode_combining_class(uint32_t scalar) {
  /* A character's class never changes once it has one, so only the set of those that have one is the original's. */
  if (scalar < 0x300 || !contains(reordered_ranges, LENGTH(reordered_ranges), scalar)) return 0;
  return (uint8_t)utf8proc_get_property((utf8proc_int32_t)scalar)->combining_class;
}

/* ---- Mappings ---- */

size_t mo_unicode_decompose(uint32_t scalar, uint32_t parts[MO_DECOMPOSITION_LIMIT]) {
  /* Decompositions of Unicode 13 and later, which the original does not know. */
  static const mo_unicode_range newer[] = {{0x105C9, 0x105C9}, {0x105E4, 0x105E4}, {0x11383, 0x11385},
                                           {0x1138E, 0x1138E}, {0x11391, 0x11391}, {0x113C5, 0x113C8},
                                           {0x11938, 0x11938}, {0x16121, 0x16128}, {0x16D68, 0x16D6A}};
  if (scalar >= 0xC0 && !contains(newer, LENGTH(newer), scalar)) {
    utf8proc_int32_t buffer[MO_DECOMPOSITION_LIMIT];
    int unused = 0;
    const utf8proc_ssize_t count =
        utf8proc_decompose_char((utf8proc_int32_t)scalar, buffer, MO_DECOMPOSITION_LIMIT, UTF8PROC_DECOMPOSE, &unused);
    if (count >= 1 && count <= MO_DECOMPOSITION_LIMIT) {
      for (utf8proc_ssize_t i = 0; i < count; ++i) parts[i] = (uint32_t)buffer[i];
      return (size_t)count;
    }
  }
  parts[0] = scalar;
  return 1;
}

/* Lower case of letters that came after Unicode 15 (utf8proc 2.8), as tokenizers 0.23 has it. */
typedef struct lower_range {
  uint32_t first, last;
  uint32_t lower; /* of first; the others follow */
} lower_range;

static const lower_range newer_lower[] = {{0x1C89, 0x1C89, 0x1C8A},   {0xA7CB, 0xA7CB, 0x264},  {0xA7CC, 0xA7CC, 0xA7CD},
                                          {0xA7CE, 0xA7CE, 0xA7CF},   {0xA7D2, 0xA7D2, 0xA7D3}, {0xA7D4, 0xA7D4, 0xA7D5},
                                          {0xA7DA, 0xA7DA, 0xA7DB},   {0xA7DC, 0xA7DC, 0x19B},  {0x10D50, 0x10D65, 0x10D70},
                                          {0x16EA0, 0x16EB8, 0x16EBB}};

size_t mo_unicode_lower(uint32_t scalar, uint32_t parts[2]) {
  if (scalar < 0x80) {
    parts[0] = scalar >= 'A' && scalar <= 'Z' ? scalar + ('a' - 'A') : scalar;
    return 1;
  }
  if (scalar == 0x130) { /* the only one whose lower case is two characters: i and a dot above */
    parts[0] = 'i';
    parts[1] = 0x307;
    return 2;
  }
  parts[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)scalar);
  for (size_t i = 0; i < LENGTH(newer_lower); ++i)
    if (scalar >= newer_lower[i].first && scalar <= newer_lower[i].last)
      parts[0] = newer_lower[i].lower + (scalar - newer_lower[i].first);
  return 1;
}
