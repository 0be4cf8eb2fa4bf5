/* tests/install/backend.c - an outside program with a backend of its own: host memory, and one op.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <modelout/backend.h>
#include <modelout/modelout.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int blocks; /* blocks of memory that are out */

static mo_status_t open_device(int32_t index, void **state) {
  if (index != 3) {
    mo_set_error("toy: device %d, there is only 3", (int)index);
    return MO_STATUS_NO_DEVICE;
  }
  *state = &blocks;
  return MO_STATUS_OK;
}

static void close_device(void *state) { (void)state; }

static mo_status_t allocate_pinned(void *state, size_t bytes, void **memory) {
  *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (*memory == NULL) {
    mo_set_error("toy: no %zu bytes", bytes);
    return MO_STATUS_OUT_OF_MEMORY;
  }
  ++*(int *)state;
  return MO_STATUS_OK;
}

static mo_status_t allocate(void *state, size_t bytes, mo_stream stream, void **memory) {
  (void)stream;
  return allocate_pinned(state, bytes, memory);
}

static void release_pinned(void *state, void *memory, size_t bytes) {
  (void)bytes;
  free(memory);
  --*(int *)state;
}

static void release(void *state, void *memory, size_t bytes, mo_stream stream) {
  (void)stream;
  release_pinned(state, memory, bytes);
}

static mo_status_t copy(void *state, void *destination, const void *source, size_t bytes, mo_copy_direction_t direction,
                        mo_stream stream) {
  (void)state, (void)direction, (void)stream;
  memcpy(destination, source, bytes);
  return MO_STATUS_OK;
}

/* float32 to float32 alone; shapes, strides and dtypes have been checked. */
static mo_status_t cast(mo_context_t *context, const mo_cast_params *params) {
  void *scratch;
  const mo_status_t status = mo_context_scratch(context, 16, &scratch);
  if (status != MO_STATUS_OK) return status;
  if (params->input->dtype != params->output->dtype || !mo_tensor_is_contiguous(params->input)) {
    mo_set_error("cast: the toy copies contiguous tensors");
    return MO_STATUS_UNSUPPORTED;
  }
  memcpy(params->output->data, params->input->data, (size_t)mo_tensor_bytes(params->input));
  return MO_STATUS_OK;
}

static const mo_backend toy = {.abi_version = MO_BACKEND_ABI_VERSION,
                               .struct_size = sizeof(mo_backend),
                               .name = "toy",
                               .kind = MO_DEVICE_KIND_CUSTOM,
                               .memory_is_host = true,
                               .open = open_device,
                               .close = close_device,
                               .allocate = allocate,
                               .release = release,
                               .allocate_pinned = allocate_pinned,
                               .release_pinned = release_pinned,
                               .copy = copy,
                               .cast = cast};

static int run(mo_context_t *context) {
  const int64_t shape[] = {2};
  const float values[] = {1.5f, -2.0f};
  float back[2] = {0};
  void *memory;
  mo_tensor input, output;
  if (mo_context_allocate(context, sizeof values * 2, &memory) != MO_STATUS_OK) return 1;
  const mo_device device = mo_context_device(context);
  mo_cast_params params = MO_CAST_PARAMS_INIT;
  params.input = &input;
  params.output = &output;
  mo_softmax_params softmax = MO_SOFTMAX_PARAMS_INIT;
  softmax.input = softmax.output = &output;
  int result = 0;
  if (mo_tensor_init(&input, memory, MO_DTYPE_FLOAT32, device, 1, shape) != MO_STATUS_OK ||
      mo_tensor_init(&output, (float *)memory + 2, MO_DTYPE_FLOAT32, device, 1, shape) != MO_STATUS_OK ||
      mo_context_copy_to_device(context, memory, values, sizeof values) != MO_STATUS_OK ||
      mo_cast(context, &params) != MO_STATUS_OK ||
      mo_context_copy_to_host(context, back, output.data, sizeof back) != MO_STATUS_OK)
    result = 2;
  else if (back[0] != values[0] || back[1] != values[1] || device.index != 3) result = 3;
  else if (mo_softmax(context, &softmax) != MO_STATUS_UNSUPPORTED) result = 4;
  mo_context_release(context, memory);
  return result;
}

int main(void) {
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  mo_context_t *context = NULL;
  options.backend = &toy;
  if (mo_context_create(&options, &context) != MO_STATUS_NO_DEVICE) return 10;
  options.device_index = 3;
  if (mo_context_create(&options, &context) != MO_STATUS_OK) return 11;
  const int result = run(context);
  mo_context_destroy(context);
  printf("backend toy: %s\n", result == 0 ? "good" : mo_last_error());
  return result != 0 ? result : blocks;
}
