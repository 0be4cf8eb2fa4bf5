/* host/text/tokenizer_json.c - a tokenizer from the text of a tokenizer.json.
 *
 * As in Transformers, of `truncation` and `padding` only the sides and the padding's token count, where the settings are silent
 * about them; `decoder` has no part in encoding.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/text_file.h"
#include "host/text/tokenizer_settings.h"

#define SOURCE "tokenizer.json"

#define BAD_VALUE(key, value, expected)                                                                                        \
  mo_fail(MO_STATUS_BAD_FILE, SOURCE ": %s is %s, must be %s", key, mo_json_show(value).text, expected)

/* NULL for absent and for null. */
static json_t *find(const json_t *object, const char *key) {
  json_t *value = json_object_get(object, key);
  return json_is_null(value) ? NULL : value;
}

static mo_status_t read_bool(const json_t *object, const char *key, bool fallback, bool *value) {
  const json_t *found = find(object, key);
  if (found != NULL && !json_is_boolean(found)) return BAD_VALUE(key, found, "true or false");
  *value = found == NULL ? fallback : json_is_true(found);
  return MO_STATUS_OK;
}

static mo_status_t read_string(const json_t *object, const char *key, const char *fallback, const char **value) {
  const json_t *found = find(object, key);
  if (found != NULL && !json_is_string(found)) return BAD_VALUE(key, found, "a string");
  if (found == NULL && fallback == NULL) return BAD_VALUE(key, found, "a string");
  *value = found == NULL ? fallback : json_string_value(found);
  return MO_STATUS_OK;
}

/* `type` of a part; "none" for a part that is absent or null. */
static mo_status_t read_type(const json_t *root, const char *part, const char **type) {
  const json_t *object = find(root, part);
  *type = "none";
  if (object == NULL) return MO_STATUS_OK;
  if (!json_is_object(object)) return BAD_VALUE(part, object, "an object or null");
  return read_string(object, "type", "unnamed", type);
}

/* The parts that the original knows; it refuses a file with others too. */
static mo_status_t check_parts(const json_t *root) {
  static const char *const known[] = {"version",       "truncation",     "padding", "added_tokens", "normalizer",
                                      "pre_tokenizer", "post_processor", "decoder", "model"};
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)root, key, value) {
    bool found = false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; ++i) found = found || strcmp(known[i], key) == 0;
    MO_CHECK(found, MO_STATUS_BAD_FILE, SOURCE ": \"%s\" is no part of a tokenizer", mo_name_show(key).text);
  }
  return MO_STATUS_OK;
}

static mo_status_t read_normalizer(const json_t *root, const mo_tokenizer_settings *settings, mo_tokenizer_draft *draft) {
  const char *type;
  MO_TRY(read_type(root, "normalizer", &type));
  const json_t *object = find(root, "normalizer");
  MO_CHECK(object == NULL || strcmp(type, "BertNormalizer") == 0, MO_STATUS_UNSUPPORTED,
           SOURCE ": the normalizer is a %s, BertNormalizer is supported", mo_name_show(type).text);
  const bool overridden = settings->rule == MO_TOKENIZER_RULE_BERT || settings->rule == MO_TOKENIZER_RULE_NORMALIZER;
  mo_normalizer_flags *flags = &draft->normalizer;
  *flags = (mo_normalizer_flags){.clean_text = overridden};
  if (object != NULL) {
    MO_TRY(read_bool(object, "clean_text", true, &flags->clean_text));
    MO_TRY(read_bool(object, "handle_chinese_chars", true, &flags->handle_chinese_chars));
    MO_TRY(read_bool(object, "lowercase", true, &flags->lowercase));
    MO_TRY(read_bool(object, "strip_accents", flags->lowercase, &flags->strip_accents));
  }
  draft->pattern_normalizer = *flags;
  if (!overridden) return MO_STATUS_OK;
  flags->handle_chinese_chars = settings->handle_chinese_chars;
  flags->lowercase = settings->lower_case;
  flags->strip_accents = settings->strip_accents;
  return MO_STATUS_OK;
}

static mo_status_t check_pre_tokenizer(const json_t *root) {
  const char *type;
  MO_TRY(read_type(root, "pre_tokenizer", &type));
  MO_CHECK(strcmp(type, "BertPreTokenizer") == 0, MO_STATUS_UNSUPPORTED,
           SOURCE ": the pre_tokenizer is a %s, BertPreTokenizer is supported", mo_name_show(type).text);
  return MO_STATUS_OK;
}

static mo_status_t read_model(const json_t *root, mo_tokenizer_draft *draft) {
  const char *type;
  json_t *model = find(root, "model");
  if (!json_is_object(model)) return BAD_VALUE("model", model, "an object");
  MO_TRY(read_type(root, "model", &type));
  /* Files of early releases leave the type out; only WordPiece has a continuing_subword_prefix beside a vocabulary alone. */
  const bool unnamed =
      strcmp(type, "unnamed") == 0 && find(model, "continuing_subword_prefix") != NULL && find(model, "merges") == NULL;
  MO_CHECK(unnamed || strcmp(type, "WordPiece") == 0, MO_STATUS_UNSUPPORTED, SOURCE ": the model is %s, WordPiece is supported",
           mo_name_show(type).text);
  MO_TRY(read_string(model, "unk_token", "[UNK]", &draft->unknown_token));
  MO_TRY(read_string(model, "continuing_subword_prefix", "##", &draft->continuation_prefix));
  const json_t *limit = find(model, "max_input_chars_per_word");
  if (limit != NULL && (!json_is_integer(limit) || json_integer_value(limit) < 0))
    return BAD_VALUE("max_input_chars_per_word", limit, "an integer, 0 or more");
  draft->word_characters_limit = limit == NULL ? 100 : json_integer_value(limit);
  json_t *vocabulary = find(model, "vocab");
  if (!json_is_object(vocabulary)) return BAD_VALUE("vocab", vocabulary, "an object");
  const char *token;
  json_t *id;
  json_object_foreach(vocabulary, token, id) {
    if (!json_is_integer(id)) return BAD_VALUE("an id of vocab", id, "an integer");
    MO_TRY(mo_tokenizer_draft_token(draft, token, strlen(token), json_integer_value(id)));
  }
  return MO_STATUS_OK;
}

static mo_status_t read_added_tokens(const json_t *root, mo_tokenizer_draft *draft) {
  const json_t *list = find(root, "added_tokens");
  if (list == NULL) return MO_STATUS_OK;
  if (!json_is_array(list)) return BAD_VALUE("added_tokens", list, "a list");
  for (size_t i = 0; i < json_array_size(list); ++i) {
    const json_t *entry = json_array_get(list, i);
    if (!json_is_object(entry)) return BAD_VALUE("an entry of added_tokens", entry, "an object");
    const json_t *id = find(entry, "id");
    if (!json_is_integer(id)) return BAD_VALUE("id of an added token", id, "an integer");
    MO_TRY(mo_tokenizer_draft_added_json(draft, SOURCE, entry, false, false));
  }
  return MO_STATUS_OK;
}

/* ---- The template ---- */

static mo_status_t read_id(const json_t *value, const char *key, int32_t *id) {
  if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > INT32_MAX)
    return BAD_VALUE(key, value, "an integer in 0..2147483647");
  *id = (int32_t)json_integer_value(value);
  return MO_STATUS_OK;
}

static mo_status_t read_special_piece(const json_t *special_tokens, const json_t *piece, int32_t type_id,
                                      mo_template *pattern) {
  const char *name;
  MO_TRY(read_string(piece, "id", NULL, &name));
  const json_t *ids = find(find(special_tokens, name), "ids");
  if (!json_is_array(ids)) return BAD_VALUE("ids of a special token of the template", ids, "a list of integers");
  for (size_t i = 0; i < json_array_size(ids); ++i) {
    int32_t id;
    MO_TRY(read_id(json_array_get(ids, i), "an id of a special token of the template", &id));
    MO_TRY(mo_template_append(pattern, MO_PIECE_KIND_SPECIAL, id, type_id));
  }
  return MO_STATUS_OK;
}

/* A template takes each text exactly once: what else would truncation mean. */
static mo_status_t read_template(const json_t *processor, const char *key, bool with_second, mo_template *pattern) {
  const json_t *pieces = find(processor, key);
  if (!json_is_array(pieces)) return BAD_VALUE(key, pieces, "a list");
  int uses[3] = {0};
  for (size_t i = 0; i < json_array_size(pieces); ++i) {
    const json_t *special = find(json_array_get(pieces, i), "SpecialToken");
    const json_t *sequence = find(json_array_get(pieces, i), "Sequence");
    const json_t *piece = special != NULL ? special : sequence;
    if (!json_is_object(piece)) return BAD_VALUE("a piece of the template", piece, "a SpecialToken or a Sequence");
    int32_t type_id;
    MO_TRY(read_id(find(piece, "type_id"), "type_id of the template", &type_id));
    if (special != NULL) {
      MO_TRY(read_special_piece(find(processor, "special_tokens"), piece, type_id, pattern));
      continue;
    }
    const char *name;
    MO_TRY(read_string(piece, "id", NULL, &name));
    if (strcmp(name, "A") != 0 && strcmp(name, "B") != 0) return BAD_VALUE("a Sequence", find(piece, "id"), "A or B");
    const mo_piece_kind_t kind = name[0] == 'A' ? MO_PIECE_KIND_FIRST : MO_PIECE_KIND_SECOND;
    if (++uses[kind] > 1) break; /* refused below */
    MO_TRY(mo_template_append(pattern, kind, 0, type_id));
  }
  MO_CHECK(uses[MO_PIECE_KIND_FIRST] == 1 && uses[MO_PIECE_KIND_SECOND] == (with_second ? 1 : 0), MO_STATUS_BAD_FILE,
           SOURCE ": the template \"%s\" takes A %d and B %d times, must be once and %s", key, uses[MO_PIECE_KIND_FIRST],
           uses[MO_PIECE_KIND_SECOND], with_second ? "once" : "never");
  return MO_STATUS_OK;
}

/* ["[SEP]", 102] */
static mo_status_t read_named_id(const json_t *processor, const char *key, int32_t *id) {
  const json_t *pair = find(processor, key);
  if (json_array_size(pair) != 2) return BAD_VALUE(key, pair, "a list of a token and its id");
  return read_id(json_array_get(pair, 1), key, id);
}

static mo_status_t read_post_processor(const json_t *root, mo_tokenizer_t *tokenizer) {
  const char *type;
  MO_TRY(read_type(root, "post_processor", &type));
  const json_t *processor = find(root, "post_processor");
  if (processor == NULL) return mo_templates_set_bert(tokenizer, -1, -1);
  const bool roberta = strcmp(type, "RobertaProcessing") == 0;
  if (roberta || strcmp(type, "BertProcessing") == 0) {
    int32_t cls, sep;
    MO_TRY(read_named_id(processor, "cls", &cls));
    MO_TRY(read_named_id(processor, "sep", &sep));
    return roberta ? mo_templates_set_roberta(tokenizer, cls, sep) : mo_templates_set_bert(tokenizer, cls, sep);
  }
  MO_CHECK(strcmp(type, "TemplateProcessing") == 0, MO_STATUS_UNSUPPORTED,
           SOURCE ": the post_processor is %s, TemplateProcessing, BertProcessing and RobertaProcessing are supported",
           mo_name_show(type).text);
  MO_TRY(read_template(processor, "single", false, &tokenizer->single));
  return read_template(processor, "pair", true, &tokenizer->pair);
}

/* ---- Sides ---- */

/* `direction` of the truncation or padding part. */
static mo_status_t read_side(const json_t *root, const char *part, mo_side_t *side) {
  const json_t *object = find(root, part);
  const char *direction;
  if (object == NULL) return MO_STATUS_OK;
  if (!json_is_object(object)) return BAD_VALUE(part, object, "an object or null");
  MO_TRY(read_string(object, "direction", "Right", &direction));
  const bool left = strcmp(direction, "Left") == 0;
  if (!left && strcmp(direction, "Right") != 0) return BAD_VALUE("direction", find(object, "direction"), "Left or Right");
  *side = left ? MO_SIDE_LEFT : MO_SIDE_RIGHT;
  return MO_STATUS_OK;
}

static mo_status_t read_sides(const json_t *root, const mo_tokenizer_settings *settings, mo_tokenizer_t *tokenizer) {
  MO_TRY(read_side(root, "truncation", &tokenizer->truncation_side));
  MO_TRY(read_side(root, "padding", &tokenizer->padding_side));
  const char *token = json_string_value(find(find(root, "padding"), "pad_token"));
  if (token != NULL && settings->specials[MO_SPECIAL_PADDING] == NULL)
    tokenizer->special_ids[MO_SPECIAL_PADDING] = mo_tokenizer_id(tokenizer, token);
  return MO_STATUS_OK;
}

mo_status_t mo_tokenizer_build_json(const char *text, size_t bytes, const mo_tokenizer_settings *settings,
                                    mo_tokenizer_t **tokenizer) {
  const mo_tokenizer_settings none = {.rule = MO_TOKENIZER_RULE_PLAIN};
  json_t *root;
  MO_TRY(mo_json_read_object(SOURCE, text, bytes, MO_JSON_PYTHON, &root));
  mo_tokenizer_draft draft = {.source = SOURCE};
  mo_tokenizer_t *made = NULL;
  mo_status_t status;
  if (settings == NULL) settings = &none;
  MO_TRY_GOTO(check_parts(root), status, done);
  MO_TRY_GOTO(read_normalizer(root, settings, &draft), status, done);
  MO_TRY_GOTO(read_model(root, &draft), status, done);
  MO_TRY_GOTO(check_pre_tokenizer(root), status, done);
  MO_TRY_GOTO(read_added_tokens(root, &draft), status, done);
  MO_TRY_GOTO(mo_tokenizer_settings_add_tokens(settings, &draft), status, done);
  MO_TRY_GOTO(mo_tokenizer_draft_build(&draft, &made), status, done);
  MO_TRY_GOTO(read_post_processor(root, made), status, done);
  MO_TRY_GOTO(read_sides(root, settings, made), status, done);
  mo_tokenizer_settings_finish(settings, made);
  *tokenizer = made;
  made = NULL;
done:
  mo_tokenizer_destroy(made);
  mo_tokenizer_draft_free(&draft);
  json_decref(root);
  return status;
}

mo_status_t mo_tokenizer_from_json(const char *text, size_t bytes, mo_tokenizer_t **tokenizer) {
  MO_CHECK(text != NULL && tokenizer != NULL, MO_STATUS_INVALID_ARGUMENT,
           "tokenizer: text or tokenizer is NULL, both are required");
  return mo_tokenizer_build_json(text, bytes, NULL, tokenizer);
}
