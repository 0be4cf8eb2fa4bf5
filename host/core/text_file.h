/* host/core/text_file.h - the small files of a checkpoint folder: paths and whole-file reads.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_TEXT_FILE_H
#define MO_CORE_TEXT_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "host/core/error.h"
#include "host/core/json.h"

/* "DIRECTORY/NAME", to be freed. OUT_OF_MEMORY. */
mo_status_t mo_path_join(const char *directory, const char *name, char **path);

/* Whether DIRECTORY/NAME is there (see mo_file_find). IO_ERROR, OUT_OF_MEMORY. */
mo_status_t mo_file_exists(const char *directory, const char *name, bool *exists);

/* All of DIRECTORY/NAME, terminated, to be freed (see mo_file_read_all). IO_ERROR, BAD_FILE (over `limit` bytes; a Git LFS
 * pointer), OUT_OF_MEMORY. */
mo_status_t mo_file_read(const char *directory, const char *name, size_t limit, char **text, size_t *bytes);

/* DIRECTORY/NAME as JSON, to be released with json_decref; NULL if there is no such file. An object is asked for, or any value.
 * IO_ERROR, BAD_FILE, OUT_OF_MEMORY. */
mo_status_t mo_json_file_find_object(const char *directory, const char *name, size_t limit, json_t **object);
mo_status_t mo_json_file_find(const char *directory, const char *name, size_t limit, json_t **value);

#endif
