/* host/checkpoint/config.c - a strict, typed view of a checkpoint's config.json.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/checkpoint/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/text_file.h"

#define CONFIG_BYTES_LIMIT ((size_t)64 << 20) /* id2label of the largest label sets is a few megabytes */

struct mo_config {
  json_t *root;
  int64_t architecture_count;
  const char **architectures; /* strings of root */
  const mo_config_alias *aliases;
  char source[64];
};

static mo_status_t bad_value(const mo_config_t *config, const char *key, const json_t *value, const char *expected) {
  return mo_fail(MO_STATUS_BAD_FILE, "%s: %s is %s, must be %s", config->source, key, mo_json_show(value).text, expected);
}

/* NULL for absent and for null. */
static const json_t *find(const mo_config_t *config, const char *key) {
  for (const mo_config_alias *other = config->aliases; other != NULL && other->alias != NULL; other++) {
    const json_t *value = strcmp(other->key, key) == 0 ? json_object_get(config->root, other->alias) : NULL;
    if (value != NULL && !json_is_null(value)) return value;
  }
  const json_t *value = json_object_get(config->root, key);
  return json_is_null(value) ? NULL : value;
}

bool mo_json_as_integer(const json_t *value, int64_t *result) {
  if (!json_is_integer(value)) return false;
  *result = json_integer_value(value);
  return true;
}

static mo_status_t read_architectures(mo_config_t *config) {
  const json_t *list = find(config, "architectures");
  if (list == NULL) return MO_STATUS_OK;
  if (!json_is_array(list)) return bad_value(config, "architectures", list, "a list of strings");
  const size_t count = json_array_size(list);
  if (count == 0) return MO_STATUS_OK;
  config->architectures = calloc(count, sizeof *config->architectures);
  MO_CHECK(config->architectures != NULL, MO_STATUS_OUT_OF_MEMORY, "%s: no memory for %zu architectures", config->source,
           count);
  for (size_t i = 0; i < count; ++i) {
    const json_t *name = json_array_get(list, i);
    if (!json_is_string(name)) return bad_value(config, "an entry of architectures", name, "a string");
    config->architectures[i] = json_string_value(name);
  }
  config->architecture_count = (int64_t)count;
  return MO_STATUS_OK;
}

mo_status_t mo_config_from_text(const char *text, size_t bytes, const char *source, mo_config_t **config) {
  MO_CHECK(text != NULL && source != NULL && config != NULL, MO_STATUS_INVALID_ARGUMENT,
           "config: text, source or config is NULL, all are required");
  mo_config_t *made = calloc(1, sizeof *made);
  MO_CHECK(made != NULL, MO_STATUS_OUT_OF_MEMORY, "config: no memory for %zu bytes", sizeof *made);
  strncpy(made->source, source, sizeof made->source - 1);
  mo_status_t status;
  MO_TRY_GOTO(mo_json_read_object(made->source, text, bytes, MO_JSON_PYTHON, &made->root), status, failed);
  MO_TRY_GOTO(read_architectures(made), status, failed);
  *config = made;
  return MO_STATUS_OK;
failed:
  mo_config_destroy(made);
  return status;
}

mo_status_t mo_config_load(const char *directory, mo_config_t **config) {
  MO_CHECK(directory != NULL && config != NULL, MO_STATUS_INVALID_ARGUMENT,
           "config: directory or config is NULL, both are required");
  char *text;
  size_t bytes;
  MO_TRY(mo_file_read(directory, "config.json", CONFIG_BYTES_LIMIT, &text, &bytes));
  const mo_status_t status = mo_config_from_text(text, bytes, "config.json", config);
  free(text);
  return status;
}

mo_status_t mo_config_load_generation(const char *directory, mo_config_t **config) {
  static const char name[] = "generation_config.json";
  char *text = NULL;
  size_t bytes = 0;
  bool exists = false;
  *config = NULL;
  MO_TRY(mo_file_exists(directory, name, &exists));
  if (!exists) return MO_STATUS_OK;
  MO_TRY(mo_file_read(directory, name, CONFIG_BYTES_LIMIT, &text, &bytes));
  const mo_status_t status = mo_config_from_text(text, bytes, name, config);
  free(text);
  return status;
}

void mo_config_destroy(mo_config_t *config) {
  if (config == NULL) return;
  free(config->architectures);
  json_decref(config->root);
  free(config);
}

mo_status_t mo_config_section(const mo_config_t *config, const char *key, mo_config_t **section) {
  json_t *found = json_object_get(config->root, key);
  *section = NULL;
  if (found == NULL || json_is_null(found)) return MO_STATUS_OK;
  if (!json_is_object(found)) return bad_value(config, key, found, "an object");
  mo_config_t *made = calloc(1, sizeof *made);
  MO_CHECK(made != NULL, MO_STATUS_OUT_OF_MEMORY, "%s: no memory for %zu bytes", config->source, sizeof *made);
  snprintf(made->source, sizeof made->source, "%.31s: %.30s", config->source, key);
  made->root = json_incref(found);
  *section = made;
  return MO_STATUS_OK;
}

void mo_config_set_aliases(mo_config_t *config, const mo_config_alias *aliases) { config->aliases = aliases; }

bool mo_config_has(const mo_config_t *config, const char *key) { return find(config, key) != NULL; }

bool mo_config_is_null(const mo_config_t *config, const char *key) { return json_is_null(json_object_get(config->root, key)); }

const json_t *mo_config_value(const mo_config_t *config, const char *key) { return find(config, key); }

bool mo_config_is_truthy(const mo_config_t *config, const char *key) {
  const json_t *value = find(config, key);
  if (value == NULL || json_is_false(value)) return false;
  if (json_is_number(value)) return json_number_value(value) != 0.0;
  if (json_is_string(value)) return json_string_length(value) > 0;
  if (json_is_array(value)) return json_array_size(value) > 0;
  return !json_is_object(value) || json_object_size(value) > 0;
}

mo_shown mo_config_show(const mo_config_t *config, const char *key) {
  const json_t *value = find(config, key);
  return value != NULL ? mo_json_show(value) : (mo_shown){"null"};
}

mo_status_t mo_config_string_at(const mo_config_t *config, const char *key, int64_t index, const char **value) {
  const json_t *list = find(config, key);
  *value = NULL;
  if (list == NULL) return MO_STATUS_OK;
  if (!json_is_array(list)) return bad_value(config, key, list, "a list of strings");
  const json_t *entry = json_array_get(list, (size_t)index);
  if (entry == NULL) return MO_STATUS_OK;
  if (!json_is_string(entry)) return bad_value(config, key, entry, "a string at each place");
  *value = json_string_value(entry);
  return MO_STATUS_OK;
}

bool mo_config_find_integer(const mo_config_t *config, const char *key, int64_t *value) {
  const json_t *found = find(config, key);
  return found != NULL && mo_json_as_integer(found, value);
}

static mo_status_t integer_in_range(const mo_config_t *config, const char *key, const json_t *found, int64_t minimum,
                                    int64_t maximum, int64_t *value) {
  int64_t result;
  if (!mo_json_as_integer(found, &result) || result < minimum || result > maximum)
    return mo_fail(MO_STATUS_BAD_FILE, "%s: %s is %s, must be an integer in %lld..%lld", config->source, key,
                   mo_json_show(found).text, (long long)minimum, (long long)maximum);
  *value = result;
  return MO_STATUS_OK;
}

mo_status_t mo_config_integer(const mo_config_t *config, const char *key, int64_t minimum, int64_t maximum, int64_t fallback,
                              int64_t *value) {
  const json_t *found = find(config, key);
  if (found != NULL) return integer_in_range(config, key, found, minimum, maximum, value);
  *value = fallback;
  return MO_STATUS_OK;
}

mo_status_t mo_config_require_integer(const mo_config_t *config, const char *key, int64_t minimum, int64_t maximum,
                                      int64_t *value) {
  return integer_in_range(config, key, find(config, key), minimum, maximum, value);
}

mo_status_t mo_config_float(const mo_config_t *config, const char *key, double minimum, double maximum, double fallback,
                            double *value) {
  const json_t *found = find(config, key);
  if (found == NULL) {
    *value = fallback;
    return MO_STATUS_OK;
  }
  const double result = json_number_value(found);
  if (!json_is_number(found) || !(result >= minimum && result <= maximum))
    return mo_fail(MO_STATUS_BAD_FILE, "%s: %s is %s, must be a number in %g..%g", config->source, key,
                   mo_json_show(found).text, minimum, maximum);
  *value = result;
  return MO_STATUS_OK;
}

mo_status_t mo_config_bool(const mo_config_t *config, const char *key, bool fallback, bool *value) {
  const json_t *found = find(config, key);
  if (found != NULL && !json_is_boolean(found)) return bad_value(config, key, found, "true or false");
  *value = found == NULL ? fallback : json_is_true(found);
  return MO_STATUS_OK;
}

mo_status_t mo_config_flag(const mo_config_t *config, const char *key, bool fallback, bool *value) {
  return mo_config_bool(config, key, fallback && !mo_config_is_null(config, key), value);
}

mo_status_t mo_config_string(const mo_config_t *config, const char *key, const char *fallback, const char **value) {
  const json_t *found = find(config, key);
  if (found != NULL && !json_is_string(found)) return bad_value(config, key, found, "a string");
  *value = found == NULL ? fallback : json_string_value(found);
  return MO_STATUS_OK;
}

/* What Python's int() takes of a key, less its underscores, blanks and non-ASCII digits. */
static bool is_integer_text(const char *text) {
  if (*text == '-' || *text == '+') ++text;
  return *text != '\0' && strspn(text, "0123456789") == strlen(text);
}

mo_status_t mo_config_num_labels(const mo_config_t *config, int64_t *num_labels) {
  const json_t *labels = find(config, "id2label");
  if (labels == NULL) return mo_config_integer(config, "num_labels", 1, INT32_MAX, 2, num_labels);
  if (!json_is_object(labels) || json_object_size(labels) == 0)
    return bad_value(config, "id2label", labels, "an object with at least one label");
  /* The iterator functions take a non-const object but only read it. */
  for (void *entry = json_object_iter((json_t *)labels); entry != NULL; entry = json_object_iter_next((json_t *)labels, entry))
    if (!is_integer_text(json_object_iter_key(entry)))
      return mo_fail(MO_STATUS_BAD_FILE, "%s: id2label has the key \"%s\", its keys must be integers", config->source,
                     mo_name_show(json_object_iter_key(entry)).text);
  *num_labels = (int64_t)json_object_size(labels);
  return MO_STATUS_OK;
}

mo_status_t mo_config_problem_type(const mo_config_t *config, const char **problem_type) {
  static const char *const known[] = {"regression", "single_label_classification", "multi_label_classification"};
  const char *found;
  MO_TRY(mo_config_string(config, "problem_type", NULL, &found));
  *problem_type = NULL;
  if (found == NULL) return MO_STATUS_OK;
  for (size_t i = 0; i < sizeof known / sizeof known[0]; ++i)
    if (strcmp(found, known[i]) == 0) *problem_type = known[i];
  if (*problem_type == NULL)
    return bad_value(config, "problem_type", find(config, "problem_type"),
                     "regression, single_label_classification, multi_label_classification or null");
  return MO_STATUS_OK;
}

mo_status_t mo_config_architectures(const mo_config_t *config, const char *const **names, int64_t *count) {
  *names = config->architectures;
  *count = config->architecture_count;
  return MO_STATUS_OK;
}

mo_status_t mo_config_integers(const mo_config_t *config, const char *key, int64_t *values, int64_t capacity, int64_t *count) {
  const json_t *value = find(config, key);
  const bool list = json_is_array(value);
  *count = 0;
  if (value == NULL) return MO_STATUS_OK;
  const int64_t size = list ? (int64_t)json_array_size(value) : 1;
  if (size > capacity) return bad_value(config, key, value, "a shorter list");
  for (int64_t i = 0; i < size; i++) {
    const json_t *entry = list ? json_array_get(value, (size_t)i) : value;
    if (!mo_json_as_integer(entry, &values[i])) return bad_value(config, key, entry, "an integer or a list of integers");
  }
  *count = size;
  return MO_STATUS_OK;
}
