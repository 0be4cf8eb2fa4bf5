/* tests/install/plugin.c - a plugin with the library in it or behind it: one op of a few threads, and nothing left behind.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <modelout/modelout.h>
#include <stdlib.h>

#define SIZE 512

static int multiply(mo_context_t *context, float *memory) {
  const int64_t shape[] = {SIZE, SIZE};
  const size_t count = (size_t)SIZE * SIZE;
  const mo_tensor input = mo_tensor_cpu(memory, MO_DTYPE_FLOAT32, 2, shape);
  const mo_tensor weight = mo_tensor_cpu(memory + count, MO_DTYPE_FLOAT32, 2, shape);
  const mo_tensor output = mo_tensor_cpu(memory + 2 * count, MO_DTYPE_FLOAT32, 2, shape);
  for (size_t i = 0; i < 2 * count; ++i) memory[i] = 1.0f;
  mo_linear_params linear = MO_LINEAR_PARAMS_INIT;
  linear.output = &output;
  linear.input = &input;
  linear.weight = &weight;
  if (mo_linear(context, &linear) != MO_STATUS_OK || memory[2 * count] != (float)SIZE) return 2;
  mo_softmax_params softmax = MO_SOFTMAX_PARAMS_INIT;
  softmax.output = softmax.input = &output;
  return mo_softmax(context, &softmax) == MO_STATUS_OK && memory[3 * count - 1] == 1.0f / (float)SIZE ? 0 : 3;
}

/* 0: all was right. */
__attribute__((visibility("default"))) int plugin_run(void) {
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  mo_context_t *context = NULL;
  options.device = MO_DEVICE_CHOICE_CPU;
  options.thread_count = 4;
  float *memory = malloc((size_t)3 * SIZE * SIZE * sizeof *memory);
  int result = 1;
  if (memory != NULL && mo_context_create(&options, &context) == MO_STATUS_OK) result = multiply(context, memory);
  mo_context_destroy(context);
  free(memory);
  return result;
}
