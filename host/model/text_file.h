/* host/model/text_file.h - the small files of a checkpoint folder: paths, whole-file reads, strict JSON.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_MODEL_TEXT_FILE_H
#define MO_MODEL_TEXT_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "host/core/error.h"

/* "DIRECTORY/NAME", to be freed. OUT_OF_MEMORY. */
mo_status_t mo_path_join(const char *directory, const char *name, char **path);

/* Whether DIRECTORY/NAME is there. OUT_OF_MEMORY. */
mo_status_t mo_file_exists(const char *directory, const char *name, bool *exists);

/* All of DIRECTORY/NAME, terminated, to be freed. IO_ERROR, BAD_FILE (over `limit` bytes), OUT_OF_MEMORY. */
mo_status_t mo_file_read(const char *directory, const char *name, size_t limit, char **text, size_t *bytes);

/* A JSON object without a key twice; `source` names it in sentences. Integers beyond 64 bits make all integers of the text
 * reals (Transformers writes 1e30 as an integer), and *integers_are_real says so (may be NULL: then they are BAD_FILE).
 * BAD_FILE, OUT_OF_MEMORY. */
mo_status_t mo_json_parse(const char *source, const char *text, size_t bytes, json_t **object, bool *integers_are_real);

/* A value as a sentence shows it: "\"gelu\"", "12", "a list of 3", cut where it is long, without control characters. */
typedef struct mo_json_shown {
  char text[80];
} mo_json_shown;

mo_json_shown mo_json_show(const json_t *value);

/* A name as a sentence shows it, likewise. */
mo_json_shown mo_name_show(const char *name);

#endif
