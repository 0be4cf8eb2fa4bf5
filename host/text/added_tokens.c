/* host/text/added_tokens.c - tokens that are recognised in the text before it is split into words.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/text/added_tokens.h"

#include <stdlib.h>
#include <string.h>

#include "host/text/unicode.h"

mo_status_t mo_added_tokens_init(mo_added_tokens *set, size_t capacity) {
  memset(set, 0, sizeof *set);
  MO_TRY(mo_string_map_init(&set->by_pattern, capacity));
  set->tokens = calloc(capacity + 1, sizeof *set->tokens);
  if (set->tokens != NULL) return MO_STATUS_OK;
  mo_string_map_free(&set->by_pattern);
  return mo_fail(MO_STATUS_OUT_OF_MEMORY, "tokenizer: no memory for %zu added tokens", capacity);
}

void mo_added_tokens_free(mo_added_tokens *set) {
  for (size_t i = 0; i < set->count; ++i) free(set->tokens[i].pattern);
  free(set->tokens);
  mo_string_map_free(&set->by_pattern);
  memset(set, 0, sizeof *set);
}

mo_status_t mo_added_tokens_add(mo_added_tokens *set, const char *pattern, mo_added_token token) {
  token.bytes = strlen(pattern);
  if (token.bytes == 0 || mo_string_map_find(&set->by_pattern, pattern, token.bytes) >= 0) return MO_STATUS_OK;
  token.pattern = malloc(token.bytes + 1);
  MO_CHECK(token.pattern != NULL, MO_STATUS_OUT_OF_MEMORY, "tokenizer: no memory for an added token of %zu bytes", token.bytes);
  memcpy(token.pattern, pattern, token.bytes + 1);
  const mo_status_t status = mo_string_map_put(&set->by_pattern, token.pattern, token.bytes, (int64_t)set->count, NULL);
  if (status != MO_STATUS_OK) {
    free(token.pattern);
    return status;
  }
  set->starts[(unsigned char)pattern[0]] = true;
  set->tokens[set->count++] = token;
  return MO_STATUS_OK;
}

/* The longest token that begins exactly here, NULL if there is none. */
static const mo_added_token *match_at(const mo_added_tokens *set, const char *text, const char *end) {
  size_t limit = (size_t)(end - text);
  if (limit > set->by_pattern.longest_bytes) limit = set->by_pattern.longest_bytes;
  uint64_t hash = mo_string_hash_start(&set->by_pattern);
  const mo_added_token *longest = NULL;
  for (size_t bytes = 1; bytes <= limit; ++bytes) {
    hash = mo_string_hash_step(hash, (unsigned char)text[bytes - 1]);
    const int64_t found = mo_string_map_find_hashed(&set->by_pattern, hash, text, bytes);
    if (found >= 0) longest = &set->tokens[found];
  }
  return longest;
}

static bool is_inside_word(const mo_text_splitter *splitter, const char *begin, const char *end) {
  size_t bytes;
  return (begin > splitter->begin && mo_unicode_is_word(mo_utf8_decode_last(splitter->begin, begin, &bytes))) ||
         (end < splitter->end && mo_unicode_is_word(mo_utf8_decode(end, splitter->end, &bytes)));
}

static mo_text_span with_white_space(const mo_text_splitter *splitter, const mo_added_token *token, const char *begin) {
  mo_text_span span = {begin, begin + token->bytes, token->id};
  size_t bytes;
  while (token->lstrip && span.begin > splitter->done &&
         mo_unicode_is_whitespace(mo_utf8_decode_last(splitter->done, span.begin, &bytes)))
    span.begin -= bytes;
  while (token->rstrip && span.end < splitter->end && mo_unicode_is_whitespace(mo_utf8_decode(span.end, splitter->end, &bytes)))
    span.end += bytes;
  return span;
}

void mo_text_split(mo_text_splitter *splitter, const mo_added_tokens *set, const char *text, size_t bytes) {
  *splitter = (mo_text_splitter){.set = set, .begin = text, .end = text + bytes, .done = text, .search = text};
}

bool mo_text_split_next(mo_text_splitter *splitter, mo_text_span *span) {
  if (splitter->pending.begin != NULL) {
    *span = splitter->pending;
    splitter->pending.begin = NULL;
    splitter->done = span->end;
    return true;
  }
  while (splitter->search < splitter->end) {
    const char *begin = splitter->search;
    const mo_added_token *token =
        splitter->set->starts[(unsigned char)*begin] ? match_at(splitter->set, begin, splitter->end) : NULL;
    splitter->search = begin + (token != NULL ? token->bytes : 1);
    if (token == NULL || (token->single_word && is_inside_word(splitter, begin, begin + token->bytes))) continue;
    const mo_text_span found = with_white_space(splitter, token, begin);
    if (splitter->search < found.end) splitter->search = found.end;
    if (found.begin == splitter->done) {
      *span = found;
      splitter->done = found.end;
      return true;
    }
    *span = (mo_text_span){splitter->done, found.begin, -1};
    splitter->pending = found;
    return true;
  }
  if (splitter->done == splitter->end) return false;
  *span = (mo_text_span){splitter->done, splitter->end, -1};
  splitter->done = splitter->end;
  return true;
}
