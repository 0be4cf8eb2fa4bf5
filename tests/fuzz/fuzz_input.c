/* tests/fuzz/fuzz_input.c - decisions drawn from the bytes of an input, and contexts whose memory is watched.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz_input.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MEMORY_LIMIT ((size_t)64 << 20)

uint8_t fuzz_byte(fuzz_input *input) {
  if (input->left == 0) return 0;
  input->left--;
  return *input->data++;
}

int fuzz_pick(fuzz_input *input, int bound) { return bound <= 1 ? 0 : fuzz_byte(input) % bound; }

bool fuzz_once_in(fuzz_input *input, int of) { return input->left > 0 && fuzz_byte(input) % of == of - 1; }

int64_t fuzz_integer(fuzz_input *input, int bound) {
  static const int64_t edges[] = {-1,
                                  -2,
                                  INT8_MAX,
                                  INT16_MAX,
                                  INT32_MAX,
                                  INT32_MIN,
                                  (int64_t)INT32_MAX + 1,
                                  (int64_t)1 << 40,
                                  INT64_MAX,
                                  INT64_MAX - 1,
                                  INT64_MIN,
                                  INT64_MIN + 1,
                                  INT64_MAX / 2,
                                  INT64_MAX / 4 + 1};
  const uint8_t choice = fuzz_byte(input);
  if (choice < 240) return choice % bound;
  return edges[fuzz_pick(input, sizeof edges / sizeof edges[0])];
}

float fuzz_real(fuzz_input *input) {
  static const float values[] = {0.0f,
                                 1.0f,
                                 0.5f,
                                 -1.0f,
                                 2.0f,
                                 0.9f,
                                 1e-5f,
                                 1e-30f,
                                 3.0f,
                                 -0.0f,
                                 1e30f,
                                 FLT_MAX,
                                 FLT_MIN,
                                 (float)INFINITY,
                                 -(float)INFINITY,
                                 (float)NAN};
  return values[fuzz_pick(input, sizeof values / sizeof values[0])];
}

uint64_t fuzz_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

void fuzz_fail(const char *condition, const char *file, int line) {
  fprintf(stderr, "%s:%d: does not hold: %s (last error: %s)\n", file, line, condition, mo_last_error());
  abort();
}

bool fuzz_status(mo_status_t status) {
  if (status == MO_STATUS_OK) return true;
  FUZZ_REQUIRE(status > MO_STATUS_OK && status < MO_STATUS_INTERNAL);
  FUZZ_REQUIRE(mo_last_error()[0] != '\0');
  return false;
}

/* ---- The context ---------------------------------------------------------------------------------------------------- */

static mo_context_t *context;
static size_t memory_held;
static int allocations_left;

static bool allocation_fails(void) { return allocations_left > 0 && --allocations_left == 0; }

static void *allocate(void *user_data, size_t bytes, mo_stream stream) {
  (void)user_data;
  (void)stream;
  if (bytes > MEMORY_LIMIT - memory_held || allocation_fails()) return NULL;
  void *memory = NULL; /* of exactly the size asked for, so that a sanitizer sees the first byte behind it */
  if (posix_memalign(&memory, 256, bytes > 0 ? bytes : 1) != 0) return NULL;
  memory_held += bytes;
  return memory;
}

static void release(void *user_data, void *memory, size_t bytes, mo_stream stream) {
  (void)user_data;
  (void)stream;
  if (memory != NULL) memory_held -= bytes;
  free(memory);
}

mo_context_t *fuzz_context(void) {
  if (context != NULL) return context;
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CPU;
  options.thread_count = 1;
  options.device_allocator = (mo_allocator){allocate, release, NULL};
  options.host_allocator = options.device_allocator;
  options.cached_bytes_limit = 1; /* nothing is kept: what was given back is not to be touched */
  FUZZ_REQUIRE(mo_context_create(&options, &context) == MO_STATUS_OK);
  return context;
}

void fuzz_fail_allocation(int fail_at) { allocations_left = fail_at; }

void fuzz_close_context(void) {
  fuzz_fail_allocation(0);
  mo_context_destroy(context);
  context = NULL;
  FUZZ_REQUIRE(memory_held == 0);
}
