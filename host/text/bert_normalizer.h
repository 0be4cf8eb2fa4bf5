/* host/text/bert_normalizer.h - BERT's text normalisation.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TEXT_BERT_NORMALIZER_H
#define MO_TEXT_BERT_NORMALIZER_H

#include <stdbool.h>

#include "host/text/text_buffer.h"

/* All false: text stays as it is, less invalid UTF-8. */
typedef struct mo_normalizer_flags {
  bool clean_text;           /* drop controls, make every white space a blank */
  bool handle_chinese_chars; /* blanks around ideographs */
  bool strip_accents;        /* decompose canonically, drop nonspacing marks */
  bool lowercase;            /* character by character, without context */
} mo_normalizer_flags;

/* Appends the normal form of text to `normal`, always valid UTF-8. Time grows linearly. OUT_OF_MEMORY. */
mo_status_t mo_bert_normalize(mo_normalizer_flags flags, const char *text, size_t bytes, mo_text_buffer *normal);

#endif
