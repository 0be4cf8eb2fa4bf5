/* host/core/json.h - JSON text into jansson's values: the one reader of the library and of the command.
 *
 * It takes what Python's json.loads takes, as the files of Transformers are written and read by it: the last of duplicate keys
 * counts, and NaN, Infinity and -Infinity are numbers. Bytes must be UTF-8 without a byte order mark. jansson builds and keeps
 * the values, but does not parse: its lexer (2.14) goes on after a failed allocation.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_JSON_H
#define MO_CORE_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "host/core/error.h"
#include "host/core/show.h"

#define MO_JSON_DEPTH_LIMIT 1000 /* arrays and objects within one another, about Python's own limit */

typedef enum mo_json_rules_t {
  /* What C strings and 64 bits cannot hold stays harmless for whoever does not need it: a lone surrogate and U+0000 in a string
   * become U+FFFD, an integer beyond 64 bits becomes a real. A number that is not finite (1e999 too) becomes a value that is of
   * none of jansson's types, so that whoever needs the key refuses it; see mo_json_non_finite. */
  MO_JSON_PYTHON = 0,
  /* All of these are BAD_FILE, and so are duplicate keys: headers of safetensors files. */
  MO_JSON_STRICT,
} mo_json_rules_t;

/* Any value, to be released with json_decref. `source` names the text in sentences; the text need not be terminated. BAD_FILE
 * (not JSON: the sentence has the line, the column and the reason), OUT_OF_MEMORY. */
mo_status_t mo_json_read(const char *source, const char *text, size_t bytes, mo_json_rules_t rules, json_t **value);

/* The same, but anything but an object is BAD_FILE. */
mo_status_t mo_json_read_object(const char *source, const char *text, size_t bytes, mo_json_rules_t rules, json_t **object);

/* A value as text, terminated, to be freed; `flags` of jansson. OUT_OF_MEMORY. Instead of json_dumps, which (2.14) leaves out
 * keys that it has no memory for. */
mo_status_t mo_json_write(const json_t *value, size_t flags, char **text);

/* "NaN", "Infinity", "-Infinity"; NULL for every other value. */
const char *mo_json_non_finite(const json_t *value);

/* A value as a sentence shows it: "\"gelu\"", "12", "NaN", "a list of 3", "missing" (NULL). */
mo_shown mo_json_show(const json_t *value);

#endif
