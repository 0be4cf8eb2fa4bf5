/* host/text/tokenizer_settings.c - what the side files of a folder say about its tokenizer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/text/tokenizer_settings.h"

#include "host/core/text_file.h"
#include "host/text/sentence_files.h"

#define SETTINGS_BYTES_LIMIT ((size_t)64 << 20)
#define CONFIG "tokenizer_config.json"
#define SPECIAL_MAP "special_tokens_map.json"
#define ADDED "added_tokens.json"

#define BAD_VALUE(source, key, value, expected)                                                                                \
  mo_fail(MO_STATUS_BAD_FILE, "%s: %s is %s, must be %s", source, key, mo_json_show(value).text, expected)

const char *const mo_special_keys[MO_SPECIAL_COUNT] = {"unk_token", "cls_token", "sep_token", "pad_token", "mask_token"};

mo_tokenizer_settings mo_tokenizer_settings_default(void) {
  return (mo_tokenizer_settings){
      .rule = MO_TOKENIZER_RULE_BERT,
      .lower_case = true,
      .strip_accents = true,
      .handle_chinese_chars = true,
      .specials = {"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"},
  };
}

void mo_tokenizer_settings_release(mo_tokenizer_settings *settings) {
  json_decref(settings->config);
  json_decref(settings->special_map);
  json_decref(settings->added);
  settings->config = settings->special_map = settings->added = NULL;
}

/* ---- Values of tokenizer_config.json ---- */

/* null only where the original takes it. */
static mo_status_t read_flag(const json_t *root, const char *key, bool takes_null, bool fallback, bool *value) {
  const json_t *found = json_object_get(root, key);
  *value = fallback;
  if (found == NULL || (takes_null && json_is_null(found))) return MO_STATUS_OK;
  if (!json_is_boolean(found)) return BAD_VALUE(CONFIG, key, found, "true or false");
  *value = json_is_true(found);
  return MO_STATUS_OK;
}

static mo_status_t read_side(const json_t *root, const char *key, mo_side_t *side) {
  const json_t *found = json_object_get(root, key);
  if (found == NULL) return MO_STATUS_OK;
  const char *text = json_string_value(found);
  const bool left = text != NULL && strcmp(text, "left") == 0;
  if (!left && (text == NULL || strcmp(text, "right") != 0)) return BAD_VALUE(CONFIG, key, found, "\"left\" or \"right\"");
  *side = left ? MO_SIDE_LEFT : MO_SIDE_RIGHT;
  return MO_STATUS_OK;
}

/* "max_len" is the name of early releases. */
static mo_status_t read_max_length(const json_t *root, int64_t *max_length) {
  const char *key = json_object_get(root, "model_max_length") != NULL ? "model_max_length" : "max_len";
  const json_t *found = json_object_get(root, key);
  if (found == NULL || json_is_null(found)) return MO_STATUS_OK;
  const double value = json_number_value(found);
  /* A real is what an integer beyond 64 bits was made; all integers of that file are reals then. */
  if (!json_is_number(found) || !(value >= 0) || (value < 9e15 && value != (double)(int64_t)value))
    return BAD_VALUE(CONFIG, key, found, "an integer, 0 or more");
  *max_length = value > INT32_MAX ? 0 : (int64_t)value;
  return MO_STATUS_OK;
}

/* ---- Special tokens ---- */

/* The text of a special token: a string, or an object with the string as `content`. NULL for null. */
static mo_status_t special_text(const char *source, const char *key, const json_t *value, const char **text) {
  const json_t *found = json_is_object(value) ? json_object_get(value, "content") : value;
  *text = NULL;
  if (json_is_null(value)) return MO_STATUS_OK;
  if (!json_is_string(found)) return BAD_VALUE(source, key, found, "a string, or an object with a string as content");
  *text = json_string_value(found);
  return MO_STATUS_OK;
}

/* What names the special token `key`: the map, where it counts, goes before tokenizer_config.json. NULL: no file. */
static const json_t *find_special(const mo_tokenizer_settings *settings, const char *key, const char **source) {
  const json_t *found = json_object_get(settings->special_map, key);
  *source = found != NULL ? SPECIAL_MAP : CONFIG;
  return found != NULL ? found : json_object_get(settings->config, key);
}

static mo_status_t read_specials(mo_tokenizer_settings *settings) {
  for (int i = 0; i < MO_SPECIAL_COUNT; ++i) {
    const char *source;
    const json_t *found = find_special(settings, mo_special_keys[i], &source);
    if (found != NULL) MO_TRY(special_text(source, mo_special_keys[i], found, &settings->specials[i]));
  }
  return MO_STATUS_OK;
}

/* `only_if_new` of an object; a string says nothing of a token that is known. */
static mo_status_t add_special(mo_tokenizer_draft *draft, const char *source, const char *key, const json_t *value,
                               bool only_if_new) {
  if (json_is_object(value)) return mo_tokenizer_draft_added_json(draft, source, value, true, only_if_new);
  const char *text;
  MO_TRY(special_text(source, key, value, &text));
  if (text == NULL) return MO_STATUS_OK;
  return mo_tokenizer_draft_added(draft, text, (mo_added_draft){.special = true, .only_if_new = true});
}

/* A list of special tokens, or an object of them by name. */
static mo_status_t add_more_specials(mo_tokenizer_draft *draft, const char *source, const char *key, const json_t *more) {
  if (more == NULL || json_is_null(more)) return MO_STATUS_OK;
  if (!json_is_array(more) && !json_is_object(more)) return BAD_VALUE(source, key, more, "a list or an object");
  const char *name;
  json_t *value;
  for (size_t i = 0; i < json_array_size(more); ++i) MO_TRY(add_special(draft, source, key, json_array_get(more, i), false));
  json_object_foreach((json_t *)more, name, value) MO_TRY(add_special(draft, source, key, value, false));
  return MO_STATUS_OK;
}

/* Whether the list of added tokens, the older files' or the one of tokenizer_config.json, has the last word on a named token.
 */
static bool is_listed(const mo_tokenizer_settings *settings, const json_t *named) {
  const char *key;
  json_t *entry;
  json_t *decoder = json_object_get(settings->config, "added_tokens_decoder");
  json_object_foreach(decoder, key, entry) {
    if (json_equal(json_object_get(entry, "content"), json_object_get(named, "content"))) return true;
  }
  return decoder == NULL;
}

static mo_status_t add_specials(const mo_tokenizer_settings *settings, mo_tokenizer_draft *draft) {
  static const char *const keys[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                     "pad_token", "cls_token", "mask_token"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; ++i) {
    const char *source;
    const json_t *found = find_special(settings, keys[i], &source);
    if (found != NULL) {
      MO_TRY(add_special(draft, source, keys[i], found, is_listed(settings, found)));
      continue;
    }
    if (i < 2 && settings->rule == MO_TOKENIZER_RULE_ROBERTA)
      MO_TRY(mo_tokenizer_draft_added(draft, i == 0 ? "<s>" : "</s>", (mo_added_draft){.special = true, .only_if_new = true}));
    for (int k = 0; k < MO_SPECIAL_COUNT; ++k)
      if (strcmp(keys[i], mo_special_keys[k]) == 0 && settings->specials[k] != NULL)
        MO_TRY(mo_tokenizer_draft_added(draft, settings->specials[k], (mo_added_draft){.special = true, .only_if_new = true}));
  }
  for (int i = 0; i < 2; ++i) {
    const char *key = i == 0 ? "additional_special_tokens" : "extra_special_tokens";
    MO_TRY(add_more_specials(draft, CONFIG, key, json_object_get(settings->config, key)));
    MO_TRY(add_more_specials(draft, SPECIAL_MAP, key, json_object_get(settings->special_map, key)));
  }
  return MO_STATUS_OK;
}

/* ---- Added tokens ---- */

typedef struct listed_token {
  int64_t id;
  size_t place; /* in the file, between equal ids */
  const char *text;
  const json_t *entry; /* NULL: added_tokens.json, which has no more than the text */
} listed_token;

static int compare_listed(const void *left, const void *right) {
  const listed_token *a = left;
  const listed_token *b = right;
  if (a->id != b->id) return a->id < b->id ? -1 : 1;
  return a->place < b->place ? -1 : a->place > b->place;
}

/* {"0": {"content": "[PAD]", ...}, ...} */
static mo_status_t read_decoder_entry(const char *key, const json_t *entry, listed_token *token) {
  char *end;
  token->id = strtoll(key, &end, 10);
  MO_CHECK(key[0] >= '0' && key[0] <= '9' && *end == '\0' && token->id < INT32_MAX, MO_STATUS_BAD_FILE,
           CONFIG ": added_tokens_decoder has the key \"%s\", its keys must be ids in 0..%d", mo_name_show(key).text,
           INT32_MAX - 1);
  MO_CHECK(json_is_object(entry), MO_STATUS_BAD_FILE, CONFIG ": added_tokens_decoder.%s is %s, must be an object",
           mo_name_show(key).text, mo_json_show(entry).text);
  token->entry = entry;
  return MO_STATUS_OK;
}

/* {"[NEW]": 30522, ...} */
static mo_status_t read_added_entry(const char *key, const json_t *id, listed_token *token) {
  const double value = json_number_value(id);
  MO_CHECK(json_is_integer(id) && value >= 0 && value < INT32_MAX, MO_STATUS_BAD_FILE,
           ADDED ": the id of \"%s\" is %s, must be an integer in 0..%d", mo_name_show(key).text, mo_json_show(id).text,
           INT32_MAX - 1);
  token->id = json_integer_value(id);
  token->text = key;
  return MO_STATUS_OK;
}

static bool is_special(const mo_tokenizer_settings *settings, const char *text) {
  for (int i = 0; i < MO_SPECIAL_COUNT; ++i)
    if (settings->specials[i] != NULL && strcmp(settings->specials[i], text) == 0) return true;
  return false;
}

static mo_status_t append_listed(const mo_tokenizer_settings *settings, mo_tokenizer_draft *draft, const listed_token *token) {
  if (token->entry != NULL) return mo_tokenizer_draft_added_json(draft, CONFIG, token->entry, false, false);
  const bool special = is_special(settings, token->text);
  return mo_tokenizer_draft_added(draft, token->text, (mo_added_draft){.special = special, .normalized = !special});
}

/* The tokens of added_tokens_decoder, or where there is none of added_tokens.json, in the order of their ids. */
static mo_status_t add_listed(const mo_tokenizer_settings *settings, mo_tokenizer_draft *draft) {
  json_t *decoder = json_object_get(settings->config, "added_tokens_decoder");
  json_t *listed = decoder != NULL ? decoder : settings->added;
  const size_t count = json_object_size(listed);
  if (count == 0) return MO_STATUS_OK;
  listed_token *tokens = calloc(count, sizeof *tokens);
  MO_CHECK(tokens != NULL, MO_STATUS_OUT_OF_MEMORY, "tokenizer: no memory for %zu added tokens", count);
  mo_status_t status = MO_STATUS_OK;
  size_t used = 0;
  for (void *i = json_object_iter(listed); i != NULL && status == MO_STATUS_OK; i = json_object_iter_next(listed, i)) {
    const char *key = json_object_iter_key(i);
    const json_t *value = json_object_iter_value(i);
    tokens[used].place = used;
    status = decoder != NULL ? read_decoder_entry(key, value, &tokens[used]) : read_added_entry(key, value, &tokens[used]);
    ++used;
  }
  if (status == MO_STATUS_OK) qsort(tokens, count, sizeof *tokens, compare_listed);
  for (size_t i = 0; i < count && status == MO_STATUS_OK; ++i) status = append_listed(settings, draft, &tokens[i]);
  free(tokens);
  return status;
}

bool mo_tokenizer_settings_name(const mo_tokenizer_settings *settings, int special) {
  const char *source;
  if (find_special(settings, mo_special_keys[special], &source) != NULL) return true;
  const char *text = settings->specials[special];
  const char *key;
  json_t *entry;
  json_object_foreach(json_object_get(settings->config, "added_tokens_decoder"), key, entry) {
    const char *content = json_string_value(json_object_get(entry, "content"));
    if (content != NULL && strcmp(content, text) == 0) return true;
  }
  return json_object_get(settings->added, text) != NULL;
}

mo_status_t mo_tokenizer_settings_add_tokens(const mo_tokenizer_settings *settings, mo_tokenizer_draft *draft) {
  draft->split_special_tokens = settings->split_special_tokens;
  MO_TRY(add_listed(settings, draft));
  return add_specials(settings, draft);
}

/* ---- The class ---- */

static mo_status_t take_class(const char *source, const json_t *name, mo_tokenizer_settings *settings) {
  if (!json_is_string(name)) return BAD_VALUE(source, "tokenizer_class", name, "a string");
  MO_CHECK(mo_tokenizer_class_rule(json_string_value(name), &settings->rule), MO_STATUS_UNSUPPORTED,
           "%s: tokenizer_class is %s, BERT's WordPiece is supported", source, mo_json_show(name).text);
  return MO_STATUS_OK;
}

/* Of a vocab.txt that no file names the class of, BERT's tokenizer is made. */
static mo_status_t find_class(const char *directory, bool has_json, mo_tokenizer_settings *settings) {
  static const char source[] = "config.json";
  const json_t *name = json_object_get(settings->config, "tokenizer_class");
  if (name != NULL && !json_is_null(name)) return take_class(CONFIG, name, settings);
  json_t *model;
  MO_TRY(mo_json_file_find_object(directory, source, SETTINGS_BYTES_LIMIT, &model));
  name = json_object_get(model, "tokenizer_class");
  mo_status_t status = MO_STATUS_OK;
  if (name != NULL && !json_is_null(name)) {
    status = take_class(source, name, settings);
  } else {
    const json_t *type = json_object_get(model, "model_type");
    const char *text = json_is_string(type) ? json_string_value(type) : "";
    if (!mo_tokenizer_model_type_rule(text, &settings->rule))
      status = mo_fail(MO_STATUS_UNSUPPORTED, "%s: model_type is %s, whose tokenizer is not supported; BERT's WordPiece is",
                       source, mo_json_show(type).text);
    if (!has_json && settings->rule != MO_TOKENIZER_RULE_NORMALIZER) settings->rule = MO_TOKENIZER_RULE_BERT;
  }
  json_decref(model);
  return status;
}

/* ---- All ---- */

static mo_status_t read_config(mo_tokenizer_settings *settings) {
  const json_t *root = settings->config;
  if (settings->rule == MO_TOKENIZER_RULE_BERT || settings->rule == MO_TOKENIZER_RULE_NORMALIZER) {
    MO_TRY(read_flag(root, "do_lower_case", false, true, &settings->lower_case));
    MO_TRY(read_flag(root, "strip_accents", true, settings->lower_case, &settings->strip_accents));
    MO_TRY(read_flag(root, "tokenize_chinese_chars", false, true, &settings->handle_chinese_chars));
  }
  MO_TRY(read_flag(root, "split_special_tokens", true, false, &settings->split_special_tokens));
  MO_TRY(read_side(root, "padding_side", &settings->padding_side));
  MO_TRY(read_side(root, "truncation_side", &settings->truncation_side));
  return read_max_length(root, &settings->max_length);
}

/* The older files count only where tokenizer_config.json does not list the added tokens itself. */
static mo_status_t load_older_files(const char *directory, mo_tokenizer_settings *settings) {
  const json_t *decoder = json_object_get(settings->config, "added_tokens_decoder");
  if (decoder != NULL && !json_is_object(decoder)) return BAD_VALUE(CONFIG, "added_tokens_decoder", decoder, "an object");
  if (decoder != NULL) return MO_STATUS_OK;
  MO_TRY(mo_json_file_find_object(directory, SPECIAL_MAP, SETTINGS_BYTES_LIMIT, &settings->special_map));
  return mo_json_file_find_object(directory, ADDED, SETTINGS_BYTES_LIMIT, &settings->added);
}

/* A sentence-transformers folder has a limit of its own, which goes before the tokenizer's, and may lower-case in addition. */
static mo_status_t read_sentence_settings(const char *directory, mo_tokenizer_settings *settings) {
  int64_t max_length = 0;
  bool lower_case = false;
  MO_TRY(mo_sentence_transformer_read(directory, &max_length, &lower_case));
  if (max_length > 0) settings->max_length = max_length;
  settings->lower_case_too = lower_case;
  return MO_STATUS_OK;
}

/* The names that a class gives by itself; those of BERT are there already. */
static void take_usual_names(mo_tokenizer_settings *settings) {
  static const char *const roberta[MO_SPECIAL_COUNT] = {"<unk>", "<s>", "</s>", "<pad>", "<mask>"};
  if (settings->rule == MO_TOKENIZER_RULE_BERT || settings->rule == MO_TOKENIZER_RULE_NORMALIZER) return;
  for (int i = 0; i < MO_SPECIAL_COUNT; ++i)
    settings->specials[i] = settings->rule == MO_TOKENIZER_RULE_ROBERTA ? roberta[i] : NULL;
}

mo_status_t mo_tokenizer_settings_load(const char *directory, bool has_json, mo_tokenizer_settings *settings) {
  *settings = mo_tokenizer_settings_default();
  MO_TRY(mo_json_file_find_object(directory, CONFIG, SETTINGS_BYTES_LIMIT, &settings->config));
  MO_TRY(find_class(directory, has_json, settings));
  MO_TRY(read_config(settings));
  MO_TRY(load_older_files(directory, settings));
  take_usual_names(settings);
  MO_TRY(read_specials(settings));
  return read_sentence_settings(directory, settings);
}

void mo_tokenizer_settings_finish(const mo_tokenizer_settings *settings, mo_tokenizer_t *tokenizer) {
  if (settings->padding_side != MO_SIDE_NONE) tokenizer->padding_side = settings->padding_side;
  if (settings->truncation_side != MO_SIDE_NONE) tokenizer->truncation_side = settings->truncation_side;
  /* A limit without room for the special tokens cuts nothing in the original. */
  if (settings->max_length >= tokenizer->single.special_count) tokenizer->max_length = settings->max_length;
  const mo_tokenizer_settings usual = mo_tokenizer_settings_default();
  for (int i = 0; i < MO_SPECIAL_COUNT; ++i) {
    const char *name = settings->specials[i] != NULL ? settings->specials[i] : usual.specials[i];
    if (tokenizer->special_ids[i] < 0) tokenizer->special_ids[i] = mo_tokenizer_id(tokenizer, name);
  }
  tokenizer->normalizer.lowercase = tokenizer->normalizer.lowercase || settings->lower_case_too;
}
