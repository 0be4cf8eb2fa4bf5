/* examples/06_attention_of_two_layers.c - attention weights of two layers out of twelve, at the price of two.
 *
 * The way a runtime of its own uses the library: it asks for an output class with a request, runs its layers with the ops, and
 * gives each op the tensor of the field as destination. A layer that was not selected has no field, gets no destination, and
 * runs the kernel that never stores a weight.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "example.h"

enum { LAYERS = 12, HEADS = 4, LENGTH = 24, HEAD_SIZE = 16, WIDTH = HEADS * HEAD_SIZE, COUNT = LENGTH * WIDTH };

/* (1, HEADS, LENGTH, HEAD_SIZE) over (1, LENGTH, WIDTH): the heads of every token, without moving anything. */
static mo_tensor heads_of(const mo_context_t *context, void *data) {
  mo_tensor view;
  TRY(mo_tensor_init_strided(&view, data, MO_DTYPE_FLOAT32, mo_context_device(context), 4,
                             (int64_t[]){1, HEADS, LENGTH, HEAD_SIZE}, (int64_t[]){COUNT, HEAD_SIZE, WIDTH, 1}));
  return view;
}

static mo_tensor tokens_of(const mo_context_t *context, void *data) {
  mo_tensor view;
  TRY(mo_tensor_init(&view, data, MO_DTYPE_FLOAT32, mo_context_device(context), 3, (int64_t[]){1, LENGTH, WIDTH}));
  return view;
}

/* x = norm(x + attention(x, x, x)), twelve times; the last one goes straight into last_hidden_state. */
static void run_layers(mo_context_t *context, mo_output *output, void *state, void *mixed) {
  mo_field *attentions = mo_output_get(output, "attentions");
  const mo_tensor heads = heads_of(context, state), attended = heads_of(context, mixed);
  const mo_tensor x = tokens_of(context, state), y = tokens_of(context, mixed);
  for (int layer = 0; layer < LAYERS; layer++) {
    mo_attention_params attention = MO_ATTENTION_PARAMS_INIT;
    attention.query = attention.key = attention.value = &heads;
    attention.output = &attended;
    attention.weights = mo_field_tensor(mo_field_item(attentions, layer)); /* NULL where nobody asked */
    attention.causal = true;
    TRY(mo_attention(context, &attention));
    mo_norm_params norm = MO_NORM_PARAMS_INIT;
    norm.input = &y;
    norm.residual = &x;
    norm.output = layer + 1 < LAYERS ? &x : mo_field_tensor(mo_output_get(output, "last_hidden_state"));
    norm.epsilon = 1e-5f;
    TRY(mo_layer_norm(context, &norm));
  }
  TRY(mo_output_mark_written(output, mo_context_stream(context)));
}

int main(void) {
  mo_context_t *context = NULL;
  mo_output *output = NULL;
  TRY(mo_context_create(NULL, &context));

  const mo_class *output_class = mo_class_find("BaseModelOutput");
  mo_dimensions dimensions = MO_DIMENSIONS_INIT;
  dimensions.batch_size = 1;
  dimensions.sequence_length = LENGTH;
  dimensions.hidden_size = WIDTH;
  dimensions.num_layers = LAYERS;
  dimensions.num_heads = HEADS;
  const int32_t wanted[] = {3, -1}; /* the fourth layer and the last */
  mo_request request = MO_REQUEST_INIT;
  request.output_attentions = true;
  size_t bytes_of_all = 0, bytes_of_two = 0;
  TRY(mo_output_query_bytes(output_class, &dimensions, &request, &bytes_of_all));
  request.attention_layers = (mo_index_list){wanted, 2};
  TRY(mo_output_query_bytes(output_class, &dimensions, &request, &bytes_of_two));
  printf("output with the weights of %d layers: %zu bytes; of two: %zu bytes\n", LAYERS, bytes_of_all, bytes_of_two);
  const size_t weight_bytes = sizeof(float) * HEADS * LENGTH * LENGTH;
  CLAIM(bytes_of_all - bytes_of_two == (LAYERS - 2) * weight_bytes);

  void *state = NULL, *mixed = NULL;
  float start[COUNT];
  for (int i = 0; i < COUNT; i++) start[i] = (float)((i * 37 + 11) % 101) / 50.0f - 1.0f;
  TRY(mo_context_allocate(context, sizeof start, &state));
  TRY(mo_context_allocate(context, sizeof start, &mixed));
  TRY(mo_context_copy_to_device(context, state, start, sizeof start));
  TRY(mo_output_create(context, output_class, &dimensions, &request, NULL, 0, &output));
  run_layers(context, output, state, mixed);

  /* The tuple keeps its length; what was not selected is None at its place. */
  mo_field *attentions = mo_output_get(output, "attentions");
  CLAIM(mo_field_length(attentions) == LAYERS && mo_field_item(attentions, 0) == NULL);
  CLAIM(mo_output_get_counters(output).host_copy_bytes == 0); /* nothing has crossed the bus so far */

  /* Only the last query row of one head is read: that is all that is copied. */
  mo_host_view row;
  const mo_slice last_row[] = {MO_SLICE_ALL, MO_SLICE_AT(0), MO_SLICE_AT(-1)};
  TRY(mo_field_read_slice(mo_field_item(attentions, 3), last_row, 3, &row));
  float sum = 0.0f;
  for (int64_t i = 0; i < LENGTH; i++) sum += ((const float *)row.data)[i * row.strides[3]];
  CLAIM(sum > 0.999f && sum < 1.001f);
  const uint64_t copied = mo_output_get_counters(output).host_copy_bytes;
  const bool on_card = mo_context_device(context).kind == MO_DEVICE_KIND_CUDA;
  CLAIM(copied == (on_card ? LENGTH * sizeof(float) : 0));
  printf("attentions[3][0, 0, -1] sums to %f; %llu bytes were copied to read it\n", (double)sum, (unsigned long long)copied);

  mo_output_destroy(output);
  mo_context_release(context, mixed);
  mo_context_release(context, state);
  mo_context_destroy(context);
  return 0;
}
