/* host/cli/values.c - option values: numbers, lists, devices, frameworks; and the clock.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/cli/cli.h"

bool cli_parse_int64(const char *text, int64_t *value) {
  char *end = NULL;
  errno = 0;
  const long long number = strtoll(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0) return false;
  *value = number;
  return true;
}

bool cli_parse_double(const char *text, double *value) {
  char *end = NULL;
  errno = 0;
  const double number = strtod(text, &end);
  if (end == text || *end != '\0' || errno != 0 || !isfinite(number)) return false;
  *value = number;
  return true;
}

bool cli_numbers_append(cli_numbers *numbers, int64_t value) {
  if (numbers->count == numbers->capacity) {
    const int64_t capacity = numbers->capacity == 0 ? 16 : 2 * numbers->capacity;
    int64_t *values = realloc(numbers->values, (size_t)capacity * sizeof *values);
    if (values == NULL) return false;
    numbers->values = values;
    numbers->capacity = capacity;
  }
  numbers->values[numbers->count++] = value;
  return true;
}

static const char *skip_spaces(const char *text) {
  while (isspace((unsigned char)*text)) text++;
  return text;
}

bool cli_parse_numbers(const char *text, char stop, cli_numbers *numbers, const char **end) {
  text = skip_spaces(text);
  bool expect_number = false; /* after a comma */
  while (expect_number || (*text != '\0' && *text != stop)) {
    char *after = NULL;
    errno = 0;
    const long long number = strtoll(text, &after, 10);
    if (after == text || errno != 0 || !cli_numbers_append(numbers, number)) return false;
    text = skip_spaces(after);
    expect_number = *text == ',';
    if (expect_number) {
      text = skip_spaces(text + 1);
    } else if (*text != '\0' && *text != stop) {
      return false;
    }
  }
  *end = text;
  return true;
}

static bool parse_device(const char *text, mo_context_options *options) {
  int64_t index = 0;
  if (strcmp(text, "auto") == 0) {
    options->device = MO_DEVICE_CHOICE_AUTO;
  } else if (strcmp(text, "cpu") == 0) {
    options->device = MO_DEVICE_CHOICE_CPU;
  } else if (strcmp(text, "cuda") == 0) {
    options->device = MO_DEVICE_CHOICE_CUDA;
  } else if (strncmp(text, "cuda:", 5) == 0 && isdigit((unsigned char)text[5]) && cli_parse_int64(text + 5, &index) &&
             index <= INT32_MAX) {
    options->device = MO_DEVICE_CHOICE_CUDA;
    options->device_index = (int32_t)index;
  } else {
    return false;
  }
  return true;
}

int cli_take_device(const char *command, const char *text, mo_context_options *options) {
  if (parse_device(text, options)) return CLI_EXIT_OK;
  return cli_usage_error(command, "--device %s: must be auto, cpu, cuda or cuda:N", text);
}

int cli_take_dtype(const char *command, const char *text, mo_dtype_t *dtype) {
  const mo_dtype_t parsed = mo_dtype_from_name(text);
  if (!mo_dtype_is_float(parsed)) return cli_usage_error(command, "--dtype %s: must be f32, f16 or bf16", text);
  *dtype = parsed;
  return CLI_EXIT_OK;
}

int cli_take_directory(const char *command, int argc, char **argv, const char **directory) {
  if (optind >= argc) return cli_usage_error(command, "no checkpoint folder given");
  if (argc - optind > 1) return cli_usage_error(command, "unexpected argument '%s': one folder at a time", argv[optind + 1]);
  *directory = argv[optind];
  return CLI_EXIT_OK;
}

bool cli_parse_framework(const char *text, mo_framework_t *framework) {
  for (int candidate = MO_FRAMEWORK_PT; candidate <= MO_FRAMEWORK_FLAX; candidate++) {
    if (strcmp(text, mo_framework_name((mo_framework_t)candidate)) == 0) {
      *framework = (mo_framework_t)candidate;
      return true;
    }
  }
  return false;
}

const char *cli_group_digits(uint64_t value, char *text, size_t text_bytes) {
  char digits[24];
  const int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
  size_t used = 0;
  for (int i = 0; i < count && used + 2 < text_bytes; i++) {
    if (i > 0 && (count - i) % 3 == 0) text[used++] = ',';
    text[used++] = digits[i];
  }
  text[used] = '\0';
  return text;
}

double cli_seconds(void) {
  struct timespec now = {0};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
