/* host/cli/info.c - `modelout info`: what this build is and where it would run.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "host/cli/cli.h"

#define COMMAND "info"

static void print_help(void) {
  printf(
      "usage: modelout info\n"
      "\n"
      "The version, the device \"auto\" chooses here and why, the threads and instruction set of the CPU backend, and the\n"
      "architectures this build can load.\n");
}

int cli_info(int argc, char **argv) {
  static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
  for (int option; (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
    if (option != 'h') return cli_option_error(COMMAND, option, argv);
    print_help();
    return CLI_EXIT_OK;
  }
  if (optind < argc) return cli_usage_error(COMMAND, "unexpected argument '%s'", argv[optind]);

  mo_context_t *context = NULL;
  const mo_status_t status = mo_context_create(NULL, &context);
  if (status != MO_STATUS_OK) return cli_library_error(COMMAND, status);
  char device[32];
  printf("modelout      %s\n", mo_version_string());
  printf("device        %s\n", mo_device_name(mo_context_device(context), device, sizeof device));
  printf("chosen        %s\n", mo_context_choice_reason(context));
  printf("cpu threads   %d\n", mo_context_thread_count(context));
  const char *features = mo_context_cpu_features(context);
  if (features[0] != '\0') printf("cpu kernels   %s\n", features);
  printf("classes       %d\n", mo_class_count());
  printf("architectures");
  const char *name = NULL;
  for (int32_t i = 0; (name = mo_model_known_architecture(i)) != NULL; i++) {
    printf("%s %-36s", i > 0 && i % 3 == 0 ? "\n             " : "", name);
  }
  printf("\n");
  mo_context_destroy(context);
  return CLI_EXIT_OK;
}
