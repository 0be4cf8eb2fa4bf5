/* host/text/bert_normalizer.c - BERT's text normalisation: one character at a time through the steps that are on.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/text/bert_normalizer.h"

#include "host/text/unicode.h"

#define INSERTION_SORT_LIMIT 16
#define CLASS_COUNT 256

typedef struct mark {
  uint32_t scalar;
  uint8_t combining_class;
} mark;

typedef struct normalizer {
  mo_normalizer_flags flags;
  mo_text_buffer *normal;
  /* Marks since the last character of class 0, waiting to be put in canonical order; the second half of the array is the
   * sort's. */
  mark *marks;
  size_t mark_count, mark_capacity;
} normalizer;

static mo_status_t emit(normalizer *state, uint32_t scalar) {
  uint32_t lower[2] = {scalar, 0};
  const size_t count = state->flags.lowercase ? mo_unicode_lower(scalar, lower) : 1;
  for (size_t i = 0; i < count; ++i) {
    char bytes[4];
    MO_TRY(mo_text_append(state->normal, bytes, mo_utf8_encode(lower[i], bytes)));
  }
  return MO_STATUS_OK;
}

static mo_status_t emit_unless_mark(normalizer *state, uint32_t scalar) {
  return mo_unicode_is_nonspacing_mark(scalar) ? MO_STATUS_OK : emit(state, scalar);
}

/* Stable, and linear in the number of marks: a text may be one letter under a million of them. */
static void sort_marks(mark *marks, size_t count) {
  if (count <= INSERTION_SORT_LIMIT) {
    for (size_t i = 1; i < count; ++i) {
      const mark moved = marks[i];
      size_t at = i;
      for (; at > 0 && marks[at - 1].combining_class > moved.combining_class; --at) marks[at] = marks[at - 1];
      marks[at] = moved;
    }
    return;
  }
  size_t starts[CLASS_COUNT + 1] = {0};
  mark *sorted = marks + count;
  for (size_t i = 0; i < count; ++i) ++starts[marks[i].combining_class + 1];
  for (size_t i = 0; i < CLASS_COUNT; ++i) starts[i + 1] += starts[i];
  for (size_t i = 0; i < count; ++i) sorted[starts[marks[i].combining_class]++] = marks[i];
  memcpy(marks, sorted, count * sizeof *marks);
}

static mo_status_t flush_marks(normalizer *state) {
  sort_marks(state->marks, state->mark_count);
  for (size_t i = 0; i < state->mark_count; ++i) MO_TRY(emit_unless_mark(state, state->marks[i].scalar));
  state->mark_count = 0;
  return MO_STATUS_OK;
}

static mo_status_t add_decomposed(normalizer *state, uint32_t scalar) {
  const uint8_t combining_class = mo_unicode_combining_class(scalar);
  if (combining_class == 0) {
    if (state->mark_count > 0) MO_TRY(flush_marks(state));
    return emit_unless_mark(state, scalar);
  }
  void *marks = state->marks;
  MO_TRY(mo_array_reserve(&marks, &state->mark_capacity, 2 * (state->mark_count + 1), sizeof *state->marks));
  state->marks = marks;
  state->marks[state->mark_count++] = (mark){scalar, combining_class};
  return MO_STATUS_OK;
}

static mo_status_t add(normalizer *state, uint32_t scalar) {
  if (!state->flags.strip_accents) return emit(state, scalar);
  uint32_t parts[MO_DECOMPOSITION_LIMIT];
  const size_t count = mo_unicode_decompose(scalar, parts);
  for (size_t i = 0; i < count; ++i) MO_TRY(add_decomposed(state, parts[i]));
  return MO_STATUS_OK;
}

static mo_status_t add_spaced(normalizer *state, uint32_t scalar) {
  const bool spaced = state->flags.handle_chinese_chars && mo_unicode_is_cjk(scalar);
  if (spaced) MO_TRY(add(state, ' '));
  MO_TRY(add(state, scalar));
  return spaced ? add(state, ' ') : MO_STATUS_OK;
}

static mo_status_t normalize(normalizer *state, const char *text, const char *end) {
  while (text < end) {
    size_t length;
    uint32_t scalar = mo_utf8_decode(text, end, &length);
    text += length;
    if (state->flags.clean_text) {
      if (mo_unicode_is_removed(scalar)) continue;
      if (mo_unicode_is_whitespace(scalar)) scalar = ' ';
    }
    MO_TRY(add_spaced(state, scalar));
  }
  return flush_marks(state);
}

mo_status_t mo_bert_normalize(mo_normalizer_flags flags, const char *text, size_t bytes, mo_text_buffer *normal) {
  normalizer state = {.flags = flags, .normal = normal};
  const mo_status_t status = normalize(&state, text, text + bytes);
  free(state.marks);
  return status;
}
