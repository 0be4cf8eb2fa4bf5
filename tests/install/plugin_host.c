/* tests/install/plugin_host.c - opens a plugin, runs it, closes it, and goes on living.
 *
 * usage: plugin_host PLUGIN
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Long enough for a worker that waits in unloaded code to wake up there. */
static void wait_a_while(void) {
  const struct timespec wait = {.tv_nsec = 200000000};
  nanosleep(&wait, NULL);
}

int main(int argc, char **argv) {
  for (int round = 0; round < 3 && argc == 2; ++round) {
    int (*run)(void);
    void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    void *symbol = plugin != NULL ? dlsym(plugin, "plugin_run") : NULL;
    if (symbol == NULL) return fprintf(stderr, "%s\n", dlerror()), 1;
    memcpy(&run, &symbol, sizeof run); /* ISO C has no cast from object to function pointer */
    const int result = run();
    if (result != 0) return fprintf(stderr, "round %d: %d\n", round, result), 1;
    dlclose(plugin);
    wait_a_while();
  }
  puts("the plugin came and went");
  return 0;
}
