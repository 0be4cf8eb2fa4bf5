/* examples/02_ops.c - ops alone, on tensors and memory of the caller's own.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "example.h"

enum { BATCH = 1, LENGTH = 4, HEADS = 2, HEAD_DIM = 8, HIDDEN = HEADS * HEAD_DIM };

/* Memory functions of the caller: whatever the library takes, it takes through them. */
typedef struct my_heap {
  size_t live_bytes;
  size_t calls;
} my_heap;

static void *my_allocate(void *user_data, size_t bytes, mo_stream stream) {
  (void)stream;
  my_heap *heap = user_data;
  void *memory = aligned_alloc(256, (bytes + 255) / 256 * 256 + 256);
  if (memory == NULL) return NULL;
  heap->live_bytes += bytes;
  heap->calls++;
  return memory;
}

static void my_release(void *user_data, void *memory, size_t bytes, mo_stream stream) {
  (void)stream;
  my_heap *heap = user_data;
  heap->live_bytes -= bytes;
  free(memory);
}

static bool near(float a, float b) { return fabsf(a - b) < 1e-5f; }

/* Numbers that look random and are the same everywhere. */
static void fill(float *values, int count, float seed) {
  for (int i = 0; i < count; i++) values[i] = sinf(seed + 1.7f * (float)i);
}

static void attention_with_weights(mo_context_t *context) {
  float query[LENGTH * HIDDEN];
  float key[LENGTH * HIDDEN];
  float value[LENGTH * HIDDEN];
  float output[LENGTH * HIDDEN];
  float weights[HEADS * LENGTH * LENGTH];
  fill(query, LENGTH * HIDDEN, 1.0f);
  fill(key, LENGTH * HIDDEN, 2.0f);
  fill(value, LENGTH * HIDDEN, 3.0f);

  /* The memory is (batch, length, heads, head_dim), as a linear layer leaves it; strides show it as (batch, heads, length,
   * head_dim) without moving anything. */
  const int64_t shape[] = {BATCH, HEADS, LENGTH, HEAD_DIM};
  const int64_t strides[] = {LENGTH * HIDDEN, HEAD_DIM, HIDDEN, 1};
  const mo_device cpu = {MO_DEVICE_KIND_CPU, 0};
  mo_tensor query_tensor;
  mo_tensor key_tensor;
  mo_tensor value_tensor;
  mo_tensor output_tensor;
  TRY(mo_tensor_init_strided(&query_tensor, query, MO_DTYPE_FLOAT32, cpu, 4, shape, strides));
  TRY(mo_tensor_init_strided(&key_tensor, key, MO_DTYPE_FLOAT32, cpu, 4, shape, strides));
  TRY(mo_tensor_init_strided(&value_tensor, value, MO_DTYPE_FLOAT32, cpu, 4, shape, strides));
  TRY(mo_tensor_init_strided(&output_tensor, output, MO_DTYPE_FLOAT32, cpu, 4, shape, strides));
  const mo_tensor weights_tensor = mo_tensor_cpu(weights, MO_DTYPE_FLOAT32, 4, (int64_t[]){BATCH, HEADS, LENGTH, LENGTH});

  mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
  params.output = &output_tensor;
  params.weights = &weights_tensor; /* written by the same pass that computes the output */
  params.query = &query_tensor;
  params.key = &key_tensor;
  params.value = &value_tensor;
  params.causal = true;
  TRY(mo_attention(context, &params));

  for (int row = 0; row < HEADS * LENGTH; row++) {
    float sum = 0;
    for (int j = 0; j < LENGTH; j++) sum += weights[row * LENGTH + j];
    CLAIM(near(sum, 1.0f));
    for (int j = row % LENGTH + 1; j < LENGTH; j++) CLAIM(weights[row * LENGTH + j] == 0.0f); /* masked: exactly 0 */
  }
  CLAIM(near(output[0], value[0])); /* the first row sees only itself */
  printf("attention: the last row of head 0 looks at %.3f %.3f %.3f %.3f\n", weights[12], weights[13], weights[14],
         weights[15]);

  /* A wrong call is refused with a sentence, and changes nothing. */
  params.key = &weights_tensor;
  CLAIM(mo_attention(context, &params) == MO_STATUS_INVALID_ARGUMENT);
  printf("refused: %s\n", mo_last_error());
}

static void layer_norm_in_place(mo_context_t *context) {
  float values[3 * 4] = {1, 2, 3, 4, 10, 20, 30, 40, -1, 0, 0, 1};
  const mo_tensor tensor = mo_tensor_cpu(values, MO_DTYPE_FLOAT32, 2, (int64_t[]){3, 4});
  mo_norm_params params = MO_NORM_PARAMS_INIT;
  params.output = &tensor;
  params.input = &tensor;
  params.epsilon = 1e-12f;
  TRY(mo_layer_norm(context, &params));
  for (int i = 0; i < 4; i++) CLAIM(near(values[i], values[4 + i])); /* the scale of a row does not matter */
  CLAIM(near(values[0], -values[3]));
}

static void softmax_with_mask(mo_context_t *context) {
  const float scores[2 * 3] = {1, 1, 1, 0, 5, 0};
  const uint8_t visible[2 * 3] = {1, 1, 0, 0, 0, 0};
  float probabilities[2 * 3];
  const int64_t shape[] = {2, 3};
  const mo_tensor input = mo_tensor_cpu((void *)scores, MO_DTYPE_FLOAT32, 2, shape);
  const mo_tensor mask = mo_tensor_cpu((void *)visible, MO_DTYPE_UINT8, 2, shape);
  const mo_tensor output = mo_tensor_cpu(probabilities, MO_DTYPE_FLOAT32, 2, shape);
  mo_softmax_params params = MO_SOFTMAX_PARAMS_INIT;
  params.output = &output;
  params.input = &input;
  params.mask = &mask;
  TRY(mo_softmax(context, &params));
  CLAIM(near(probabilities[0], 0.5f) && probabilities[2] == 0.0f);
  CLAIM(near(probabilities[4], 1.0f / 3)); /* a row that may see nothing is uniform, never NaN */
}

int main(void) {
  my_heap heap = {0};
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CPU; /* the tensors here are host memory */
  options.device_allocator = (mo_allocator){my_allocate, my_release, &heap};
  mo_context_t *context = NULL;
  TRY(mo_context_create(&options, &context));
  TRY(mo_context_reserve(context, 1 << 20)); /* scratch memory beforehand ... */
  const size_t calls = heap.calls;
  CLAIM(calls > 0 && heap.live_bytes >= 1 << 20);
  attention_with_weights(context);
  layer_norm_in_place(context);
  softmax_with_mask(context);
  CLAIM(heap.calls == calls); /* ... so that no op had to allocate any */
  mo_context_destroy(context);
  CLAIM(heap.live_bytes == 0);
  return 0;
}
