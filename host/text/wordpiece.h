/* host/text/wordpiece.h - WordPiece: a word as the longest pieces of a vocabulary, from left to right.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TEXT_WORDPIECE_H
#define MO_TEXT_WORDPIECE_H

#include "host/core/string_map.h"
#include "host/text/text_buffer.h"

typedef struct mo_wordpiece {
  mo_string_map words;         /* every token, for the beginning of a word */
  mo_string_map continuations; /* tokens that begin with the continuation prefix ("##"), without it */
  int64_t word_characters_limit;
  int32_t unknown_id;
} mo_wordpiece;

/* A zeroed one is fine. */
void mo_wordpiece_free(mo_wordpiece *wordpiece);

/* Appends the ids of one word of valid UTF-8; the unknown id alone if it is too long or cannot be made of pieces. Time grows
 * with the word's length times that of the longest token. OUT_OF_MEMORY. */
mo_status_t mo_wordpiece_encode(const mo_wordpiece *wordpiece, const char *word, size_t bytes, mo_id_buffer *ids);

#endif
