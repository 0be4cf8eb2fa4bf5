/* host/text/tokenizer_load.c - a tokenizer from a checkpoint folder, or from a vocab.txt.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/text_file.h"
#include "host/text/tokenizer_settings.h"
#include "host/text/unicode.h"

#define TOKENIZER_BYTES_LIMIT ((size_t)256 << 20)
#define VOCABULARY_SOURCE "vocab.txt"

/* ---- vocab.txt ---- */

static mo_status_t read_line(mo_tokenizer_draft *draft, const char *line, size_t bytes, int64_t number) {
  for (size_t at = 0; at < bytes;) {
    size_t length;
    const uint32_t scalar = mo_utf8_decode(line + at, line + bytes, &length);
    MO_CHECK(scalar != 0, MO_STATUS_BAD_FILE, VOCABULARY_SOURCE ": line %lld holds a NUL byte", (long long)number + 1);
    MO_CHECK(scalar != MO_REPLACEMENT_CHARACTER || length > 1, MO_STATUS_BAD_FILE,
             VOCABULARY_SOURCE ": line %lld is not valid UTF-8", (long long)number + 1);
    at += length;
  }
  return mo_tokenizer_draft_token(draft, line, bytes, number);
}

static mo_status_t read_lines(mo_tokenizer_draft *draft, const char *text, size_t bytes) {
  const char *end = text + bytes;
  for (int64_t number = 0; text < end; ++number) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    const char *stop = newline != NULL ? newline : end;
    size_t length = (size_t)(stop - text);
    if (length > 0 && text[length - 1] == '\r') --length;
    MO_TRY(read_line(draft, text, length, number));
    text = stop + 1;
    if (newline == NULL) break;
  }
  return MO_STATUS_OK;
}

/* The two that the template is made of must stand in some file; the original would make ids up for them. */
static mo_status_t set_template(const mo_tokenizer_draft *draft, const mo_tokenizer_settings *settings,
                                mo_tokenizer_t *tokenizer) {
  int32_t ids[MO_SPECIAL_COUNT] = {0};
  for (int i = MO_SPECIAL_CLASSIFIER; i <= MO_SPECIAL_SEPARATOR; ++i) {
    const char *name = settings->specials[i];
    MO_CHECK(name != NULL, MO_STATUS_BAD_FILE, "%s: %s is null, a text begins and ends with special tokens", draft->source,
             mo_special_keys[i]);
    MO_CHECK(
        mo_string_map_find(&tokenizer->wordpiece.words, name, strlen(name)) >= 0 || mo_tokenizer_settings_name(settings, i),
        MO_STATUS_BAD_FILE, "%s: the special token \"%s\" is not in the vocabulary", draft->source, mo_name_show(name).text);
    ids[i] = mo_tokenizer_id(tokenizer, name);
  }
  return mo_templates_set_bert(tokenizer, ids[MO_SPECIAL_CLASSIFIER], ids[MO_SPECIAL_SEPARATOR]);
}

static mo_status_t from_vocabulary(const char *text, size_t bytes, const mo_tokenizer_settings *settings,
                                   mo_tokenizer_t **tokenizer) {
  mo_tokenizer_draft draft = {
      .source = VOCABULARY_SOURCE,
      .normalizer = {.clean_text = true,
                     .handle_chinese_chars = settings->handle_chinese_chars,
                     .strip_accents = settings->strip_accents,
                     .lowercase = settings->lower_case},
      .word_characters_limit = 100,
      .unknown_token = settings->specials[MO_SPECIAL_UNKNOWN],
      .continuation_prefix = "##",
  };
  MO_CHECK(draft.unknown_token != NULL, MO_STATUS_BAD_FILE, VOCABULARY_SOURCE ": unk_token is null, WordPiece needs one");
  draft.pattern_normalizer = draft.normalizer;
  mo_tokenizer_t *made = NULL;
  mo_status_t status;
  MO_TRY_GOTO(read_lines(&draft, text, bytes), status, done);
  MO_TRY_GOTO(mo_tokenizer_settings_add_tokens(settings, &draft), status, done);
  MO_TRY_GOTO(mo_tokenizer_draft_build(&draft, &made), status, done);
  MO_TRY_GOTO(set_template(&draft, settings, made), status, done);
  mo_tokenizer_settings_finish(settings, made);
  *tokenizer = made;
  made = NULL;
done:
  mo_tokenizer_destroy(made);
  mo_tokenizer_draft_free(&draft);
  return status;
}

mo_status_t mo_tokenizer_from_vocab(const char *text, size_t bytes, bool lower_case, mo_tokenizer_t **tokenizer) {
  MO_CHECK(text != NULL && tokenizer != NULL, MO_STATUS_INVALID_ARGUMENT,
           "tokenizer: text or tokenizer is NULL, both are required");
  mo_tokenizer_settings settings = mo_tokenizer_settings_default();
  settings.lower_case = lower_case;
  settings.strip_accents = lower_case;
  return from_vocabulary(text, bytes, &settings, tokenizer);
}

/* ---- Folders ---- */

static mo_status_t load_file(const char *directory, bool is_json, const mo_tokenizer_settings *settings,
                             mo_tokenizer_t **tokenizer) {
  MO_CHECK(is_json || settings->rule == MO_TOKENIZER_RULE_BERT, MO_STATUS_UNSUPPORTED,
           VOCABULARY_SOURCE
           ": the folder's tokenizer class is not BERT's, without a tokenizer.json only that one is supported");
  char *text;
  size_t bytes;
  MO_TRY(mo_file_read(directory, is_json ? "tokenizer.json" : VOCABULARY_SOURCE, TOKENIZER_BYTES_LIMIT, &text, &bytes));
  const mo_status_t status =
      is_json ? mo_tokenizer_build_json(text, bytes, settings, tokenizer) : from_vocabulary(text, bytes, settings, tokenizer);
  free(text);
  return status;
}

mo_status_t mo_tokenizer_load(const char *directory, mo_tokenizer_t **tokenizer) {
  MO_CHECK(directory != NULL && tokenizer != NULL, MO_STATUS_INVALID_ARGUMENT,
           "tokenizer: directory or tokenizer is NULL, both are required");
  bool has_json;
  MO_TRY(mo_file_exists(directory, "tokenizer.json", &has_json));
  mo_tokenizer_settings settings;
  mo_status_t status = mo_tokenizer_settings_load(directory, has_json, &settings);
  if (status == MO_STATUS_OK) status = load_file(directory, has_json, &settings, tokenizer);
  mo_tokenizer_settings_release(&settings);
  return status;
}
