/* tests/cli/command_shim.c - the command's reports when memory fails: its own source, with a malloc that fails where it is
 * told.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

int mo_test_json_report(long allowed);
long mo_test_json_allocations(void);

static long left, made;

static void *scarce_malloc(size_t bytes) {
  made++;
  if (left == 0) return NULL;
  if (left > 0) left--;
  return malloc(bytes);
}

#define malloc scarce_malloc
#include "host/cli/json.c"
#undef malloc
#include "host/cli/messages.c"

long mo_test_json_allocations(void) { return made; }

/* A report printed while only so many allocations succeed, and the next one fails; negative: all succeed. */
int mo_test_json_report(long allowed) {
  memory_was_missing = false;
  made = 0;
  left = allowed;
  cli_json_watch_memory();
  json_t *report = json_object(), *list = json_array();
  for (int i = 0; i < 4; i++) json_array_append_new(list, json_integer(i));
  json_object_set_new(report, "list", list);
  json_object_set_new(report, "text", json_string("text"));
  const int exit_code = cli_json_print("test", report);
  json_decref(report);
  left = -1;
  json_set_alloc_funcs(malloc, free);
  return exit_code;
}
