/* host/replay/inputs.c - named inputs with memory of their own.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/replay/inputs.h"

#include <stdlib.h>
#include <string.h>

const char *mo_replay_input_name(const char *name) {
  /* ALBERT's name for the same thing. */
  return strcmp(name, "sentence_order_label") == 0 ? "next_sentence_label" : name;
}

static mo_named_input *next(mo_replay_inputs *inputs, const char *name) {
  if (inputs->count == MO_REPLAY_MOST_INPUTS) return NULL;
  mo_named_input *input = &inputs->named[inputs->count];
  *input = (mo_named_input){.name = mo_replay_input_name(name)};
  return input;
}

mo_tensor *mo_replay_inputs_add(mo_replay_inputs *inputs, const char *name, mo_dtype_t dtype, int32_t rank,
                                const int64_t *shape) {
  int64_t count = 1;
  for (int32_t i = 0; i < rank; i++) count *= shape[i];
  mo_named_input *input = next(inputs, name);
  void *memory = input != NULL ? malloc((size_t)count * mo_dtype_bytes(dtype) + 1) : NULL;
  if (memory == NULL) return NULL;
  mo_tensor *tensor = &inputs->tensors[inputs->count];
  *tensor = mo_tensor_cpu(memory, dtype, rank, shape);
  if (tensor->dtype == MO_DTYPE_NONE) {
    free(memory);
    return NULL;
  }
  input->tensor = tensor;
  inputs->count++;
  return tensor;
}

const mo_tensor *mo_replay_inputs_find(const mo_replay_inputs *inputs, const char *name) {
  for (int32_t i = 0; i < inputs->count; i++)
    if (strcmp(inputs->named[i].name, name) == 0) return inputs->named[i].tensor;
  return NULL;
}

bool mo_replay_inputs_add_cache(mo_replay_inputs *inputs, const char *name, mo_cache_t *cache) {
  mo_named_input *input = next(inputs, name);
  if (input == NULL) return false;
  input->cache = cache;
  inputs->count++;
  return true;
}

bool mo_replay_inputs_add_field(mo_replay_inputs *inputs, const char *name, mo_field *field) {
  mo_named_input *input = next(inputs, name);
  if (input == NULL) return false;
  input->field = field;
  inputs->count++;
  return true;
}

void mo_replay_inputs_release(mo_replay_inputs *inputs) {
  for (int32_t i = 0; i < inputs->count; i++)
    if (inputs->named[i].tensor != NULL) free(inputs->tensors[i].data);
  inputs->count = 0;
}
