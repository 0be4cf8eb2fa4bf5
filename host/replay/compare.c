/* host/replay/compare.c - what a replay returned against what was recorded.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/replay/case_files.h"
#include "host/replay/replay.h"

static void differs(mo_replay_comparison *comparison, const char *what, const char *detail) {
  comparison->difference_count++;
  (void)mo_replay_tell(comparison->message, MO_STATUS_OK, what, detail);
}

/* Names in order: a call's keys, its None entries. */
static void compare_names(const char *what, char *const *found_names, int64_t found_count, const json_t *expected,
                          mo_replay_comparison *comparison) {
  char detail[200];
  const int64_t count = (int64_t)json_array_size(expected);
  for (int64_t i = 0; i < count || i < found_count; i++) {
    const char *wanted = i < count ? json_string_value(json_array_get(expected, (size_t)i)) : NULL;
    const char *found = i < found_count ? found_names[i] : NULL;
    if (wanted != NULL && found != NULL && strcmp(wanted, found) == 0) continue;
    snprintf(detail, sizeof detail, "position %lld is %.60s, recorded was %.60s", (long long)i,
             found != NULL ? found : "nothing", wanted != NULL ? wanted : "nothing");
    differs(comparison, what, detail);
  }
}

static void compare_call(const mo_replay_call *call, const json_t *step, mo_replay_comparison *comparison) {
  const char *wanted = json_string_value(json_object_get(step, "output_class"));
  if (wanted != NULL && strcmp(wanted, call->output_class) != 0) differs(comparison, "output class is", call->output_class);
  comparison->key_count += call->key_count;
  compare_names("keys", call->keys, call->key_count, json_object_get(step, "output_fields_in_order"), comparison);
  compare_names("None entries", call->none_entries, call->none_count, json_object_get(step, "none_entries"), comparison);
}

static const mo_replay_tensor *find(const mo_replay *replay, const char *name) {
  for (int64_t i = 0; i < replay->tensor_count; i++)
    if (strcmp(replay->tensors[i].name, name) == 0) return &replay->tensors[i];
  return NULL;
}

static void compare_values(const mo_replay_tensor *found, const mo_tensor *expected, double tolerance, bool nan_is_unspecified,
                           mo_replay_comparison *comparison) {
  char detail[200];
  double largest = 0.0;
  int64_t at = 0;
  for (int64_t i = 0; i < found->count; i++) {
    float wanted;
    memcpy(&wanted, (const char *)expected->data + (size_t)i * sizeof wanted, sizeof wanted);
    if (nan_is_unspecified && isnan(wanted) && isfinite(found->values[i])) continue;
    double difference = fabs((double)found->values[i] - (double)wanted);
    if (wanted == found->values[i] || (isnan(wanted) && isnan(found->values[i]))) difference = 0.0;
    if (isnan(difference)) difference = INFINITY;
    comparison->value_count++;
    if (difference > largest) largest = difference, at = i;
  }
  if (largest > comparison->largest || comparison->largest_name[0] == '\0') {
    comparison->largest = largest;
    snprintf(comparison->largest_name, sizeof comparison->largest_name, "%.90s", found->name);
  }
  if (largest <= tolerance) return;
  snprintf(detail, sizeof detail, "element %lld differs by %.3g, %.3g is allowed", (long long)at, largest, tolerance);
  differs(comparison, found->name, detail);
}

/* Counts and choices are recorded as integers. */
static mo_status_t as_float32(mo_tensor *tensor) {
  const int64_t count = mo_tensor_count(tensor);
  if (tensor->dtype == MO_DTYPE_FLOAT32) return MO_STATUS_OK;
  float *values = malloc((size_t)count * sizeof *values + 1);
  if (values == NULL) return MO_STATUS_OUT_OF_MEMORY;
  const mo_status_t status = mo_dtype_convert(values, MO_DTYPE_FLOAT32, tensor->data, tensor->dtype, count);
  free(tensor->data);
  tensor->data = values;
  tensor->dtype = MO_DTYPE_FLOAT32;
  return status;
}

static mo_status_t compare_tensors(const mo_replay *replay, const mo_safetensors_t *file, double tolerance,
                                   bool nan_is_unspecified, mo_replay_comparison *comparison) {
  for (int64_t i = 0; i < mo_safetensors_count(file); i++) {
    const char *name = mo_safetensors_name(file, i);
    const mo_replay_tensor *found = find(replay, name);
    mo_tensor expected;
    const mo_status_t status = mo_replay_read(file, name, &expected, comparison->message);
    if (status != MO_STATUS_OK) return status;
    const mo_status_t widened = as_float32(&expected);
    if (widened != MO_STATUS_OK) {
      free(expected.data);
      return mo_replay_tell(comparison->message, widened, name, "cannot be compared as float32");
    }
    comparison->tensor_count++;
    if (found == NULL) {
      differs(comparison, name, "recorded, but not in the output");
    } else if (found->rank != expected.rank ||
               memcmp(found->shape, expected.shape, (size_t)found->rank * sizeof *found->shape) != 0) {
      differs(comparison, name, "has another shape than recorded");
    } else {
      compare_values(found, &expected, tolerance, nan_is_unspecified, comparison);
    }
    free(expected.data);
  }
  for (int64_t i = 0; i < replay->tensor_count; i++) {
    mo_tensor unused;
    if (mo_safetensors_describe(file, replay->tensors[i].name, &unused) != MO_STATUS_OK)
      differs(comparison, replay->tensors[i].name, "in the output, but not recorded");
  }
  return MO_STATUS_OK;
}

mo_status_t mo_replay_compare(const mo_replay *replay, const char *case_directory, double tolerance,
                              mo_replay_comparison *comparison) {
  json_t *description = NULL;
  mo_safetensors_t *file = NULL;
  *comparison = (mo_replay_comparison){0};
  mo_status_t status = mo_replay_load_description(case_directory, &description, comparison->message);
  if (status == MO_STATUS_OK) status = mo_replay_open(case_directory, "outputs.safetensors", &file, comparison->message);
  if (status == MO_STATUS_OK && mo_replay_step_count(description) != replay->call_count)
    status = mo_replay_tell(comparison->message, MO_STATUS_INVALID_ARGUMENT, "the replay is of another case", case_directory);
  if (status == MO_STATUS_OK) {
    const char *unspecified = json_string_value(json_object_get(description, "unspecified"));
    const bool nan_is_unspecified = unspecified != NULL && strcmp(unspecified, "nan") == 0;
    for (int64_t i = 0; i < replay->call_count; i++)
      compare_call(&replay->calls[i], mo_replay_step(description, i), comparison);
    status = compare_tensors(replay, file, tolerance, nan_is_unspecified, comparison);
  }
  mo_safetensors_close(file);
  json_decref(description);
  return status;
}
