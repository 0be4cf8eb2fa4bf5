/* tests/support/test_context.c - the device the tests run on.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test_context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* tests/simulated_device/control.h; there only in programs that hold the simulated device. */
uint64_t simulated_launch_count(void) __attribute__((weak));
void simulated_set_device_count(int count) __attribute__((weak));
int cudaGetDevice(int *device) __attribute__((weak));

static const char *asked_for(void) {
  const char *name = getenv("MODELOUT_TEST_DEVICE");
  return name != NULL && name[0] != '\0' ? name : "cpu";
}

bool test_device_is_cpu(void) { return strcmp(asked_for(), "cpu") == 0; }

bool test_device_is_simulated(void) {
  const char *sizes = getenv("MODELOUT_TEST_SIZES");
  const bool only_small = sizes != NULL && strcmp(sizes, "small") == 0;
  return only_small || (!test_device_is_cpu() && simulated_launch_count != NULL);
}

/* MODELOUT_TEST_CARD: another card than the one that is current, which shows whether calls leave that as it was. */
static int32_t card_asked_for(void) {
  const char *text = getenv("MODELOUT_TEST_CARD");
  return text != NULL && !test_device_is_cpu() ? (int32_t)strtol(text, NULL, 10) : 0;
}

static void check_current_card(void) {
  int current = 0;
  if (cudaGetDevice == NULL || cudaGetDevice(&current) != 0 || current == 0) return;
  fprintf(stderr, "card 0 was current, after the library's calls card %d is\n", current);
  abort();
}

mo_context_options test_context_options(void) {
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = test_device_is_cpu() ? MO_DEVICE_CHOICE_CPU : MO_DEVICE_CHOICE_CUDA;
  options.device_index = card_asked_for();
  if (options.device_index > 0 && simulated_set_device_count != NULL) simulated_set_device_count(options.device_index + 1);
  options.own_stream = true;
  if (!test_device_is_cpu()) options.cached_bytes_limit = 1;
  return options;
}

mo_status_t test_context_create(const mo_context_options *options, mo_context_t **context) {
  const mo_context_options defaults = test_context_options();
  check_current_card();
  const mo_status_t status = mo_context_create(options != NULL ? options : &defaults, context);
  if (status != MO_STATUS_OK) return status;
  if (strcmp(mo_context_backend_name(*context), asked_for()) == 0) return MO_STATUS_OK;
  fprintf(stderr, "MODELOUT_TEST_DEVICE is %s, the context runs on %s\n", asked_for(), mo_context_backend_name(*context));
  mo_context_destroy(*context);
  *context = NULL;
  return MO_STATUS_NO_DEVICE;
}
