/* host/core/text_file.c - the small files of a checkpoint folder: paths and whole-file reads.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/text_file.h"

#include <stdlib.h>
#include <string.h>

#include "host/core/file.h"

mo_status_t mo_path_join(const char *directory, const char *name, char **path) {
  const size_t directory_bytes = strlen(directory);
  const size_t name_bytes = strlen(name);
  char *joined = malloc(directory_bytes + name_bytes + 2);
  MO_CHECK(joined != NULL, MO_STATUS_OUT_OF_MEMORY, "checkpoint: no memory for a path of %zu bytes",
           directory_bytes + name_bytes);
  memcpy(joined, directory, directory_bytes);
  size_t used = directory_bytes;
  if (used > 0 && joined[used - 1] != '/') joined[used++] = '/';
  memcpy(joined + used, name, name_bytes + 1);
  *path = joined;
  return MO_STATUS_OK;
}

mo_status_t mo_file_exists(const char *directory, const char *name, bool *exists) {
  char *path;
  MO_TRY(mo_path_join(directory, name, &path));
  const mo_status_t status = mo_file_find(path, exists);
  free(path);
  return status;
}

mo_status_t mo_file_read(const char *directory, const char *name, size_t limit, char **text, size_t *bytes) {
  char *path;
  MO_TRY(mo_path_join(directory, name, &path));
  const mo_status_t status = mo_file_read_all(path, limit, text, bytes);
  free(path);
  return status;
}

typedef mo_status_t (*json_reader)(const char *source, const char *text, size_t bytes, mo_json_rules_t rules, json_t **value);

static mo_status_t find_json(const char *directory, const char *name, size_t limit, json_reader read, json_t **value) {
  bool exists;
  char *text;
  size_t bytes;
  *value = NULL;
  MO_TRY(mo_file_exists(directory, name, &exists));
  if (!exists) return MO_STATUS_OK;
  MO_TRY(mo_file_read(directory, name, limit, &text, &bytes));
  const mo_status_t status = read(name, text, bytes, MO_JSON_PYTHON, value);
  free(text);
  return status;
}

mo_status_t mo_json_file_find_object(const char *directory, const char *name, size_t limit, json_t **object) {
  return find_json(directory, name, limit, mo_json_read_object, object);
}

mo_status_t mo_json_file_find(const char *directory, const char *name, size_t limit, json_t **value) {
  return find_json(directory, name, limit, mo_json_read, value);
}
