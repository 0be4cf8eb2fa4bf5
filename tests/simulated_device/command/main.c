/* tests/simulated_device/command/main.c - modelout-simulated: the command on the simulated device.
 *
 * The arguments are those of `modelout`, and --schedule SEED anywhere among them: the order in which the threads of the device
 * go on. "auto" finds the simulated device.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/cli.h"
#include "tests/simulated_device/control.h"

/* host/cli/main.c, compiled with main renamed. */
int modelout_command_main(int argc, char **argv);

static bool set_schedule(const char *text) {
  char *end = NULL;
  errno = 0;
  const unsigned long long seed = strtoull(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0) return false;
  simulated_set_seed(seed);
  return true;
}

int main(int argc, char **argv) {
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--schedule") != 0) {
      argv[kept++] = argv[i];
      continue;
    }
    const char *seed = i + 1 < argc ? argv[++i] : "";
    if (!set_schedule(seed)) {
      fprintf(stderr, "modelout-simulated: --schedule '%s': must be a number from 0 to 18446744073709551615\n", seed);
      return CLI_EXIT_USAGE;
    }
  }
  argv[kept] = NULL;
  return modelout_command_main(kept, argv);
}
