/* host/text/added_tokens.h - tokens that are recognised in the text before it is split into words: "[SEP]" and the like.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TEXT_ADDED_TOKENS_H
#define MO_TEXT_ADDED_TOKENS_H

#include "host/core/string_map.h"

typedef struct mo_added_token {
  char *pattern; /* what is looked for; owned */
  size_t bytes;
  int32_t id;
  bool single_word; /* not inside a word */
  bool lstrip;      /* takes the white space before it along */
  bool rstrip;      /* and behind it */
} mo_added_token;

typedef struct mo_added_tokens {
  mo_added_token *tokens;
  size_t count;
  mo_string_map by_pattern;
  bool starts[256]; /* bytes that some pattern begins with */
} mo_added_tokens;

/* Room for `capacity` tokens. OUT_OF_MEMORY. */
mo_status_t mo_added_tokens_init(mo_added_tokens *set, size_t capacity);

/* A zeroed set is fine. */
void mo_added_tokens_free(mo_added_tokens *set);

/* Copies the pattern. An empty one, or one that is there already, changes nothing: the first wins. OUT_OF_MEMORY. */
mo_status_t mo_added_tokens_add(mo_added_tokens *set, const char *pattern, mo_added_token token);

typedef struct mo_text_span {
  const char *begin, *end;
  int32_t id; /* of the token found; -1: ordinary text */
} mo_text_span;

/* Cuts a text: each call gives the next span, false at the end. Of the tokens that begin leftmost the longest is taken; no span
 * is empty. Time grows with the text's length times that of the longest token. */
typedef struct mo_text_splitter {
  const mo_added_tokens *set;
  const char *begin, *end; /* the whole text */
  const char *done;        /* spans up to here were given */
  const char *search;      /* no match begins before it */
  mo_text_span pending;    /* a token that was found, behind ordinary text given before it */
} mo_text_splitter;

void mo_text_split(mo_text_splitter *splitter, const mo_added_tokens *set, const char *text, size_t bytes);
bool mo_text_split_next(mo_text_splitter *splitter, mo_text_span *span);

#endif
