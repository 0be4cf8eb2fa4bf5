/* host/cli/messages.c - error lines and exit codes of the command.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/core/show.h"

static void print_shown(FILE *stream, bool line_ends, const char *format, va_list arguments) MO_PRINTF_FORMAT(3, 0);
static void print_line(const char *command, const char *format, va_list arguments) MO_PRINTF_FORMAT(2, 0);

/* `line_ends`: those in the text stay. */
static void print_shown(FILE *stream, bool line_ends, const char *format, va_list arguments) {
  char *text;
  if (vasprintf(&text, format, arguments) < 0) {
    fputs("out of memory", stream);
    return;
  }
  for (const char *next = text; *next != '\0';) {
    char shown[4];
    size_t bytes;
    const char *character = next;
    next += mo_show_character(next, shown, &bytes);
    if (line_ends && *character == '\n') shown[0] = '\n';
    fwrite(shown, 1, bytes, stream);
  }
  free(text);
}

static void print_line(const char *command, const char *format, va_list arguments) {
  fflush(stdout);
  fprintf(stderr, "modelout%s%s: ", command[0] != '\0' ? " " : "", command);
  print_shown(stderr, false, format, arguments);
}

void cli_print(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_shown(stdout, true, format, arguments);
  va_end(arguments);
}

int cli_usage_error(const char *command, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_line(command, format, arguments);
  va_end(arguments);
  fprintf(stderr, " (see modelout%s%s --help)\n", command[0] != '\0' ? " " : "", command);
  return CLI_EXIT_USAGE;
}

int cli_fail(const char *command, int exit_code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_line(command, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  return exit_code;
}

int cli_exit_code(mo_status_t status) {
  switch (status) {
    case MO_STATUS_OK:
      return CLI_EXIT_OK;
    case MO_STATUS_IO_ERROR:
    case MO_STATUS_BAD_FILE:
      return CLI_EXIT_BAD_FILE;
    case MO_STATUS_UNSUPPORTED:
    case MO_STATUS_NO_DEVICE:
      return CLI_EXIT_UNSUPPORTED;
    default:
      return CLI_EXIT_FAILED;
  }
}

int cli_library_error(const char *command, mo_status_t status) {
  return cli_fail(command, cli_exit_code(status), "%s [%s]", mo_last_error(), mo_status_name(status));
}

int cli_option_error(const char *command, int result, char **argv) {
  const char *option = argv[optind - 1];
  const bool is_long = strncmp(option, "--", 2) == 0;
  const char short_option[3] = {'-', (char)optopt, '\0'};
  if (!is_long) option = short_option;
  if (result == ':') return cli_usage_error(command, "option %s needs a value", option);
  /* For a long option getopt_long leaves its number in optopt when it is known, and 0 when it is not. */
  if (is_long && optopt != 0) return cli_usage_error(command, "option %s takes no value", option);
  return cli_usage_error(command, "unknown or ambiguous option %s", option);
}

int cli_finish(const char *command, int exit_code) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return exit_code;
  return cli_fail(command, exit_code == CLI_EXIT_OK ? CLI_EXIT_FAILED : exit_code, "standard output: %s", strerror(errno));
}
