/* host/cli/cli.h - what the files of the `modelout` command share: exit codes, messages, and the parsers of option values.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CLI_CLI_H
#define MO_CLI_CLI_H

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modelout/modelout.h"

/* Exit codes, as `modelout --help` lists them. */
enum {
  CLI_EXIT_OK = 0,
  CLI_EXIT_FAILED = 1,      /* the run failed, or check found a difference */
  CLI_EXIT_USAGE = 2,       /* an unknown option or value */
  CLI_EXIT_BAD_FILE = 3,    /* a file or folder that is missing, unreadable, or breaks its format */
  CLI_EXIT_UNSUPPORTED = 4, /* valid, but not supported by this build or machine */
};

/* The commands. argv[0] is the command's own name. Each returns an exit code. */
int cli_run(int argc, char **argv);
int cli_generate(int argc, char **argv);
int cli_replay(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_classes(int argc, char **argv);
int cli_info(int argc, char **argv);

/* One line on stderr, "modelout COMMAND: ..."; returns CLI_EXIT_USAGE and points to --help. */
int cli_usage_error(const char *command, const char *format, ...) MO_PRINTF_FORMAT(2, 3);

/* One line on stderr that is no usage error; returns `exit_code`. */
int cli_fail(const char *command, int exit_code, const char *format, ...) MO_PRINTF_FORMAT(3, 4);

/* The exit code that belongs to a status. */
int cli_exit_code(mo_status_t status);

/* Prints the library's sentence of the failing call that gave `status`; returns the exit code that belongs to it. */
int cli_library_error(const char *command, mo_status_t status);

/* What getopt_long's '?' or ':' means, as a usage error. */
int cli_option_error(const char *command, int result, char **argv);

/* printf() for text that names of files may be part of: what a terminal would obey in them becomes "?" (host/core/show.h). Line
 * ends stay. */
void cli_print(const char *format, ...) MO_PRINTF_FORMAT(1, 2);

/* Flushes stdout; a full disk or a closed pipe becomes an exit code of its own instead of being lost. */
int cli_finish(const char *command, int exit_code);

/* From here on the command knows whether memory for JSON was missing. Called once, before any JSON. */
void cli_json_watch_memory(void);

/* Whether all of a report is there: an exit code, and a message if not. */
int cli_json_check(const char *command);

/* The report on stdout, all of it in ASCII, or an exit code and a message. */
int cli_json_print(const char *command, const json_t *report);

/* Numbers in an option's value. False if any of the text is no number, or out of range. */
bool cli_parse_int64(const char *text, int64_t *value);
bool cli_parse_double(const char *text, double *value);

/* A growing list of int64; `values` is released with free(). */
typedef struct cli_numbers {
  int64_t *values;
  int64_t count;
  int64_t capacity;
} cli_numbers;

/* False when out of memory. */
bool cli_numbers_append(cli_numbers *numbers, int64_t value);

/* Numbers separated by commas, up to the end of `text` or to `stop` (returned in *end). False on anything else. Nothing at all
 * is an empty list. */
bool cli_parse_numbers(const char *text, char stop, cli_numbers *numbers, const char **end);

/* The values of --device ("auto", "cpu", "cuda", "cuda:1") and --dtype (floating types). An exit code; a wrong value is told.
 */
int cli_take_device(const char *command, const char *text, mo_context_options *options);
int cli_take_dtype(const char *command, const char *text, mo_dtype_t *dtype);

/* The one folder that a command takes: what is left of the arguments behind its options. */
int cli_take_directory(const char *command, int argc, char **argv, const char **directory);

/* A context and the checkpoint in a folder, with a sign of life while it loads. `seconds`: of the loading alone. What was made
 * is the caller's, whatever the exit code. */
int cli_load_model(const char *command, const char *directory, const mo_context_options *context_options,
                   const mo_model_options *model_options, bool quiet, mo_context_t **context, mo_model_t **model,
                   double *seconds);

/* "pt", "tf", "flax"; false for anything else. */
bool cli_parse_framework(const char *text, mo_framework_t *framework);

/* 1234567 as "1,234,567". `text` holds at least 28 bytes; returns it. */
const char *cli_group_digits(uint64_t value, char *text, size_t text_bytes);

/* Seconds of a clock that only goes forward. */
double cli_seconds(void);

#endif
