/* host/text/tokenizer_internal.h - what a tokenizer is made of; tokenizer_load.c fills it, tokenizer.c runs it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TEXT_TOKENIZER_INTERNAL_H
#define MO_TEXT_TOKENIZER_INTERNAL_H

#include "host/text/added_tokens.h"
#include "host/text/bert_normalizer.h"
#include "host/text/wordpiece.h"
#include "modelout/tokenizer.h"

typedef enum mo_piece_kind_t {
  MO_PIECE_KIND_SPECIAL = 0, /* one id of the template's own */
  MO_PIECE_KIND_FIRST = 1,   /* the ids of the text */
  MO_PIECE_KIND_SECOND = 2,  /* the ids of its pair */
} mo_piece_kind_t;

typedef struct mo_template_piece {
  mo_piece_kind_t kind;
  int32_t id; /* of a special piece */
  int32_t type_id;
} mo_template_piece;

typedef struct mo_template {
  mo_template_piece *pieces;
  size_t count, capacity;
  int64_t special_count;
} mo_template;

typedef struct mo_token_entry {
  const char *text; /* terminated, in `texts` */
  size_t bytes;
  int32_t id;
} mo_token_entry;

typedef enum mo_side_t { MO_SIDE_NONE = 0, MO_SIDE_RIGHT = 1, MO_SIDE_LEFT = 2 } mo_side_t;

/* The special tokens that settings name. */
enum { MO_SPECIAL_UNKNOWN, MO_SPECIAL_CLASSIFIER, MO_SPECIAL_SEPARATOR, MO_SPECIAL_PADDING, MO_SPECIAL_MASK, MO_SPECIAL_COUNT };

/* "unk_token" and so on. */
extern const char *const mo_special_keys[MO_SPECIAL_COUNT];

struct mo_tokenizer {
  char *texts;
  mo_token_entry *entries; /* sorted by id; vocabulary and added tokens */
  size_t entry_count;
  mo_string_map ids; /* of every token, added ones too */
  mo_wordpiece wordpiece;
  mo_normalizer_flags normalizer;
  mo_added_tokens raw_tokens;        /* looked for in the text as it is */
  mo_added_tokens normalized_tokens; /* looked for in the normal form of what lies between */
  mo_template single, pair;
  mo_side_t padding_side, truncation_side; /* NONE: right */
  int64_t max_length;                      /* of a text with its special tokens; 0: none */
  int32_t special_ids[MO_SPECIAL_COUNT];   /* -1: none */
};

/* Cuts normal text into words and appends their ids. */
mo_status_t mo_tokenize_words(const mo_tokenizer_t *tokenizer, const char *text, size_t bytes, mo_id_buffer *ids);

#endif
