/* tests/fuzz/fuzz_model.c - the small recorded models, in the scratch folder with files of the input beside them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/fuzz_scratch.h"

enum { ROWS = 2, TOKENS = 4 };

void fuzz_model_link(const char *folder, const char *file) {
  char path[FUZZ_PATH_BYTES];
  FUZZ_REQUIRE(snprintf(path, sizeof path, "%s/../../golden/%s/%s", MO_FUZZ_CORPUS, folder, file) < FUZZ_PATH_BYTES);
  fuzz_scratch_link(path, file);
}

bool fuzz_model_load(const mo_model_options *options, mo_model_t **model) {
  char folder[FUZZ_PATH_BYTES];
  fuzz_scratch_path("", folder);
  FUZZ_REQUIRE(fuzz_status(mo_model_load(fuzz_context(), folder, options, model)) == (*model != NULL));
  if (*model == NULL) return false;
  FUZZ_REQUIRE(mo_model_architecture(*model)[0] != '\0' && mo_model_output_class(*model) != NULL);
  FUZZ_REQUIRE(mo_model_parameter_count(*model) >= 0);
  return true;
}

/* ---- Reading --------------------------------------------------------------------------------------------------------------
 */

static void read_tensor(mo_field *field) {
  const mo_tensor *tensor = mo_field_tensor(field);
  const int64_t count = mo_tensor_count(tensor);
  FUZZ_REQUIRE(count >= 0 && count < (int64_t)1 << 24);
  float *values = malloc((size_t)count * sizeof *values + 1);
  FUZZ_REQUIRE(values != NULL);
  (void)fuzz_status(mo_field_read_float32(field, NULL, 0, values, count));
  free(values);
}

void fuzz_model_read_field(mo_field *field) {
  if (mo_field_kind(field) == MO_FIELD_TENSOR) read_tensor(field);
  for (int64_t i = 0; i < mo_field_length(field); ++i) {
    FUZZ_REQUIRE(mo_field_kind(field) != MO_FIELD_DICT || mo_field_key(field, i) != NULL);
    fuzz_model_read_field(mo_field_item(field, i));
  }
}

void fuzz_model_read_output(const mo_output *output) {
  for (int64_t i = 0; i < mo_output_length(output); ++i) {
    const char *key = mo_output_key_at(output, i);
    FUZZ_REQUIRE(key != NULL && mo_output_get(output, key) == mo_output_at(output, i));
    fuzz_model_read_field(mo_output_get(output, key));
  }
}

/* ---- Running --------------------------------------------------------------------------------------------------------------
 */

static mo_tensor tensor_of(int64_t *values, int32_t rank, int64_t a, int64_t b, int64_t c) {
  return mo_tensor_cpu(values, MO_DTYPE_INT64, rank, (const int64_t[]){a, b, c});
}

/* Whether the run is one. */
static bool forward(mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request, mo_output **output) {
  FUZZ_REQUIRE(fuzz_status(mo_model_forward(model, inputs, request, output)) == (*output != NULL));
  if (*output == NULL) return false;
  (void)fuzz_status(mo_output_check_shapes(*output, NULL));
  fuzz_model_read_output(*output);
  return true;
}

static void run_next(mo_model_t *model, const mo_output *first, const mo_request *request, mo_model_inputs inputs) {
  mo_output *output = NULL;
  mo_cache_t *cache = mo_field_cache(mo_output_get(first, "past_key_values"));
  int64_t ids[ROWS] = {5, 6};
  mo_tensor next = tensor_of(ids, 2, ROWS, 1, 0);
  if (cache == NULL) return;
  if (mo_output_get(first, "encoder_last_hidden_state") != NULL) {
    inputs.encoder_outputs = mo_output_get(first, "encoder_last_hidden_state");
    inputs.decoder_input_ids = &next;
    inputs.input_ids = NULL;
  } else {
    inputs.input_ids = &next;
  }
  inputs.past_key_values = cache;
  inputs.labels = NULL;
  inputs.attention_mask = NULL;
  (void)forward(model, &inputs, request, &output);
  mo_output_destroy(output);
}

void fuzz_model_run(mo_model_t *model, bool all, bool labels) {
  mo_request request = MO_REQUEST_INIT;
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  mo_output *output = NULL;
  int64_t ids[ROWS * TOKENS] = {3, 4, 5, 2, 7, 8, 2, 10}; /* 2: the end token that BART's classifier looks for */
  int64_t mask[ROWS * TOKENS] = {1, 1, 1, 1, 1, 1, 1, 0};
  int64_t classes[ROWS] = {0, 1};
  mo_tensor rows = tensor_of(ids, 2, ROWS, TOKENS, 0), masked = tensor_of(mask, 2, ROWS, TOKENS, 0);
  mo_tensor target = tensor_of(classes, 1, ROWS, 0, 0);
  request.output_hidden_states = request.output_attentions = request.use_cache = all;
  inputs.input_ids = &rows;
  inputs.attention_mask = &masked;
  if (labels) inputs.labels = &rows;
  bool done = forward(model, &inputs, &request, &output);
  if (!done && labels) { /* one number a row */
    inputs.labels = &target;
    done = forward(model, &inputs, &request, &output);
  }
  if (!done && labels) { /* question answering, or no loss at all */
    inputs.labels = NULL;
    inputs.start_positions = inputs.end_positions = &target;
    done = forward(model, &inputs, &request, &output);
    inputs.start_positions = inputs.end_positions = NULL;
    if (!done) done = forward(model, &inputs, &request, &output);
  }
  if (!done) { /* multiple choice */
    rows = tensor_of(ids, 3, ROWS, 2, TOKENS / 2);
    masked = tensor_of(mask, 3, ROWS, 2, TOKENS / 2);
    done = forward(model, &inputs, &request, &output);
  }
  if (done && all) run_next(model, output, &request, inputs);
  mo_output_destroy(output);
}

void fuzz_model_generate(mo_model_t *model, const mo_generation_options *options) {
  mo_generation_options two = MO_GENERATION_OPTIONS_INIT;
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  mo_output *output = NULL;
  int64_t ids[ROWS * TOKENS] = {3, 4, 5, 6, 7, 8, 9, 10};
  const mo_tensor rows = tensor_of(ids, 2, ROWS, TOKENS, 0);
  two.max_new_tokens = 2;
  inputs.input_ids = &rows;
  FUZZ_REQUIRE(fuzz_status(mo_generate(model, &inputs, options != NULL ? options : &two, &output)) == (output != NULL));
  if (output != NULL) fuzz_model_read_output(output);
  mo_output_destroy(output);
}
