/* host/text/tokenizer_build.h - puts a tokenizer together from the tokens and settings that a file gives.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TEXT_TOKENIZER_BUILD_H
#define MO_TEXT_TOKENIZER_BUILD_H

#include <jansson.h>

#include "host/text/tokenizer_internal.h"

/* Longest token accepted. Real ones have a few dozen bytes; the search for the longest piece pays for the longest token. */
#define MO_TOKEN_BYTES_LIMIT ((size_t)4096)

/* Most pieces of a template, ids of its special tokens counted one by one. Real ones have fewer than ten; each text pays. */
#define MO_TEMPLATE_PIECES_LIMIT ((size_t)4096)

typedef struct mo_token_draft {
  size_t offset, bytes; /* in texts */
  int32_t id;
} mo_token_draft;

typedef struct mo_added_draft {
  size_t token;         /* index of its mo_token_draft */
  mo_added_token flags; /* id and pattern unset */
  bool normalized, special;
  bool only_if_new; /* says nothing of a token that was added before */
} mo_added_draft;

/* Collects; nothing points anywhere yet, as the texts still move. */
typedef struct mo_tokenizer_draft {
  mo_text_buffer texts; /* each terminated */
  mo_token_draft *tokens;
  size_t token_count, token_capacity;
  size_t vocabulary_count; /* the first tokens: the model's; the others are added ones */
  mo_added_draft *added;
  size_t added_count, added_capacity;
  mo_normalizer_flags normalizer;
  mo_normalizer_flags pattern_normalizer; /* of added tokens; as in the original, settings that change the other leave it */
  bool split_special_tokens;              /* special tokens are ordinary text */
  int64_t word_characters_limit;
  const char *unknown_token;
  const char *continuation_prefix;
  const char *source; /* the file's name, for sentences */
} mo_tokenizer_draft;

void mo_tokenizer_draft_free(mo_tokenizer_draft *draft);

/* A token of the vocabulary. BAD_FILE: too long, an id outside 0..2^31-2. */
mo_status_t mo_tokenizer_draft_token(mo_tokenizer_draft *draft, const char *text, size_t bytes, int64_t id);

/* A token to be recognised in the text, after all of the vocabulary. One the vocabulary has keeps the vocabulary's id; another
 * gets the next free one, as in the original, whatever id a file gives it. Of a token that is added twice the later flags
 * count. An empty text is none. */
mo_status_t mo_tokenizer_draft_added(mo_tokenizer_draft *draft, const char *text, mo_added_draft added);

/* The same from its JSON object (content, single_word, lstrip, rstrip, normalized, special); `special`: it is one whatever the
 * object says. BAD_FILE: a value of another type, in `source`. */
mo_status_t mo_tokenizer_draft_added_json(mo_tokenizer_draft *draft, const char *source, const json_t *entry, bool special,
                                          bool only_if_new);

/* Makes the tokenizer, without templates. BAD_FILE: two tokens of one id, no unknown token. On a second token of the same text
 * the later id counts. */
mo_status_t mo_tokenizer_draft_build(mo_tokenizer_draft *draft, mo_tokenizer_t **tokenizer);

/* BAD_FILE: the limit. */
mo_status_t mo_template_append(mo_template *pattern, mo_piece_kind_t kind, int32_t id, int32_t type_id);

/* [CLS] A [SEP] and [CLS] A [SEP] B [SEP], the second text and its end of type 1. cls or sep negative: without them. */
mo_status_t mo_templates_set_bert(mo_tokenizer_t *tokenizer, int32_t cls, int32_t sep);

/* <s> A </s> and <s> A </s> </s> B </s>, all of type 0. */
mo_status_t mo_templates_set_roberta(mo_tokenizer_t *tokenizer, int32_t cls, int32_t sep);

#endif
