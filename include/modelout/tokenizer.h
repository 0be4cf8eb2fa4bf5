/* modelout/tokenizer.h - text to ids: BERT's WordPiece.
 *
 * Follows Hugging Face `tokenizers`: BertNormalizer (clean text, CJK spacing, accents, lower case), BertPreTokenizer,
 * WordPiece, and the template [CLS] A [SEP] (B [SEP]). Text is UTF-8; an invalid byte is read as U+FFFD.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_TOKENIZER_H
#define MODELOUT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "modelout/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_tokenizer mo_tokenizer_t;

/* From a checkpoint folder: tokenizer.json (its normalizer, pre-tokenizer, WordPiece model, special tokens and template) if
 * there is one, else vocab.txt with tokenizer_config.json's do_lower_case, strip_accents, tokenize_chinese_chars. IO_ERROR,
 * BAD_FILE, UNSUPPORTED (names the tokenizer type found), OUT_OF_MEMORY. */
MO_API mo_status_t mo_tokenizer_load(const char *directory, mo_tokenizer_t **tokenizer);

/* From the text of a tokenizer.json, or of a vocab.txt (one token a line; lower-casing). */
MO_API mo_status_t mo_tokenizer_from_json(const char *text, size_t bytes, mo_tokenizer_t **tokenizer);
MO_API mo_status_t mo_tokenizer_from_vocab(const char *text, size_t bytes, bool lower_case, mo_tokenizer_t **tokenizer);

MO_API void mo_tokenizer_destroy(mo_tokenizer_t *tokenizer);

MO_API int32_t mo_tokenizer_vocab_size(const mo_tokenizer_t *tokenizer);

/* Id of a token, -1 if it is not in the vocabulary; token of an id, NULL out of range. */
MO_API int32_t mo_tokenizer_id(const mo_tokenizer_t *tokenizer, const char *token);
MO_API const char *mo_tokenizer_token(const mo_tokenizer_t *tokenizer, int32_t id);

typedef struct mo_encode_options {
  size_t struct_size;
  const char *pair;       /* second text, or NULL */
  bool no_special_tokens; /* leave out [CLS] and [SEP] */
  int32_t max_length;     /* > 0: truncate (the longer text first), special tokens included */
} mo_encode_options;

#define MO_ENCODE_OPTIONS_INIT MO_STRUCT_INIT(mo_encode_options)

/* Encodes one text (or pair). Writes at most `capacity` ids and token type ids (token_type_ids may be NULL) and always says in
 * *count how many there are, so a first call with capacity 0 sizes the buffer. Thread-safe. */
MO_API mo_status_t mo_tokenizer_encode(const mo_tokenizer_t *tokenizer, const char *text, const mo_encode_options *options,
                                       int32_t *ids, int32_t *token_type_ids, int64_t capacity, int64_t *count);

#ifdef __cplusplus
}
#endif
#endif
