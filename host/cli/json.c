/* host/cli/json.c - reports as JSON: whole, or not at all.
 *
 * Jansson drops what it has no memory for; the command remembers that some was missing.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/cli/cli.h"

static bool memory_was_missing;

static void *allocate(size_t bytes) {
  void *memory = malloc(bytes);
  if (memory == NULL) memory_was_missing = true;
  return memory;
}

void cli_json_watch_memory(void) { json_set_alloc_funcs(allocate, free); }

int cli_json_check(const char *command) {
  return memory_was_missing ? cli_fail(command, CLI_EXIT_FAILED, "out of memory for the report") : CLI_EXIT_OK;
}

int cli_json_print(const char *command, const json_t *report) {
  int exit_code = cli_json_check(command);
  if (exit_code != CLI_EXIT_OK) return exit_code;
  const bool whole = json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9) | JSON_ENSURE_ASCII) == 0;
  printf("\n");
  exit_code = cli_json_check(command);
  if (exit_code != CLI_EXIT_OK || whole) return exit_code;
  return cli_fail(command, CLI_EXIT_FAILED, "the report could not be written");
}
