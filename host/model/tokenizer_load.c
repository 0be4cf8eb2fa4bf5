/* host/model/tokenizer_load.c - a tokenizer from a checkpoint folder, or from a vocab.txt.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/model/text_file.h"
#include "host/model/tokenizer_build.h"
#include "host/model/unicode.h"

#define TOKENIZER_BYTES_LIMIT ((size_t)256 << 20)
#define VOCABULARY_SOURCE "vocab.txt"
#define SETTINGS_SOURCE "tokenizer_config.json"

/* Those that BERT's tokenizer names, in this order of settings. */
enum { UNKNOWN, CLASSIFIER, SEPARATOR, PADDING, MASK, SPECIAL_COUNT };

typedef struct vocabulary_settings {
  bool lower_case, strip_accents, handle_chinese_chars;
  const char *specials[SPECIAL_COUNT];
  const json_t *added; /* added_tokens_decoder, NULL if there is none */
} vocabulary_settings;

static const vocabulary_settings default_settings = {
    .lower_case = true,
    .strip_accents = true,
    .handle_chinese_chars = true,
    .specials = {"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"},
};

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

static bool is_in_vocabulary(const mo_tokenizer_draft *draft, const char *token, int64_t *id) {
  const size_t bytes = strlen(token);
  for (size_t i = draft->vocabulary_count; i > 0; --i) { /* from the end: the last of several counts */
    const mo_token_draft *entry = &draft->tokens[i - 1];
    if (entry->bytes != bytes || memcmp(draft->texts.data + entry->offset, token, bytes) != 0) continue;
    *id = entry->id;
    return true;
  }
  return false;
}

static mo_status_t add_specials(mo_tokenizer_draft *draft, const vocabulary_settings *settings, int32_t ids[SPECIAL_COUNT]) {
  for (int i = 0; i < SPECIAL_COUNT; ++i) {
    int64_t id;
    ids[i] = -1;
    if (!is_in_vocabulary(draft, settings->specials[i], &id)) continue;
    ids[i] = (int32_t)id;
    MO_TRY(mo_tokenizer_draft_added(draft, settings->specials[i], id, (mo_added_draft){.special = true}));
  }
  for (int i = CLASSIFIER; i <= SEPARATOR; ++i)
    MO_CHECK(ids[i] >= 0, MO_STATUS_BAD_FILE, VOCABULARY_SOURCE ": the special token \"%s\" is not in the vocabulary",
             mo_name_show(settings->specials[i]).text);
  return MO_STATUS_OK;
}

/* {"0": {"content": "[PAD]", ...}, ...} */
static mo_status_t add_listed(mo_tokenizer_draft *draft, const json_t *added) {
  const char *key;
  json_t *entry;
  json_object_foreach((json_t *)added, key, entry) {
    char *end;
    const long long id = strtoll(key, &end, 10);
    MO_CHECK(key[0] >= '0' && key[0] <= '9' && *end == '\0', MO_STATUS_BAD_FILE,
             SETTINGS_SOURCE ": added_tokens_decoder has the key \"%s\", its keys must be ids", mo_name_show(key).text);
    MO_CHECK(json_is_object(entry), MO_STATUS_BAD_FILE, SETTINGS_SOURCE ": added_tokens_decoder.%s is %s, must be an object",
             mo_name_show(key).text, mo_json_show(entry).text);
    MO_TRY(mo_tokenizer_draft_added_json(draft, id, entry));
  }
  return MO_STATUS_OK;
}

static mo_status_t from_vocabulary(const char *text, size_t bytes, const vocabulary_settings *settings,
                                   mo_tokenizer_t **tokenizer) {
  mo_tokenizer_draft draft = {
      .source = VOCABULARY_SOURCE,
      .normalizer = {.clean_text = true,
                     .handle_chinese_chars = settings->handle_chinese_chars,
                     .strip_accents = settings->strip_accents,
                     .lowercase = settings->lower_case},
      .word_characters_limit = 100,
      .unknown_token = settings->specials[UNKNOWN],
      .continuation_prefix = "##",
  };
  mo_tokenizer_t *made = NULL;
  int32_t ids[SPECIAL_COUNT];
  mo_status_t status;
  MO_TRY_GOTO(read_lines(&draft, text, bytes), status, done);
  /* The settings' own list comes first: it may say more of a special token than its name. */
  if (settings->added != NULL) MO_TRY_GOTO(add_listed(&draft, settings->added), status, done);
  MO_TRY_GOTO(add_specials(&draft, settings, ids), status, done);
  MO_TRY_GOTO(mo_tokenizer_draft_build(&draft, &made), status, done);
  MO_TRY_GOTO(mo_templates_set_bert(made, ids[CLASSIFIER], ids[SEPARATOR]), status, done);
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
  vocabulary_settings settings = default_settings;
  settings.lower_case = lower_case;
  settings.strip_accents = lower_case;
  return from_vocabulary(text, bytes, &settings, tokenizer);
}

/* ---- tokenizer_config.json ---- */

static mo_status_t read_flag(const json_t *root, const char *key, bool fallback, bool *value) {
  const json_t *found = json_object_get(root, key);
  *value = fallback;
  if (found == NULL || json_is_null(found)) return MO_STATUS_OK;
  MO_CHECK(json_is_boolean(found), MO_STATUS_BAD_FILE, SETTINGS_SOURCE ": %s is %s, must be true, false or null", key,
           mo_json_show(found).text);
  *value = json_is_true(found);
  return MO_STATUS_OK;
}

/* A string, or an object with the string as `content`. */
static mo_status_t read_special(const json_t *root, const char *key, const char **value) {
  const json_t *found = json_object_get(root, key);
  if (json_is_object(found)) found = json_object_get(found, "content");
  if (found == NULL || json_is_null(found)) return MO_STATUS_OK;
  MO_CHECK(json_is_string(found), MO_STATUS_BAD_FILE, SETTINGS_SOURCE ": %s is %s, must be a string", key,
           mo_json_show(found).text);
  *value = json_string_value(found);
  return MO_STATUS_OK;
}

static mo_status_t check_class(const json_t *root) {
  static const char *const known[] = {"Bert",     "DistilBert",  "Electra",  "MobileBert",
                                      "ConvBert", "SqueezeBert", "Layoutlm", "RetriBert"};
  const json_t *name = json_object_get(root, "tokenizer_class");
  if (name == NULL || json_is_null(name)) return MO_STATUS_OK;
  MO_CHECK(json_is_string(name), MO_STATUS_BAD_FILE, SETTINGS_SOURCE ": tokenizer_class is %s, must be a string",
           mo_json_show(name).text);
  const char *text = json_string_value(name);
  for (size_t i = 0; i < sizeof known / sizeof known[0]; ++i) {
    const size_t bytes = strlen(known[i]);
    if (strncmp(text, known[i], bytes) != 0) continue;
    if (strcmp(text + bytes, "Tokenizer") == 0 || strcmp(text + bytes, "TokenizerFast") == 0) return MO_STATUS_OK;
  }
  return mo_fail(MO_STATUS_UNSUPPORTED, SETTINGS_SOURCE ": tokenizer_class is %s, BERT's WordPiece is supported",
                 mo_json_show(name).text);
}

static mo_status_t read_settings(const json_t *root, vocabulary_settings *settings) {
  static const char *const special_keys[SPECIAL_COUNT] = {"unk_token", "cls_token", "sep_token", "pad_token", "mask_token"};
  MO_TRY(check_class(root));
  MO_TRY(read_flag(root, "do_lower_case", true, &settings->lower_case));
  MO_TRY(read_flag(root, "strip_accents", settings->lower_case, &settings->strip_accents));
  MO_TRY(read_flag(root, "tokenize_chinese_chars", true, &settings->handle_chinese_chars));
  for (int i = 0; i < SPECIAL_COUNT; ++i) MO_TRY(read_special(root, special_keys[i], &settings->specials[i]));
  settings->added = json_object_get(root, "added_tokens_decoder");
  if (json_is_null(settings->added)) settings->added = NULL;
  MO_CHECK(settings->added == NULL || json_is_object(settings->added), MO_STATUS_BAD_FILE,
           SETTINGS_SOURCE ": added_tokens_decoder is %s, must be an object", mo_json_show(settings->added).text);
  return MO_STATUS_OK;
}

static mo_status_t load_vocabulary(const char *directory, mo_tokenizer_t **tokenizer) {
  vocabulary_settings settings = default_settings;
  char *text = NULL;
  char *settings_text = NULL;
  size_t bytes;
  json_t *root = NULL;
  bool has_settings;
  mo_status_t status;
  MO_TRY_GOTO(mo_file_exists(directory, SETTINGS_SOURCE, &has_settings), status, done);
  if (has_settings) {
    MO_TRY_GOTO(mo_file_read(directory, SETTINGS_SOURCE, TOKENIZER_BYTES_LIMIT, &settings_text, &bytes), status, done);
    MO_TRY_GOTO(mo_json_read_object(SETTINGS_SOURCE, settings_text, bytes, MO_JSON_PYTHON, &root), status, done);
    MO_TRY_GOTO(read_settings(root, &settings), status, done);
  }
  MO_TRY_GOTO(mo_file_read(directory, VOCABULARY_SOURCE, TOKENIZER_BYTES_LIMIT, &text, &bytes), status, done);
  status = from_vocabulary(text, bytes, &settings, tokenizer);
done:
  json_decref(root);
  free(settings_text);
  free(text);
  return status;
}

mo_status_t mo_tokenizer_load(const char *directory, mo_tokenizer_t **tokenizer) {
  MO_CHECK(directory != NULL && tokenizer != NULL, MO_STATUS_INVALID_ARGUMENT,
           "tokenizer: directory or tokenizer is NULL, both are required");
  bool found;
  MO_TRY(mo_file_exists(directory, "tokenizer.json", &found));
  if (!found) return load_vocabulary(directory, tokenizer);
  char *text;
  size_t bytes;
  MO_TRY(mo_file_read(directory, "tokenizer.json", TOKENIZER_BYTES_LIMIT, &text, &bytes));
  const mo_status_t status = mo_tokenizer_from_json(text, bytes, tokenizer);
  free(text);
  return status;
}
