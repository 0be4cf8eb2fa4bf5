/* host/text/sentence.c - the files by which sentence-transformers describes a folder.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/struct_size.h"
#include "host/core/text_file.h"
#include "host/text/sentence_files.h"

#define FILE_BYTES_LIMIT ((size_t)16 << 20)
#define MODULES "modules.json"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

#define BAD_VALUE(source, key, value, expected)                                                                                \
  mo_fail(MO_STATUS_BAD_FILE, "%s: %s is %s, must be %s", source, key, mo_json_show(value).text, expected)

static mo_status_t read_flag(const char *source, const json_t *root, const char *key, bool fallback, bool *value) {
  const json_t *found = json_object_get(root, key);
  *value = fallback;
  if (found == NULL || json_is_null(found)) return MO_STATUS_OK;
  if (!json_is_boolean(found)) return BAD_VALUE(source, key, found, "true or false");
  *value = json_is_true(found);
  return MO_STATUS_OK;
}

/* ---- The Transformer module ---- */

/* Arguments for the loading of the model that leave its numbers alone. */
static bool is_harmless(const char *key) {
  static const char *const harmless[] = {"trust_remote_code", "attn_implementation", "torch_dtype",     "dtype",
                                         "device_map",        "low_cpu_mem_usage",   "use_safetensors", "add_pooling_layer"};
  for (size_t i = 0; i < LENGTH(harmless); ++i)
    if (strcmp(key, harmless[i]) == 0) return true;
  return false;
}

static mo_status_t check_arguments(const char *source, const json_t *root) {
  static const char *const keys[] = {"tokenizer_args", "processor_kwargs", "processing_kwargs", "config_args",
                                     "config_kwargs",  "model_args",       "model_kwargs"};
  for (size_t i = 0; i < LENGTH(keys); ++i) {
    json_t *arguments = json_object_get(root, keys[i]);
    const char *name;
    json_t *value;
    json_object_foreach(arguments, name, value) {
      MO_CHECK(is_harmless(name), MO_STATUS_UNSUPPORTED, "%s: %s sets %s, which is not supported", source, keys[i],
               mo_name_show(name).text);
    }
  }
  const json_t *other = json_object_get(root, "tokenizer_name_or_path");
  MO_CHECK(other == NULL || json_is_null(other), MO_STATUS_UNSUPPORTED,
           "%s: tokenizer_name_or_path is %s, a tokenizer outside of the folder is not supported", source,
           mo_json_show(other).text);
  return MO_STATUS_OK;
}

static mo_status_t read_transformer(const char *source, const json_t *root, int64_t *max_length, bool *lower_case) {
  const json_t *length = json_object_get(root, "max_seq_length");
  if (length != NULL && !json_is_null(length)) {
    if (!json_is_integer(length) || json_integer_value(length) < 0)
      return BAD_VALUE(source, "max_seq_length", length, "an integer, 0 or more");
    *max_length = json_integer_value(length) > INT32_MAX ? 0 : json_integer_value(length);
  }
  MO_TRY(read_flag(source, root, "do_lower_case", false, lower_case));
  return check_arguments(source, root);
}

mo_status_t mo_sentence_transformer_read(const char *directory, int64_t *max_length, bool *lower_case) {
  static const char *const names[] = {"sentence_bert_config.json",       "sentence_roberta_config.json",
                                      "sentence_distilbert_config.json", "sentence_camembert_config.json",
                                      "sentence_albert_config.json",     "sentence_xlm-roberta_config.json",
                                      "sentence_xlnet_config.json"};
  *max_length = 0;
  *lower_case = false;
  for (size_t i = 0; i < LENGTH(names); ++i) {
    json_t *root;
    MO_TRY(mo_json_file_find_object(directory, names[i], FILE_BYTES_LIMIT, &root));
    if (json_object_size(root) == 0) { /* an empty one counts as absent, as there */
      json_decref(root);
      continue;
    }
    const mo_status_t status = read_transformer(names[i], root, max_length, lower_case);
    json_decref(root);
    return status;
  }
  return MO_STATUS_OK;
}

/* ---- Pooling ---- */

static void not_supported(mo_sentence_settings *settings, const char *what, const char *value) {
  if (settings->unsupported[0] == '\0')
    snprintf(settings->unsupported, sizeof settings->unsupported, "%.60s is %s, which is not supported", what,
             mo_name_show(value).text);
}

static void take_mode(mo_sentence_settings *settings, const char *mode) {
  static const struct {
    const char *name;
    mo_pooling_mode_t mode;
  } modes[] = {{"cls", MO_POOLING_FIRST},
               {"max", MO_POOLING_MAX},
               {"mean", MO_POOLING_MEAN},
               {"mean_sqrt_len_tokens", MO_POOLING_MEAN},
               {"lasttoken", MO_POOLING_LAST}};
  if (settings->pooling != 0) not_supported(settings, "the pooling", "several modes at once");
  for (size_t i = 0; i < LENGTH(modes); ++i)
    if (strcmp(mode, modes[i].name) == 0) {
      settings->pooling = modes[i].mode;
      settings->only_direction = strcmp(mode, "mean_sqrt_len_tokens") == 0;
      return;
    }
  not_supported(settings, "the pooling", mode);
}

/* `pooling_mode`: a name or a list of names; before 6.0 one flag for each. */
static mo_status_t read_pooling_mode(const char *source, const json_t *root, mo_sentence_settings *settings) {
  static const struct {
    const char *key, *mode;
  } flags[] = {{"pooling_mode_cls_token", "cls"},
               {"pooling_mode_max_tokens", "max"},
               {"pooling_mode_mean_tokens", "mean"},
               {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"},
               {"pooling_mode_weightedmean_tokens", "weightedmean"},
               {"pooling_mode_lasttoken", "lasttoken"}};
  const json_t *mode = json_object_get(root, "pooling_mode");
  if (json_is_string(mode)) {
    take_mode(settings, json_string_value(mode));
    return MO_STATUS_OK;
  }
  if (mode != NULL && !json_is_array(mode)) return BAD_VALUE(source, "pooling_mode", mode, "a name or a list of names");
  for (size_t i = 0; i < json_array_size(mode); ++i) {
    const json_t *name = json_array_get(mode, i);
    if (!json_is_string(name)) return BAD_VALUE(source, "an entry of pooling_mode", name, "a string");
    take_mode(settings, json_string_value(name));
  }
  bool any = mode != NULL;
  for (size_t i = 0; mode == NULL && i < LENGTH(flags); ++i) {
    bool on;
    MO_TRY(read_flag(source, root, flags[i].key, false, &on));
    if (on) take_mode(settings, flags[i].mode);
    any = any || on;
  }
  if (!any) take_mode(settings, "mean");
  return MO_STATUS_OK;
}

static mo_status_t read_pooling(const char *directory, const char *path, mo_sentence_settings *settings) {
  char *folder;
  json_t *root = NULL;
  MO_TRY(mo_path_join(directory, path, &folder));
  mo_status_t status = mo_json_file_find_object(folder, "config.json", FILE_BYTES_LIMIT, &root);
  free(folder);
  if (status == MO_STATUS_OK && root != NULL) status = read_pooling_mode("the pooling's config.json", root, settings);
  json_decref(root);
  return status;
}

/* ---- Modules ---- */

/* A path below the folder. */
static mo_status_t check_path(const char *path) {
  bool leads_out = path[0] == '/';
  for (const char *c = path; *c != '\0'; ++c) /* it is shown when a file below it cannot be read */
    MO_CHECK((unsigned char)*c >= 0x20 && *c != 0x7F, MO_STATUS_BAD_FILE, MODULES ": the path \"%s\" holds a control character",
             mo_name_show(path).text);
  for (const char *part = path; part != NULL; part = strchr(part, '/')) {
    if (*part == '/') ++part;
    leads_out = leads_out || (strncmp(part, "..", 2) == 0 && (part[2] == '\0' || part[2] == '/'));
  }
  MO_CHECK(!leads_out, MO_STATUS_BAD_FILE, MODULES ": the path \"%s\" leads out of the folder", mo_name_show(path).text);
  MO_CHECK(strlen(path) < sizeof((mo_sentence_settings *)NULL)->transformer_path, MO_STATUS_BAD_FILE,
           MODULES ": the path \"%s\" has %zu bytes, at most %zu are accepted", mo_name_show(path).text, strlen(path),
           sizeof((mo_sentence_settings *)NULL)->transformer_path - 1);
  return MO_STATUS_OK;
}

static mo_status_t read_module(const char *directory, const json_t *module, size_t index, mo_sentence_settings *settings) {
  const char *type = json_string_value(json_object_get(module, "type"));
  const json_t *path_value = json_object_get(module, "path");
  const char *path = path_value != NULL ? json_string_value(path_value) : "";
  MO_CHECK(type != NULL && path != NULL, MO_STATUS_BAD_FILE,
           MODULES ": module %zu must be an object with strings as type and path", index);
  MO_TRY(check_path(path));
  const char *dot = strrchr(type, '.');
  const char *name = dot != NULL ? dot + 1 : type;
  if (strcmp(name, "Transformer") == 0 && index == 0) {
    memcpy(settings->transformer_path, path, strlen(path) + 1);
  } else if (strcmp(name, "Pooling") == 0 && settings->pooling == 0) {
    return read_pooling(directory, path, settings);
  } else if (strcmp(name, "Normalize") == 0) {
    settings->normalize = true;
  } else if (strcmp(name, "Dropout") != 0) { /* which does nothing outside of training */
    not_supported(settings, "a module of modules.json", name);
  }
  return MO_STATUS_OK;
}

/* A prompt that is put before every text. */
static mo_status_t read_prompts(const char *directory, mo_sentence_settings *settings) {
  json_t *root;
  MO_TRY(mo_json_file_find_object(directory, "config_sentence_transformers.json", FILE_BYTES_LIMIT, &root));
  const char *name = json_string_value(json_object_get(root, "default_prompt_name"));
  const char *prompt = name == NULL ? NULL : json_string_value(json_object_get(json_object_get(root, "prompts"), name));
  if (prompt != NULL && prompt[0] != '\0') not_supported(settings, "default_prompt_name", name);
  json_decref(root);
  return MO_STATUS_OK;
}

static mo_status_t read_modules(const char *directory, mo_sentence_settings *settings) {
  json_t *modules = NULL;
  MO_TRY(mo_json_file_find(directory, MODULES, FILE_BYTES_LIMIT, &modules));
  mo_status_t status = json_is_array(modules) ? MO_STATUS_OK : BAD_VALUE(MODULES, "the file", modules, "a list of modules");
  for (size_t i = 0; status == MO_STATUS_OK && i < json_array_size(modules); ++i)
    status = read_module(directory, json_array_get(modules, i), i, settings);
  json_decref(modules);
  return status;
}

mo_status_t mo_sentence_load(const char *directory, mo_sentence_settings *settings) {
  MO_CHECK(directory != NULL && settings != NULL, MO_STATUS_INVALID_ARGUMENT,
           "sentence: directory or settings is NULL, both are required");
  mo_sentence_settings given = MO_SENTENCE_SETTINGS_INIT, found = MO_SENTENCE_SETTINGS_INIT;
  MO_TRY(MO_TAKE("sentence", MO_SENTENCE_SETTINGS_INIT, settings, MO_SIZE_TO(mo_sentence_settings, unsupported), &given));
  MO_TRY(mo_file_exists(directory, MODULES, &found.is_sentence));
  if (found.is_sentence) {
    MO_TRY(read_modules(directory, &found));
    MO_TRY(read_prompts(directory, &found));
  }
  /* What the caller's version has of it, and its size stays. */
  found.struct_size = settings->struct_size;
  memcpy(settings, &found, found.struct_size < sizeof found ? found.struct_size : sizeof found);
  return MO_STATUS_OK;
}
