/* host/cpu/backend.c - the CPU backend's table: ordinary memory, no streams, everything complete on return.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "host/core/checked_math.h"
#include "host/cpu/cpu_ops.h"
#include "host/cpu/isa.h"

#define CPU_MEMORY_ALIGNMENT ((size_t)256)

static mo_status_t cpu_open(int32_t device_index, void **state) {
  MO_CHECK(device_index == 0, MO_STATUS_NO_DEVICE, "cpu: device index %d, there is only 0", (int)device_index);
  *state = NULL;
  return MO_STATUS_OK;
}

static void cpu_close(void *state) { (void)state; }

static const char *cpu_features(void *state) {
  (void)state;
  return mo_cpu_isa_name(mo_cpu_isa());
}

static mo_status_t cpu_allocate_pinned(void *state, size_t bytes, void **memory) {
  (void)state;
  *memory = bytes <= SIZE_MAX - CPU_MEMORY_ALIGNMENT
                ? aligned_alloc(CPU_MEMORY_ALIGNMENT, mo_align_up(bytes + 1, CPU_MEMORY_ALIGNMENT))
                : NULL;
  MO_CHECK(*memory != NULL, MO_STATUS_OUT_OF_MEMORY, "cpu: %zu bytes could not be allocated", bytes);
  return MO_STATUS_OK;
}

static mo_status_t cpu_allocate(void *state, size_t bytes, mo_stream stream, void **memory) {
  (void)stream;
  return cpu_allocate_pinned(state, bytes, memory);
}

static void cpu_release_pinned(void *state, void *memory, size_t bytes) {
  (void)state;
  (void)bytes;
  free(memory);
}

static void cpu_release(void *state, void *memory, size_t bytes, mo_stream stream) {
  (void)stream;
  cpu_release_pinned(state, memory, bytes);
}

static mo_status_t cpu_copy(void *state, void *destination, const void *source, size_t bytes, mo_copy_direction_t direction,
                            mo_stream stream) {
  (void)state;
  (void)direction;
  (void)stream;
  if (bytes != 0) memmove(destination, source, bytes);
  return MO_STATUS_OK;
}

const mo_backend mo_cpu_backend = {
    .abi_version = MO_BACKEND_ABI_VERSION,
    .struct_size = sizeof(mo_backend),
    .name = "cpu",
    .kind = MO_DEVICE_KIND_CPU,
    .memory_is_host = true,
    .open = cpu_open,
    .close = cpu_close,
    .features = cpu_features,
    .allocate = cpu_allocate,
    .release = cpu_release,
    .allocate_pinned = cpu_allocate_pinned,
    .release_pinned = cpu_release_pinned,
    .copy = cpu_copy,
    MO_BACKEND_OPS(mo_cpu),
};
