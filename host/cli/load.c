/* host/cli/load.c - a context and a checkpoint, for the commands that run one.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cli/cli.h"
#include "host/cli/progress.h"

/* Notes of the library, one line each, as errors are shown. What it chose (INFO) stands in the reports. */
static void print_note(void *command, mo_log_level_t level, const char *text) {
  if (level >= MO_LOG_LEVEL_WARNING) (void)cli_fail(command, CLI_EXIT_OK, "note: %s", text);
}

int cli_load_model(const char *command, const char *directory, const mo_context_options *context_options,
                   const mo_model_options *model_options, bool quiet, mo_context_t **context, mo_model_t **model,
                   double *seconds) {
  mo_context_options options = *context_options;
  options.own_stream = true; /* this program has no other work to be ordered with */
  /* The command's name is a literal: it outlives the context. */
  if (!quiet) options.log = (mo_log_sink){.write = print_note, .user_data = (void *)command};
  mo_status_t status = mo_context_create(&options, context);
  if (status != MO_STATUS_OK) return cli_library_error(command, status);
  cli_progress progress;
  cli_progress_start(&progress, "loading", !quiet);
  const double start = cli_seconds();
  status = mo_model_load(*context, directory, model_options, model);
  *seconds = cli_seconds() - start;
  cli_progress_stop(&progress);
  return status == MO_STATUS_OK ? CLI_EXIT_OK : cli_library_error(command, status);
}
