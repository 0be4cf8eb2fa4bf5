/* modelout/sentence.h - what a sentence-transformers folder says about embeddings of whole texts.
 *
 * Such a folder has a modules.json: a Transformer, and behind it what makes one vector out of its last hidden state. The
 * settings here say which pooling that is. What the Transformer's own file (sentence_bert_config.json) says about texts is
 * obeyed by mo_tokenizer_load. The rules are those of sentence-transformers 6.2.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_SENTENCE_H
#define MODELOUT_SENTENCE_H

#include "modelout/pooling.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_sentence_settings {
  size_t struct_size;
  bool is_sentence;          /* there is a modules.json; otherwise nothing below is said */
  char transformer_path[64]; /* where the model and its tokenizer lie, below the folder; "" is the folder itself */
  mo_pooling_mode_t pooling; /* 0: no pooling is declared */
  bool normalize;            /* the vectors are L2-normalised */
  bool only_direction;   /* of length other than `pooling` gives (mean_sqrt_len_tokens): only the normalised vector is right */
  char unsupported[256]; /* "" or what of the declarations is not done here, as a sentence: embeddings would be others */
} mo_sentence_settings;

#define MO_SENTENCE_SETTINGS_INIT MO_STRUCT_INIT(mo_sentence_settings)

/* Reads DIRECTORY/modules.json and the files of its modules. IO_ERROR, BAD_FILE (also a module path that leads out of the
 * folder), OUT_OF_MEMORY. What is valid but not done here (Dense, weighted means, several poolings, a default prompt) is no
 * error of this call: it stands in `unsupported`, for whoever pools. */
MO_API mo_status_t mo_sentence_load(const char *directory, mo_sentence_settings *settings);

#ifdef __cplusplus
}
#endif
#endif
