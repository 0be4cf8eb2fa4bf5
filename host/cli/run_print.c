/* host/cli/run_print.c - the report of `modelout run` as text.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/cli/run.h"
#include "host/core/show.h"

#define MAX_POSITIONS 32 /* lines of logits per token; --json has them all */
#define MAX_NUMBERS 6    /* of an embedding */
#define MAX_SIMILARITY_COLUMNS 10

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text != NULL ? text : "";
}

/* NaN for what JSON cannot say. */
static double number_of(const json_t *value) { return json_is_number(value) ? json_number_value(value) : (double)NAN; }

static const char *shape_text(const json_t *shape, char *text, size_t bytes) {
  size_t used = (size_t)snprintf(text, bytes, "(");
  for (size_t i = 0; i < json_array_size(shape); i++) {
    used += (size_t)snprintf(text + used, used < bytes ? bytes - used : 0, "%s%lld", i > 0 ? ", " : "",
                             (long long)json_integer_value(json_array_get(shape, i)));
    if (used >= bytes) return text;
  }
  snprintf(text + used, bytes - used, json_array_size(shape) == 1 ? ",)" : ")");
  return text;
}

static void print_tensor(const char *indent, const char *name, const json_t *entry) {
  char shape[160];
  char bytes[32];
  cli_group_digits((uint64_t)json_integer_value(json_object_get(entry, "bytes")), bytes, sizeof bytes);
  cli_print("%s%-*s %-18s %-8s  %s  %s bytes\n", indent, (int)(24 - strlen(indent)), name,
            shape_text(json_object_get(entry, "shape"), shape, sizeof shape), text_of(entry, "dtype"), text_of(entry, "device"),
            bytes);
}

static void print_field(const char *indent, const char *name, const json_t *entry) {
  const char *kind = text_of(entry, "kind");
  const int width = (int)(24 - strlen(indent));
  if (!json_is_object(entry) || strcmp(kind, "none") == 0) {
    cli_print("%s%-*s None\n", indent, width, name);
  } else if (strcmp(kind, "tensor") == 0) {
    print_tensor(indent, name, entry);
  } else if (json_object_get(entry, "entries") == NULL) {
    cli_print("%s%-*s %s\n", indent, width, name, kind);
  } else {
    const json_t *entries = json_object_get(entry, "entries");
    const json_t *keys = json_object_get(entry, "keys");
    char deeper[24];
    snprintf(deeper, sizeof deeper, "%s  ", indent);
    cli_print("%s%-*s %s of %zu\n", indent, width, name, kind, json_array_size(entries));
    for (size_t i = 0; i < json_array_size(entries); i++) {
      char label[64];
      const char *key = json_string_value(json_array_get(keys, i));
      if (key != NULL) {
        snprintf(label, sizeof label, "['%s']", key);
      } else {
        snprintf(label, sizeof label, "[%zu]", i);
      }
      print_field(deeper, label, json_array_get(entries, i));
    }
  }
}

static void print_fields(const json_t *report) {
  cli_print("\nfields\n");
  size_t index = 0;
  const json_t *entry = NULL;
  json_array_foreach(json_object_get(report, "fields"), index, entry) {
    if (json_is_true(json_object_get(entry, "present"))) {
      print_field("  ", text_of(entry, "name"), entry);
    } else {
      const char *when = text_of(entry, "when");
      cli_print("  %-22s absent: %s%s%s%s\n", text_of(entry, "name"), text_of(entry, "reason"),
                when[0] != '\0' ? " (there when: " : "", when, when[0] != '\0' ? ")" : "");
    }
  }
}

static void print_top(const json_t *top) {
  size_t index = 0;
  const json_t *entry = NULL;
  json_array_foreach(top, index, entry) {
    const char *label = text_of(entry, "label");
    cli_print("%s", index > 0 ? ",  " : "");
    if (label[0] != '\0') {
      cli_print("%s", mo_name_show(label).text);
    } else {
      cli_print("%lld", (long long)json_integer_value(json_object_get(entry, "index")));
    }
    cli_print(" %.4f", number_of(json_object_get(entry, "value")));
  }
  cli_print("\n");
}

static void print_predictions(const json_t *report) {
  const char *field = "";
  size_t lines = 0;
  size_t left_out = 0;
  size_t index = 0;
  const json_t *entry = NULL;
  json_array_foreach(json_object_get(report, "predictions"), index, entry) {
    if (strcmp(field, text_of(entry, "field")) != 0) {
      field = text_of(entry, "field");
      lines = 0;
      cli_print("\n%s, largest first\n", field);
    }
    if (lines++ >= MAX_POSITIONS) {
      left_out++;
      continue;
    }
    cli_print("  [%lld", (long long)json_integer_value(json_object_get(entry, "row")));
    const json_t *position = json_object_get(entry, "position");
    if (position != NULL) cli_print(", %lld", (long long)json_integer_value(position));
    cli_print("] ");
    const char *token = text_of(entry, "token");
    if (token[0] != '\0') cli_print("%-14s ", mo_name_show(token).text);
    print_top(json_object_get(entry, "top"));
  }
  if (left_out > 0) cli_print("  and %zu more lines (--json shows them)\n", left_out);
}

static void print_pooled(const json_t *report) {
  const json_t *pooled = json_object_get(report, "pooled");
  if (pooled == NULL) return;
  const json_t *embeddings = json_object_get(pooled, "embeddings");
  cli_print("\nembeddings: %s over the tokens, L2-normalised, %zu numbers each\n", text_of(pooled, "mode"),
            json_array_size(json_array_get(embeddings, 0)));
  size_t row = 0;
  size_t column = 0;
  const json_t *line = NULL;
  const json_t *value = NULL;
  json_array_foreach(embeddings, row, line) {
    const char *text = json_string_value(json_array_get(json_object_get(report, "texts"), row));
    cli_print("  [%zu] %s%s", row, text != NULL ? text : "", text != NULL ? "\n      " : "");
    json_array_foreach(line, column, value) {
      if (column < MAX_NUMBERS) cli_print("%s%.4f", column > 0 ? ", " : "", number_of(value));
    }
    cli_print(json_array_size(line) > MAX_NUMBERS ? ", ...\n" : "\n");
  }
  if (json_array_size(embeddings) < 2) return;
  cli_print("\ncosine similarities\n");
  json_array_foreach(json_object_get(pooled, "similarities"), row, line) {
    cli_print("  [%zu]", row);
    json_array_foreach(line, column, value) {
      if (column < MAX_SIMILARITY_COLUMNS) cli_print(" %7.4f", number_of(value));
    }
    cli_print(json_array_size(line) > MAX_SIMILARITY_COLUMNS ? "  ... (--json shows all)\n" : "\n");
  }
}

void run_print_report(const json_t *report) {
  char first[32];
  char second[32];
  cli_print("%s -> %s (%s)\n", text_of(report, "architecture"), text_of(report, "class"), text_of(report, "framework"));
  const char *kernels = text_of(report, "cpu_kernels");
  cli_print("%s parameters, %s, on %s (%s%s%lld threads)\n",
            cli_group_digits((uint64_t)json_integer_value(json_object_get(report, "parameters")), first, sizeof first),
            text_of(report, "dtype"), text_of(report, "device"), kernels, kernels[0] != '\0' ? ", " : "",
            (long long)json_integer_value(json_object_get(report, "threads")));
  cli_print("\ninputs\n");
  size_t index = 0;
  const json_t *entry = NULL;
  char shape[160];
  json_array_foreach(json_object_get(report, "inputs"), index, entry) {
    cli_print("  %-22s %-18s %s\n", text_of(entry, "name"), shape_text(json_object_get(entry, "shape"), shape, sizeof shape),
              text_of(entry, "dtype"));
  }
  print_fields(report);
  print_predictions(report);
  print_pooled(report);
  if (json_object_get(report, "saved") != NULL) cli_print("\nsaved to %s\n", text_of(report, "saved"));
  cli_print("\ntime: loaded in %.3f s, ran in %.4f s\n", json_number_value(json_object_get(report, "load_seconds")),
            json_number_value(json_object_get(report, "run_seconds")));
  cli_print("copied %s of %s bytes\n",
            cli_group_digits((uint64_t)json_integer_value(json_object_get(report, "copied_bytes")), first, sizeof first),
            cli_group_digits((uint64_t)json_integer_value(json_object_get(report, "output_bytes")), second, sizeof second));
}
