/* host/text/tokenizer.c - text to ids: added tokens, normal form, words, pieces, truncation, template.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/tokenizer.h"

#include "host/core/struct_size.h"
#include "host/text/tokenizer_internal.h"
#include "host/text/unicode.h"

void mo_tokenizer_destroy(mo_tokenizer_t *tokenizer) {
  if (tokenizer == NULL) return;
  mo_string_map_free(&tokenizer->ids);
  mo_wordpiece_free(&tokenizer->wordpiece);
  mo_added_tokens_free(&tokenizer->raw_tokens);
  mo_added_tokens_free(&tokenizer->normalized_tokens);
  free(tokenizer->single.pieces);
  free(tokenizer->pair.pieces);
  free(tokenizer->entries);
  free(tokenizer->texts);
  free(tokenizer);
}

int32_t mo_tokenizer_vocab_size(const mo_tokenizer_t *tokenizer) {
  if (tokenizer == NULL || tokenizer->entry_count == 0) return 0;
  return tokenizer->entries[tokenizer->entry_count - 1].id + 1;
}

int32_t mo_tokenizer_id(const mo_tokenizer_t *tokenizer, const char *token) {
  if (tokenizer == NULL || token == NULL) return -1;
  return (int32_t)mo_string_map_find(&tokenizer->ids, token, strlen(token));
}

const char *mo_tokenizer_token(const mo_tokenizer_t *tokenizer, int32_t id) {
  if (tokenizer == NULL) return NULL;
  size_t low = 0;
  size_t high = tokenizer->entry_count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (tokenizer->entries[middle].id < id) low = middle + 1;
    else high = middle;
  }
  return low < tokenizer->entry_count && tokenizer->entries[low].id == id ? tokenizer->entries[low].text : NULL;
}

int32_t mo_tokenizer_special_id(const mo_tokenizer_t *tokenizer, const char *name) {
  if (tokenizer == NULL || name == NULL) return -1;
  for (int i = 0; i < MO_SPECIAL_COUNT; ++i)
    if (strcmp(name, mo_special_keys[i]) == 0) return tokenizer->special_ids[i];
  return -1;
}

int64_t mo_tokenizer_max_length(const mo_tokenizer_t *tokenizer) { return tokenizer != NULL ? tokenizer->max_length : 0; }

bool mo_tokenizer_pads_left(const mo_tokenizer_t *tokenizer) {
  return tokenizer != NULL && tokenizer->padding_side == MO_SIDE_LEFT;
}

/* ---- One text ---- */

mo_status_t mo_tokenize_words(const mo_tokenizer_t *tokenizer, const char *text, size_t bytes, mo_id_buffer *ids) {
  const char *end = text + bytes;
  const char *word = text; /* where the word that is being read began */
  for (const char *at = text; at < end;) {
    size_t length;
    const uint32_t scalar = mo_utf8_decode(at, end, &length);
    const bool punctuation = mo_unicode_is_punctuation(scalar);
    if (punctuation || mo_unicode_is_whitespace(scalar)) {
      if (at > word) MO_TRY(mo_wordpiece_encode(&tokenizer->wordpiece, word, (size_t)(at - word), ids));
      if (punctuation) MO_TRY(mo_wordpiece_encode(&tokenizer->wordpiece, at, length, ids));
      word = at + length;
    }
    at += length;
  }
  return end > word ? mo_wordpiece_encode(&tokenizer->wordpiece, word, (size_t)(end - word), ids) : MO_STATUS_OK;
}

static mo_status_t tokenize_between(const mo_tokenizer_t *tokenizer, const char *text, size_t bytes, mo_text_buffer *normal,
                                    mo_id_buffer *ids) {
  normal->bytes = 0;
  MO_TRY(mo_bert_normalize(tokenizer->normalizer, text, bytes, normal));
  if (normal->bytes == 0) return MO_STATUS_OK;
  mo_text_splitter splitter;
  mo_text_span span;
  mo_text_split(&splitter, &tokenizer->normalized_tokens, normal->data, normal->bytes);
  while (mo_text_split_next(&splitter, &span)) {
    if (span.id >= 0) MO_TRY(mo_ids_append(ids, span.id));
    else MO_TRY(mo_tokenize_words(tokenizer, span.begin, (size_t)(span.end - span.begin), ids));
  }
  return MO_STATUS_OK;
}

static mo_status_t tokenize(const mo_tokenizer_t *tokenizer, const char *text, mo_text_buffer *normal, mo_id_buffer *ids) {
  if (text == NULL) return MO_STATUS_OK;
  mo_text_splitter splitter;
  mo_text_span span;
  mo_text_split(&splitter, &tokenizer->raw_tokens, text, strlen(text));
  while (mo_text_split_next(&splitter, &span)) {
    if (span.id >= 0) MO_TRY(mo_ids_append(ids, span.id));
    else MO_TRY(tokenize_between(tokenizer, span.begin, (size_t)(span.end - span.begin), normal, ids));
  }
  return MO_STATUS_OK;
}

/* ---- Truncation and template ---- */

/* `room` ids for both texts. The longer one gives way; when both must, they end equally long, the odd id going to the longer
 * (to the second if they are equal). */
static void truncate_longest(size_t room, size_t *first, size_t *second) {
  if (*first <= room && *second <= room - *first) return;
  size_t *shorter = *first <= *second ? first : second;
  size_t *longer = shorter == first ? second : first;
  if (*shorter > room / 2) *shorter = room / 2;
  *longer = room - *shorter;
}

typedef struct id_writer {
  int32_t *ids, *types;
  int64_t capacity, count;
} id_writer;

static void write_id(id_writer *writer, int32_t id, int32_t type) {
  if (writer->count < writer->capacity) {
    writer->ids[writer->count] = id;
    if (writer->types != NULL) writer->types[writer->count] = type;
  }
  ++writer->count;
}

/* The ids of a text that are kept when it is truncated: the first, or the last ones. */
typedef struct id_range {
  const int32_t *ids;
  size_t count;
} id_range;

static id_range keep_ids(const mo_tokenizer_t *tokenizer, const mo_id_buffer *text, size_t count) {
  const bool left = tokenizer->truncation_side == MO_SIDE_LEFT && text->count > count;
  return (id_range){left ? text->ids + (text->count - count) : text->ids, count};
}

static void write_template(const mo_template *pattern, bool with_specials, id_range first, id_range second, id_writer *writer) {
  for (size_t p = 0; p < pattern->count; ++p) {
    const mo_template_piece *piece = &pattern->pieces[p];
    if (piece->kind == MO_PIECE_KIND_SPECIAL) {
      if (with_specials) write_id(writer, piece->id, piece->type_id);
      continue;
    }
    const id_range text = piece->kind == MO_PIECE_KIND_FIRST ? first : second;
    for (size_t i = 0; i < text.count; ++i) write_id(writer, text.ids[i], piece->type_id);
  }
}

mo_status_t mo_tokenizer_encode(const mo_tokenizer_t *tokenizer, const char *text, const mo_encode_options *options,
                                int32_t *ids, int32_t *token_type_ids, int64_t capacity, int64_t *count) {
  mo_encode_options taken = MO_ENCODE_OPTIONS_INIT;
  MO_CHECK(tokenizer != NULL && text != NULL && count != NULL, MO_STATUS_INVALID_ARGUMENT,
           "tokenizer encode: tokenizer, text or count is NULL, all are required");
  if (options != NULL) {
    MO_TRY(MO_TAKE("tokenizer encode", MO_ENCODE_OPTIONS_INIT, options, MO_SIZE_TO(mo_encode_options, max_length), &taken));
  }
  options = &taken;
  MO_CHECK(capacity >= 0 && (capacity == 0 || ids != NULL), MO_STATUS_INVALID_ARGUMENT,
           "tokenizer encode: capacity %lld with %s ids, must be 0 or more, with memory for them", (long long)capacity,
           ids != NULL ? "" : "NULL");
  MO_CHECK(options->max_length >= 0, MO_STATUS_INVALID_ARGUMENT, "tokenizer encode: max_length %d, must not be negative",
           (int)options->max_length);
  const bool with_specials = !options->no_special_tokens;
  const mo_template *pattern = options->pair != NULL ? &tokenizer->pair : &tokenizer->single;
  const int64_t special_count = with_specials ? pattern->special_count : 0;
  MO_CHECK(options->max_length == 0 || options->max_length >= special_count, MO_STATUS_INVALID_ARGUMENT,
           "tokenizer encode: max_length %d has no room for %lld special tokens", (int)options->max_length,
           (long long)special_count);

  mo_text_buffer normal = {0};
  mo_id_buffer first = {0};
  mo_id_buffer second = {0};
  mo_status_t status;
  MO_TRY_GOTO(tokenize(tokenizer, text, &normal, &first), status, done);
  MO_TRY_GOTO(tokenize(tokenizer, options->pair, &normal, &second), status, done);
  size_t first_count = first.count;
  size_t second_count = second.count;
  if (options->max_length > 0) truncate_longest((size_t)(options->max_length - special_count), &first_count, &second_count);
  id_writer writer = {.ids = ids, .types = token_type_ids, .capacity = capacity};
  write_template(pattern, with_specials, keep_ids(tokenizer, &first, first_count), keep_ids(tokenizer, &second, second_count),
                 &writer);
  *count = writer.count;
done:
  free(normal.data);
  free(first.ids);
  free(second.ids);
  return status;
}
