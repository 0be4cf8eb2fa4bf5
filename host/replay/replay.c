/* host/replay/replay.c - a recorded case run through the public API.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/replay/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/replay/case_files.h"
#include "host/replay/inputs.h"

#define NAME_BYTES 160

static double now_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ---- Keeping an output --------------------------------------------------------------------------------------------------- */

static mo_status_t no_memory(mo_replay *replay, const char *name) {
  return mo_replay_tell(replay->message, MO_STATUS_OUT_OF_MEMORY, "out of memory for", name);
}

static mo_status_t append_tensor(mo_replay *replay, const char *name, mo_field *field) {
  const mo_tensor *source = mo_field_tensor(field);
  mo_replay_tensor *grown = realloc(replay->tensors, (size_t)(replay->tensor_count + 1) * sizeof *grown);
  if (grown == NULL) return no_memory(replay, name);
  replay->tensors = grown;
  mo_replay_tensor *tensor = &grown[replay->tensor_count];
  *tensor = (mo_replay_tensor){.rank = source->rank, .count = mo_tensor_count(source)};
  memcpy(tensor->shape, source->shape, sizeof tensor->shape);
  tensor->name = strdup(name);
  tensor->values = malloc((size_t)tensor->count * sizeof(float) + 1);
  replay->tensor_count++;
  if (tensor->name == NULL || tensor->values == NULL) return no_memory(replay, name);
  return mo_replay_told(replay->message, mo_field_read_float32(field, NULL, 0, tensor->values, tensor->count), name);
}

static mo_status_t append_integer(mo_replay *replay, const char *name, const mo_field *field) {
  mo_replay_tensor *grown = realloc(replay->tensors, (size_t)(replay->tensor_count + 1) * sizeof *grown);
  if (grown == NULL) return no_memory(replay, name);
  replay->tensors = grown;
  mo_replay_tensor *tensor = &grown[replay->tensor_count];
  *tensor = (mo_replay_tensor){.count = 1, .name = strdup(name), .values = malloc(sizeof(float))};
  replay->tensor_count++;
  if (tensor->name == NULL || tensor->values == NULL) return no_memory(replay, name);
  tensor->values[0] = (float)mo_field_integer(field);
  return MO_STATUS_OK;
}

/* Without the step: that is how recordings list them. */
static mo_status_t append_none(mo_replay *replay, mo_replay_call *call, const char *name) {
  char **grown = realloc(call->none_entries, (size_t)(call->none_count + 1) * sizeof *grown);
  if (grown == NULL) return no_memory(replay, name);
  call->none_entries = grown;
  grown[call->none_count] = strdup(name);
  return grown[call->none_count++] != NULL ? MO_STATUS_OK : no_memory(replay, name);
}

static mo_status_t flatten(mo_replay *replay, mo_replay_call *call, const char *prefix, const char *name, mo_field *field,
                           bool layer_of_cache) {
  static const char *const cache_names[] = {"key", "value", "cross_key", "cross_value"};
  char entry_name[NAME_BYTES];
  if (mo_field_kind(field) == MO_FIELD_INTEGER) {
    snprintf(entry_name, sizeof entry_name, "%s%.120s", prefix, name);
    return append_integer(replay, entry_name, field);
  }
  if (mo_field_kind(field) == MO_FIELD_TENSOR) {
    snprintf(entry_name, sizeof entry_name, "%s%.120s", prefix, name);
    return append_tensor(replay, entry_name, field);
  }
  /* TensorFlow's is a tuple of tuples. */
  const bool is_cache = mo_field_kind(field) == MO_FIELD_CACHE || strcmp(name, "past_key_values") == 0;
  for (int64_t i = 0; i < mo_field_length(field); i++) {
    const char *key = layer_of_cache && i < 4 ? cache_names[i] : mo_field_key(field, i);
    mo_field *item = mo_field_item(field, i);
    if (key != NULL) snprintf(entry_name, sizeof entry_name, "%.80s.%.60s", name, key);
    else snprintf(entry_name, sizeof entry_name, "%.100s.%lld", name, (long long)i);
    const mo_status_t status =
        item == NULL ? append_none(replay, call, entry_name) : flatten(replay, call, prefix, entry_name, item, is_cache);
    if (status != MO_STATUS_OK) return status;
  }
  return MO_STATUS_OK;
}

static mo_status_t keep(mo_replay *replay, mo_replay_call *call, const char *prefix, const mo_output *output) {
  const int64_t count = mo_output_length(output);
  call->output_class = strdup(output->output_class->name);
  call->keys = calloc((size_t)count + 1, sizeof *call->keys);
  if (call->output_class == NULL || call->keys == NULL) return no_memory(replay, "the keys");
  for (int64_t i = 0; i < count; i++) {
    const char *key = mo_output_key_at(output, i);
    call->keys[i] = strdup(key);
    if (call->keys[i] == NULL) return no_memory(replay, "the keys");
    call->key_count = i + 1;
    const mo_status_t status = flatten(replay, call, prefix, key, mo_output_get(output, key), false);
    if (status != MO_STATUS_OK) return status;
  }
  return MO_STATUS_OK;
}

/* ---- Running ------------------------------------------------------------------------------------------------------------- */

typedef struct replay_run {
  const json_t *description;
  mo_model_t *model;
  mo_safetensors_t *file;
  mo_output **outputs; /* of the calls so far: later ones take caches and encoder outputs from them */
  mo_replay *replay;
} replay_run;

/* The tensors of the file that belong to the step. */
static mo_status_t bind_inputs(const replay_run *run, const char *prefix, mo_replay_inputs *inputs) {
  char *message = run->replay->message;
  const size_t prefix_length = strlen(prefix);
  for (int64_t i = 0; i < mo_safetensors_count(run->file); i++) {
    const char *name = mo_safetensors_name(run->file, i);
    mo_tensor found;
    if (strncmp(name, prefix, prefix_length) != 0) continue;
    mo_status_t status = mo_replay_told(message, mo_safetensors_describe(run->file, name, &found), name);
    if (status != MO_STATUS_OK) return status;
    const mo_tensor *tensor = mo_replay_inputs_add(inputs, name + prefix_length, found.dtype, found.rank, found.shape);
    if (tensor == NULL) return mo_replay_tell(message, MO_STATUS_OUT_OF_MEMORY, "no memory, or too many inputs, for", name);
    status = mo_safetensors_read(run->file, name, 0, mo_tensor_count(tensor), tensor->data);
    if (status != MO_STATUS_OK) return mo_replay_told(message, status, name);
  }
  return MO_STATUS_OK;
}

/* ["reorder", rows] and the like, in the words of the original. */
static mo_status_t operate(mo_replay *replay, mo_cache_t *cache, const json_t *operation) {
  enum { MAX_ROWS = 64 };
  int64_t rows[MAX_ROWS];
  const char *name = json_string_value(json_array_get(operation, 0));
  const json_t *argument = json_array_get(operation, 1);
  const size_t count = json_array_size(argument);
  const int64_t number = json_integer_value(argument);
  for (size_t i = 0; i < count && i < MAX_ROWS; i++) rows[i] = json_integer_value(json_array_get(argument, i));
  const bool known = name != NULL && (json_is_integer(argument) || (count > 0 && count <= MAX_ROWS));
  if (known && strcmp(name, "repeat") == 0) return mo_replay_told(replay->message, mo_cache_batch_repeat(cache, number), name);
  if (known && strcmp(name, "crop") == 0) return mo_replay_told(replay->message, mo_cache_crop(cache, -number), name);
  if (known && (strcmp(name, "reorder") == 0 || strcmp(name, "select") == 0))
    return mo_replay_told(replay->message, mo_cache_reorder(cache, rows, (int64_t)count), name);
  return mo_replay_tell(replay->message, MO_STATUS_BAD_FILE, "case.json: an unknown one of cache_operations",
                        name != NULL ? name : "");
}

/* A new one, of the kind the step names. */
static mo_status_t make_slots(const replay_run *run, int64_t max_length, mo_cache_t **cache) {
  mo_cache_options options = MO_CACHE_OPTIONS_INIT;
  options.kind = MO_CACHE_STATIC;
  options.max_length = max_length;
  return mo_replay_told(run->replay->message, mo_model_create_cache(run->model, &options, 0, 0, cache), "cache");
}

static mo_status_t make_cache(const replay_run *run, const json_t *wanted, mo_cache_t **cache) {
  const char *kind = json_string_value(json_object_get(wanted, "kind"));
  if (kind == NULL || strcmp(kind, "static") != 0)
    return mo_replay_tell(run->replay->message, MO_STATUS_BAD_FILE, "case.json: a cache of unknown kind",
                          kind != NULL ? kind : "");
  return make_slots(run, json_integer_value(json_object_get(wanted, "max_length")), cache);
}

/* The cache the step goes on with: a copy, as several steps may go on from the same one. */
static mo_status_t find_cache(const replay_run *run, int64_t index, mo_cache_t **cache) {
  static const char key[] = "past_key_values_from";
  char *message = run->replay->message;
  const json_t *step = mo_replay_step(run->description, index);
  const json_t *wanted = json_object_get(step, "cache"), *operations = json_object_get(step, "cache_operations");
  int64_t earlier;
  const json_t *slots = json_object_get(step, "init_cache_max_length"); /* Flax */
  if (wanted != NULL) return make_cache(run, wanted, cache);
  if (slots != NULL) return make_slots(run, json_integer_value(slots), cache);
  mo_status_t status = mo_replay_earlier_step(run->description, index, key, &earlier, message);
  if (status != MO_STATUS_OK || earlier < 0) return status;
  mo_cache_t *found = mo_field_cache(mo_output_get(run->outputs[earlier], "past_key_values"));
  if (found == NULL) return mo_replay_tell(message, MO_STATUS_BAD_FILE, "the earlier call has no cache", key);
  status = mo_replay_told(message, mo_cache_copy(found, cache), key);
  for (size_t i = 0; status == MO_STATUS_OK && i < json_array_size(operations); i++)
    status = operate(run->replay, *cache, json_array_get(operations, i));
  return status;
}

/* What the step takes from an earlier one. `cache` is to be released after the call. */
static mo_status_t bind_earlier(const replay_run *run, int64_t index, mo_replay_inputs *inputs, mo_cache_t **cache) {
  char *message = run->replay->message;
  int64_t earlier;
  bool fits = true;
  mo_status_t status = mo_replay_earlier_step(run->description, index, "encoder_outputs_from", &earlier, message);
  if (status == MO_STATUS_OK && earlier >= 0) {
    mo_field *states = mo_output_get(run->outputs[earlier], "encoder_last_hidden_state");
    if (states != NULL) fits = mo_replay_inputs_add_field(inputs, "encoder_outputs", states);
  }
  if (status == MO_STATUS_OK) status = find_cache(run, index, cache);
  if (*cache != NULL) fits = fits && mo_replay_inputs_add_cache(inputs, "past_key_values", *cache);
  return fits ? status : mo_replay_tell(message, MO_STATUS_BAD_FILE, "too many inputs", "");
}

/* A call that did not say takes config.use_cache: its keys show what that was. */
static bool used_cache(const json_t *step) {
  const json_t *flag = json_object_get(json_object_get(step, "flags"), "use_cache");
  size_t index;
  json_t *key;
  if (flag != NULL) return json_is_true(flag);
  json_array_foreach(json_object_get(step, "output_fields_in_order"), index, key) {
    if (strcmp(json_string_value(key) != NULL ? json_string_value(key) : "", "past_key_values") == 0) return true;
  }
  return false;
}

static mo_status_t run_call(replay_run *run, int64_t index) {
  mo_replay *replay = run->replay;
  mo_replay_inputs inputs = {.count = 0};
  mo_request request = MO_REQUEST_INIT;
  mo_cache_t *past = NULL;
  char prefix[32];
  const json_t *flags = json_object_get(mo_replay_step(run->description, index), "flags");
  request.output_hidden_states = json_is_true(json_object_get(flags, "output_hidden_states"));
  request.output_attentions = json_is_true(json_object_get(flags, "output_attentions"));
  request.output_router_logits = json_is_true(json_object_get(flags, "output_router_logits"));
  request.use_cache = used_cache(mo_replay_step(run->description, index));
  mo_replay_step_prefix(run->description, index, prefix);

  mo_status_t status = bind_inputs(run, prefix, &inputs);
  if (status == MO_STATUS_OK) status = bind_earlier(run, index, &inputs, &past);
  const double start = now_seconds();
  if (status == MO_STATUS_OK)
    status = mo_replay_told(
        replay->message, mo_model_forward_named(run->model, inputs.named, inputs.count, &request, &run->outputs[index]), "run");
  if (status == MO_STATUS_OK) status = mo_replay_told(replay->message, mo_output_synchronize(run->outputs[index]), "run");
  replay->run_seconds += now_seconds() - start;
  mo_cache_release(past); /* the output holds it */
  mo_replay_inputs_release(&inputs);
  return status == MO_STATUS_OK ? keep(replay, &replay->calls[index], prefix, run->outputs[index]) : status;
}

static mo_status_t load(replay_run *run, mo_context_t *context, const char *directory, mo_dtype_t dtype) {
  char *message = run->replay->message;
  mo_model_options options = MO_MODEL_OPTIONS_INIT;
  options.dtype = dtype;
  options.architecture = json_string_value(json_object_get(run->description, "model_class"));
  options.sub_module = json_string_value(json_object_get(run->description, "sub_module"));
  const char *framework = json_string_value(json_object_get(run->description, "framework"));
  if (framework != NULL) options.framework = strcmp(framework, "tf") == 0 ? MO_FRAMEWORK_TF : MO_FRAMEWORK_FLAX;
  const double start = now_seconds();
  const mo_status_t status = mo_replay_told(message, mo_model_load(context, directory, &options, &run->model), "load");
  run->replay->load_seconds = now_seconds() - start;
  return status == MO_STATUS_OK ? mo_replay_open(directory, "inputs.safetensors", &run->file, message) : status;
}

static mo_status_t run_case(mo_context_t *context, const char *directory, const json_t *description, mo_dtype_t dtype,
                            mo_replay *replay) {
  replay_run run = {.description = description, .replay = replay};
  const int64_t count = mo_replay_step_count(description);
  replay->calls = calloc((size_t)count, sizeof *replay->calls);
  run.outputs = calloc((size_t)count, sizeof *run.outputs);
  if (replay->calls != NULL) replay->call_count = count;
  mo_status_t status = replay->calls != NULL && run.outputs != NULL ? MO_STATUS_OK : no_memory(replay, "the calls");
  if (status == MO_STATUS_OK) status = load(&run, context, directory, dtype);
  for (int64_t i = 0; status == MO_STATUS_OK && i < count; i++) status = run_call(&run, i);
  for (int64_t i = 0; run.outputs != NULL && i < count; i++) mo_output_destroy(run.outputs[i]);
  free(run.outputs);
  mo_safetensors_close(run.file);
  mo_model_destroy(run.model);
  return status;
}

mo_status_t mo_replay_case(mo_context_t *context, const char *case_directory, mo_dtype_t dtype, mo_replay **result) {
  json_t *description = NULL;
  mo_replay *replay = calloc(1, sizeof *replay);
  *result = replay;
  if (replay == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_status_t status = mo_replay_load_description(case_directory, &description, replay->message);
  if (status == MO_STATUS_OK) status = run_case(context, case_directory, description, dtype, replay);
  json_decref(description);
  return status;
}

static void release_call(mo_replay_call *call) {
  for (int64_t i = 0; i < call->key_count; i++) free(call->keys[i]);
  for (int64_t i = 0; i < call->none_count; i++) free(call->none_entries[i]);
  free(call->keys);
  free(call->none_entries);
  free(call->output_class);
}

void mo_replay_destroy(mo_replay *replay) {
  if (replay == NULL) return;
  for (int64_t i = 0; i < replay->call_count; i++) release_call(&replay->calls[i]);
  for (int64_t i = 0; i < replay->tensor_count; i++) {
    free(replay->tensors[i].name);
    free(replay->tensors[i].values);
  }
  free(replay->calls);
  free(replay->tensors);
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
