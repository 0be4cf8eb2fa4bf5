/* bench/busy_host.c - times one model beside whatever else runs; started by bench/busy_host.py, which says what is measured.
 *
 * usage: busy_host FOLDER LENGTH NEW_TOKENS SECONDS     NEW_TOKENS 0: forward passes, else steps of generation
 *        busy_host spin                                 a busy program, until it is killed
 *
 * Prints microseconds, one line per forward pass, or per generation divided by its tokens.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "modelout/modelout.h"

#define TRY(call)                                                                                                              \
  do {                                                                                                                         \
    if ((call) != MO_STATUS_OK) {                                                                                              \
      fprintf(stderr, "%s\n", mo_last_error());                                                                                \
      exit(1);                                                                                                                 \
    }                                                                                                                          \
  } while (0)

static double now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static void run(mo_model_t *model, const mo_model_inputs *inputs, int64_t new_tokens) {
  mo_output *output = NULL;
  if (new_tokens > 0) {
    mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
    options.max_new_tokens = new_tokens;
    options.no_eos_token = true;
    TRY(mo_generate(model, inputs, &options, &output));
  } else {
    TRY(mo_model_forward(model, inputs, NULL, &output));
  }
  mo_output_destroy(output);
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "spin") == 0) {
    for (volatile unsigned i = 0;;) i = i + 1;
  }
  if (argc != 5) return 2;
  const int64_t length = atoll(argv[2]), new_tokens = atoll(argv[3]);
  mo_context_t *context = NULL;
  mo_model_t *model = NULL;
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CPU;
  TRY(mo_context_create(&options, &context));
  TRY(mo_model_load(context, argv[1], NULL, &model));
  int64_t ids[512] = {0}, mask[512];
  if (length < 1 || length > 512) return 2;
  for (int64_t i = 0; i < length; ++i) ids[i] = 5 + i * 7 % 90, mask[i] = 1;
  const int64_t shape[] = {1, length};
  const mo_tensor ids_tensor = mo_tensor_cpu(ids, MO_DTYPE_INT64, 2, shape);
  const mo_tensor mask_tensor = mo_tensor_cpu(mask, MO_DTYPE_INT64, 2, shape);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids_tensor;
  inputs.attention_mask = &mask_tensor;
  run(model, &inputs, new_tokens);
  const double end = now_us() + atof(argv[4]) * 1e6;
  do {
    const double start = now_us();
    run(model, &inputs, new_tokens);
    printf("%.2f\n", (now_us() - start) / (double)(new_tokens > 0 ? new_tokens : 1));
  } while (now_us() < end);
  mo_model_destroy(model);
  mo_context_destroy(context);
  return 0;
}
