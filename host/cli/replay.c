/* host/cli/replay.c - a recorded case run through the public API.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L /* clock_gettime, strdup */

#include "host/cli/replay.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATH_BYTES 4096

/* Recorded argument names and the inputs they become. */
static const struct {
  const char *name;
  size_t offset;
} slots[] = {
    {"input_ids", offsetof(mo_model_inputs, input_ids)},
    {"attention_mask", offsetof(mo_model_inputs, attention_mask)},
    {"token_type_ids", offsetof(mo_model_inputs, token_type_ids)},
    {"position_ids", offsetof(mo_model_inputs, position_ids)},
    {"inputs_embeds", offsetof(mo_model_inputs, inputs_embeds)},
    {"labels", offsetof(mo_model_inputs, labels)},
    {"next_sentence_label", offsetof(mo_model_inputs, next_sentence_label)},
    {"sentence_order_label", offsetof(mo_model_inputs, next_sentence_label)},
    {"start_positions", offsetof(mo_model_inputs, start_positions)},
    {"end_positions", offsetof(mo_model_inputs, end_positions)},
};
enum { SLOT_COUNT = sizeof slots / sizeof slots[0] };

static double now_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static mo_status_t tell(char *message, mo_status_t status, const char *what, const char *detail) {
  if (message[0] == '\0') snprintf(message, MO_REPLAY_MESSAGE_BYTES, "%s%s%s", what, detail[0] != '\0' ? ": " : "", detail);
  return status;
}

/* Notes the library's sentence. */
static mo_status_t told(char *message, mo_status_t status, const char *what) {
  return status == MO_STATUS_OK ? status : tell(message, status, what, mo_last_error());
}

static mo_status_t join(char path[PATH_BYTES], const char *directory, const char *name, char *message) {
  const int length = snprintf(path, PATH_BYTES, "%s/%s", directory, name);
  if (length > 0 && length < PATH_BYTES) return MO_STATUS_OK;
  return tell(message, MO_STATUS_IO_ERROR, "the path of the case is too long", name);
}

static mo_status_t open_file(const char *directory, const char *name, mo_safetensors_t **file, char *message) {
  char path[PATH_BYTES];
  const mo_status_t status = join(path, directory, name, message);
  return status != MO_STATUS_OK ? status : told(message, mo_safetensors_open(path, file), name);
}

/* case.json of one call on a whole model. */
static mo_status_t load_case(const char *directory, json_t **description, char *message) {
  char path[PATH_BYTES];
  json_error_t error;
  mo_status_t status = join(path, directory, "case.json", message);
  if (status != MO_STATUS_OK) return status;
  *description = json_load_file(path, 0, &error);
  if (*description == NULL) {
    const bool unreadable = json_error_code(&error) == json_error_cannot_open_file;
    return tell(message, unreadable ? MO_STATUS_IO_ERROR : MO_STATUS_BAD_FILE, "case.json", error.text);
  }
  if (json_object_get(*description, "steps") != NULL)
    return tell(message, MO_STATUS_UNSUPPORTED, "a case of several calls needs key/value caches", "");
  if (json_object_get(*description, "sub_module") != NULL)
    return tell(message, MO_STATUS_UNSUPPORTED, "the case calls a part of a model", "");
  if (!json_is_string(json_object_get(*description, "model_class")) ||
      !json_is_array(json_object_get(*description, "output_fields_in_order")))
    return tell(message, MO_STATUS_BAD_FILE, "case.json lacks model_class or output_fields_in_order", "");
  return MO_STATUS_OK;
}

/* ---- Flattening an output ------------------------------------------------------------------------------------------------ */

static mo_status_t append(mo_replay *replay, const char *name, mo_field *field) {
  const mo_tensor *source = mo_field_tensor(field);
  mo_replay_tensor *grown = realloc(replay->tensors, (size_t)(replay->tensor_count + 1) * sizeof *grown);
  if (grown == NULL) return tell(replay->message, MO_STATUS_OUT_OF_MEMORY, "out of memory for", name);
  replay->tensors = grown;
  mo_replay_tensor *tensor = &grown[replay->tensor_count];
  *tensor = (mo_replay_tensor){.rank = source->rank, .count = mo_tensor_count(source)};
  memcpy(tensor->shape, source->shape, sizeof tensor->shape);
  tensor->name = strdup(name);
  tensor->values = malloc((size_t)tensor->count * sizeof(float) + 1);
  replay->tensor_count++;
  if (tensor->name == NULL || tensor->values == NULL)
    return tell(replay->message, MO_STATUS_OUT_OF_MEMORY, "out of memory for", name);
  return told(replay->message, mo_field_read_float32(field, NULL, 0, tensor->values, tensor->count), name);
}

static mo_status_t flatten(mo_replay *replay, const char *name, mo_field *field) {
  char entry_name[128];
  if (mo_field_kind(field) == MO_FIELD_TENSOR) return append(replay, name, field);
  for (int64_t i = 0; i < mo_field_length(field); i++) {
    const char *key = mo_field_key(field, i);
    mo_field *item = mo_field_item(field, i);
    if (item == NULL) continue;
    if (key != NULL) snprintf(entry_name, sizeof entry_name, "%.60s.%.60s", name, key);
    else snprintf(entry_name, sizeof entry_name, "%.100s.%lld", name, (long long)i);
    const mo_status_t status = flatten(replay, entry_name, item);
    if (status != MO_STATUS_OK) return status;
  }
  return MO_STATUS_OK;
}

static mo_status_t keep(mo_replay *replay, const mo_output *output) {
  const int64_t count = mo_output_length(output);
  replay->output_class = strdup(output->output_class->name);
  replay->keys = calloc((size_t)count + 1, sizeof *replay->keys);
  if (replay->output_class == NULL || replay->keys == NULL)
    return tell(replay->message, MO_STATUS_OUT_OF_MEMORY, "out of memory for the keys", "");
  for (int64_t i = 0; i < count; i++) {
    const char *key = mo_output_key_at(output, i);
    replay->keys[i] = strdup(key);
    if (replay->keys[i] == NULL) return tell(replay->message, MO_STATUS_OUT_OF_MEMORY, "out of memory for the keys", "");
    replay->key_count = i + 1;
    const mo_status_t status = flatten(replay, key, mo_output_get(output, key));
    if (status != MO_STATUS_OK) return status;
  }
  return MO_STATUS_OK;
}

/* ---- Replaying ----------------------------------------------------------------------------------------------------------- */

static mo_status_t bind_inputs(const mo_safetensors_t *file, mo_model_inputs *inputs, mo_tensor tensors[SLOT_COUNT],
                               char *message) {
  for (int64_t i = 0; i < mo_safetensors_count(file); i++) {
    const char *name = mo_safetensors_name(file, i);
    int slot = 0;
    while (slot < SLOT_COUNT && strcmp(slots[slot].name, name) != 0) slot++;
    if (slot == SLOT_COUNT) return tell(message, MO_STATUS_UNSUPPORTED, "models take no input of this name", name);
    const mo_status_t status = told(message, mo_safetensors_tensor(file, name, &tensors[slot]), name);
    if (status != MO_STATUS_OK) return status;
    const mo_tensor *tensor = &tensors[slot];
    memcpy((char *)inputs + slots[slot].offset, &tensor, sizeof tensor);
  }
  return MO_STATUS_OK;
}

static mo_status_t replay_call(mo_context_t *context, const char *directory, const json_t *description, mo_dtype_t dtype,
                               mo_replay *replay) {
  mo_model_options options = MO_MODEL_OPTIONS_INIT;
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  mo_request request = MO_REQUEST_INIT;
  mo_tensor tensors[SLOT_COUNT];
  mo_model_t *model = NULL;
  mo_safetensors_t *file = NULL;
  mo_output *output = NULL;
  const json_t *flags = json_object_get(description, "flags");
  request.output_hidden_states = json_is_true(json_object_get(flags, "output_hidden_states"));
  request.output_attentions = json_is_true(json_object_get(flags, "output_attentions"));
  request.use_cache = json_is_true(json_object_get(flags, "use_cache"));
  options.dtype = dtype;
  options.architecture = json_string_value(json_object_get(description, "model_class"));

  const double start = now_seconds();
  mo_status_t status = told(replay->message, mo_model_load(context, directory, &options, &model), "load");
  const double loaded = now_seconds();
  if (status == MO_STATUS_OK) status = open_file(directory, "inputs.safetensors", &file, replay->message);
  if (status == MO_STATUS_OK) status = bind_inputs(file, &inputs, tensors, replay->message);
  if (status == MO_STATUS_OK) status = told(replay->message, mo_model_forward(model, &inputs, &request, &output), "run");
  if (status == MO_STATUS_OK) status = told(replay->message, mo_output_synchronize(output), "run");
  replay->load_seconds = loaded - start;
  replay->run_seconds = now_seconds() - loaded;
  if (status == MO_STATUS_OK) status = keep(replay, output);
  mo_output_destroy(output);
  mo_safetensors_close(file);
  mo_model_destroy(model);
  return status;
}

mo_status_t mo_replay_case(mo_context_t *context, const char *case_directory, mo_dtype_t dtype, mo_replay **result) {
  json_t *description = NULL;
  mo_replay *replay = calloc(1, sizeof *replay);
  *result = replay;
  if (replay == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_status_t status = load_case(case_directory, &description, replay->message);
  if (status == MO_STATUS_OK) status = replay_call(context, case_directory, description, dtype, replay);
  json_decref(description);
  return status;
}

void mo_replay_destroy(mo_replay *replay) {
  if (replay == NULL) return;
  for (int64_t i = 0; i < replay->key_count; i++) free(replay->keys[i]);
  for (int64_t i = 0; i < replay->tensor_count; i++) {
    free(replay->tensors[i].name);
    free(replay->tensors[i].values);
  }
  free(replay->keys);
  free(replay->tensors);
  free(replay->output_class);
  free(replay);
}

mo_status_t mo_replay_save(const mo_replay *replay, const char *path) {
  const size_t count = (size_t)replay->tensor_count;
  const char **names = calloc(count + 1, sizeof *names);
  mo_tensor *tensors = calloc(count + 1, sizeof *tensors);
  mo_status_t status = MO_STATUS_OUT_OF_MEMORY;
  if (names != NULL && tensors != NULL) {
    for (size_t i = 0; i < count; i++) {
      const mo_replay_tensor *tensor = &replay->tensors[i];
      names[i] = tensor->name;
      tensors[i] = mo_tensor_cpu(tensor->values, MO_DTYPE_FLOAT32, tensor->rank, tensor->shape);
    }
    status = mo_safetensors_write(path, names, tensors, replay->tensor_count, NULL, NULL, 0);
  }
  free(names);
  free(tensors);
  return status;
}

/* ---- Comparing ----------------------------------------------------------------------------------------------------------- */

static void differs(mo_replay_comparison *comparison, const char *what, const char *detail) {
  comparison->difference_count++;
  (void)tell(comparison->message, MO_STATUS_OK, what, detail);
}

static void compare_keys(const mo_replay *replay, const json_t *expected, mo_replay_comparison *comparison) {
  char detail[160];
  const size_t count = json_array_size(expected);
  comparison->key_count = replay->key_count;
  for (size_t i = 0; i < count || i < (size_t)replay->key_count; i++) {
    const char *wanted = i < count ? json_string_value(json_array_get(expected, i)) : NULL;
    const char *found = i < (size_t)replay->key_count ? replay->keys[i] : NULL;
    if (wanted != NULL && found != NULL && strcmp(wanted, found) == 0) continue;
    snprintf(detail, sizeof detail, "position %zu is %.60s, recorded was %.60s", i, found != NULL ? found : "nothing",
             wanted != NULL ? wanted : "nothing");
    differs(comparison, "keys", detail);
  }
}

static const mo_replay_tensor *find(const mo_replay *replay, const char *name) {
  for (int64_t i = 0; i < replay->tensor_count; i++)
    if (strcmp(replay->tensors[i].name, name) == 0) return &replay->tensors[i];
  return NULL;
}

static void compare_values(const mo_replay_tensor *found, const mo_tensor *expected, double tolerance,
                           mo_replay_comparison *comparison) {
  char detail[200];
  double largest = 0.0;
  int64_t at = 0;
  for (int64_t i = 0; i < found->count; i++) {
    float wanted;
    memcpy(&wanted, (const char *)expected->data + (size_t)i * sizeof wanted, sizeof wanted);
    double difference = fabs((double)found->values[i] - (double)wanted);
    if (wanted == found->values[i] || (isnan(wanted) && isnan(found->values[i]))) difference = 0.0;
    if (isnan(difference)) difference = INFINITY;
    if (difference > largest) largest = difference, at = i;
  }
  comparison->value_count += found->count;
  if (largest > comparison->largest || comparison->largest_name[0] == '\0') {
    comparison->largest = largest;
    snprintf(comparison->largest_name, sizeof comparison->largest_name, "%.90s", found->name);
  }
  if (largest <= tolerance) return;
  snprintf(detail, sizeof detail, "element %lld differs by %.3g, %.3g is allowed", (long long)at, largest, tolerance);
  differs(comparison, found->name, detail);
}

static mo_status_t compare_tensors(const mo_replay *replay, const mo_safetensors_t *file, double tolerance,
                                   mo_replay_comparison *comparison) {
  for (int64_t i = 0; i < mo_safetensors_count(file); i++) {
    const char *name = mo_safetensors_name(file, i);
    const mo_replay_tensor *found = find(replay, name);
    mo_tensor expected;
    const mo_status_t status = told(comparison->message, mo_safetensors_tensor(file, name, &expected), name);
    if (status != MO_STATUS_OK) return status;
    if (expected.dtype != MO_DTYPE_FLOAT32) return tell(comparison->message, MO_STATUS_UNSUPPORTED, name, "not float32");
    comparison->tensor_count++;
    if (found == NULL) {
      differs(comparison, name, "recorded, but not in the output");
    } else if (found->rank != expected.rank ||
               memcmp(found->shape, expected.shape, (size_t)found->rank * sizeof *found->shape) != 0) {
      differs(comparison, name, "has another shape than recorded");
    } else {
      compare_values(found, &expected, tolerance, comparison);
    }
  }
  for (int64_t i = 0; i < replay->tensor_count; i++) {
    mo_tensor unused;
    if (mo_safetensors_tensor(file, replay->tensors[i].name, &unused) != MO_STATUS_OK)
      differs(comparison, replay->tensors[i].name, "in the output, but not recorded");
  }
  return MO_STATUS_OK;
}

mo_status_t mo_replay_compare(const mo_replay *replay, const char *case_directory, double tolerance,
                              mo_replay_comparison *comparison) {
  json_t *description = NULL;
  mo_safetensors_t *file = NULL;
  *comparison = (mo_replay_comparison){0};
  mo_status_t status = load_case(case_directory, &description, comparison->message);
  if (status == MO_STATUS_OK) status = open_file(case_directory, "outputs.safetensors", &file, comparison->message);
  if (status == MO_STATUS_OK) {
    const char *wanted = json_string_value(json_object_get(description, "output_class"));
    if (wanted != NULL && strcmp(wanted, replay->output_class) != 0)
      differs(comparison, "output class is", replay->output_class);
    compare_keys(replay, json_object_get(description, "output_fields_in_order"), comparison);
    status = compare_tensors(replay, file, tolerance, comparison);
  }
  mo_safetensors_close(file);
  json_decref(description);
  return status;
}
