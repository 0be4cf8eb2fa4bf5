/* host/cli/generate.c - `modelout generate`: load, generate, show the ids as they come.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cli/generate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/run.h"

/* Rows of ids as tensors, padded on one side. */
typedef struct id_rows {
  int64_t *ids, *mask;
  mo_tensor ids_tensor, mask_tensor;
  bool padded;
} id_rows;

/* Everything of one generation, so that there is one place to clean up. */
typedef struct generate_state {
  generate_options options;
  mo_context_t *context;
  mo_model_t *model;
  id_rows prompts, decoder_prompts;
  mo_output *output;
  int64_t steps;
  double load_seconds, generate_seconds, first_seconds, start;
} generate_state;

/* ---- Prompts ------------------------------------------------------------------------------------------------------------- */

static int parse_rows(const char *option, const char *text, cli_numbers *rows, int64_t row_count) {
  for (int64_t i = 0; i < row_count; i++) {
    const char *end = NULL;
    if (!cli_parse_numbers(text, ';', &rows[i], &end))
      return cli_usage_error(GENERATE_COMMAND, "--%s: row %lld must be numbers separated by commas", option, (long long)i + 1);
    if (rows[i].count == 0) return cli_usage_error(GENERATE_COMMAND, "--%s: row %lld is empty", option, (long long)i + 1);
    text = *end == ';' ? end + 1 : end;
  }
  return CLI_EXIT_OK;
}

static int make_tensors(const cli_numbers *rows, int64_t row_count, bool pad_left, int64_t pad, id_rows *made) {
  int64_t length = 0;
  for (int64_t i = 0; i < row_count; i++) length = rows[i].count > length ? rows[i].count : length;
  const int64_t shape[2] = {row_count, length};
  made->ids = malloc((size_t)(row_count * length) * sizeof *made->ids);
  made->mask = malloc((size_t)(row_count * length) * sizeof *made->mask);
  if (made->ids == NULL || made->mask == NULL) return cli_fail(GENERATE_COMMAND, CLI_EXIT_FAILED, "out of memory");
  for (int64_t i = 0; i < row_count; i++) {
    const int64_t before = pad_left ? length - rows[i].count : 0;
    for (int64_t j = 0; j < length; j++) {
      const bool real = j >= before && j < before + rows[i].count;
      made->ids[i * length + j] = real ? rows[i].values[j - before] : pad;
      made->mask[i * length + j] = real;
      made->padded |= !real;
    }
  }
  made->ids_tensor = mo_tensor_cpu(made->ids, MO_DTYPE_INT64, 2, shape);
  made->mask_tensor = mo_tensor_cpu(made->mask, MO_DTYPE_INT64, 2, shape);
  return CLI_EXIT_OK;
}

static int build_rows(const generate_state *state, const char *option, const char *text, bool pad_left, id_rows *made) {
  int64_t row_count = 1;
  for (const char *c = text; *c != '\0'; c++) row_count += *c == ';';
  cli_numbers *rows = calloc((size_t)row_count, sizeof *rows);
  if (rows == NULL) return cli_fail(GENERATE_COMMAND, CLI_EXIT_FAILED, "out of memory");
  const mo_generation_options *generation = &state->options.generation;
  int64_t pad = generation->has_pad_token ? generation->pad_token_id : mo_model_config_integer(state->model, "pad_token_id");
  if (pad < 0 || pad >= mo_model_config_integer(state->model, "vocab_size")) pad = 0; /* masked, so any id will do */
  int exit_code = parse_rows(option, text, rows, row_count);
  if (exit_code == CLI_EXIT_OK) exit_code = make_tensors(rows, row_count, pad_left, pad, made);
  for (int64_t i = 0; i < row_count; i++) free(rows[i].values);
  free(rows);
  return exit_code;
}

static void release_rows(id_rows *rows) {
  free(rows->ids);
  free(rows->mask);
}

/* ---- Running ------------------------------------------------------------------------------------------------------------- */

static int load(generate_state *state) {
  const generate_options *options = &state->options;
  mo_model_options model_options = MO_MODEL_OPTIONS_INIT;
  model_options.dtype = options->dtype;
  model_options.architecture = options->architecture;
  return cli_load_model(GENERATE_COMMAND, options->directory, &options->context, &model_options, options->quiet,
                        &state->context, &state->model, &state->load_seconds);
}

/* One step's ids, as they come. */
static bool show_step(void *user_data, int64_t step, const int64_t *tokens, int64_t batch_size) {
  generate_state *state = user_data;
  if (step == 0) state->first_seconds = cli_seconds() - state->start;
  state->steps = step + 1;
  if (state->options.json || state->options.quiet) return true;
  for (int64_t row = 0; row < batch_size; row++) {
    const bool first = batch_size == 1 ? step == 0 : row == 0;
    cli_print(first ? "%lld" : " %lld", (long long)tokens[row]);
  }
  if (batch_size > 1) cli_print("\n");
  return fflush(stdout) == 0;
}

static int generate(generate_state *state) {
  const generate_options *options = &state->options;
  const bool encoder = mo_class_field_index(mo_model_output_class(state->model), "encoder_last_hidden_state") >= 0;
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  int exit_code = build_rows(state, "ids", options->ids, !encoder, &state->prompts);
  if (exit_code != CLI_EXIT_OK) return exit_code;
  inputs.input_ids = &state->prompts.ids_tensor;
  if (state->prompts.padded) inputs.attention_mask = &state->prompts.mask_tensor;
  if (options->decoder_ids != NULL) {
    exit_code = build_rows(state, "decoder-ids", options->decoder_ids, true, &state->decoder_prompts);
    if (exit_code != CLI_EXIT_OK) return exit_code;
    if (state->decoder_prompts.padded) return cli_usage_error(GENERATE_COMMAND, "--decoder-ids: rows of different length");
    inputs.decoder_input_ids = &state->decoder_prompts.ids_tensor;
  }
  mo_generation_options generation = options->generation;
  if (generation.num_beams <= 1) {
    generation.callback = show_step;
    generation.user_data = state;
  }
  state->start = cli_seconds();
  const mo_status_t status = mo_generate(state->model, &inputs, &generation, &state->output);
  state->generate_seconds = cli_seconds() - state->start;
  if (status != MO_STATUS_OK) return cli_library_error(GENERATE_COMMAND, status);
  if (state->steps > 0 && state->prompts.ids_tensor.shape[0] == 1 && !options->json && !options->quiet) cli_print("\n");
  return CLI_EXIT_OK;
}

/* ---- Showing ------------------------------------------------------------------------------------------------------------- */

static json_t *sequences_of(mo_field *field, mo_status_t *status) {
  mo_host_view view;
  json_t *rows = json_array();
  *status = mo_field_read(field, &view);
  for (int64_t row = 0; *status == MO_STATUS_OK && row < view.shape[0]; row++) {
    json_t *list = json_array();
    for (int64_t i = 0; i < view.shape[1]; i++)
      json_array_append_new(list, json_integer(((const int64_t *)view.data)[row * view.strides[0] + i * view.strides[1]]));
    json_array_append_new(rows, list);
  }
  return rows;
}

static int make_report(generate_state *state, json_t *report) {
  mo_status_t status;
  char device[32];
  mo_device_name(mo_context_device(state->context), device, sizeof device);
  json_object_set_new(report, "directory", json_string(state->options.directory));
  json_object_set_new(report, "architecture", json_string(mo_model_architecture(state->model)));
  json_object_set_new(report, "class", json_string(state->output->output_class->name));
  json_object_set_new(report, "device", json_string(device));
  json_object_set_new(report, "device_reason", json_string(mo_context_choice_reason(state->context)));
  json_object_set_new(report, "sequences", sequences_of(mo_output_get(state->output, "sequences"), &status));
  if (status != MO_STATUS_OK) return cli_library_error(GENERATE_COMMAND, status);
  mo_field *scores = mo_output_get(state->output, "sequences_scores");
  if (scores != NULL) {
    mo_host_view view;
    json_t *list = json_array();
    status = mo_field_read(scores, &view);
    for (int64_t i = 0; status == MO_STATUS_OK && i < view.shape[0]; i++)
      json_array_append_new(list, run_json_real((double)((const float *)view.data)[i]));
    json_object_set_new(report, "sequences_scores", list);
    if (status != MO_STATUS_OK) return cli_library_error(GENERATE_COMMAND, status);
  }
  run_report_fields(report, state->output);
  const double later = state->generate_seconds - state->first_seconds;
  json_object_set_new(report, "load_seconds", json_real(state->load_seconds));
  json_object_set_new(report, "generate_seconds", json_real(state->generate_seconds));
  if (state->steps > 1) {
    json_object_set_new(report, "first_token_seconds", json_real(state->first_seconds));
    json_object_set_new(report, "steps_per_second", json_real((double)(state->steps - 1) / (later > 1e-9 ? later : 1e-9)));
  }
  const mo_context_counters counters = mo_context_get_counters(state->context);
  json_object_set_new(report, "copied_bytes", json_integer((json_int_t)counters.host_copy_bytes));
  json_object_set_new(report, "output_bytes", json_integer((json_int_t)mo_output_device_bytes(state->output)));
  return CLI_EXIT_OK;
}

static void print_list(const json_t *list) {
  size_t index;
  json_t *value;
  json_array_foreach((json_t *)list, index, value) cli_print(index == 0 ? "%lld" : ",%lld", json_integer_value(value));
}

static void print_report(const json_t *report) {
  const json_t *scores = json_object_get(report, "sequences_scores"), *speed = json_object_get(report, "steps_per_second");
  char copied[32], held[32];
  size_t index;
  json_t *value;
  cli_print("sequences\n");
  json_array_foreach(json_object_get(report, "sequences"), index, value) {
    cli_print("  ");
    print_list(value);
    if (scores != NULL) cli_print("  score %.6g", json_number_value(json_array_get(scores, index)));
    cli_print("\n");
  }
  cli_print("%s of %s on %s:", json_string_value(json_object_get(report, "class")),
            json_string_value(json_object_get(report, "architecture")), json_string_value(json_object_get(report, "device")));
  json_array_foreach(json_object_get(report, "fields"), index, value) {
    if (json_is_true(json_object_get(value, "present"))) cli_print(" %s", json_string_value(json_object_get(value, "name")));
  }
  cli_print("\n%.3f s", json_number_value(json_object_get(report, "generate_seconds")));
  if (speed != NULL) cli_print(", %.1f steps a second after the first token", json_number_value(speed));
  cli_print("; %s bytes on the device, %s copied to the host\n",
            cli_group_digits((uint64_t)json_integer_value(json_object_get(report, "output_bytes")), held, sizeof held),
            cli_group_digits((uint64_t)json_integer_value(json_object_get(report, "copied_bytes")), copied, sizeof copied));
}

static int show(generate_state *state, json_t *report) {
  const generate_options *options = &state->options;
  int exit_code = make_report(state, report);
  if (exit_code == CLI_EXIT_OK && options->save_path != NULL) {
    const mo_status_t status = mo_output_save(state->output, options->save_path, NULL);
    if (status != MO_STATUS_OK) exit_code = cli_library_error(GENERATE_COMMAND, status);
    json_object_set_new(report, "saved", json_string(options->save_path));
  }
  if (exit_code != CLI_EXIT_OK) return exit_code;
  if (options->json) return cli_json_print(GENERATE_COMMAND, report);
  if (options->quiet) return CLI_EXIT_OK;
  exit_code = cli_json_check(GENERATE_COMMAND);
  if (exit_code == CLI_EXIT_OK) print_report(report);
  return exit_code;
}

int cli_generate(int argc, char **argv) {
  generate_state state = {.steps = 0};
  int exit_code = CLI_EXIT_OK;
  if (generate_options_parse(argc, argv, &state.options, &exit_code)) {
    exit_code = load(&state);
    if (exit_code == CLI_EXIT_OK) exit_code = generate(&state);
    if (exit_code == CLI_EXIT_OK) {
      json_t *report = json_object();
      exit_code = show(&state, report);
      json_decref(report);
    }
  }
  mo_output_destroy(state.output);
  release_rows(&state.prompts);
  release_rows(&state.decoder_prompts);
  mo_model_destroy(state.model);
  mo_context_destroy(state.context);
  generate_options_release(&state.options);
  return exit_code;
}
