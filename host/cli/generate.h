/* host/cli/generate.h - what the files of `modelout generate` share.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CLI_GENERATE_H
#define MO_CLI_GENERATE_H

#include "host/cli/cli.h"

#define GENERATE_COMMAND "generate"

typedef struct generate_options {
  const char *directory;
  const char *ids;
  const char *decoder_ids;
  const char *save_path;
  const char *architecture; /* NULL: config.json's */
  mo_context_options context;
  mo_dtype_t dtype;
  mo_generation_options generation; /* points to `ends` and `request` */
  cli_numbers ends;
  mo_request request;
  bool json;
  bool quiet;
} generate_options;

/* Fills `options`; false when the command is done (help, usage error) with its exit code in *exit_code. Either way
 * generate_options_release() is to be called. */
bool generate_options_parse(int argc, char **argv, generate_options *options, int *exit_code);
void generate_options_release(generate_options *options);

#endif
