/* host/cli/main.c - the `modelout` command: dispatch and general help.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/cli.h"

static const struct {
  const char *name;
  int (*function)(int argc, char **argv);
  const char *line;
} commands[] = {
    {"run", cli_run, "run a checkpoint folder on text, ids or tensors and show its output, field by field"},
    {"generate", cli_generate, "generate from prompts, token by token: greedy, sampling or beam search"},
    {"replay", cli_replay, "run a recorded case (config, weights, inputs) and save what comes out"},
    {"check", cli_check, "replay recorded cases and compare with what the original returned"},
    {"classes", cli_classes, "the output classes: fields, order, shapes, and when each is there"},
    {"info", cli_info, "version, the device that was chosen and why, the architectures this build knows"},
};

static void print_help(void) {
  printf(
      "modelout %s - Hugging Face checkpoints in, ModelOutput fields out; a byte is copied only when somebody reads it\n"
      "\n"
      "usage: modelout COMMAND [options]\n"
      "       modelout COMMAND --help        everything about one command, with examples\n"
      "       modelout --help | --version\n"
      "\n"
      "commands\n",
      mo_version_string());
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) printf("  %-8s %s\n", commands[i].name, commands[i].line);
  printf(
      "\n"
      "try\n"
      "  modelout run DIR --text \"Hello, my dog is cute\" --output-attentions\n"
      "  modelout run DIR --text \"a cat\" --text \"a dog\" --pool mean\n"
      "  modelout generate DIR --ids 464,3290,318 --temperature 0.8 --top-p 0.95\n"
      "  modelout classes SequenceClassifierOutput\n"
      "  modelout check tests/golden/bert_*\n"
      "\n"
      "exit codes\n"
      "  0  all went well\n"
      "  1  the run failed, or check found a difference\n"
      "  2  an unknown command, option or value\n"
      "  3  a file or folder is missing, cannot be read or written, or breaks its format\n"
      "  4  valid, but not supported by this build or this machine (an unknown architecture, no such device)\n");
}

/* Reports are built of hundreds of small JSON values. Without memory for one of them there is no report, rather than a shorter
 * one. */
static void *allocate(size_t bytes) {
  void *memory = malloc(bytes);
  if (memory != NULL) return memory;
  fputs("modelout: out of memory\n", stderr);
  exit(CLI_EXIT_FAILED);
}

int main(int argc, char **argv) {
  json_set_alloc_funcs(allocate, free);
  if (argc < 2) {
    print_help();
    return cli_finish("", CLI_EXIT_USAGE);
  }
  const char *name = argv[1];
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
    print_help();
    return cli_finish("", CLI_EXIT_OK);
  }
  if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
    printf("modelout %s\n", mo_version_string());
    return cli_finish("", CLI_EXIT_OK);
  }
  cli_json_watch_memory();
  opterr = 0; /* messages are the command's own */
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (strcmp(name, commands[i].name) == 0) return cli_finish(name, commands[i].function(argc - 1, argv + 1));
  }
  return cli_usage_error("", "unknown %s '%s'", name[0] == '-' ? "option" : "command", name);
}
