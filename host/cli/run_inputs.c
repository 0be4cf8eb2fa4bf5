/* host/cli/run_inputs.c - texts, ids or a safetensors file made into the input tensors of a model.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/run.h"

static int out_of_memory(void) { return cli_fail(RUN_COMMAND, CLI_EXIT_FAILED, "out of memory for the inputs"); }

const mo_tensor *run_inputs_find(const run_inputs *inputs, const char *name) {
  return mo_replay_inputs_find(&inputs->given, name);
}

static bool is_multiple_choice(const mo_model_t *model) {
  return strstr(mo_model_output_class(model)->name, "MultipleChoice") != NULL;
}

/* How rows of different length become a tensor. */
typedef struct row_padding {
  int64_t id;
  bool left;
} row_padding;

static row_padding padding_of_model(const mo_model_t *model) {
  const int64_t id = mo_model_config_integer(model, "pad_token_id");
  return (row_padding){.id = id < 0 ? 0 : id};
}

static void fill_rows(int64_t *values, const cli_numbers *rows, int64_t row_count, int64_t length, row_padding padding) {
  for (int64_t i = 0; i < row_count; i++) {
    const int64_t begin = padding.left ? length - rows[i].count : 0;
    for (int64_t j = 0; j < length; j++) {
      const bool real = j >= begin && j < begin + rows[i].count;
      values[i * length + j] = real ? rows[i].values[j - begin] : padding.id;
    }
  }
}

static void fill_mask(int64_t *mask, const cli_numbers *rows, int64_t row_count, int64_t length, bool left) {
  for (int64_t i = 0; i < row_count; i++)
    for (int64_t j = 0; j < length; j++) mask[i * length + j] = left ? j >= length - rows[i].count : j < rows[i].count;
}

/* Rows of ids, padded to the longest, as input_ids; an attention mask if anything was padded; token types if they are given
 * (NULL: not) and not all 0. */
static int add_rows(run_inputs *inputs, const mo_model_t *model, const cli_numbers *rows, const cli_numbers *types,
                    int64_t row_count, row_padding padding) {
  int64_t length = 0;
  bool padded = false;
  bool typed = false;
  for (int64_t i = 0; i < row_count; i++) {
    if (rows[i].count > length) length = rows[i].count;
    for (int64_t j = 0; types != NULL && j < types[i].count; j++) typed = typed || types[i].values[j] != 0;
  }
  for (int64_t i = 0; i < row_count; i++) padded = padded || rows[i].count < length;
  const bool choices = is_multiple_choice(model);
  const int64_t shape[] = {choices ? 1 : row_count, choices ? row_count : length, length};
  const int32_t rank = choices ? 3 : 2;

  const mo_tensor *ids = mo_replay_inputs_add(&inputs->given, "input_ids", MO_DTYPE_INT64, rank, shape);
  if (ids == NULL) return out_of_memory();
  fill_rows(ids->data, rows, row_count, length, padding);
  if (padded) {
    const mo_tensor *mask = mo_replay_inputs_add(&inputs->given, "attention_mask", MO_DTYPE_INT64, rank, shape);
    if (mask == NULL) return out_of_memory();
    fill_mask(mask->data, rows, row_count, length, padding.left);
  }
  if (typed) {
    const mo_tensor *type_ids = mo_replay_inputs_add(&inputs->given, "token_type_ids", MO_DTYPE_INT64, rank, shape);
    if (type_ids == NULL) return out_of_memory();
    fill_rows(type_ids->data, types, row_count, length, (row_padding){.left = padding.left});
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

/* Tokens that a text may have; 0: any number. */
static int64_t token_limit(const run_inputs *inputs, const mo_model_t *model, const char **reason) {
  const int64_t positions = mo_model_max_length(model);
  const int64_t said = mo_tokenizer_max_length(inputs->tokenizer);
  const bool by_model = positions > 0 && (said == 0 || positions < said);
  *reason = by_model ? "the model has no more positions" : "the folder's tokenizer settings allow no more";
  return by_model ? positions : said;
}

static bool append_ids(cli_numbers *row, const int32_t *ids, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (!cli_numbers_append(row, ids[i])) return false;
  return true;
}

/* One text's ids and token types, cut to what the model and the folder allow. */
static int encode_text(const run_options *options, const run_inputs *inputs, const mo_model_t *model, int64_t text,
                       cli_numbers *row, cli_numbers *types) {
  mo_encode_options encode = MO_ENCODE_OPTIONS_INIT;
  int64_t count = 0;
  mo_status_t status = mo_tokenizer_encode(inputs->tokenizer, options->texts[text], &encode, NULL, NULL, 0, &count);
  if (status != MO_STATUS_OK) return cli_library_error(RUN_COMMAND, status);
  const char *reason;
  const int64_t limit = token_limit(inputs, model, &reason);
  if (limit > 0 && count > limit && limit <= INT32_MAX) {
    cli_fail(RUN_COMMAND, CLI_EXIT_OK, "note: text %lld is cut from %lld to %lld tokens: %s", (long long)text + 1,
             (long long)count, (long long)limit, reason);
    encode.max_length = (int32_t)limit;
    count = limit;
  }
  int32_t *ids = malloc(2 * (size_t)count * sizeof *ids + 1);
  if (ids == NULL) return out_of_memory();
  int exit_code = CLI_EXIT_OK;
  status = mo_tokenizer_encode(inputs->tokenizer, options->texts[text], &encode, ids, ids + count, count, &count);
  if (status != MO_STATUS_OK) exit_code = cli_library_error(RUN_COMMAND, status);
  else if (!append_ids(row, ids, count) || !append_ids(types, ids + count, count)) exit_code = out_of_memory();
  free(ids);
  return exit_code;
}

static row_padding padding_of_tokenizer(const mo_tokenizer_t *tokenizer, const mo_model_t *model) {
  row_padding padding = padding_of_model(model);
  const int32_t id = mo_tokenizer_special_id(tokenizer, "pad_token");
  if (id >= 0) padding.id = id;
  padding.left = mo_tokenizer_pads_left(tokenizer);
  return padding;
}

static int build_from_texts(const run_options *options, const mo_model_t *model, run_inputs *inputs) {
  const mo_status_t status = mo_tokenizer_load(options->directory, &inputs->tokenizer);
  if (status != MO_STATUS_OK) return cli_library_error(RUN_COMMAND, status);
  const int64_t count = options->text_count;
  cli_numbers *rows = calloc(2 * (size_t)count, sizeof *rows); /* ids, then types */
  if (rows == NULL) return out_of_memory();
  int exit_code = CLI_EXIT_OK;
  for (int64_t i = 0; exit_code == CLI_EXIT_OK && i < count; i++)
    exit_code = encode_text(options, inputs, model, i, &rows[i], &rows[count + i]);
  if (exit_code == CLI_EXIT_OK)
    exit_code = add_rows(inputs, model, rows, rows + count, count, padding_of_tokenizer(inputs->tokenizer, model));
  for (int64_t i = 0; i < 2 * count; i++) free(rows[i].values);
  free(rows);
  return exit_code;
}

static int unknown_input(const char *path, const mo_model_t *model, const char *name) {
  char known[512] = "";
  const mo_input_info *info;
  size_t length = 0;
  for (int32_t i = 0; (info = mo_model_input(model, i)) != NULL && length < sizeof known; i++)
    length += (size_t)snprintf(known + length, sizeof known - length, "%s%s", i > 0 ? ", " : "", info->name);
  return cli_fail(RUN_COMMAND, CLI_EXIT_BAD_FILE, "%s: '%s' is no input; known: %s", path, name, known);
}

/* The model's own name for an input, which outlives the file; NULL: it takes none of that name. */
static const char *known_name(const mo_model_t *model, const char *name) {
  const mo_input_info *info;
  for (int32_t i = 0; (info = mo_model_input(model, i)) != NULL; i++)
    if (strcmp(info->name, mo_replay_input_name(name)) == 0) return info->name;
  return NULL;
}

static int read_input(const char *path, const mo_model_t *model, const mo_safetensors_t *file, const char *name,
                      run_inputs *inputs) {
  const char *known = known_name(model, name);
  mo_tensor source;
  if (known == NULL) return unknown_input(path, model, name);
  if (run_inputs_find(inputs, known) != NULL)
    return cli_fail(RUN_COMMAND, CLI_EXIT_BAD_FILE, "%s: %s is given twice, under two names", path, name);
  mo_status_t status = mo_safetensors_describe(file, name, &source);
  if (status != MO_STATUS_OK) return cli_library_error(RUN_COMMAND, status);
  const mo_tensor *copy = mo_replay_inputs_add(&inputs->given, known, source.dtype, source.rank, source.shape);
  if (copy == NULL) return out_of_memory();
  status = mo_safetensors_read(file, name, 0, mo_tensor_count(&source), copy->data);
  return status == MO_STATUS_OK ? CLI_EXIT_OK : cli_library_error(RUN_COMMAND, status);
}

/* The tensors of a file, each read into memory of its own. */
static int build_from_file(const char *path, const mo_model_t *model, run_inputs *inputs) {
  mo_safetensors_t *file = NULL;
  const mo_status_t status = mo_safetensors_open(path, &file);
  if (status != MO_STATUS_OK) return cli_library_error(RUN_COMMAND, status);
  int exit_code = CLI_EXIT_OK;
  for (int64_t i = 0; exit_code == CLI_EXIT_OK && i < mo_safetensors_count(file); i++)
    exit_code = read_input(path, model, file, mo_safetensors_name(file, i), inputs);
  mo_safetensors_close(file);
  return exit_code;
}

int run_inputs_build(const run_options *options, const mo_model_t *model, run_inputs *inputs) {
  *inputs = (run_inputs){.given.count = 0};
  if (options->inputs_path != NULL) return build_from_file(options->inputs_path, model, inputs);
  if (options->ids == NULL) return build_from_texts(options, model, inputs);
  cli_numbers *rows = NULL;
  int64_t row_count = 0;
  int exit_code = parse_rows(options->ids, &rows, &row_count);
  if (exit_code == CLI_EXIT_OK) exit_code = add_rows(inputs, model, rows, NULL, row_count, padding_of_model(model));
  for (int64_t i = 0; i < row_count; i++) free(rows[i].values);
  free(rows);
  return exit_code;
}

void run_inputs_release(run_inputs *inputs) {
  mo_replay_inputs_release(&inputs->given);
  mo_tokenizer_destroy(inputs->tokenizer);
}
