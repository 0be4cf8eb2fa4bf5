/* host/text/sentence_files.h - the files by which sentence-transformers describes a folder.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TEXT_SENTENCE_FILES_H
#define MO_TEXT_SENTENCE_FILES_H

#include "modelout/sentence.h"

/* Of the Transformer module in DIRECTORY (sentence_bert_config.json or one of its other names): max_seq_length, 0 if the files
 * do not say, and do_lower_case. IO_ERROR, BAD_FILE, UNSUPPORTED (arguments that change the tokenizer or the model, by name),
 * OUT_OF_MEMORY. */
mo_status_t mo_sentence_transformer_read(const char *directory, int64_t *max_length, bool *lower_case);

#endif
