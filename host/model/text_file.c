/* host/model/text_file.c - the small files of a checkpoint folder: paths, whole-file reads, strict JSON.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/model/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
  struct stat found;
  *exists = stat(path, &found) == 0;
  free(path);
  return MO_STATUS_OK;
}

static mo_status_t read_stream(const char *path, FILE *stream, size_t limit, char **text, size_t *bytes) {
  size_t used = 0;
  size_t capacity = 1 << 16;
  char *memory = malloc(capacity);
  while (memory != NULL) {
    used += fread(memory + used, 1, capacity - used - 1, stream);
    if (ferror(stream)) {
      const int reason = errno;
      free(memory);
      return mo_fail(MO_STATUS_IO_ERROR, "%s: cannot be read: %s", path, strerror(reason));
    }
    if (used > limit) {
      free(memory);
      return mo_fail(MO_STATUS_BAD_FILE, "%s: over %zu bytes, the limit for this file", path, limit);
    }
    if (used < capacity - 1) { /* a short count without an error is the end of the file */
      memory[used] = '\0';
      *text = memory;
      *bytes = used;
      return MO_STATUS_OK;
    }
    capacity *= 2;
    char *larger = realloc(memory, capacity);
    if (larger == NULL) free(memory);
    memory = larger;
  }
  return mo_fail(MO_STATUS_OUT_OF_MEMORY, "%s: no memory for %zu bytes", path, capacity);
}

mo_status_t mo_file_read(const char *directory, const char *name, size_t limit, char **text, size_t *bytes) {
  char *path;
  MO_TRY(mo_path_join(directory, name, &path));
  mo_status_t status;
  FILE *stream = fopen(path, "rb");
  if (stream == NULL) {
    status = mo_fail(MO_STATUS_IO_ERROR, "%s: cannot be opened: %s", path, strerror(errno));
  } else {
    status = read_stream(path, stream, limit, text, bytes);
    fclose(stream); /* read only: nothing to lose */
  }
  free(path);
  return status;
}

mo_status_t mo_json_parse(const char *source, const char *text, size_t bytes, json_t **object, bool *integers_are_real) {
  json_error_t error;
  json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
  if (integers_are_real != NULL) {
    *integers_are_real = root == NULL && json_error_code(&error) == json_error_numeric_overflow;
    if (*integers_are_real) root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
  }
  if (root == NULL) {
    if (json_error_code(&error) == json_error_out_of_memory)
      return mo_fail(MO_STATUS_OUT_OF_MEMORY, "%s: no memory for %zu bytes of JSON", source, bytes);
    return mo_fail(MO_STATUS_BAD_FILE, "%s: line %d, column %d: %s, valid JSON is required", source, error.line, error.column,
                   mo_name_show(error.text).text);
  }
  if (!json_is_object(root)) {
    json_decref(root);
    return mo_fail(MO_STATUS_BAD_FILE, "%s: the file is no JSON object", source);
  }
  *object = root;
  return MO_STATUS_OK;
}

/* Copies until `limit` bytes, without bytes that upset a terminal and without cutting a UTF-8 sequence. */
static void show_bytes(char *destination, size_t limit, const char *text) {
  size_t used = 0;
  for (; text[used] != '\0' && used < limit - 4; ++used) {
    const unsigned char byte = (unsigned char)text[used];
    destination[used] = byte < 0x20 || byte == 0x7F ? '?' : (char)byte;
  }
  if (text[used] != '\0') {
    while (used > 0 && ((unsigned char)text[used] & 0xC0) == 0x80) --used;
    memcpy(destination + used, "...", 3);
    used += 3;
  }
  destination[used] = '\0';
}

mo_json_shown mo_name_show(const char *name) {
  mo_json_shown shown;
  show_bytes(shown.text, sizeof shown.text, name);
  return shown;
}

mo_json_shown mo_json_show(const json_t *value) {
  mo_json_shown shown = {""};
  const size_t size = sizeof shown.text;
  if (value == NULL) {
    snprintf(shown.text, size, "missing");
  } else if (json_is_string(value)) {
    shown.text[0] = '"';
    show_bytes(shown.text + 1, size - 2, json_string_value(value));
    strcat(shown.text, "\"");
  } else if (json_is_integer(value)) {
    snprintf(shown.text, size, "%lld", (long long)json_integer_value(value));
  } else if (json_is_real(value)) {
    snprintf(shown.text, size, "%.17g (a real)", json_real_value(value));
  } else if (json_is_boolean(value)) {
    snprintf(shown.text, size, "%s", json_is_true(value) ? "true" : "false");
  } else if (json_is_array(value)) {
    snprintf(shown.text, size, "a list of %zu", json_array_size(value));
  } else if (json_is_object(value)) {
    snprintf(shown.text, size, "an object of %zu keys", json_object_size(value));
  } else {
    snprintf(shown.text, size, "null");
  }
  return shown;
}
