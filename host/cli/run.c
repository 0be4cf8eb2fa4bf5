/* host/cli/run.c - `modelout run`: load, run once, report.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cli/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/progress.h"

/* Everything of one run, so that there is one place to clean up. */
typedef struct run_state {
  run_options options;
  mo_context_t *context;
  mo_model_t *model;
  run_inputs inputs;
  mo_output *output;
  int32_t *hidden_state_layers; /* options.layers, with the last one added where pooling needs it */
  double load_seconds;
  double run_seconds;
} run_state;

/* The request the options describe. Pooling reads the last hidden state: models without a field of that name then have to give
 * the last of hidden_states, and only that one unless more was asked for. */
static int make_request(run_state *state, mo_request *request) {
  const run_options *options = &state->options;
  *request = (mo_request)MO_REQUEST_INIT;
  request->output_hidden_states = options->output_hidden_states;
  request->output_attentions = options->output_attentions;
  request->use_cache = options->use_cache;
  request->attention_layers = (mo_index_list){options->layers, options->layer_count};
  request->attention_heads = (mo_index_list){options->heads, options->head_count};
  request->hidden_state_layers = (mo_index_list){options->layers, options->layer_count};
  if (options->pool == 0 || mo_class_field_index(mo_model_output_class(state->model), "last_hidden_state") >= 0) {
    return CLI_EXIT_OK;
  }
  const bool all = options->output_hidden_states && options->layers == NULL;
  request->output_hidden_states = true;
  if (all) return CLI_EXIT_OK;
  const int32_t asked = options->output_hidden_states ? options->layer_count : 0;
  int32_t *layers = malloc(((size_t)asked + 1) * sizeof *layers);
  if (layers == NULL) return cli_fail(RUN_COMMAND, CLI_EXIT_FAILED, "out of memory");
  const int64_t last = mo_model_config_integer(state->model, "num_hidden_layers");
  bool has_last = false;
  for (int32_t i = 0; i < asked; i++) {
    layers[i] = options->layers[i];
    has_last = has_last || layers[i] == -1 || (last >= 0 && layers[i] == last);
  }
  layers[asked] = -1;
  state->hidden_state_layers = layers;
  request->hidden_state_layers = (mo_index_list){layers, asked + (has_last ? 0 : 1)};
  return CLI_EXIT_OK;
}

static int load(run_state *state) {
  const run_options *options = &state->options;
  mo_model_options model_options = MO_MODEL_OPTIONS_INIT;
  model_options.dtype = options->dtype;
  model_options.framework = options->framework;
  model_options.architecture = options->architecture;
  return cli_load_model(RUN_COMMAND, options->directory, &options->context, &model_options, options->quiet, &state->context,
                        &state->model, &state->load_seconds);
}

static int forward(run_state *state) {
  mo_request request;
  const int exit_code = make_request(state, &request);
  if (exit_code != CLI_EXIT_OK) return exit_code;
  cli_progress progress;
  cli_progress_start(&progress, "running", !state->options.quiet);
  const double start = cli_seconds();
  mo_status_t status =
      mo_model_forward_named(state->model, state->inputs.given.named, state->inputs.given.count, &request, &state->output);
  if (status == MO_STATUS_OK) status = mo_output_synchronize(state->output);
  state->run_seconds = cli_seconds() - start;
  cli_progress_stop(&progress);
  return status == MO_STATUS_OK ? CLI_EXIT_OK : cli_library_error(RUN_COMMAND, status);
}

static void add_heading(json_t *report, const run_state *state) {
  const mo_class *output_class = state->output->output_class;
  char device[32];
  mo_device_name(mo_context_device(state->context), device, sizeof device);
  const mo_dtype_t dtype = state->options.dtype == MO_DTYPE_NONE ? MO_DTYPE_FLOAT32 : state->options.dtype;
  json_object_set_new(report, "directory", json_string(state->options.directory));
  json_object_set_new(report, "architecture", json_string(mo_model_architecture(state->model)));
  json_object_set_new(report, "parameters", json_integer(mo_model_parameter_count(state->model)));
  json_object_set_new(report, "class", json_string(output_class->name));
  json_object_set_new(report, "framework", json_string(mo_framework_name(output_class->framework)));
  json_object_set_new(report, "device", json_string(device));
  json_object_set_new(report, "device_reason", json_string(mo_context_choice_reason(state->context)));
  json_object_set_new(report, "threads", json_integer(mo_context_thread_count(state->context)));
  json_object_set_new(report, "cpu_kernels", json_string(mo_context_cpu_features(state->context)));
  json_object_set_new(report, "dtype", json_string(mo_dtype_name(dtype)));
  json_t *unused = json_array();
  const char *name = NULL;
  for (int64_t i = 0; (name = mo_model_unexpected_tensor(state->model, i)) != NULL; i++) {
    json_array_append_new(unused, json_string(name));
  }
  json_object_set_new(report, "unused_tensors", unused);
}

static void add_inputs(json_t *report, const run_state *state) {
  json_t *inputs = json_array();
  for (int32_t i = 0; i < state->inputs.given.count; i++) {
    const mo_tensor *tensor = &state->inputs.given.tensors[i];
    json_t *entry = json_object();
    json_object_set_new(entry, "name", json_string(state->inputs.given.named[i].name));
    json_object_set_new(entry, "shape", run_json_shape(tensor->rank, tensor->shape));
    json_object_set_new(entry, "dtype", json_string(mo_dtype_name(tensor->dtype)));
    json_array_append_new(inputs, entry);
  }
  json_object_set_new(report, "inputs", inputs);
  json_t *texts = json_array();
  for (int64_t i = 0; i < state->options.text_count; i++) {
    json_t *text = json_string(state->options.texts[i]); /* NULL if it is no UTF-8 */
    json_array_append_new(texts, text != NULL ? text : json_string("(not UTF-8)"));
  }
  json_object_set_new(report, "texts", texts);
}

static void add_costs(json_t *report, const run_state *state) {
  json_object_set_new(report, "load_seconds", json_real(state->load_seconds));
  json_object_set_new(report, "run_seconds", json_real(state->run_seconds));
  const mo_field_counters counters = mo_output_get_counters(state->output);
  json_object_set_new(report, "copied_bytes", json_integer((json_int_t)counters.host_copy_bytes));
  json_object_set_new(report, "output_bytes", json_integer((json_int_t)mo_output_device_bytes(state->output)));
}

static int show(run_state *state, json_t *report) {
  const run_options *options = &state->options;
  const bool wanted = options->json || !options->quiet;
  int exit_code = CLI_EXIT_OK;
  if (wanted) {
    add_heading(report, state);
    add_inputs(report, state);
    run_report_fields(report, state->output);
    exit_code = run_report_predictions(report, options, &state->inputs, state->output);
    if (exit_code == CLI_EXIT_OK && options->pool != 0) {
      exit_code = run_report_pooled(report, options, state->context, &state->inputs, state->output);
    }
  }
  if (exit_code == CLI_EXIT_OK && options->save_path != NULL) {
    const mo_status_t status = mo_output_save(state->output, options->save_path, NULL);
    if (status != MO_STATUS_OK) exit_code = cli_library_error(RUN_COMMAND, status);
    json_object_set_new(report, "saved", json_string(options->save_path));
  }
  if (exit_code != CLI_EXIT_OK || !wanted) return exit_code;
  add_costs(report, state);
  if (options->json) return cli_json_print(RUN_COMMAND, report);
  exit_code = cli_json_check(RUN_COMMAND);
  if (exit_code == CLI_EXIT_OK) run_print_report(report);
  return exit_code;
}

int cli_run(int argc, char **argv) {
  run_state state = {0};
  int exit_code = CLI_EXIT_OK;
  if (run_options_parse(argc, argv, &state.options, &exit_code)) {
    exit_code = run_sentence_resolve(&state.options);
    if (exit_code == CLI_EXIT_OK) exit_code = load(&state);
    if (exit_code == CLI_EXIT_OK) exit_code = run_inputs_build(&state.options, state.model, &state.inputs);
    if (exit_code == CLI_EXIT_OK) exit_code = forward(&state);
    if (exit_code == CLI_EXIT_OK) {
      json_t *report = json_object();
      exit_code = show(&state, report);
      json_decref(report);
    }
  }
  mo_output_destroy(state.output);
  run_inputs_release(&state.inputs);
  mo_model_destroy(state.model);
  mo_context_destroy(state.context);
  free(state.hidden_state_layers);
  run_options_release(&state.options);
  return exit_code;
}
