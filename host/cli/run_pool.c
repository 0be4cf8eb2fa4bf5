/* host/cli/run_pool.c - pooled embeddings of an output and the cosine similarities between them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "host/cli/run.h"

/* The last hidden state of the model: a field of its own, or the last of the tuple. NULL if the output has neither. */
static const mo_tensor *last_hidden_state(const mo_output *output) {
  const mo_field *field = mo_output_get(output, "last_hidden_state");
  if (field == NULL) field = mo_field_item(mo_output_get(output, "hidden_states"), -1);
  return mo_field_tensor(field);
}

static void add_to_report(json_t *report, const run_options *options, const float *embeddings, int64_t rows, int64_t columns) {
  json_t *pooled = json_object();
  json_t *vectors = json_array();
  json_t *similarities = json_array();
  for (int64_t i = 0; i < rows; i++) {
    json_t *vector = json_array();
    json_t *line = json_array();
    for (int64_t k = 0; k < columns; k++) json_array_append_new(vector, run_json_real(embeddings[i * columns + k]));
    for (int64_t j = 0; j < rows; j++) {
      double sum = 0;
      for (int64_t k = 0; k < columns; k++) sum += (double)embeddings[i * columns + k] * (double)embeddings[j * columns + k];
      json_array_append_new(line, run_json_real(sum)); /* both are of length 1 */
    }
    json_array_append_new(vectors, vector);
    json_array_append_new(similarities, line);
  }
  json_object_set_new(pooled, "mode", json_string(run_pool_name(options->pool)));
  json_object_set_new(pooled, "embeddings", vectors);
  json_object_set_new(pooled, "similarities", similarities);
  json_object_set_new(report, "pooled", pooled);
}

/* Pools `input` on the device and brings the vectors to the host: as stored, and as float32. */
static mo_status_t pool(mo_context_t *context, const mo_tensor *input, const mo_tensor *mask, mo_pooling_mode_t mode,
                        void *stored, float *embeddings) {
  const int64_t shape[] = {input->shape[0], input->shape[2]};
  const size_t bytes = (size_t)(shape[0] * shape[1]) * mo_dtype_bytes(input->dtype);
  const size_t mask_bytes = mask == NULL ? 0 : (size_t)mo_tensor_bytes(mask);
  void *device_memory = NULL;
  void *device_mask = NULL;
  mo_tensor output;
  mo_tensor mask_on_device;
  mo_pooling_params params = MO_POOLING_PARAMS_INIT;
  mo_status_t status = mo_context_allocate(context, bytes, &device_memory);
  if (status == MO_STATUS_OK) status = mo_tensor_init(&output, device_memory, input->dtype, input->device, 2, shape);
  if (status == MO_STATUS_OK && mask != NULL) {
    const int64_t mask_shape[] = {input->shape[0], input->shape[1]};
    status = mo_context_allocate(context, mask_bytes, &device_mask);
    if (status == MO_STATUS_OK) status = mo_context_copy_to_device(context, device_mask, mask->data, mask_bytes);
    if (status == MO_STATUS_OK)
      status = mo_tensor_init(&mask_on_device, device_mask, mask->dtype, input->device, 2, mask_shape);
    params.mask = &mask_on_device;
  }
  params.mode = mode;
  params.output = &output;
  params.input = input;
  params.l2_normalize = true;
  if (status == MO_STATUS_OK) status = mo_pooling(context, &params);
  if (status == MO_STATUS_OK) status = mo_context_copy_to_host(context, stored, device_memory, bytes);
  if (status == MO_STATUS_OK) status = mo_context_synchronize(context);
  if (status == MO_STATUS_OK) {
    status = mo_dtype_convert(embeddings, MO_DTYPE_FLOAT32, stored, input->dtype, shape[0] * shape[1]);
  }
  mo_context_release(context, device_mask);
  mo_context_release(context, device_memory);
  return status;
}

/* Whether some row begins with padding, which "cls" would take for its first token. */
static bool begins_with_padding(const mo_tensor *mask) {
  for (int64_t row = 0; row < mask->shape[0]; row++)
    if (((const int64_t *)mask->data)[row * mask->shape[1]] == 0) return true;
  return false;
}

int run_report_pooled(json_t *report, const run_options *options, mo_context_t *context, const run_inputs *inputs,
                      const mo_output *output) {
  const mo_tensor *input = last_hidden_state(output);
  if (input == NULL || input->rank != 3) {
    return cli_fail(RUN_COMMAND, CLI_EXIT_UNSUPPORTED, "--pool: %s has no hidden state per token", output->output_class->name);
  }
  const mo_tensor *mask = run_inputs_find(inputs, "attention_mask");
  if (mask != NULL && mo_tensor_count(mask) != input->shape[0] * input->shape[1]) {
    return cli_fail(RUN_COMMAND, CLI_EXIT_UNSUPPORTED, "--pool: the attention mask is not one number per token");
  }
  if (options->text_count > 0 && options->pool == MO_POOLING_FIRST && mask != NULL && mask->rank == 2 &&
      begins_with_padding(mask)) {
    return cli_fail(RUN_COMMAND, CLI_EXIT_UNSUPPORTED, "--pool cls: the texts are padded on the left, by padding_side");
  }
  const size_t count = (size_t)(input->shape[0] * input->shape[2]);
  float *embeddings = malloc(count * sizeof *embeddings + 1);
  void *stored = malloc(count * mo_dtype_bytes(input->dtype) + 1);
  int exit_code = CLI_EXIT_OK;
  if (embeddings == NULL || stored == NULL) {
    exit_code = cli_fail(RUN_COMMAND, CLI_EXIT_FAILED, "out of memory for the embeddings");
  } else {
    const mo_status_t status = pool(context, input, mask, options->pool, stored, embeddings);
    if (status == MO_STATUS_OK) {
      add_to_report(report, options, embeddings, input->shape[0], input->shape[2]);
    } else {
      exit_code = cli_library_error(RUN_COMMAND, status);
    }
  }
  free(stored);
  free(embeddings);
  return exit_code;
}
