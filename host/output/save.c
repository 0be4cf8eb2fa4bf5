/* host/output/save.c - outputs to and from safetensors files.
 *
 * Tensors stand under flat names. What the names cannot say stands in the metadata: `class`, `prefix`, `keys` and
 * `none_entries` (JSON lists, for people and other programs), and `structure`, from which mo_output_load builds the output
 * anew: a JSON list of [key, value] with value null (None), "t" (a tensor of the flat name), ["tuple", values...],
 * ["cache", tensors per layer, layers...], ["dict", [key, value]...], ["integer", n], ["real", "%a"], ["string", text].
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/checked_math.h"
#include "host/core/json.h"
#include "host/output/gather.h"
#include "host/output/output_internal.h"
#include "modelout/safetensors.h"

#define MAX_NAME_BYTES 512
#define MAX_DEPTH 16
#define MAX_VALUES ((int64_t)1 << 21) /* more names than the header of a file can hold */

static const char *const cache_names[4] = {"key", "value", "cross_key", "cross_value"};

static mo_status_t out_of_memory(const char *op) { return mo_fail(MO_STATUS_OUT_OF_MEMORY, "%s: no host memory", op); }

/* ---- Saving ---- */

typedef struct file_saver {
  char **names; /* owned */
  mo_tensor *tensors;
  void **copies; /* owned; contiguous copies of strided views, NULL elsewhere */
  int64_t count;
  int64_t capacity;
  json_t *none_entries;
} file_saver;

/* One level below `name`; false if it becomes too long. */
static bool join(char *joined, const char *name, const char *part) {
  return snprintf(joined, MAX_NAME_BYTES, "%s.%s", name, part) < MAX_NAME_BYTES;
}

static mo_status_t make_room(file_saver *saver) {
  if (saver->count < saver->capacity) return MO_STATUS_OK;
  const int64_t capacity = saver->capacity == 0 ? 64 : 2 * saver->capacity;
  char **names = realloc(saver->names, (size_t)capacity * sizeof *names);
  if (names != NULL) saver->names = names;
  mo_tensor *tensors = realloc(saver->tensors, (size_t)capacity * sizeof *tensors);
  if (tensors != NULL) saver->tensors = tensors;
  void **copies = realloc(saver->copies, (size_t)capacity * sizeof *copies);
  if (copies != NULL) saver->copies = copies;
  if (names == NULL || tensors == NULL || copies == NULL) return out_of_memory("output_save");
  saver->capacity = capacity;
  return MO_STATUS_OK;
}

static mo_status_t save_tensor(file_saver *saver, mo_field *field, const char *name, json_t **described) {
  mo_host_view view;
  MO_TRY(make_room(saver));
  MO_TRY(mo_field_read(field, &view));
  mo_tensor tensor = {.data = (void *)view.data, .dtype = view.dtype, .rank = view.rank};
  tensor.device.kind = MO_DEVICE_KIND_CPU;
  memcpy(tensor.shape, view.shape, sizeof view.shape);
  memcpy(tensor.strides, view.strides, sizeof view.strides);
  void *copy = NULL;
  if (!mo_tensor_is_contiguous(&tensor)) {
    copy = malloc((size_t)mo_tensor_bytes(&tensor));
    if (copy == NULL) return out_of_memory("output_save");
    const mo_status_t status = mo_gather(&tensor, copy, tensor.dtype);
    if (status == MO_STATUS_OK) tensor = mo_tensor_cpu(copy, view.dtype, view.rank, view.shape);
    if (status != MO_STATUS_OK) {
      free(copy);
      return status;
    }
  }
  char *kept = strdup(name);
  if (kept == NULL) {
    free(copy);
    return out_of_memory("output_save");
  }
  saver->names[saver->count] = kept;
  saver->tensors[saver->count] = tensor;
  saver->copies[saver->count++] = copy;
  *described = json_string("t");
  return MO_STATUS_OK;
}

static mo_status_t save_value(file_saver *saver, mo_field *field, const char *name, bool in_cache, int depth,
                              json_t **described);

static const char *entry_name(const mo_field *field, int64_t index, bool in_cache, char *text, size_t bytes) {
  if (field->kind == MO_FIELD_DICT) return field->as.items.keys[index];
  if (in_cache && index < 4) return cache_names[index];
  snprintf(text, bytes, "%" PRId64, index);
  return text;
}

static mo_status_t save_items(file_saver *saver, mo_field *field, const char *name, bool in_cache, int depth, json_t *list) {
  for (int64_t i = 0; i < mo_field_length(field); i++) {
    char number[24], path[MAX_NAME_BYTES];
    json_t *entry = NULL;
    const char *part = entry_name(field, i, in_cache, number, sizeof number);
    MO_CHECK(join(path, name, part), MO_STATUS_INVALID_ARGUMENT, "output_save: the name %.60s... is too long", name);
    MO_TRY(save_value(saver, field->as.items.items[i], path, field->kind == MO_FIELD_CACHE, depth + 1, &entry));
    if (entry != NULL && field->kind == MO_FIELD_DICT) entry = json_pack("[so]", part, entry);
    if (entry == NULL || json_array_append_new(list, entry) != 0) return out_of_memory("output_save");
  }
  return MO_STATUS_OK;
}

/* `in_cache`: the value is a layer of a cache, its entries are key, value and so on. */
static mo_status_t save_value(file_saver *saver, mo_field *field, const char *name, bool in_cache, int depth,
                              json_t **described) {
  MO_CHECK(depth <= MAX_DEPTH, MO_STATUS_INVALID_ARGUMENT, "output_save: %.60s is nested more than %d deep", name, MAX_DEPTH);
  char text[40];
  switch (mo_field_kind(field)) {
    case MO_FIELD_TENSOR:
      return save_tensor(saver, field, name, described);
    case MO_FIELD_INTEGER:
      *described = json_pack("[sI]", "integer", (json_int_t)mo_field_integer(field));
      return MO_STATUS_OK;
    case MO_FIELD_REAL: /* as hexadecimal text, which also knows infinity and NaN */
      snprintf(text, sizeof text, "%a", mo_field_real(field));
      *described = json_pack("[ss]", "real", text);
      return MO_STATUS_OK;
    case MO_FIELD_STRING:
      *described = json_pack("[ss]", "string", mo_field_string(field));
      return MO_STATUS_OK;
    case MO_FIELD_TUPLE:
      *described = json_pack("[s]", "tuple");
      break;
    case MO_FIELD_CACHE:
      *described = json_pack("[si]", "cache", (int)field->tensors_per_layer);
      break;
    case MO_FIELD_DICT:
      *described = json_pack("[s]", "dict");
      break;
    default: /* None */
      *described = json_null();
      return json_array_append_new(saver->none_entries, json_string(name)) == 0 ? MO_STATUS_OK : out_of_memory("output_save");
  }
  if (*described == NULL) return out_of_memory("output_save");
  const mo_status_t status = save_items(saver, field, name, in_cache, depth, *described);
  if (status != MO_STATUS_OK) json_decref(*described);
  return status;
}

/* A file names each value once per key that leads to it: what outputs share in memory is written several times. */
static mo_status_t check_value_count(const mo_output *output) {
  int64_t total = 0;
  for (int64_t i = 0; i < mo_output_length(output); i++) {
    const mo_field *field = mo_output_at(output, i);
    const int64_t count = mo_field_length(field) > 0 ? field->value_count : 1;
    MO_CHECK(mo_checked_add(total, count, &total) && total <= MAX_VALUES, MO_STATUS_INVALID_ARGUMENT,
             "output_save: more than %" PRId64 " values, each at each of the places where it stands", MAX_VALUES);
  }
  return MO_STATUS_OK;
}

static mo_status_t save_entries(file_saver *saver, mo_output *output, const char *prefix, json_t *keys, json_t *structure) {
  MO_TRY(check_value_count(output));
  for (int64_t i = 0; i < mo_output_length(output); i++) {
    char name[MAX_NAME_BYTES];
    json_t *described = NULL;
    const char *key = mo_output_key_at(output, i);
    MO_CHECK(snprintf(name, sizeof name, "%s%s", prefix, key) < MAX_NAME_BYTES, MO_STATUS_INVALID_ARGUMENT,
             "output_save: the name %.60s%.60s is too long", prefix, key);
    MO_TRY(save_value(saver, mo_output_at(output, i), name, false, 0, &described));
    if (described == NULL || json_array_append_new(structure, json_pack("[so]", key, described)) != 0 ||
        json_array_append_new(keys, json_string(key)) != 0) {
      return out_of_memory("output_save");
    }
  }
  return MO_STATUS_OK;
}

static mo_status_t write_file(const file_saver *saver, const mo_output *output, const char *path, const char *prefix,
                              const json_t *keys, const json_t *structure) {
  static const char *const names[] = {"class", "keys", "none_entries", "prefix", "structure"};
  const json_t *const lists[3] = {keys, saver->none_entries, structure};
  char *texts[3] = {NULL, NULL, NULL};
  mo_status_t status = MO_STATUS_OK;
  for (int i = 0; i < 3 && status == MO_STATUS_OK; i++) status = mo_json_write(lists[i], JSON_COMPACT, &texts[i]);
  if (status == MO_STATUS_OK) {
    const char *const values[] = {output->output_class->name, texts[0], texts[1], prefix, texts[2]};
    status = mo_safetensors_write(path, (const char *const *)saver->names, saver->tensors, saver->count, names, values, 5);
  }
  for (int i = 0; i < 3; i++) free(texts[i]);
  return status;
}

mo_status_t mo_output_save(mo_output *output, const char *path, const char *prefix) {
  MO_CHECK(output != NULL && path != NULL, MO_STATUS_INVALID_ARGUMENT, "output_save: the %s is NULL",
           output == NULL ? "output" : "path");
  if (prefix == NULL) prefix = "";
  file_saver saver = {.none_entries = json_array()};
  json_t *keys = json_array(), *structure = json_array();
  mo_status_t status = MO_STATUS_OK;
  if (saver.none_entries == NULL || keys == NULL || structure == NULL) status = out_of_memory("output_save");
  if (status == MO_STATUS_OK) status = save_entries(&saver, output, prefix, keys, structure);
  if (status == MO_STATUS_OK) status = write_file(&saver, output, path, prefix, keys, structure);
  json_decref(keys);
  json_decref(structure);
  json_decref(saver.none_entries);
  for (int64_t i = 0; i < saver.count; i++) {
    free(saver.names[i]);
    free(saver.copies[i]);
  }
  free(saver.names);
  free(saver.tensors);
  free(saver.copies);
  return mo_context_note(output->state->context, status);
}

/* ---- Loading ---- */

typedef struct file_loader {
  mo_context_t *context;
  const mo_safetensors_t *file;
  const char *path;
  int64_t *bytes_left; /* of the file's tensors, that no field holds yet */
} file_loader;

static mo_status_t bad_file(const file_loader *loader, const char *name, const char *problem) {
  return mo_fail(MO_STATUS_BAD_FILE, "output_load: %.100s: %.100s: %s", loader->path, name, problem);
}

typedef struct loaded_memory {
  mo_context_t *context;
  void *memory;
} loaded_memory;

static void release_loaded(void *user_data) {
  loaded_memory *loaded = user_data;
  mo_context_release(loaded->context, loaded->memory);
  free(loaded);
}

/* The data of a tensor of the file into device memory. */
static mo_status_t read_data(const file_loader *loader, const char *name, const mo_tensor *source, void *memory) {
  mo_context_t *context = loader->context;
  const size_t bytes = (size_t)mo_tensor_bytes(source);
  const int64_t count = mo_tensor_count(source);
  if (bytes == 0) return MO_STATUS_OK;
  if (mo_context_backend(context)->memory_is_host) return mo_safetensors_read(loader->file, name, 0, count, memory);
  void *stage = mo_host_allocate(context, bytes);
  if (stage == NULL) return out_of_memory("output_load");
  mo_status_t status = mo_safetensors_read(loader->file, name, 0, count, stage);
  if (status == MO_STATUS_OK) status = mo_context_copy_to_device(context, memory, stage, bytes);
  const mo_status_t waited = mo_context_synchronize(context); /* before what it reads is freed */
  mo_host_free(context, stage, bytes);
  return status != MO_STATUS_OK ? status : waited;
}

static mo_status_t load_tensor(const file_loader *loader, const char *name, mo_field **field) {
  mo_tensor source, tensor;
  if (mo_safetensors_describe(loader->file, name, &source) != MO_STATUS_OK) return bad_file(loader, name, "no such tensor");
  /* Else a small file could ask for any amount of memory. */
  if (mo_tensor_bytes(&source) > *loader->bytes_left)
    return bad_file(loader, name, "the structure holds more than the file: tensors stand in it twice");
  *loader->bytes_left -= mo_tensor_bytes(&source);
  loaded_memory *loaded = malloc(sizeof *loaded);
  if (loaded == NULL) return out_of_memory("output_load");
  *loaded = (loaded_memory){.context = loader->context};
  const size_t bytes = (size_t)mo_tensor_bytes(&source);
  mo_status_t status = mo_context_allocate(loader->context, bytes, &loaded->memory);
  if (status == MO_STATUS_OK) status = read_data(loader, name, &source, loaded->memory);
  if (status == MO_STATUS_OK) {
    status =
        mo_tensor_init(&tensor, loaded->memory, source.dtype, mo_context_device(loader->context), source.rank, source.shape);
  }
  if (status == MO_STATUS_OK) status = mo_field_create_tensor(loader->context, &tensor, release_loaded, loaded, field);
  if (status != MO_STATUS_OK) release_loaded(loaded);
  return status;
}

static mo_status_t load_value(const file_loader *loader, const json_t *described, const char *name, bool in_cache, int depth,
                              mo_field **field);

static void release_all(mo_field **fields, size_t count) {
  for (size_t i = 0; i < count; i++) mo_field_release(fields[i]);
  free(fields);
}

/* Entries from position `first` of the list on; dicts have [key, value] pairs. */
static mo_status_t load_items(const file_loader *loader, const json_t *list, size_t first, const char *name, bool is_dict,
                              bool is_cache_layer, bool is_cache, int depth, mo_field **items, const char **keys) {
  for (size_t i = first; i < json_array_size(list); i++) {
    const json_t *value = json_array_get(list, i);
    char number[24], path[MAX_NAME_BYTES];
    snprintf(number, sizeof number, "%zu", i - first);
    const char *part = is_cache_layer && i - first < 4 ? cache_names[i - first] : number;
    if (is_dict) {
      part = json_string_value(json_array_get(value, 0));
      value = json_array_get(value, 1);
      if (part == NULL) return bad_file(loader, name, "a dict entry without a key");
      keys[i - first] = part;
    }
    if (!join(path, name, part)) return bad_file(loader, name, "the name is too long");
    MO_TRY(load_value(loader, value, path, is_cache, depth + 1, &items[i - first]));
  }
  return MO_STATUS_OK;
}

/* The cache constructor takes the tensors layer after layer. */
static mo_status_t make_cache(const file_loader *loader, mo_field *const *layers, size_t layer_count, int64_t per_layer,
                              const char *name, mo_field **field) {
  if (per_layer != 2 && per_layer != 4) return bad_file(loader, name, "a cache has 2 or 4 tensors per layer");
  mo_field **tensors = calloc(layer_count * (size_t)per_layer + 1, sizeof *tensors);
  if (tensors == NULL) return out_of_memory("output_load");
  mo_status_t status = MO_STATUS_OK;
  for (size_t i = 0; i < layer_count && status == MO_STATUS_OK; i++) {
    if (mo_field_length(layers[i]) != per_layer) status = bad_file(loader, name, "a cache layer of another size");
    for (int64_t k = 0; k < per_layer; k++) tensors[i * (size_t)per_layer + (size_t)k] = mo_field_item(layers[i], k);
  }
  if (status == MO_STATUS_OK) {
    status = mo_field_create_cache(loader->context, tensors, (int64_t)layer_count, (int32_t)per_layer, field);
  }
  free(tensors);
  return status;
}

static mo_status_t load_list(const file_loader *loader, const json_t *described, const char *name, bool in_cache, int depth,
                             mo_field **field) {
  const char *kind = json_string_value(json_array_get(described, 0));
  const json_t *second = json_array_get(described, 1);
  if (kind == NULL) return bad_file(loader, name, "the structure names no kind");
  if (strcmp(kind, "integer") == 0 && json_is_integer(second)) {
    return mo_field_create_integer(loader->context, json_integer_value(second), field);
  }
  if (strcmp(kind, "real") == 0 && json_is_string(second)) {
    return mo_field_create_real(loader->context, strtod(json_string_value(second), NULL), field);
  }
  if (strcmp(kind, "string") == 0 && json_is_string(second)) {
    return mo_field_create_string(loader->context, json_string_value(second), field);
  }
  const bool is_cache = strcmp(kind, "cache") == 0, is_dict = strcmp(kind, "dict") == 0;
  if (!is_cache && !is_dict && strcmp(kind, "tuple") != 0) return bad_file(loader, name, "the structure names an unknown kind");
  const size_t first = is_cache ? 2 : 1;
  const size_t size = json_array_size(described);
  const size_t count = size > first ? size - first : 0;
  mo_field **items = calloc(count + 1, sizeof *items);
  const char **keys = calloc(count + 1, sizeof *keys);
  mo_status_t status = items != NULL && keys != NULL ? MO_STATUS_OK : out_of_memory("output_load");
  if (status == MO_STATUS_OK) {
    status = load_items(loader, described, first, name, is_dict, in_cache, is_cache, depth, items, keys);
  }
  if (status == MO_STATUS_OK) {
    if (is_cache) status = make_cache(loader, items, count, json_integer_value(second), name, field);
    else if (is_dict) status = mo_field_create_dict(loader->context, keys, items, (int64_t)count, field);
    else status = mo_field_create_tuple(loader->context, items, (int64_t)count, field);
  }
  if (items != NULL) release_all(items, count);
  free(keys);
  return status;
}

static mo_status_t load_value(const file_loader *loader, const json_t *described, const char *name, bool in_cache, int depth,
                              mo_field **field) {
  *field = NULL;
  if (depth > MAX_DEPTH) return bad_file(loader, name, "nested too deep");
  if (json_is_null(described)) return MO_STATUS_OK;
  if (json_is_string(described)) return load_tensor(loader, name, field);
  if (json_is_array(described)) return load_list(loader, described, name, in_cache, depth, field);
  return bad_file(loader, name, "the structure is neither a tensor nor a list");
}

static mo_status_t load_entries(const file_loader *loader, const json_t *structure, const char *prefix, mo_output *output) {
  for (size_t i = 0; i < json_array_size(structure); i++) {
    const json_t *pair = json_array_get(structure, i);
    const char *key = json_string_value(json_array_get(pair, 0));
    char name[MAX_NAME_BYTES];
    mo_field *field;
    if (key == NULL) return bad_file(loader, "structure", "an entry without a key");
    if (mo_output_contains(output, key)) return bad_file(loader, key, "the key stands twice");
    if (snprintf(name, sizeof name, "%s%s", prefix, key) >= MAX_NAME_BYTES)
      return bad_file(loader, key, "the name is too long");
    MO_TRY(load_value(loader, json_array_get(pair, 1), name, false, 0, &field));
    const mo_status_t status = mo_output_set_item(output, key, field);
    mo_field_release(field);
    MO_TRY(status);
  }
  return MO_STATUS_OK;
}

static mo_status_t load_output(const file_loader *loader, mo_output **output) {
  const char *class_name = mo_safetensors_metadata(loader->file, "class");
  const char *text = mo_safetensors_metadata(loader->file, "structure");
  const char *prefix = mo_safetensors_metadata(loader->file, "prefix");
  const mo_class *output_class = class_name != NULL ? mo_class_find(class_name) : NULL;
  /* A class of a model's own, which the table does not list: the keys and fields are what matters. */
  if (output_class == NULL && class_name != NULL) output_class = mo_class_find("ModelOutput");
  if (output_class == NULL || text == NULL) return bad_file(loader, "metadata", "not a file of mo_output_save");
  json_t *structure = NULL;
  MO_TRY(mo_json_read("output_load: the structure in the metadata", text, strlen(text), MO_JSON_PYTHON, &structure));
  if (!json_is_array(structure)) {
    json_decref(structure);
    return bad_file(loader, "metadata", "the structure is no JSON list");
  }
  mo_output *made = NULL;
  mo_status_t status = mo_output_create_from_fields(loader->context, output_class, NULL, 0, &made);
  if (status == MO_STATUS_OK) status = load_entries(loader, structure, prefix != NULL ? prefix : "", made);
  if (status == MO_STATUS_OK) status = mo_output_mark_written(made, mo_context_stream(loader->context));
  json_decref(structure);
  if (status != MO_STATUS_OK) {
    mo_output_destroy(made);
    return status;
  }
  *output = made;
  return MO_STATUS_OK;
}

static int64_t bytes_of_all(const mo_safetensors_t *file) {
  int64_t bytes = 0; /* cannot overflow: they are in the file one after the other */
  mo_tensor tensor;
  for (int64_t i = 0; i < mo_safetensors_count(file); i++)
    if (mo_safetensors_describe(file, mo_safetensors_name(file, i), &tensor) == MO_STATUS_OK) bytes += mo_tensor_bytes(&tensor);
  return bytes;
}

mo_status_t mo_output_load(mo_context_t *context, const char *path, mo_output **output) {
  MO_CHECK(context != NULL && path != NULL && output != NULL, MO_STATUS_INVALID_ARGUMENT, "output_load: an argument is NULL");
  mo_safetensors_t *file;
  mo_status_t status = mo_safetensors_open(path, &file);
  if (status == MO_STATUS_OK) {
    int64_t bytes_left = bytes_of_all(file);
    const file_loader loader = {.context = context, .file = file, .path = path, .bytes_left = &bytes_left};
    status = load_output(&loader, output);
    mo_safetensors_close(file);
  }
  return mo_context_note(context, status);
}
