/* host/cli/run_inputs.c - texts, ids or a safetensors file made into the input tensors of a model.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/run.h"

static int out_of_memory(void) { return cli_fail(RUN_COMMAND, CLI_EXIT_FAILED, "out of memory for the inputs"); }

/* Makes the tensor of an input with memory of its own; NULL when out of memory. */
static mo_tensor *add_tensor(run_inputs *inputs, int input, mo_dtype_t dtype, int32_t rank, const int64_t *shape) {
  int64_t count = 1;
  for (int32_t i = 0; i < rank; i++) count *= shape[i];
  void *memory = malloc((size_t)count * mo_dtype_bytes(dtype) + 1);
  if (memory == NULL) return NULL;
  mo_tensor *tensor = &inputs->tensors[inputs->count];
  *tensor = mo_tensor_cpu(memory, dtype, rank, shape);
  if (tensor->dtype == MO_DTYPE_NONE) {
    free(memory);
    return NULL;
  }
  inputs->names[inputs->count++] = cli_input_name(input);
  cli_input_set(&inputs->inputs, input, tensor);
  return tensor;
}

const mo_tensor *run_inputs_find(const run_inputs *inputs, const char *name) {
  for (int i = 0; i < inputs->count; i++) {
    if (strcmp(inputs->names[i], name) == 0) return &inputs->tensors[i];
  }
  return NULL;
}

static bool is_multiple_choice(const mo_model_t *model) {
  return strstr(mo_model_output_class(model)->name, "MultipleChoice") != NULL;
}

/* Rows of ids, padded to the longest, as input_ids; and an attention mask if anything was padded. */
static int add_rows(run_inputs *inputs, const mo_model_t *model, const cli_numbers *rows, int64_t row_count) {
  int64_t length = 0;
  for (int64_t i = 0; i < row_count; i++) {
    if (rows[i].count > length) length = rows[i].count;
  }
  bool padded = false;
  for (int64_t i = 0; i < row_count; i++) padded = padded || rows[i].count < length;
  const int64_t pad_in_config = mo_model_config_integer(model, "pad_token_id");
  const int64_t pad = pad_in_config < 0 ? 0 : pad_in_config;
  const bool choices = is_multiple_choice(model);
  const int64_t shape[] = {choices ? 1 : row_count, choices ? row_count : length, length};
  const int32_t rank = choices ? 3 : 2;

  const mo_tensor *ids_tensor = add_tensor(inputs, cli_input_find("input_ids"), MO_DTYPE_INT64, rank, shape);
  if (ids_tensor == NULL) return out_of_memory();
  int64_t *ids = ids_tensor->data;
  int64_t *mask = NULL;
  if (padded) {
    const mo_tensor *mask_tensor = add_tensor(inputs, cli_input_find("attention_mask"), MO_DTYPE_INT64, rank, shape);
    if (mask_tensor == NULL) return out_of_memory();
    mask = mask_tensor->data;
  }
  for (int64_t i = 0; i < row_count; i++) {
    for (int64_t j = 0; j < length; j++) {
      const bool real = j < rows[i].count;
      ids[i * length + j] = real ? rows[i].values[j] : pad;
      if (mask != NULL) mask[i * length + j] = real;
    }
  }
  return CLI_EXIT_OK;
}

static int parse_rows(const char *text, cli_numbers **rows, int64_t *row_count) {
  int64_t count = 1;
  for (const char *c = text; *c != '\0'; c++) count += *c == ';';
  cli_numbers *list = calloc((size_t)count, sizeof *list);
  if (list == NULL) return out_of_memory();
  *rows = list;
  *row_count = count;
  for (int64_t i = 0; i < count; i++) {
    const char *end = NULL;
    if (!cli_parse_numbers(text, ';', &list[i], &end)) {
      return cli_usage_error(RUN_COMMAND, "--ids: row %lld must be numbers separated by commas", (long long)i + 1);
    }
    if (list[i].count == 0) return cli_usage_error(RUN_COMMAND, "--ids: row %lld is empty", (long long)i + 1);
    text = *end == ';' ? end + 1 : end;
  }
  return CLI_EXIT_OK;
}

/* One text's ids, shortened to the model's position table. */
static int encode_text(const run_options *options, const run_inputs *inputs, const mo_model_t *model, int64_t text,
                       cli_numbers *row) {
  mo_encode_options encode = MO_ENCODE_OPTIONS_INIT;
  int64_t count = 0;
  mo_status_t status = mo_tokenizer_encode(inputs->tokenizer, options->texts[text], &encode, NULL, NULL, 0, &count);
  if (status != MO_STATUS_OK) return cli_library_error(RUN_COMMAND, status);
  const int64_t positions = mo_model_config_integer(model, "max_position_embeddings");
  if (positions > 0 && count > positions && positions <= INT32_MAX) {
    if (!options->quiet) {
      cli_fail(RUN_COMMAND, CLI_EXIT_OK, "note: text %lld has %lld tokens; shortened to the model's %lld positions",
               (long long)text + 1, (long long)count, (long long)positions);
    }
    encode.max_length = (int32_t)positions;
    status = mo_tokenizer_encode(inputs->tokenizer, options->texts[text], &encode, NULL, NULL, 0, &count);
    if (status != MO_STATUS_OK) return cli_library_error(RUN_COMMAND, status);
  }
  int32_t *ids = malloc((size_t)count * sizeof *ids + 1);
  if (ids == NULL) return out_of_memory();
  int exit_code = CLI_EXIT_OK;
  status = mo_tokenizer_encode(inputs->tokenizer, options->texts[text], &encode, ids, NULL, count, &count);
  if (status != MO_STATUS_OK) exit_code = cli_library_error(RUN_COMMAND, status);
  for (int64_t i = 0; exit_code == CLI_EXIT_OK && i < count; i++) {
    if (!cli_numbers_append(row, ids[i])) exit_code = out_of_memory();
  }
  free(ids);
  return exit_code;
}

static int build_from_texts(const run_options *options, const mo_model_t *model, run_inputs *inputs, cli_numbers **rows,
                            int64_t *row_count) {
  const mo_status_t status = mo_tokenizer_load(options->directory, &inputs->tokenizer);
  if (status != MO_STATUS_OK) return cli_library_error(RUN_COMMAND, status);
  cli_numbers *list = calloc((size_t)options->text_count, sizeof *list);
  if (list == NULL) return out_of_memory();
  *rows = list;
  *row_count = options->text_count;
  for (int64_t i = 0; i < options->text_count; i++) {
    const int exit_code = encode_text(options, inputs, model, i, &list[i]);
    if (exit_code != CLI_EXIT_OK) return exit_code;
  }
  return add_rows(inputs, model, list, *row_count);
}

static int unknown_input(const char *path, const char *name) {
  char known[512] = "";
  size_t length = 0;
  for (int i = 0; i < CLI_INPUT_COUNT && length < sizeof known; i++)
    length += (size_t)snprintf(known + length, sizeof known - length, "%s%s", i > 0 ? ", " : "", cli_input_name(i));
  return cli_fail(RUN_COMMAND, CLI_EXIT_BAD_FILE, "%s: '%s' is no input; known: %s", path, name, known);
}

/* The known tensors of a file, each read into memory of its own. */
static int build_from_file(const char *path, run_inputs *inputs) {
  mo_safetensors_t *file = NULL;
  mo_status_t status = mo_safetensors_open(path, &file);
  if (status != MO_STATUS_OK) return cli_library_error(RUN_COMMAND, status);
  int exit_code = CLI_EXIT_OK;
  for (int64_t i = 0; exit_code == CLI_EXIT_OK && i < mo_safetensors_count(file); i++) {
    const char *name = mo_safetensors_name(file, i);
    const int input = cli_input_find(name);
    if (input < 0) {
      exit_code = unknown_input(path, name);
      break;
    }
    if (run_inputs_find(inputs, cli_input_name(input)) != NULL) {
      exit_code = cli_fail(RUN_COMMAND, CLI_EXIT_BAD_FILE, "%s: %s is given twice, under two names", path, name);
      break;
    }
    mo_tensor source;
    status = mo_safetensors_describe(file, name, &source);
    if (status != MO_STATUS_OK) {
      exit_code = cli_library_error(RUN_COMMAND, status);
      break;
    }
    const mo_tensor *copy = add_tensor(inputs, input, source.dtype, source.rank, source.shape);
    if (copy == NULL) {
      exit_code = out_of_memory();
    } else {
      status = mo_safetensors_read(file, name, 0, mo_tensor_count(&source), copy->data);
      if (status != MO_STATUS_OK) exit_code = cli_library_error(RUN_COMMAND, status);
    }
  }
  mo_safetensors_close(file);
  return exit_code;
}

int run_inputs_build(const run_options *options, const mo_model_t *model, run_inputs *inputs) {
  *inputs = (run_inputs){.inputs = MO_MODEL_INPUTS_INIT};
  if (options->inputs_path != NULL) return build_from_file(options->inputs_path, inputs);
  cli_numbers *rows = NULL;
  int64_t row_count = 0;
  int exit_code = CLI_EXIT_OK;
  if (options->ids != NULL) {
    exit_code = parse_rows(options->ids, &rows, &row_count);
    if (exit_code == CLI_EXIT_OK) exit_code = add_rows(inputs, model, rows, row_count);
  } else {
    exit_code = build_from_texts(options, model, inputs, &rows, &row_count);
  }
  for (int64_t i = 0; i < row_count; i++) free(rows[i].values);
  free(rows);
  return exit_code;
}

void run_inputs_release(run_inputs *inputs) {
  for (int i = 0; i < inputs->count; i++) free(inputs->tensors[i].data);
  mo_tokenizer_destroy(inputs->tokenizer);
}
