/* host/text/tokenizer_settings.h - what the side files of a folder say about its tokenizer.
 *
 * tokenizer_config.json, special_tokens_map.json, added_tokens.json, and of config.json what names the tokenizer's class. The
 * rules are those of Transformers 4.57 (AutoTokenizer, the fast classes).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TEXT_TOKENIZER_SETTINGS_H
#define MO_TEXT_TOKENIZER_SETTINGS_H

#include "host/text/tokenizer_build.h"
#include "host/text/tokenizer_class.h"

typedef struct mo_tokenizer_settings {
  mo_tokenizer_rule_t rule;
  bool lower_case, strip_accents, handle_chinese_chars;
  bool lower_case_too; /* by the word of a sentence-transformers folder, with any class */
  bool split_special_tokens;
  mo_side_t padding_side, truncation_side; /* NONE: the files do not say */
  int64_t max_length;                      /* 0: none */
  const char *specials[MO_SPECIAL_COUNT];  /* strings of the files; NULL: none */
  json_t *config, *special_map, *added;    /* the files, NULL: none. added: only if its tokens count */
} mo_tokenizer_settings;

/* BERT's, without any file. */
mo_tokenizer_settings mo_tokenizer_settings_default(void);

/* Reads DIRECTORY's files, each if it is there. `has_json`: tokenizer.json is. To be released in any case. IO_ERROR, BAD_FILE,
 * UNSUPPORTED (a tokenizer class that does what is not done here, by name), OUT_OF_MEMORY. */
mo_status_t mo_tokenizer_settings_load(const char *directory, bool has_json, mo_tokenizer_settings *settings);
void mo_tokenizer_settings_release(mo_tokenizer_settings *settings);

/* Appends the tokens that the files add to those of the draft, in the order that decides about new ids. */
mo_status_t mo_tokenizer_settings_add_tokens(const mo_tokenizer_settings *settings, mo_tokenizer_draft *draft);

/* Whether some file names this special token, or lists it as an added one. */
bool mo_tokenizer_settings_name(const mo_tokenizer_settings *settings, int special);

/* Puts what concerns whole texts into the tokenizer that was made: sides, longest text, names of special tokens. */
void mo_tokenizer_settings_finish(const mo_tokenizer_settings *settings, mo_tokenizer_t *tokenizer);

/* A tokenizer from the text of a tokenizer.json, as the settings change it; NULL: as it is. In tokenizer_json.c. */
mo_status_t mo_tokenizer_build_json(const char *text, size_t bytes, const mo_tokenizer_settings *settings,
                                    mo_tokenizer_t **tokenizer);

#endif
