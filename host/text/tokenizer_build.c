/* host/text/tokenizer_build.c - puts a tokenizer together from the tokens and settings that a file gives.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/text/tokenizer_build.h"

#include "host/core/text_file.h"

void mo_tokenizer_draft_free(mo_tokenizer_draft *draft) {
  free(draft->texts.data);
  free(draft->tokens);
  free(draft->added);
  draft->texts = (mo_text_buffer){0};
  draft->tokens = NULL;
  draft->added = NULL;
}

static mo_status_t append_token(mo_tokenizer_draft *draft, const char *text, size_t bytes, int64_t id) {
  MO_CHECK(bytes <= MO_TOKEN_BYTES_LIMIT, MO_STATUS_BAD_FILE, "%s: a token of %zu bytes, at most %zu are accepted",
           draft->source, bytes, MO_TOKEN_BYTES_LIMIT);
  void *tokens = draft->tokens;
  MO_TRY(mo_array_reserve(&tokens, &draft->token_capacity, draft->token_count + 1, sizeof *draft->tokens));
  draft->tokens = tokens;
  const size_t offset = draft->texts.bytes;
  MO_TRY(mo_text_append(&draft->texts, text, bytes));
  MO_TRY(mo_text_append(&draft->texts, "", 1));
  MO_CHECK(id >= 0 && id < INT32_MAX, MO_STATUS_BAD_FILE, "%s: token \"%s\" has id %lld, must be in 0..%d", draft->source,
           mo_name_show(draft->texts.data + offset).text, (long long)id, INT32_MAX - 1);
  draft->tokens[draft->token_count++] = (mo_token_draft){offset, bytes, (int32_t)id};
  return MO_STATUS_OK;
}

mo_status_t mo_tokenizer_draft_token(mo_tokenizer_draft *draft, const char *text, size_t bytes, int64_t id) {
  MO_TRY(append_token(draft, text, bytes, id));
  draft->vocabulary_count = draft->token_count;
  return MO_STATUS_OK;
}

mo_status_t mo_tokenizer_draft_added(mo_tokenizer_draft *draft, const char *text, mo_added_draft added) {
  if (text[0] == '\0') return MO_STATUS_OK;
  void *list = draft->added;
  MO_TRY(mo_array_reserve(&list, &draft->added_capacity, draft->added_count + 1, sizeof *draft->added));
  draft->added = list;
  MO_TRY(append_token(draft, text, strlen(text), 0)); /* build_entries finds the id */
  added.token = draft->token_count - 1;
  draft->added[draft->added_count++] = added;
  return MO_STATUS_OK;
}

static mo_status_t read_flag(const char *source, const json_t *entry, const char *key, bool fallback, bool *value) {
  const json_t *found = json_object_get(entry, key);
  *value = fallback;
  if (found == NULL || json_is_null(found)) return MO_STATUS_OK;
  MO_CHECK(json_is_boolean(found), MO_STATUS_BAD_FILE, "%s: %s is %s, must be true or false", source, key,
           mo_json_show(found).text);
  *value = json_is_true(found);
  return MO_STATUS_OK;
}

mo_status_t mo_tokenizer_draft_added_json(mo_tokenizer_draft *draft, const char *source, const json_t *entry, bool special,
                                          bool only_if_new) {
  mo_added_draft added = {.only_if_new = only_if_new};
  const json_t *content = json_object_get(entry, "content");
  MO_CHECK(json_is_string(content), MO_STATUS_BAD_FILE, "%s: content is %s, must be a string", source,
           mo_json_show(content).text);
  MO_TRY(read_flag(source, entry, "single_word", false, &added.flags.single_word));
  MO_TRY(read_flag(source, entry, "lstrip", false, &added.flags.lstrip));
  MO_TRY(read_flag(source, entry, "rstrip", false, &added.flags.rstrip));
  MO_TRY(read_flag(source, entry, "special", false, &added.special));
  added.special = added.special || special;
  MO_TRY(read_flag(source, entry, "normalized", !added.special, &added.normalized));
  return mo_tokenizer_draft_added(draft, json_string_value(content), added);
}

static int compare_entries(const void *left, const void *right) {
  const mo_token_entry *a = left;
  const mo_token_entry *b = right;
  return a->id < b->id ? -1 : a->id > b->id;
}

/* The vocabulary's maps. */
static mo_status_t build_wordpiece(const mo_tokenizer_draft *draft, mo_tokenizer_t *tokenizer) {
  mo_wordpiece *wordpiece = &tokenizer->wordpiece;
  const size_t prefix_bytes = strlen(draft->continuation_prefix);
  size_t continuation_count = 0;
  for (size_t i = 0; i < draft->vocabulary_count; ++i)
    continuation_count += strncmp(tokenizer->texts + draft->tokens[i].offset, draft->continuation_prefix, prefix_bytes) == 0;
  MO_TRY(mo_string_map_init(&wordpiece->words, draft->vocabulary_count));
  MO_TRY(mo_string_map_init(&wordpiece->continuations, continuation_count));
  for (size_t i = 0; i < draft->vocabulary_count; ++i) {
    const mo_token_draft *token = &draft->tokens[i];
    const char *text = tokenizer->texts + token->offset;
    MO_TRY(mo_string_map_put(&wordpiece->words, text, token->bytes, token->id, NULL));
    if (strncmp(text, draft->continuation_prefix, prefix_bytes) == 0)
      MO_TRY(mo_string_map_put(&wordpiece->continuations, text + prefix_bytes, token->bytes - prefix_bytes, token->id, NULL));
  }
  wordpiece->word_characters_limit = draft->word_characters_limit;
  const int64_t unknown = mo_string_map_find(&wordpiece->words, draft->unknown_token, strlen(draft->unknown_token));
  MO_CHECK(unknown >= 0, MO_STATUS_BAD_FILE, "%s: the unknown token \"%s\" is not in the vocabulary", draft->source,
           mo_name_show(draft->unknown_token).text);
  wordpiece->unknown_id = (int32_t)unknown;
  return MO_STATUS_OK;
}

static mo_status_t put_entry(mo_tokenizer_t *tokenizer, const mo_token_draft *token, int32_t id) {
  const char *text = tokenizer->texts + token->offset;
  MO_TRY(mo_string_map_put(&tokenizer->ids, text, token->bytes, id, NULL));
  tokenizer->entries[tokenizer->entry_count++] = (mo_token_entry){text, token->bytes, id};
  return MO_STATUS_OK;
}

static mo_status_t check_ids_differ(const mo_tokenizer_draft *draft, mo_tokenizer_t *tokenizer) {
  qsort(tokenizer->entries, tokenizer->entry_count, sizeof *tokenizer->entries, compare_entries);
  for (size_t i = 1; i < tokenizer->entry_count; ++i)
    MO_CHECK(tokenizer->entries[i - 1].id != tokenizer->entries[i].id, MO_STATUS_BAD_FILE,
             "%s: tokens \"%s\" and \"%s\" both have id %d, ids must differ", draft->source,
             mo_name_show(tokenizer->entries[i - 1].text).text, mo_name_show(tokenizer->entries[i].text).text,
             (int)tokenizer->entries[i].id);
  return MO_STATUS_OK;
}

/* Every token by its text and by its id. New ids begin at the number of different tokens in the vocabulary, or behind the
 * largest id of an added one. */
static mo_status_t build_entries(const mo_tokenizer_draft *draft, mo_tokenizer_t *tokenizer) {
  tokenizer->entries = calloc(draft->token_count + 1, sizeof *tokenizer->entries);
  MO_CHECK(tokenizer->entries != NULL, MO_STATUS_OUT_OF_MEMORY, "tokenizer: no memory for %zu tokens", draft->token_count);
  MO_TRY(mo_string_map_init(&tokenizer->ids, draft->token_count));
  for (size_t i = 0; i < draft->vocabulary_count; ++i) MO_TRY(put_entry(tokenizer, &draft->tokens[i], draft->tokens[i].id));
  MO_TRY(check_ids_differ(draft, tokenizer));
  int64_t next_id = (int64_t)tokenizer->ids.count;
  for (size_t i = draft->vocabulary_count; i < draft->token_count; ++i) {
    const mo_token_draft *token = &draft->tokens[i];
    int64_t id = mo_string_map_find(&tokenizer->ids, tokenizer->texts + token->offset, token->bytes);
    if (id < 0) {
      id = next_id;
      MO_CHECK(id < INT32_MAX, MO_STATUS_BAD_FILE, "%s: no id is left for the added token \"%s\", ids end at %d", draft->source,
               mo_name_show(tokenizer->texts + token->offset).text, INT32_MAX - 1);
      MO_TRY(put_entry(tokenizer, token, (int32_t)id));
    }
    if (id >= next_id) next_id = id + 1;
  }
  qsort(tokenizer->entries, tokenizer->entry_count, sizeof *tokenizer->entries, compare_entries);
  return MO_STATUS_OK;
}

static mo_status_t add_pattern(const mo_added_draft *added, mo_normalizer_flags normalizer, mo_tokenizer_t *tokenizer,
                               const char *text, size_t bytes) {
  mo_added_token token = added->flags;
  token.id = (int32_t)mo_string_map_find(&tokenizer->ids, text, bytes);
  if (!added->normalized) return mo_added_tokens_add(&tokenizer->raw_tokens, text, token);
  mo_text_buffer normal = {0};
  mo_status_t status = mo_bert_normalize(normalizer, text, bytes, &normal);
  if (status == MO_STATUS_OK) status = mo_text_append(&normal, "", 1);
  if (status == MO_STATUS_OK) status = mo_added_tokens_add(&tokenizer->normalized_tokens, normal.data, token);
  free(normal.data);
  return status;
}

/* By the texts that are added: which entry of the draft says last how white space and words around it are taken, and which made
 * it special first. */
typedef struct added_index {
  mo_string_map last, special;
} added_index;

static mo_status_t index_added(const mo_tokenizer_draft *draft, const mo_tokenizer_t *tokenizer, added_index *index) {
  MO_TRY(mo_string_map_init(&index->last, draft->added_count));
  MO_TRY(mo_string_map_init(&index->special, draft->added_count));
  for (size_t i = 0; i < draft->added_count; ++i) {
    const mo_token_draft *token = &draft->tokens[draft->added[i].token];
    const char *text = tokenizer->texts + token->offset;
    if (draft->added[i].only_if_new && mo_string_map_find(&index->last, text, token->bytes) >= 0) continue;
    MO_TRY(mo_string_map_put(&index->last, text, token->bytes, (int64_t)i, NULL));
    if (draft->added[i].special && mo_string_map_find(&index->special, text, token->bytes) < 0)
      MO_TRY(mo_string_map_put(&index->special, text, token->bytes, (int64_t)i, NULL));
  }
  return MO_STATUS_OK;
}

/* Adds what entry `i` says to be looked for. Once a token is special, later entries only change its flags. */
static mo_status_t build_entry(const mo_tokenizer_draft *draft, const added_index *index, size_t i, mo_tokenizer_t *tokenizer) {
  const mo_token_draft *token = &draft->tokens[draft->added[i].token];
  const char *text = tokenizer->texts + token->offset;
  const int64_t last = mo_string_map_find(&index->last, text, token->bytes);
  const int64_t first_special = mo_string_map_find(&index->special, text, token->bytes);
  const bool late = first_special >= 0 && (int64_t)i > first_special;
  if (late || (draft->added[i].only_if_new && (int64_t)i > last)) return MO_STATUS_OK;
  mo_added_draft said = draft->added[last];
  said.normalized = draft->added[i].normalized;
  return add_pattern(&said, draft->pattern_normalizer, tokenizer, text, token->bytes);
}

/* Of two tokens with one pattern the first counts, special ones before others. */
static mo_status_t build_added(const mo_tokenizer_draft *draft, mo_tokenizer_t *tokenizer) {
  MO_TRY(mo_added_tokens_init(&tokenizer->raw_tokens, draft->added_count));
  MO_TRY(mo_added_tokens_init(&tokenizer->normalized_tokens, draft->added_count));
  added_index index = {0};
  mo_status_t status = index_added(draft, tokenizer, &index);
  for (int special = draft->split_special_tokens ? 0 : 1; special >= 0; --special)
    for (size_t i = 0; status == MO_STATUS_OK && i < draft->added_count; ++i)
      if (draft->added[i].special == (special == 1)) status = build_entry(draft, &index, i, tokenizer);
  mo_string_map_free(&index.last);
  mo_string_map_free(&index.special);
  return status;
}

mo_status_t mo_tokenizer_draft_build(mo_tokenizer_draft *draft, mo_tokenizer_t **tokenizer) {
  mo_tokenizer_t *made = calloc(1, sizeof *made);
  MO_CHECK(made != NULL, MO_STATUS_OUT_OF_MEMORY, "tokenizer: no memory for %zu bytes", sizeof *made);
  made->texts = draft->texts.data;
  draft->texts = (mo_text_buffer){0};
  made->normalizer = draft->normalizer;
  for (int i = 0; i < MO_SPECIAL_COUNT; ++i) made->special_ids[i] = -1;
  mo_status_t status;
  MO_TRY_GOTO(build_wordpiece(draft, made), status, failed);
  MO_TRY_GOTO(build_entries(draft, made), status, failed);
  MO_TRY_GOTO(build_added(draft, made), status, failed);
  *tokenizer = made;
  return MO_STATUS_OK;
failed:
  mo_tokenizer_destroy(made);
  return status;
}

mo_status_t mo_template_append(mo_template *pattern, mo_piece_kind_t kind, int32_t id, int32_t type_id) {
  MO_CHECK(pattern->count < MO_TEMPLATE_PIECES_LIMIT, MO_STATUS_BAD_FILE,
           "tokenizer: a template of more than %zu pieces, at most that many are accepted", MO_TEMPLATE_PIECES_LIMIT);
  void *pieces = pattern->pieces;
  MO_TRY(mo_array_reserve(&pieces, &pattern->capacity, pattern->count + 1, sizeof *pattern->pieces));
  pattern->pieces = pieces;
  pattern->pieces[pattern->count++] = (mo_template_piece){kind, id, type_id};
  if (kind == MO_PIECE_KIND_SPECIAL) ++pattern->special_count;
  return MO_STATUS_OK;
}

static mo_status_t append_special(mo_template *pattern, int32_t id, int32_t type_id) {
  return id < 0 ? MO_STATUS_OK : mo_template_append(pattern, MO_PIECE_KIND_SPECIAL, id, type_id);
}

mo_status_t mo_templates_set_bert(mo_tokenizer_t *tokenizer, int32_t cls, int32_t sep) {
  mo_template *const patterns[] = {&tokenizer->single, &tokenizer->pair};
  for (size_t i = 0; i < 2; ++i) {
    MO_TRY(append_special(patterns[i], cls, 0));
    MO_TRY(mo_template_append(patterns[i], MO_PIECE_KIND_FIRST, 0, 0));
    MO_TRY(append_special(patterns[i], sep, 0));
  }
  MO_TRY(mo_template_append(&tokenizer->pair, MO_PIECE_KIND_SECOND, 0, 1));
  return append_special(&tokenizer->pair, sep, 1);
}

mo_status_t mo_templates_set_roberta(mo_tokenizer_t *tokenizer, int32_t cls, int32_t sep) {
  mo_template *const patterns[] = {&tokenizer->single, &tokenizer->pair};
  for (size_t i = 0; i < 2; ++i) {
    MO_TRY(append_special(patterns[i], cls, 0));
    MO_TRY(mo_template_append(patterns[i], MO_PIECE_KIND_FIRST, 0, 0));
    MO_TRY(append_special(patterns[i], sep, 0));
  }
  MO_TRY(append_special(&tokenizer->pair, sep, 0));
  MO_TRY(mo_template_append(&tokenizer->pair, MO_PIECE_KIND_SECOND, 0, 0));
  return append_special(&tokenizer->pair, sep, 0);
}
