/* examples/01_output.c - an output: made from a class and a request, filled on the device, and read in every way.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "example.h"

enum { BATCH = 2, LENGTH = 5, HIDDEN = 8, HEADS = 2, LAYERS = 3, LABELS = 3 };

/* Stands for the kernels of a model: they would write these tensors themselves. Number i becomes start + i. */
static void fill(mo_context_t *context, const mo_field *field, float start) {
  const mo_tensor *tensor = mo_field_tensor(field);
  float values[BATCH * HEADS * LENGTH * LENGTH + BATCH * LENGTH * HIDDEN];
  const int64_t count = mo_tensor_count(tensor);
  for (int64_t i = 0; i < count; i++) values[i] = start + (float)i;
  TRY(mo_context_copy_to_device(context, tensor->data, values, (size_t)mo_tensor_bytes(tensor)));
  TRY(mo_context_synchronize(context));
}

/* A classifier's output with two of its four hidden states and no attentions. */
static mo_output *make_output(mo_context_t *context) {
  const mo_class *output_class = mo_class_find("SequenceClassifierOutput");
  mo_dimensions dimensions = MO_DIMENSIONS_INIT;
  dimensions.batch_size = BATCH;
  dimensions.sequence_length = LENGTH;
  dimensions.hidden_size = HIDDEN;
  dimensions.num_heads = HEADS;
  dimensions.num_layers = LAYERS;
  dimensions.num_labels = LABELS;
  const int32_t layers[] = {0, -1}; /* the embedding output and the last layer */
  mo_request request = MO_REQUEST_INIT;
  request.output_hidden_states = true;
  request.hidden_state_layers = (mo_index_list){layers, 2};

  size_t bytes = 0;
  TRY(mo_output_query_bytes(output_class, &dimensions, &request, &bytes));
  const uint64_t allocations_before = mo_context_get_counters(context).device_allocations;
  mo_output *output = NULL;
  TRY(mo_output_create(context, output_class, &dimensions, &request, NULL, 0, &output));
  CLAIM(mo_context_get_counters(context).device_allocations == allocations_before + 1); /* one for everything */
  printf("%s: %zu bytes in one allocation\n", output_class->name, bytes);

  fill(context, mo_output_get(output, "logits"), 0.5f);
  fill(context, mo_field_item(mo_output_get(output, "hidden_states"), 0), 100.0f);
  fill(context, mo_field_item(mo_output_get(output, "hidden_states"), -1), 200.0f);
  TRY(mo_output_mark_written(output, mo_context_stream(context)));
  return output;
}

static void look_things_up(const mo_output *output) {
  /* Attribute access is a struct member; None is NULL. */
  const mo_sequence_classifier_output *outputs = (const mo_sequence_classifier_output *)output;
  CLAIM(outputs->logits != NULL && outputs->loss == NULL && outputs->attentions == NULL);

  /* By key: a field that is None is no key. */
  CLAIM(mo_output_get(output, "logits") == outputs->logits);
  CLAIM(mo_output_contains(output, "hidden_states") && !mo_output_contains(output, "attentions"));
  mo_field *field = NULL;
  CLAIM(mo_output_item(output, "attentions", &field) == MO_STATUS_KEY_ERROR);
  printf("absent: attentions, %s\n", mo_absence_text(mo_output_absence(output, "attentions")));
  CLAIM(mo_output_absence(output, "attentions") == MO_ABSENCE_NOT_REQUESTED);
  CLAIM(mo_output_absence(output, "loss") == MO_ABSENCE_NO_INPUT);

  /* By position: positions count the present values, so logits comes first here. */
  CLAIM(mo_output_length(output) == 2);
  CLAIM(mo_output_at(output, 0) == outputs->logits && mo_output_at(output, -1) == outputs->hidden_states);

  /* By slice, as x[::-1]. */
  mo_field *reversed[2] = {NULL, NULL};
  int64_t count = 0;
  TRY(mo_output_slice(output, (mo_slice){MO_SLICE_UNSET, MO_SLICE_UNSET, -1}, reversed, 2, &count));
  CLAIM(count == 2 && reversed[0] == outputs->hidden_states && reversed[1] == outputs->logits);

  /* By iteration. */
  for (int64_t i = 0; i < mo_output_length(output); i++) printf("key %lld: %s\n", (long long)i, mo_output_key_at(output, i));

  /* Layers that were not selected stay in the tuple as None, so positions hold. */
  CLAIM(mo_field_length(outputs->hidden_states) == LAYERS + 1);
  CLAIM(mo_field_item(outputs->hidden_states, 0) != NULL && mo_field_item(outputs->hidden_states, 1) == NULL);
}

static void read_lazily(mo_context_t *context, mo_output *output) {
  const bool on_cpu = mo_context_device(context).kind == MO_DEVICE_KIND_CPU;
  mo_field *logits = mo_output_get(output, "logits");
  mo_field *last = mo_field_item(mo_output_get(output, "hidden_states"), -1);
  CLAIM(mo_output_get_counters(output).host_copies == 0); /* nobody has read anything yet */

  /* Whole. */
  mo_host_view view;
  TRY(mo_field_read(logits, &view));
  CLAIM(((const float *)view.data)[1 * LABELS + 2] == 0.5f + 5.0f);
  TRY(mo_field_check_view(logits, &view));

  /* A part: hidden_states[-1][:, 0, :], the first token of each sequence. */
  const mo_slice first_token[] = {MO_SLICE_ALL, MO_SLICE_AT(0)};
  float tokens[BATCH * HIDDEN];
  TRY(mo_field_read_float32(last, first_token, 2, tokens, BATCH * HIDDEN));
  CLAIM(tokens[0] == 200.0f && tokens[HIDDEN] == 200.0f + LENGTH * HIDDEN);

  /* The largest of each row, taken on the device. */
  mo_host_view values;
  mo_host_view indices;
  TRY(mo_field_read_top_k(logits, 1, &values, &indices));
  CLAIM(((const int64_t *)indices.data)[0] == LABELS - 1);

  /* What it cost: nothing on the CPU, where a read is a pointer; elsewhere no more than what was asked for. */
  const mo_field_counters counters = mo_output_get_counters(output);
  printf("copied %llu of %llu bytes\n", (unsigned long long)counters.host_copy_bytes,
         (unsigned long long)mo_output_device_bytes(output));
  CLAIM(on_cpu ? counters.host_copy_bytes == 0 : counters.host_copy_bytes < mo_output_device_bytes(output));

  /* Kernels ran again: the old view is known to be out of date. */
  TRY(mo_output_mark_written(output, mo_context_stream(context)));
  CLAIM(mo_field_check_view(logits, &view) == MO_STATUS_STALE_VIEW);
}

int main(void) {
  mo_context_t *context = NULL;
  TRY(mo_context_create(NULL, &context));
  mo_output *output = make_output(context);
  look_things_up(output);
  read_lazily(context, output);

  /* Operations the original forbids are forbidden here. */
  CLAIM(mo_output_delete_item(output, "logits") == MO_STATUS_BLOCKED);

  /* A retained field outlives its output, and both outlive the caller's hold on the context. */
  mo_field *logits = mo_field_retain(mo_output_get(output, "logits"));
  mo_output_destroy(output);
  mo_context_destroy(context);
  CLAIM(mo_field_tensor(logits)->shape[1] == LABELS);
  mo_field_release(logits);
  return 0;
}
