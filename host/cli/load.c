/* host/cli/load.c - a context and a checkpoint, for the commands that run one.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cli/cli.h"
#include "host/cli/progress.h"

int cli_load_model(const char *command, const char *directory, const mo_context_options *context_options,
                   const mo_model_options *model_options, bool quiet, mo_context_t **context, mo_model_t **model,
                   double *seconds) {
  mo_context_options own = *context_options;
  own.own_stream = true; /* this program has no other work to be ordered with */
  mo_status_t status = mo_context_create(&own, context);
  if (status != MO_STATUS_OK) return cli_library_error(command, status);
  cli_progress progress;
  cli_progress_start(&progress, "loading", !quiet);
  const double start = cli_seconds();
  status = mo_model_load(*context, directory, model_options, model);
  *seconds = cli_seconds() - start;
  cli_progress_stop(&progress);
  return status == MO_STATUS_OK ? CLI_EXIT_OK : cli_library_error(command, status);
}
