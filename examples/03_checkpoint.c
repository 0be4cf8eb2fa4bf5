/* examples/03_checkpoint.c - a Hugging Face checkpoint folder, from its files to the fields of its output.
 *
 * usage: 03_checkpoint [FOLDER]     (from the top of the repository: a small bundled classifier)
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "example.h"

enum { BATCH = 2, LENGTH = 6 };

/* The short form: load, run, read. The README shows these lines. */
static void run_once(mo_context_t *context, mo_model_t *model, const mo_model_inputs *inputs) {
  mo_request request = MO_REQUEST_INIT;
  request.output_hidden_states = true;
  mo_output *output = NULL;
  TRY(mo_model_forward(model, inputs, &request, &output));
  for (int64_t i = 0; i < mo_output_length(output); i++) {
    const mo_tensor *tensor = mo_field_tensor(mo_output_at(output, i));
    printf("  %-20s %s\n", mo_output_key_at(output, i), tensor != NULL ? mo_dtype_name(tensor->dtype) : "tuple");
  }
  mo_host_view view;
  mo_field *last = mo_field_item(mo_output_get(output, "hidden_states"), -1);
  TRY(mo_field_read(last, &view));
  CLAIM(view.rank == 3 && view.shape[0] == BATCH && view.shape[1] == LENGTH);
  CLAIM(view.shape[2] == mo_model_config_integer(model, "hidden_size"));
  printf("  hidden_states[-1][0, 0, 0] = %f\n", (double)((const float *)view.data)[0]);
  if (mo_context_device(context).kind == MO_DEVICE_KIND_CPU) CLAIM(mo_output_get_counters(output).host_copy_bytes == 0);
  mo_output_destroy(output);
}

/* Only what is asked for is computed and stored: attention weights of one layer, two heads, the last query row. */
static void select_attentions(mo_model_t *model, const mo_model_inputs *inputs) {
  const int64_t layers = mo_model_config_integer(model, "num_hidden_layers");
  const int64_t heads = mo_model_config_integer(model, "num_attention_heads");
  const int32_t last_layer[] = {-1};
  const int32_t two_heads[] = {0, 1};
  mo_request everything = MO_REQUEST_INIT;
  everything.output_attentions = true;
  mo_request selection = everything;
  selection.attention_layers = (mo_index_list){last_layer, 1};
  selection.attention_heads = (mo_index_list){two_heads, 2};
  selection.last_query_rows = 1;

  mo_output *whole = NULL;
  mo_output *part = NULL;
  TRY(mo_model_forward(model, inputs, &everything, &whole));
  TRY(mo_model_forward(model, inputs, &selection, &part));
  mo_field *whole_weights = mo_output_get(whole, "attentions");
  mo_field *part_weights = mo_output_get(part, "attentions");
  CLAIM(mo_field_length(whole_weights) == layers && mo_field_length(part_weights) == layers);
  CLAIM(layers < 2 || mo_field_item(part_weights, 0) == NULL); /* not selected: None, at its place */
  const mo_tensor *weights = mo_field_tensor(mo_field_item(part_weights, -1));
  CLAIM(weights->shape[0] == BATCH && weights->shape[1] == 2 && weights->shape[2] == 1 && weights->shape[3] == LENGTH);

  /* The same numbers, for fewer bytes. */
  float selected[BATCH * 2 * LENGTH];
  float reference[BATCH * 2 * LENGTH];
  const mo_slice same[] = {MO_SLICE_ALL, MO_SLICE_RANGE(0, 2), MO_SLICE_AT(-1)};
  TRY(mo_field_read_float32(mo_field_item(part_weights, -1), NULL, 0, selected, BATCH * 2 * LENGTH));
  TRY(mo_field_read_float32(mo_field_item(whole_weights, -1), same, 3, reference, BATCH * 2 * LENGTH));
  for (int i = 0; i < BATCH * 2 * LENGTH; i++) CLAIM(selected[i] - reference[i] < 1e-6f && reference[i] - selected[i] < 1e-6f);
  printf("attentions: %lld layers x %lld heads, %llu bytes of output; one layer, two heads, one row: %llu bytes\n",
         (long long)layers, (long long)heads, (unsigned long long)mo_output_device_bytes(whole),
         (unsigned long long)mo_output_device_bytes(part));
  CLAIM(mo_output_device_bytes(part) < mo_output_device_bytes(whole));
  mo_output_destroy(part);
  mo_output_destroy(whole);
}

int main(int argc, char **argv) {
  const char *folder = argc > 1 ? argv[1] : "tests/golden/bert_seqcls_single";
  mo_context_t *context = NULL;
  mo_model_t *model = NULL;
  TRY(mo_context_create(NULL, &context));
  TRY(mo_model_load(context, folder, NULL, &model));
  printf("%s -> %s\n", mo_model_architecture(model), mo_model_output_class(model)->name);

  /* Two rows, the second padded. */
  const int64_t shape[] = {BATCH, LENGTH};
  int64_t ids[] = {2, 7, 9, 11, 5, 3, 2, 8, 6, 3, 0, 0};
  int64_t mask[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0};
  const mo_tensor ids_tensor = mo_tensor_cpu(ids, MO_DTYPE_INT64, 2, shape);
  const mo_tensor mask_tensor = mo_tensor_cpu(mask, MO_DTYPE_INT64, 2, shape);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids_tensor;
  inputs.attention_mask = &mask_tensor;
  run_once(context, model, &inputs);
  select_attentions(model, &inputs);

  /* Bad input is a status and a sentence. */
  ids[3] = mo_model_config_integer(model, "vocab_size");
  mo_output *none = NULL;
  CLAIM(mo_model_forward(model, &inputs, NULL, &none) == MO_STATUS_INVALID_ARGUMENT && none == NULL);
  printf("refused: %s\n", mo_last_error());

  mo_model_destroy(model);
  mo_context_destroy(context);
  return 0;
}
