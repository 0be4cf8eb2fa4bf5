/* host/text/unicode.h - UTF-8 and the character classes of the tokenizer.
 *
 * The classes are those of Hugging Face `tokenizers` (host/text/unicode_tables.h), which stand still; utf8proc gives the
 * decompositions, combining classes and lower case, and what its Unicode version adds or lacks against the original is listed
 * in unicode.c.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TEXT_UNICODE_H
#define MO_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MO_REPLACEMENT_CHARACTER 0xFFFDu

/* The next scalar value of begin..end (not empty) and in *bytes how long it is. An invalid byte is U+FFFD, 1 byte long. */
uint32_t mo_utf8_decode(const char *begin, const char *end, size_t *bytes);

/* The scalar value that ends at `end` of the not empty begin..end. */
uint32_t mo_utf8_decode_last(const char *begin, const char *end, size_t *bytes);

/* Writes 1 to 4 bytes, says how many. */
size_t mo_utf8_encode(uint32_t scalar, char bytes[4]);

/* White_Space of Unicode, as Rust's char::is_whitespace. */
bool mo_unicode_is_whitespace(uint32_t scalar);

/* Dropped by clean_text. */
bool mo_unicode_is_removed(uint32_t scalar);

/* ASCII punctuation (symbols such as $ and ~ too) and category P. */
bool mo_unicode_is_punctuation(uint32_t scalar);

/* Category Mn. */
bool mo_unicode_is_nonspacing_mark(uint32_t scalar);

/* The ideographs that become words of their own. */
bool mo_unicode_is_cjk(uint32_t scalar);

/* \w of Rust's regular expressions: letters, marks, decimal digits, connectors, joiners. */
bool mo_unicode_is_word(uint32_t scalar);

/* Canonical combining class, 0 for most. */
uint8_t mo_unicode_combining_class(uint32_t scalar);

/* Full canonical decomposition, 1 to 4 scalar values, not yet reordered; lower case, 1 or 2. Say how many. */
#define MO_DECOMPOSITION_LIMIT 4
size_t mo_unicode_decompose(uint32_t scalar, uint32_t parts[MO_DECOMPOSITION_LIMIT]);
size_t mo_unicode_lower(uint32_t scalar, uint32_t parts[2]);

#endif
