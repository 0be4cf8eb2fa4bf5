/* host/text/wordpiece.c - WordPiece: a word as the longest pieces of a vocabulary, from left to right.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/text/wordpiece.h"

void mo_wordpiece_free(mo_wordpiece *wordpiece) {
  mo_string_map_free(&wordpiece->words);
  mo_string_map_free(&wordpiece->continuations);
}

static int64_t count_characters(const char *text, size_t bytes) {
  int64_t count = 0;
  for (size_t i = 0; i < bytes; ++i) count += ((unsigned char)text[i] & 0xC0) != 0x80;
  return count;
}

/* Bytes of the longest key the text begins with, 0 if there is none; *id is its value. Keys and text are valid UTF-8, so a
 * match ends where a character ends. */
static size_t longest_prefix(const mo_string_map *map, const char *text, size_t bytes, int32_t *id) {
  const size_t limit = bytes < map->longest_bytes ? bytes : map->longest_bytes;
  uint64_t hash = mo_string_hash_start(map);
  size_t longest = 0;
  for (size_t length = 1; length <= limit; ++length) {
    hash = mo_string_hash_step(hash, (unsigned char)text[length - 1]);
    const int64_t found = mo_string_map_find_hashed(map, hash, text, length);
    if (found < 0) continue;
    longest = length;
    *id = (int32_t)found;
  }
  return longest;
}

mo_status_t mo_wordpiece_encode(const mo_wordpiece *wordpiece, const char *word, size_t bytes, mo_id_buffer *ids) {
  const size_t count_before = ids->count;
  bool known =
      (int64_t)bytes <= wordpiece->word_characters_limit || count_characters(word, bytes) <= wordpiece->word_characters_limit;
  for (size_t begin = 0; known && begin < bytes;) {
    int32_t id;
    const mo_string_map *map = begin == 0 ? &wordpiece->words : &wordpiece->continuations;
    const size_t length = longest_prefix(map, word + begin, bytes - begin, &id);
    known = length > 0;
    if (known) MO_TRY(mo_ids_append(ids, id));
    begin += length;
  }
  if (known) return MO_STATUS_OK;
  ids->count = count_before;
  return mo_ids_append(ids, wordpiece->unknown_id);
}
