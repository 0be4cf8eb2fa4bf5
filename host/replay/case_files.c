/* host/replay/case_files.c - the files of a recorded case.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/replay/case_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/file.h"
#include "host/core/json.h"

#define PATH_BYTES 4096
#define DESCRIPTION_BYTES_LIMIT ((size_t)64 << 20)

mo_status_t mo_replay_tell(char *message, mo_status_t status, const char *what, const char *detail) {
  if (message[0] == '\0') snprintf(message, MO_REPLAY_MESSAGE_BYTES, "%s%s%s", what, detail[0] != '\0' ? ": " : "", detail);
  return status;
}

mo_status_t mo_replay_told(char *message, mo_status_t status, const char *what) {
  return status == MO_STATUS_OK ? status : mo_replay_tell(message, status, what, mo_last_error());
}

static mo_status_t join(char path[PATH_BYTES], const char *directory, const char *name, char *message) {
  const int length = snprintf(path, PATH_BYTES, "%s/%s", directory, name);
  if (length > 0 && length < PATH_BYTES) return MO_STATUS_OK;
  return mo_replay_tell(message, MO_STATUS_IO_ERROR, "the path of the case is too long", name);
}

mo_status_t mo_replay_open(const char *directory, const char *name, mo_safetensors_t **file, char *message) {
  char path[PATH_BYTES];
  const mo_status_t status = join(path, directory, name, message);
  return status != MO_STATUS_OK ? status : mo_replay_told(message, mo_safetensors_open(path, file), name);
}

mo_status_t mo_replay_read(const mo_safetensors_t *file, const char *name, mo_tensor *tensor, char *message) {
  mo_tensor described;
  mo_status_t status = mo_replay_told(message, mo_safetensors_describe(file, name, &described), name);
  if (status != MO_STATUS_OK) return status;
  described.data = malloc((size_t)mo_tensor_bytes(&described) + 1);
  if (described.data == NULL) return mo_replay_tell(message, MO_STATUS_OUT_OF_MEMORY, "no memory for", name);
  status = mo_replay_told(message, mo_safetensors_read(file, name, 0, mo_tensor_count(&described), described.data), name);
  if (status == MO_STATUS_OK) {
    *tensor = described;
  } else {
    free(described.data);
  }
  return status;
}

static bool is_string_or_absent(const json_t *value) { return value == NULL || json_is_string(value); }

static mo_status_t check_description(const json_t *description, char *message) {
  const json_t *steps = json_object_get(description, "steps");
  if (!json_is_string(json_object_get(description, "model_class")) ||
      !is_string_or_absent(json_object_get(description, "sub_module")))
    return mo_replay_tell(message, MO_STATUS_BAD_FILE, "case.json lacks model_class, or its sub_module is no name", "");
  if (steps != NULL && json_array_size(steps) == 0)
    return mo_replay_tell(message, MO_STATUS_BAD_FILE, "case.json: steps is no list, or an empty one", "");
  for (int64_t i = 0; i < mo_replay_step_count(description); i++) {
    const json_t *step = mo_replay_step(description, i);
    if (!json_is_array(json_object_get(step, "output_fields_in_order")) ||
        !is_string_or_absent(json_object_get(step, "output_class")))
      return mo_replay_tell(message, MO_STATUS_BAD_FILE, "case.json: a call without output_fields_in_order", "");
  }
  return MO_STATUS_OK;
}

mo_status_t mo_replay_load_description(const char *directory, json_t **description, char *message) {
  char path[PATH_BYTES];
  char *text = NULL;
  size_t bytes;
  mo_status_t status = join(path, directory, "case.json", message);
  if (status != MO_STATUS_OK) return status;
  status = mo_file_read_all(path, DESCRIPTION_BYTES_LIMIT, &text, &bytes);
  if (status == MO_STATUS_OK) status = mo_json_read_object("case.json", text, bytes, MO_JSON_PYTHON, description);
  free(text);
  return status == MO_STATUS_OK ? check_description(*description, message) : mo_replay_told(message, status, "case.json");
}

int64_t mo_replay_step_count(const json_t *description) {
  const json_t *steps = json_object_get(description, "steps");
  return steps != NULL ? (int64_t)json_array_size(steps) : 1;
}

const json_t *mo_replay_step(const json_t *description, int64_t index) {
  const json_t *steps = json_object_get(description, "steps");
  return steps != NULL ? json_array_get(steps, (size_t)index) : description;
}

void mo_replay_step_prefix(const json_t *description, int64_t index, char prefix[32]) {
  prefix[0] = '\0';
  if (json_object_get(description, "steps") != NULL) snprintf(prefix, 32, "step%lld.", (long long)index);
}

mo_status_t mo_replay_earlier_step(const json_t *description, int64_t index, const char *key, int64_t *earlier, char *message) {
  const json_t *name = json_object_get(mo_replay_step(description, index), key);
  *earlier = -1;
  if (name == NULL) return MO_STATUS_OK;
  const char *text = json_is_string(name) ? json_string_value(name) : "";
  for (int64_t i = 0; i < index; i++) {
    char prefix[32];
    mo_replay_step_prefix(description, i, prefix);
    const size_t length = strlen(prefix) - 1; /* without the dot */
    if (strlen(text) == length && strncmp(text, prefix, length) == 0) *earlier = i;
  }
  if (*earlier >= 0) return MO_STATUS_OK;
  return mo_replay_tell(message, MO_STATUS_BAD_FILE, "case.json names no earlier step under", key);
}
