/* host/cli/run_sentence.c - what a sentence-transformers folder declares, taken into the options of a run.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "host/cli/run.h"

/* DIR/transformer_path instead of DIR. */
static int enter(run_options *options, const char *path) {
  const int length = snprintf(NULL, 0, "%s/%s", options->directory, path);
  options->sub_directory = malloc((size_t)length + 1);
  if (options->sub_directory == NULL) return cli_fail(RUN_COMMAND, CLI_EXIT_FAILED, "out of memory");
  snprintf(options->sub_directory, (size_t)length + 1, "%s/%s", options->directory, path);
  options->directory = options->sub_directory;
  return CLI_EXIT_OK;
}

static int resolve_pool(run_options *options, const mo_sentence_settings *sentence) {
  if (!options->pool_auto && options->pool == 0) return CLI_EXIT_OK;
  if (sentence->unsupported[0] != '\0') return cli_fail(RUN_COMMAND, CLI_EXIT_UNSUPPORTED, "--pool: %s", sentence->unsupported);
  if (options->pool_auto) {
    options->pool = sentence->pooling;
    if (options->pool != 0) return CLI_EXIT_OK;
    return cli_fail(RUN_COMMAND, CLI_EXIT_UNSUPPORTED, "--pool auto: the folder declares no pooling, name one");
  }
  if (sentence->pooling == 0 || sentence->pooling == options->pool) return CLI_EXIT_OK;
  return cli_fail(RUN_COMMAND, CLI_EXIT_UNSUPPORTED, "--pool %s: the folder declares %s, which --pool auto takes",
                  run_pool_name(options->pool), run_pool_name(sentence->pooling));
}

int run_sentence_resolve(run_options *options) {
  mo_sentence_settings sentence = MO_SENTENCE_SETTINGS_INIT;
  const mo_status_t status = mo_sentence_load(options->directory, &sentence);
  if (status != MO_STATUS_OK) return cli_library_error(RUN_COMMAND, status);
  const int exit_code = resolve_pool(options, &sentence);
  if (exit_code != CLI_EXIT_OK || sentence.transformer_path[0] == '\0') return exit_code;
  return enter(options, sentence.transformer_path);
}
