/* host/cli/run_predictions.c - the largest logits of an output, with names where the checkpoint or the tokenizer has any.
 *
 * Only the k largest are read (mo_field_read_top_k), so a vocabulary of logits never crosses to the host.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/run.h"
#include "host/core/file.h"
#include "host/core/json.h"

#define TOP_COUNT 5
#define CONFIG_BYTES_LIMIT ((size_t)64 << 20)

/* What the positions of the last dimension stand for. */
typedef enum label_kind_t {
  LABELS_NONE,
  LABELS_OF_CONFIG,
  LABELS_VOCABULARY,
  LABELS_POSITIONS,
  LABELS_NEXT_SENTENCE
} label_kind_t;

typedef struct label_source {
  label_kind_t kind;
  const json_t *id2label; /* borrowed */
  const run_inputs *inputs;
} label_source;

static bool ends_with(const char *text, const char *end) {
  const size_t text_length = strlen(text);
  const size_t end_length = strlen(end);
  return text_length >= end_length && strcmp(text + text_length - end_length, end) == 0;
}

/* From the class's symbolic shape; without one (keys beyond the class) from the key's name. */
static label_kind_t label_kind_of(const mo_output *output, const char *key) {
  const int32_t index = mo_class_field_index(output->output_class, key);
  if (index < 0) return strstr(key, "prediction") != NULL ? LABELS_VOCABULARY : LABELS_NONE;
  const mo_class_field *field = &output->output_class->fields[index];
  if (field->rank < 1) return LABELS_NONE;
  const char *last = field->shape[field->rank - 1];
  if (strcmp(last, "config.num_labels") == 0) return LABELS_OF_CONFIG;
  if (strcmp(last, "config.vocab_size") == 0) return LABELS_VOCABULARY;
  if (strcmp(last, "sequence_length") == 0) return LABELS_POSITIONS;
  const bool next_sentence =
      strstr(output->output_class->name, "NextSentence") != NULL || strcmp(key, "seq_relationship_logits") == 0;
  return next_sentence ? LABELS_NEXT_SENTENCE : LABELS_NONE;
}

/* Id at (row, position), -1 without input_ids. Choices of a multiple choice model count as rows. */
static int64_t id_at(const run_inputs *inputs, int64_t row, int64_t position) {
  const mo_tensor *ids = run_inputs_find(inputs, "input_ids");
  if (ids == NULL || ids->rank < 2) return -1;
  const int64_t index = row * ids->shape[ids->rank - 1] + position;
  if (index >= mo_tensor_count(ids)) return -1;
  if (ids->dtype == MO_DTYPE_INT64) return ((const int64_t *)ids->data)[index];
  return ids->dtype == MO_DTYPE_INT32 ? ((const int32_t *)ids->data)[index] : -1;
}

static const char *token_of(const run_inputs *inputs, int64_t id) {
  if (inputs->tokenizer == NULL || id < 0 || id > INT32_MAX) return NULL;
  return mo_tokenizer_token(inputs->tokenizer, (int32_t)id);
}

static const char *label_of(const label_source *source, int64_t row, int64_t index) {
  static const char *const next_sentence[] = {"is the next sentence", "is a random sentence"};
  char key[24];
  switch (source->kind) {
    case LABELS_OF_CONFIG:
      snprintf(key, sizeof key, "%lld", (long long)index);
      return json_string_value(json_object_get(source->id2label, key));
    case LABELS_VOCABULARY:
      return token_of(source->inputs, index);
    case LABELS_POSITIONS:
      return token_of(source->inputs, id_at(source->inputs, row, index));
    case LABELS_NEXT_SENTENCE:
      return index >= 0 && index < 2 ? next_sentence[index] : NULL;
    default:
      return NULL;
  }
}

/* Whether the mask hides a position: one made here for texts and rows, or one of a file that has the form of those. */
static bool is_padding(const run_inputs *inputs, int64_t row, int64_t position) {
  const mo_tensor *mask = run_inputs_find(inputs, "attention_mask");
  const mo_tensor *ids = run_inputs_find(inputs, "input_ids");
  if (mask == NULL || ids == NULL || mask->dtype != MO_DTYPE_INT64 || mask->rank != ids->rank) return false;
  const int64_t index = row * mask->shape[mask->rank - 1] + position;
  return index < mo_tensor_count(mask) && ((const int64_t *)mask->data)[index] == 0;
}

/* The best k of one line of logits. A position that is padding is no answer. */
static json_t *top_list(const label_source *source, int64_t row, const float *values, const int64_t *indices, int64_t k) {
  json_t *list = json_array();
  for (int64_t i = 0; i < k; i++) {
    if (source->kind == LABELS_POSITIONS && is_padding(source->inputs, row, indices[i])) continue;
    json_t *entry = json_object();
    const char *label = label_of(source, row, indices[i]);
    json_object_set_new(entry, "index", json_integer(indices[i]));
    json_object_set_new(entry, "label", label != NULL ? json_string(label) : json_null());
    json_object_set_new(entry, "value", run_json_real(values[i]));
    json_array_append_new(list, entry);
  }
  return list;
}

/* Logits per token: one entry per position that is not padding; with a [MASK] in the text only those positions. */
static void add_positions(json_t *list, const char *key, const label_source *source, const float *values,
                          const int64_t *indices, const int64_t *shape, int64_t k) {
  const run_inputs *inputs = source->inputs;
  const int64_t mask_id = mo_tokenizer_special_id(inputs->tokenizer, "mask_token");
  bool only_masked = false;
  for (int64_t i = 0; source->kind == LABELS_VOCABULARY && mask_id >= 0 && i < shape[0] * shape[1]; i++) {
    only_masked = only_masked || id_at(inputs, 0, i) == mask_id;
  }
  for (int64_t row = 0; row < shape[0]; row++) {
    for (int64_t position = 0; position < shape[1]; position++) {
      const int64_t id = id_at(inputs, row, position);
      if (is_padding(inputs, row, position) || (only_masked && id != mask_id)) continue;
      const int64_t at = (row * shape[1] + position) * k;
      const char *token = token_of(inputs, id);
      json_t *entry = json_object();
      json_object_set_new(entry, "field", json_string(key));
      json_object_set_new(entry, "row", json_integer(row));
      json_object_set_new(entry, "position", json_integer(position));
      json_object_set_new(entry, "token", token != NULL ? json_string(token) : json_null());
      json_object_set_new(entry, "top", top_list(source, row, values + at, indices + at, only_masked ? k : 1));
      json_array_append_new(list, entry);
    }
  }
}

static void add_rows(json_t *list, const char *key, const label_source *source, const float *values, const int64_t *indices,
                     int64_t rows, int64_t k) {
  for (int64_t row = 0; row < rows; row++) {
    json_t *entry = json_object();
    json_object_set_new(entry, "field", json_string(key));
    json_object_set_new(entry, "row", json_integer(row));
    json_object_set_new(entry, "top", top_list(source, row, values + row * k, indices + row * k, k));
    json_array_append_new(list, entry);
  }
}

/* NaN counts as the largest, so the first of each line says it. It is no prediction. */
static void warn_of_nan(const char *key, const float *values, int64_t lines, int64_t k) {
  int64_t broken = 0;
  for (int64_t i = 0; i < lines; i++) broken += isnan(values[i * k]) != 0;
  if (broken > 0)
    (void)cli_fail(RUN_COMMAND, CLI_EXIT_OK, "warning: %s holds NaN in %lld of %lld rows, which predict nothing", key,
                   (long long)broken, (long long)lines);
}

static int add_field(json_t *list, const char *key, mo_field *field, const label_source *source) {
  const mo_tensor *tensor = mo_field_tensor(field);
  if (tensor == NULL || tensor->rank < 2 || tensor->rank > 3 || mo_tensor_count(tensor) == 0) return CLI_EXIT_OK;
  const int64_t extent = tensor->shape[tensor->rank - 1];
  const int64_t k = extent < TOP_COUNT ? extent : TOP_COUNT;
  mo_host_view values_view;
  mo_host_view indices_view;
  mo_status_t status = mo_field_read_top_k(field, k, &values_view, &indices_view);
  if (status != MO_STATUS_OK) return cli_library_error(RUN_COMMAND, status);
  const int64_t count = mo_tensor_count(tensor) / extent * k;
  float *values = malloc((size_t)count * sizeof *values);
  if (values == NULL) return cli_fail(RUN_COMMAND, CLI_EXIT_FAILED, "out of memory for the predictions");
  status = mo_dtype_convert(values, MO_DTYPE_FLOAT32, values_view.data, values_view.dtype, count);
  if (status == MO_STATUS_OK) {
    warn_of_nan(key, values, count / k, k);
    if (tensor->rank == 3) {
      add_positions(list, key, source, values, indices_view.data, tensor->shape, k);
    } else {
      add_rows(list, key, source, values, indices_view.data, tensor->shape[0], k);
    }
  }
  free(values);
  return status == MO_STATUS_OK ? CLI_EXIT_OK : cli_library_error(RUN_COMMAND, status);
}

/* NULL if it cannot be read: the labels have no names then. */
static json_t *read_config(const char *directory) {
  char path[4096];
  char *text = NULL;
  size_t bytes;
  json_t *config = NULL;
  const int length = snprintf(path, sizeof path, "%s/config.json", directory);
  if (length <= 0 || (size_t)length >= sizeof path) return NULL;
  if (mo_file_read_all(path, CONFIG_BYTES_LIMIT, &text, &bytes) == MO_STATUS_OK)
    (void)mo_json_read_object("config.json", text, bytes, MO_JSON_PYTHON, &config);
  free(text);
  return config;
}

int run_report_predictions(json_t *report, const run_options *options, const run_inputs *inputs, const mo_output *output) {
  json_t *config = read_config(options->directory);
  json_t *list = json_array();
  int exit_code = CLI_EXIT_OK;
  for (int64_t i = 0; exit_code == CLI_EXIT_OK && i < mo_output_length(output); i++) {
    const char *key = mo_output_key_at(output, i);
    if (!ends_with(key, "logits")) continue;
    const label_source source = {label_kind_of(output, key), json_object_get(config, "id2label"), inputs};
    exit_code = add_field(list, key, mo_output_get(output, key), &source);
  }
  if (json_array_size(list) > 0) json_object_set(report, "predictions", list);
  json_decref(list);
  json_decref(config);
  return exit_code;
}
