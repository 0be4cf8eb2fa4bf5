/* host/cli/check.c - `modelout check`: recorded cases replayed and compared with what the original returned.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/progress.h"
#include "host/replay/replay.h"

#define COMMAND "check"
#define DEFAULT_TOLERANCE 2e-5

/* How the cases went. */
typedef struct check_counts {
  int agree;
  int differ;
  int failed;
  int exit_code; /* of the first case that failed to run */
} check_counts;

static void print_help(void) {
  printf(
      "usage: modelout check CASE_DIR... [--tolerance X]\n"
      "\n"
      "Replays each recorded case, all of its calls, and compares keys (in order), names, shapes and values with\n"
      "outputs.safetensors. One line a case (the class is that of the first call); exit code 1 if any differs.\n"
      "\n"
      "  --tolerance X  largest absolute difference of a value that still agrees (%g)\n"
      "  --help         this text\n"
      "\n"
      "examples\n"
      "  modelout check tests/golden/bert_*\n"
      "  modelout check tests/golden/bert_qa --tolerance 1e-6\n",
      DEFAULT_TOLERANCE);
}

/* The last part of a path, without slashes at its end. */
static const char *case_name(const char *path, char *text, size_t bytes) {
  size_t end = strlen(path);
  while (end > 1 && path[end - 1] == '/') end--;
  size_t start = end;
  while (start > 0 && path[start - 1] != '/') start--;
  snprintf(text, bytes, "%.*s", (int)(end - start), path + start);
  return text;
}

static void print_row(const char *name, const mo_replay *replay, const mo_replay_comparison *comparison) {
  char largest[32];
  snprintf(largest, sizeof largest, "%.2g", comparison->largest);
  cli_print("%-28s %-44s %4lld %7lld %9s  %s\n", name, replay->calls[0].output_class, (long long)comparison->key_count,
            (long long)comparison->tensor_count, largest, comparison->difference_count == 0 ? "agrees" : "DIFFERS");
  if (comparison->difference_count > 0) {
    cli_print("  %s (%lld differences in all)\n", comparison->message, (long long)comparison->difference_count);
  }
}

static void check_case(mo_context_t *context, const char *directory, double tolerance, check_counts *counts) {
  char name[64];
  case_name(directory, name, sizeof name);
  mo_replay *replay = NULL;
  mo_replay_comparison comparison = {0};
  cli_progress progress;
  cli_progress_start(&progress, name, true);
  mo_status_t status = mo_replay_case(context, directory, MO_DTYPE_NONE, &replay);
  const char *message = replay != NULL ? replay->message : "out of memory";
  if (replay != NULL && status == MO_STATUS_OK) {
    status = mo_replay_compare(replay, directory, tolerance, &comparison);
    message = comparison.message;
  }
  cli_progress_stop(&progress);
  if (status != MO_STATUS_OK) {
    const int exit_code = cli_fail(COMMAND, cli_exit_code(status), "%s: %s", name, message);
    if (counts->failed++ == 0) counts->exit_code = exit_code;
  } else {
    print_row(name, replay, &comparison);
    counts->agree += comparison.difference_count == 0;
    counts->differ += comparison.difference_count > 0;
  }
  mo_replay_destroy(replay);
}

int cli_check(int argc, char **argv) {
  static const struct option options[] = {
      {"tolerance", required_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
  double tolerance = DEFAULT_TOLERANCE;
  for (int option; (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
    switch (option) {
      case 't':
        if (cli_parse_double(optarg, &tolerance) && tolerance >= 0) break;
        return cli_usage_error(COMMAND, "--tolerance %s: must be a number of at least 0", optarg);
      case 'h':
        print_help();
        return CLI_EXIT_OK;
      default:
        return cli_option_error(COMMAND, option, argv);
    }
  }
  if (optind >= argc) return cli_usage_error(COMMAND, "no case folder given");

  mo_context_t *context = NULL;
  const mo_status_t status = mo_context_create(NULL, &context);
  if (status != MO_STATUS_OK) return cli_library_error(COMMAND, status);
  check_counts counts = {0};
  cli_print("%-28s %-44s %4s %7s %9s  %s\n", "case", "class", "keys", "tensors", "largest", "");
  for (int i = optind; i < argc; i++) check_case(context, argv[i], tolerance, &counts);
  cli_print("%d agree, %d differ, %d could not be run (tolerance %g)\n", counts.agree, counts.differ, counts.failed, tolerance);
  mo_context_destroy(context);
  return counts.differ > 0 ? CLI_EXIT_FAILED : counts.exit_code;
}
