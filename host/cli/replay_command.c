/* host/cli/replay_command.c - `modelout replay`: a recorded case run, and what comes out saved.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "host/cli/cli.h"
#include "host/cli/progress.h"
#include "host/replay/replay.h"

#define COMMAND "replay"

static void print_help(void) {
  printf(
      "usage: modelout replay CASE_DIR --save FILE\n"
      "\n"
      "Runs a recorded case: the folder holds config.json, model.safetensors, inputs.safetensors, and case.json with the flags "
      "of\n"
      "the call, or of each of its steps. Every tensor of every output is saved as float32 under the name the recording uses\n"
      "(logits, hidden_states.0, step1.past_key_values.0.key, ...).\n"
      "\n"
      "  --save FILE    where to (safetensors)\n"
      "  --help         this text\n"
      "\n"
      "example\n"
      "  modelout replay tests/golden/bert_qa --save outputs.safetensors\n");
}

static int replay_and_save(const char *directory, const char *path) {
  mo_context_t *context = NULL;
  mo_status_t status = mo_context_create(NULL, &context);
  if (status != MO_STATUS_OK) return cli_library_error(COMMAND, status);
  mo_replay *replay = NULL;
  cli_progress progress;
  cli_progress_start(&progress, directory, true);
  status = mo_replay_case(context, directory, MO_DTYPE_NONE, &replay);
  cli_progress_stop(&progress);
  int exit_code = CLI_EXIT_OK;
  if (replay == NULL || status != MO_STATUS_OK) {
    exit_code = cli_fail(COMMAND, cli_exit_code(status), "%s", replay != NULL ? replay->message : "out of memory");
  } else {
    status = mo_replay_save(replay, path);
    if (status != MO_STATUS_OK) {
      exit_code = cli_library_error(COMMAND, status);
    } else {
      int64_t key_count = 0;
      for (int64_t i = 0; i < replay->call_count; i++) key_count += replay->calls[i].key_count;
      cli_print("%s: %lld tensors of %lld keys, saved to %s\n", replay->calls[0].output_class, (long long)replay->tensor_count,
                (long long)key_count, path);
    }
  }
  mo_replay_destroy(replay);
  mo_context_destroy(context);
  return exit_code;
}

int cli_replay(int argc, char **argv) {
  static const struct option options[] = {
      {"save", required_argument, NULL, 's'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
  const char *path = NULL;
  for (int option; (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
    switch (option) {
      case 's':
        path = optarg;
        break;
      case 'h':
        print_help();
        return CLI_EXIT_OK;
      default:
        return cli_option_error(COMMAND, option, argv);
    }
  }
  if (optind >= argc) return cli_usage_error(COMMAND, "no case folder given");
  if (argc - optind > 1) return cli_usage_error(COMMAND, "unexpected argument '%s': one case at a time", argv[optind + 1]);
  if (path == NULL) return cli_usage_error(COMMAND, "--save FILE is needed");
  return replay_and_save(argv[optind], path);
}
