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

/* From a checkpoint folder, as AutoTokenizer of Transformers 4.57 makes its fast tokenizer. The words come from tokenizer.json
 * (normalizer, pre-tokenizer, WordPiece model, added tokens, template), or if there is none from vocab.txt. Beside them count:
 * - the tokenizer's class: `tokenizer_class` of tokenizer_config.json, else of config.json, else the one of its `model_type`;
 * - where that is BERT's or one like it: do_lower_case, strip_accents and tokenize_chinese_chars of tokenizer_config.json
 *   (where it is silent: true, null, true). They win over tokenizer.json's normalizer;
 * - added_tokens_decoder of tokenizer_config.json; only where it is missing special_tokens_map.json (which wins over the
 *   names in tokenizer_config.json) and added_tokens.json. New tokens get the next free ids, in the order of the ids there;
 * - named special tokens (cls_token, additional_special_tokens, ...), which are recognised in the text. Without tokenizer.json
 *   they also make up the template;
 * - split_special_tokens, padding_side, truncation_side (else the directions in tokenizer.json), model_max_length; and of a
 *   sentence-transformers folder (modelout/sentence.h) max_seq_length and do_lower_case.
 * The lengths under truncation and padding in tokenizer.json, never_split and do_basic_tokenize have no effect, as there.
 * IO_ERROR, BAD_FILE, UNSUPPORTED (names the tokenizer class or the part of tokenizer.json), OUT_OF_MEMORY. */
MO_API mo_status_t mo_tokenizer_load(const char *directory, mo_tokenizer_t **tokenizer);

/* From the text of a tokenizer.json, taken as it is, or of a vocab.txt (one token a line; lower-casing). An added token that
 * the vocabulary lacks gets the next free id. BAD_FILE also for a template of more than 4096 pieces. */
MO_API mo_status_t mo_tokenizer_from_json(const char *text, size_t bytes, mo_tokenizer_t **tokenizer);
MO_API mo_status_t mo_tokenizer_from_vocab(const char *text, size_t bytes, bool lower_case, mo_tokenizer_t **tokenizer);

MO_API void mo_tokenizer_destroy(mo_tokenizer_t *tokenizer);

MO_API int32_t mo_tokenizer_vocab_size(const mo_tokenizer_t *tokenizer);

/* Id of a token, -1 if it is not in the vocabulary; token of an id, NULL out of range. */
MO_API int32_t mo_tokenizer_id(const mo_tokenizer_t *tokenizer, const char *token);
MO_API const char *mo_tokenizer_token(const mo_tokenizer_t *tokenizer, int32_t id);

/* Id of "unk_token", "cls_token", "sep_token", "pad_token" or "mask_token"; -1 if there is none. */
MO_API int32_t mo_tokenizer_special_id(const mo_tokenizer_t *tokenizer, const char *name);

/* How many tokens of a text, special ones included, the folder says to keep: max_seq_length of sentence-transformers, else
 * model_max_length. 0: all. Encoding does not cut by itself: give it as options.max_length, or what the model can take
 * (mo_model_max_length) if that is less. */
MO_API int64_t mo_tokenizer_max_length(const mo_tokenizer_t *tokenizer);

/* Whether the shorter texts of a batch are to be padded on the left. */
MO_API bool mo_tokenizer_pads_left(const mo_tokenizer_t *tokenizer);

typedef struct mo_encode_options {
  size_t struct_size;
  const char *pair;       /* second text, or NULL */
  bool no_special_tokens; /* leave out [CLS] and [SEP] */
  int32_t max_length;     /* > 0: truncate (the longer text first, at its truncation_side), special tokens included */
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
