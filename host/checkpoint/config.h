/* host/checkpoint/config.h - a strict, typed view of a checkpoint's config.json.
 *
 * A key that is absent or null takes the caller's default; a key of the wrong type or outside the allowed range is BAD_FILE
 * with a sentence that names key, value and what is expected; NaN and Infinity are of no type. Keys nobody asks for are
 * ignored, whatever they hold. JSON is read as Python reads it (host/core/json.h). Reading is thread-safe. Strings handed out
 * live as long as the config.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CHECKPOINT_CONFIG_H
#define MO_CHECKPOINT_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/core/error.h"
#include "host/core/show.h"

#define MO_NO_TOKEN INT64_MIN /* where an id may be any number, in the vocabulary or not: there is none */

typedef struct mo_config mo_config_t;

/* Reads DIRECTORY/config.json. IO_ERROR, BAD_FILE (not JSON, not an object), OUT_OF_MEMORY. */
mo_status_t mo_config_load(const char *directory, mo_config_t **config);

/* DIRECTORY/generation_config.json likewise; NULL if there is no such file. */
mo_status_t mo_config_load_generation(const char *directory, mo_config_t **config);

/* The same from text; `source` is what the sentences call it ("config.json"). The text need not be terminated. */
mo_status_t mo_config_from_text(const char *text, size_t bytes, const char *source, mo_config_t **config);

/* NULL is fine. */
void mo_config_destroy(mo_config_t *config);

/* Another name of a key, as a family's attribute_map in Transformers has it. */
typedef struct mo_config_alias {
  const char *alias, *key;
} mo_config_alias;

/* From now on questions for a key are answered by its alias where the file has that: Transformers sets what it does not know by
 * its own name last. `aliases` ends with an empty entry and outlives the config; NULL: none. */
void mo_config_set_aliases(mo_config_t *config, const mo_config_alias *aliases);

/* Present and not null. */
bool mo_config_has(const mo_config_t *config, const char *key);

/* Present, and null: where that means something else than silence. */
bool mo_config_is_null(const mo_config_t *config, const char *key);

/* Whether Python takes the value for true: not null, false, 0, "", or an empty list or object. */
bool mo_config_is_truthy(const mo_config_t *config, const char *key);

/* The value as a sentence shows it. */
mo_shown mo_config_show(const mo_config_t *config, const char *key);

/* An integer in minimum..maximum (a whole-numbered real such as 12.0 is no integer). `fallback` if absent or null. */
mo_status_t mo_config_integer(const mo_config_t *config, const char *key, int64_t minimum, int64_t maximum, int64_t fallback,
                              int64_t *value);

/* The same, but BAD_FILE if absent or null. */
mo_status_t mo_config_require_integer(const mo_config_t *config, const char *key, int64_t minimum, int64_t maximum,
                                      int64_t *value);

/* A number, integer or real, in minimum..maximum. */
mo_status_t mo_config_float(const mo_config_t *config, const char *key, double minimum, double maximum, double fallback,
                            double *value);

/* true or false; nothing else, not even 0 and 1. */
mo_status_t mo_config_bool(const mo_config_t *config, const char *key, bool fallback, bool *value);

/* The same for what Transformers only asks whether it is true: null is false, not silence. */
mo_status_t mo_config_flag(const mo_config_t *config, const char *key, bool fallback, bool *value);

/* fallback may be NULL. */
mo_status_t mo_config_string(const mo_config_t *config, const char *key, const char *fallback, const char **value);

/* Entry `index` of a list of strings; NULL past its end, or if the list is absent or null. */
mo_status_t mo_config_string_at(const mo_config_t *config, const char *key, int64_t index, const char **value);

/* A list of integers, or one integer as a list of one: at most `capacity` of them. *count is 0 if absent or null. */
mo_status_t mo_config_integers(const mo_config_t *config, const char *key, int64_t *values, int64_t capacity, int64_t *count);

/* An object inside the configuration, to be read by the same functions and to be destroyed. *section is NULL if absent or null.
 * Strings of it live as long as it does. */
mo_status_t mo_config_section(const mo_config_t *config, const char *key, mo_config_t **section);

/* How many labels a head has, as Transformers takes it: the size of `id2label` if that is there (its keys must be integers),
 * else `num_labels`, else 2. At least 1. */
mo_status_t mo_config_num_labels(const mo_config_t *config, int64_t *num_labels);

/* `problem_type`: "regression", "single_label_classification", "multi_label_classification", or NULL if absent or null; any
 * other value is BAD_FILE. */
mo_status_t mo_config_problem_type(const mo_config_t *config, const char **problem_type);

/* `architectures`: a list of strings. *count is 0 if absent or null. *names is owned by the config. */
mo_status_t mo_config_architectures(const mo_config_t *config, const char *const **names, int64_t *count);

/* The value as it stands in the file, for what has a form of its own; NULL if absent or null. Lives as long as the config. */
const json_t *mo_config_value(const mo_config_t *config, const char *key);

/* An integer of such a value: false if it is none. */
bool mo_json_as_integer(const json_t *value, int64_t *result);

/* An integer key for whoever just asks: false if there is none of that name or it is no integer. */
bool mo_config_find_integer(const mo_config_t *config, const char *key, int64_t *value);

#endif
