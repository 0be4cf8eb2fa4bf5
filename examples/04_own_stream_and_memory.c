/* examples/04_own_stream_and_memory.c - the library as a guest: your stream, your device memory, your output buffer.
 *
 * A backend has its own stream and its own allocator. The context takes both; an output can be carved out of memory that is
 * there already. The account at the end shows that every byte came from the caller and went back to it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "example.h"

#ifdef MO_EXAMPLE_CUDA
#include <cuda_runtime_api.h>
#endif

enum { BATCH = 2, LENGTH = 3, WIDTH = 8, COUNT = BATCH * LENGTH * WIDTH };

/* What the caller's allocator knows. Without a card it hands out ordinary memory, which is the CPU backend's device memory. */
typedef struct account {
  bool on_card;
  int64_t live_blocks;
  uint64_t calls;
} account;

static void *take(void *user_data, size_t bytes, mo_stream stream) {
  account *mine = user_data;
  void *memory = NULL;
#ifdef MO_EXAMPLE_CUDA
  if (mine->on_card && cudaMallocAsync(&memory, bytes, (cudaStream_t)stream) != cudaSuccess) return NULL;
#else
  (void)stream;
#endif
  if (!mine->on_card) memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (memory == NULL) return NULL;
  mine->live_blocks++;
  mine->calls++;
  return memory;
}

static void give_back(void *user_data, void *memory, size_t bytes, mo_stream stream) {
  account *mine = user_data;
  (void)bytes;
  mine->live_blocks--;
#ifdef MO_EXAMPLE_CUDA
  if (mine->on_card) {
    CLAIM(cudaFreeAsync(memory, (cudaStream_t)stream) == cudaSuccess);
    return;
  }
#else
  (void)stream;
#endif
  free(memory);
}

/* One op into one field, all of it in a block of the caller's. */
static void norm_into_own_buffer(mo_context_t *context, account *mine) {
  const mo_class *output_class = mo_class_find("BaseModelOutput");
  mo_dimensions dimensions = MO_DIMENSIONS_INIT;
  dimensions.batch_size = BATCH;
  dimensions.sequence_length = LENGTH;
  dimensions.hidden_size = WIDTH;
  size_t bytes = 0;
  TRY(mo_output_query_bytes(output_class, &dimensions, NULL, &bytes));
  void *buffer = take(mine, bytes, mo_context_stream(context));
  void *input_memory = take(mine, COUNT * sizeof(float), mo_context_stream(context));
  CLAIM(buffer != NULL && input_memory != NULL);

  const uint64_t before = mo_context_get_counters(context).device_allocations;
  mo_output *output = NULL;
  TRY(mo_output_create(context, output_class, &dimensions, NULL, buffer, bytes, &output));
  CLAIM(mo_output_memory(output, NULL) == buffer);
  CLAIM(mo_context_get_counters(context).device_allocations == before);

  float values[COUNT];
  for (int i = 0; i < COUNT; i++) values[i] = (float)((i * 7 + 3) % 11);
  const int64_t shape[] = {BATCH, LENGTH, WIDTH};
  mo_tensor input;
  TRY(mo_context_copy_to_device(context, input_memory, values, sizeof values));
  TRY(mo_tensor_init(&input, input_memory, MO_DTYPE_FLOAT32, mo_context_device(context), 3, shape));
  mo_norm_params norm = MO_NORM_PARAMS_INIT;
  norm.input = &input;
  norm.output = mo_field_tensor(mo_output_get(output, "last_hidden_state"));
  norm.epsilon = 1e-5f;
  TRY(mo_layer_norm(context, &norm));
  TRY(mo_output_mark_written(output, mo_context_stream(context)));

  mo_host_view view;
  TRY(mo_field_read(mo_output_get(output, "last_hidden_state"), &view));
  for (int row = 0; row < BATCH * LENGTH; row++) {
    float sum = 0.0f;
    for (int i = 0; i < WIDTH; i++) sum += ((const float *)view.data)[row * WIDTH + i];
    CLAIM(sum < 1e-4f && sum > -1e-4f); /* a normalised row has mean 0 */
  }
  printf("an output of %zu bytes in the caller's block: no allocation, %llu bytes read\n", bytes,
         (unsigned long long)mo_output_get_counters(output).host_copy_bytes);
  mo_output_destroy(output);
  give_back(mine, input_memory, COUNT * sizeof(float), mo_context_stream(context));
  give_back(mine, buffer, bytes, mo_context_stream(context));
}

int main(int argc, char **argv) {
  const char *folder = argc > 1 ? argv[1] : "tests/golden/bert_model";
  account mine = {.on_card = false};
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CPU;
#ifdef MO_EXAMPLE_CUDA
  int cards = 0;
  cudaStream_t stream = NULL;
  mine.on_card = cudaGetDeviceCount(&cards) == cudaSuccess && cards > 0;
  if (mine.on_card) {
    CLAIM(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    options.device = MO_DEVICE_CHOICE_CUDA;
    options.stream = stream;
  }
#endif
  options.device_allocator = (mo_allocator){.allocate = take, .release = give_back, .user_data = &mine};
  mo_context_t *context = NULL;
  TRY(mo_context_create(&options, &context));
  CLAIM(!mine.on_card || mo_context_stream(context) == options.stream);
  printf("%s\n", mo_context_choice_reason(context));
  norm_into_own_buffer(context, &mine);

  /* A whole model lives in the caller's memory just as well. */
  mo_model_t *model = NULL;
  mo_output *output = NULL;
  int64_t ids[] = {2, 7, 9, 11, 5, 3};
  const mo_tensor ids_tensor = mo_tensor_cpu(ids, MO_DTYPE_INT64, 2, (int64_t[]){1, 6});
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids_tensor;
  TRY(mo_model_load(context, folder, NULL, &model));
  TRY(mo_model_forward(model, &inputs, NULL, &output));
  const int64_t first_run = (int64_t)mine.calls;
  TRY(mo_model_run(model, &inputs, NULL, output));
  CLAIM((int64_t)mine.calls == first_run); /* a run of shapes seen before never allocates */
  printf("%s: %lld blocks of the caller's in use\n", mo_model_architecture(model), (long long)mine.live_blocks);
  mo_output_destroy(output);
  mo_model_destroy(model);
  mo_context_destroy(context);
  CLAIM(mine.live_blocks == 0);
  printf("all %llu blocks are back\n", (unsigned long long)mine.calls);
#ifdef MO_EXAMPLE_CUDA
  if (stream != NULL) CLAIM(cudaStreamDestroy(stream) == cudaSuccess);
#endif
  return 0;
}
