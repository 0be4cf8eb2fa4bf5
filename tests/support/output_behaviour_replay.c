/* tests/support/output_behaviour_replay.c - see the header. Format of the files: tests/golden/README.md, container.json.
 *
 * Values: "t0", "t1" ... are distinct tensors of one element, lists are tuples, null is None, numbers and other strings are
 * host scalars, objects are dicts.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "output_behaviour_replay.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "modelout/modelout.h"

/* The memory behind a tensor: its one element, and the name it has in the file. */
typedef struct replay_tensor {
  float element;
  char name[];
} replay_tensor;

typedef struct replay {
  mo_context_t *context;
  FILE *log;
  const char *path;
  size_t script;   /* number in the file */
  json_t *tensors; /* name -> address of its field, as text: one field per name and script */
  mo_field **fields;
  size_t field_count;
  bool malformed; /* said so already */
  int rule;       /* not 0: the script has no meaning in C, by this rule */
} replay;

static void malformed(replay *run, const char *what) {
  if (!run->malformed) fprintf(run->log, "%s: script %zu: %s\n", run->path, run->script, what);
  run->malformed = true;
}

/* ---- Values -------------------------------------------------------------------------------------------------------- */

static bool is_tensor_name(const char *text) {
  if (text[0] != 't' || text[1] == '\0') return false;
  for (const char *c = text + 1; *c != '\0'; ++c) {
    if (!isdigit((unsigned char)*c)) return false;
  }
  return true;
}

static mo_status_t make_tensor(replay *run, const char *name, mo_field **field) {
  const size_t length = strlen(name) + 1;
  replay_tensor *memory = malloc(sizeof *memory + length);
  if (memory == NULL) return MO_STATUS_OUT_OF_MEMORY;
  memory->element = 0.0f;
  memcpy(memory->name, name, length);
  const mo_tensor tensor = mo_tensor_cpu(memory, MO_DTYPE_FLOAT32, 1, (int64_t[]){1});
  const mo_status_t status = mo_field_create_tensor(run->context, &tensor, free, memory, field);
  if (status != MO_STATUS_OK) free(memory);
  return status;
}

/* The field of a tensor's name; the table keeps a reference until the script ends. */
static mo_status_t tensor_by_name(replay *run, const char *name, mo_field **field) {
  const json_t *known = json_object_get(run->tensors, name);
  if (known != NULL) {
    *field = mo_field_retain(run->fields[json_integer_value(known)]);
    return MO_STATUS_OK;
  }
  mo_field **grown = realloc(run->fields, (run->field_count + 1) * sizeof *grown);
  if (grown == NULL) return MO_STATUS_OUT_OF_MEMORY;
  run->fields = grown;
  const mo_status_t status = make_tensor(run, name, field);
  if (status != MO_STATUS_OK) return status;
  if (json_object_set_new(run->tensors, name, json_integer((json_int_t)run->field_count)) != 0) {
    mo_field_release(*field);
    return MO_STATUS_OUT_OF_MEMORY;
  }
  run->fields[run->field_count++] = mo_field_retain(*field);
  return MO_STATUS_OK;
}

static mo_status_t to_field(replay *run, const json_t *value, mo_field **field);

static void release_fields(mo_field **fields, size_t count) {
  for (size_t i = 0; i < count; ++i) mo_field_release(fields[i]);
  free(fields);
}

static mo_status_t to_tuple(replay *run, const json_t *list, mo_field **field) {
  const size_t count = json_array_size(list);
  mo_field **items = calloc(count + 1, sizeof *items);
  mo_status_t status = items == NULL ? MO_STATUS_OUT_OF_MEMORY : MO_STATUS_OK;
  for (size_t i = 0; i < count && status == MO_STATUS_OK; ++i) status = to_field(run, json_array_get(list, i), &items[i]);
  if (status == MO_STATUS_OK) status = mo_field_create_tuple(run->context, items, (int64_t)count, field);
  if (items != NULL) release_fields(items, count);
  return status;
}

/* Names and values of an object, in the file's order. */
static mo_status_t to_items(replay *run, json_t *object, mo_item **items, size_t *count) {
  const char *key;
  json_t *value;
  *count = 0;
  *items = calloc(json_object_size(object) + 1, sizeof **items);
  if (*items == NULL) return MO_STATUS_OUT_OF_MEMORY;
  json_object_foreach(object, key, value) {
    mo_item *item = &(*items)[*count];
    const mo_status_t status = to_field(run, value, &item->field);
    if (status != MO_STATUS_OK) return status;
    item->name = key;
    ++*count;
  }
  return MO_STATUS_OK;
}

static void release_items(mo_item *items, size_t count) {
  for (size_t i = 0; i < count; ++i) mo_field_release(items[i].field);
  free(items);
}

static mo_status_t to_dict(replay *run, json_t *object, mo_field **field) {
  mo_item *items = NULL;
  size_t count;
  mo_status_t status = to_items(run, object, &items, &count);
  const char **keys = calloc(count + 1, sizeof *keys);
  mo_field **values = calloc(count + 1, sizeof *values);
  if (keys == NULL || values == NULL) status = MO_STATUS_OUT_OF_MEMORY;
  for (size_t i = 0; i < count && status == MO_STATUS_OK; ++i) {
    keys[i] = items[i].name;
    values[i] = items[i].field;
  }
  if (status == MO_STATUS_OK) status = mo_field_create_dict(run->context, keys, values, (int64_t)count, field);
  free(keys);
  free(values);
  if (items != NULL) release_items(items, count);
  return status;
}

/* A new reference; NULL for null. */
static mo_status_t to_field(replay *run, const json_t *value, mo_field **field) {
  *field = NULL;
  switch (json_typeof(value)) {
    case JSON_STRING:
      if (is_tensor_name(json_string_value(value))) return tensor_by_name(run, json_string_value(value), field);
      return mo_field_create_string(run->context, json_string_value(value), field);
    case JSON_ARRAY:
      return to_tuple(run, value, field);
    case JSON_OBJECT:
      return to_dict(run, (json_t *)value, field);
    case JSON_INTEGER:
      return mo_field_create_integer(run->context, json_integer_value(value), field);
    case JSON_REAL:
      return mo_field_create_real(run->context, json_real_value(value), field);
    case JSON_TRUE:
      return mo_field_create_integer(run->context, 1, field);
    case JSON_FALSE:
      return mo_field_create_integer(run->context, 0, field);
    case JSON_NULL:
      break;
  }
  return MO_STATUS_OK;
}

static json_t *from_field(const mo_field *field) {
  switch (mo_field_kind(field)) {
    case MO_FIELD_TENSOR:
      return json_string(((const replay_tensor *)mo_field_tensor(field)->data)->name);
    case MO_FIELD_INTEGER:
      return json_integer(mo_field_integer(field));
    case MO_FIELD_REAL:
      return json_real(mo_field_real(field));
    case MO_FIELD_STRING:
      return json_string(mo_field_string(field));
    case MO_FIELD_TUPLE:
    case MO_FIELD_CACHE:
    case MO_FIELD_DICT:
      break;
    default:
      return json_null();
  }
  const bool is_dict = mo_field_kind(field) == MO_FIELD_DICT;
  json_t *result = is_dict ? json_object() : json_array();
  for (int64_t i = 0; i < mo_field_length(field); ++i) {
    json_t *item = from_field(mo_field_item(field, i));
    if (is_dict) json_object_set_new(result, mo_field_key(field, i), item);
    else json_array_append_new(result, item);
  }
  return result;
}

/* ---- Answers: {"value": ...} or {"error": ...}, as in the file ----------------------------------------------------- */

static const char *python_error(mo_status_t status) {
  switch (status) {
    case MO_STATUS_KEY_ERROR:
      return "KeyError";
    case MO_STATUS_INDEX_ERROR:
      return "IndexError";
    case MO_STATUS_ATTRIBUTE_ERROR:
      return "AttributeError";
    case MO_STATUS_TYPE_ERROR:
      return "TypeError";
    case MO_STATUS_VALUE_ERROR:
      return "ValueError";
    case MO_STATUS_BLOCKED:
      return "Exception";
    default:
      return mo_status_name(status);
  }
}

/* Takes the value. */
static json_t *answer(mo_status_t status, json_t *value) {
  if (status == MO_STATUS_OK) return json_pack("{s:o}", "value", value == NULL ? json_null() : value);
  json_decref(value);
  return json_pack("{s:s}", "error", python_error(status));
}

static json_t *keys_of(const mo_output *output, bool reversed) {
  json_t *list = json_array();
  const int64_t count = mo_output_length(output);
  for (int64_t i = 0; i < count; ++i) {
    json_array_append_new(list, json_string(mo_output_key_at(output, reversed ? count - 1 - i : i)));
  }
  return list;
}

/* ---- Construction -------------------------------------------------------------------------------------------------- */

static mo_status_t construct_from_list(replay *run, const mo_class *output_class, const json_t *list, mo_output **output) {
  const size_t count = json_array_size(list);
  mo_field **values = calloc(count + 1, sizeof *values);
  mo_status_t status = values == NULL ? MO_STATUS_OUT_OF_MEMORY : MO_STATUS_OK;
  for (size_t i = 0; i < count && status == MO_STATUS_OK; ++i) status = to_field(run, json_array_get(list, i), &values[i]);
  if (status == MO_STATUS_OK) {
    status = mo_output_create_from_values(run->context, output_class, values, (int64_t)count, output);
  }
  if (values != NULL) release_fields(values, count);
  return status;
}

static mo_status_t construct_from_fields(replay *run, const mo_class *output_class, json_t *object, mo_output **output) {
  mo_item *items = NULL;
  size_t count;
  mo_status_t status = to_items(run, object, &items, &count);
  if (status == MO_STATUS_OK) {
    status = mo_output_create_from_fields(run->context, output_class, items, (int64_t)count, output);
  }
  if (items != NULL) release_items(items, count);
  return status;
}

static mo_status_t construct_from_dict(replay *run, const mo_class *output_class, json_t *object, mo_output **output) {
  mo_field *dict = NULL;
  mo_status_t status = to_dict(run, object, &dict);
  if (status == MO_STATUS_OK) status = mo_output_create_from_values(run->context, output_class, &dict, 1, output);
  mo_field_release(dict);
  return status;
}

/* Pairs and mixed lists: [name, value] is a pair, anything else a plain element. */
static mo_status_t construct_from_elements(replay *run, const mo_class *output_class, const json_t *list, mo_output **output) {
  const size_t count = json_array_size(list);
  mo_item *items = calloc(count + 1, sizeof *items);
  mo_status_t status = items == NULL ? MO_STATUS_OUT_OF_MEMORY : MO_STATUS_OK;
  for (size_t i = 0; i < count && status == MO_STATUS_OK; ++i) {
    const json_t *element = json_array_get(list, i);
    const char *name = json_array_size(element) == 2 ? json_string_value(json_array_get(element, 0)) : NULL;
    const bool is_pair = name != NULL && !is_tensor_name(name);
    if (is_pair) items[i].name = name;
    status = to_field(run, is_pair ? json_array_get(element, 1) : element, &items[i].field);
  }
  if (status == MO_STATUS_OK) {
    status = mo_output_create_from_items(run->context, output_class, items, (int64_t)count, output);
  }
  if (items != NULL) release_items(items, count);
  return status;
}

static mo_status_t construct_from_output(replay *run, const mo_class *output_class, const json_t *source, mo_output **output) {
  const char *class_name = json_string_value(json_object_get(source, "class"));
  json_t *fields = json_object_get(source, "fields");
  const mo_class *source_class = mo_class_find(class_name);
  mo_output *made = NULL;
  if (source_class == NULL || !json_is_object(fields)) {
    malformed(run, "first_is_output: needs a known class and an object of fields");
    return MO_STATUS_OK;
  }
  mo_status_t status = construct_from_fields(run, source_class, fields, &made);
  if (status == MO_STATUS_OK) status = mo_output_create_from_output(run->context, output_class, made, output);
  mo_output_destroy(made);
  return status;
}

static mo_status_t construct(replay *run, const mo_class *output_class, const json_t *how, mo_output **output) {
  json_t *fields = json_object_get(how, "fields"), *positional = json_object_get(how, "positional");
  json_t *dict = json_object_get(how, "first_is_dict"), *pairs = json_object_get(how, "first_is_pairs");
  json_t *mixed = json_object_get(how, "first_is_mixed"), *source = json_object_get(how, "first_is_output");
  if (json_is_object(fields)) return construct_from_fields(run, output_class, fields, output);
  if (json_is_array(positional)) return construct_from_list(run, output_class, positional, output);
  if (json_is_object(dict)) return construct_from_dict(run, output_class, dict, output);
  if (json_is_array(pairs)) return construct_from_elements(run, output_class, pairs, output);
  if (json_is_array(mixed)) return construct_from_elements(run, output_class, mixed, output);
  if (json_is_object(source)) return construct_from_output(run, output_class, source, output);
  malformed(run, "construct: none of fields, positional, first_is_dict, first_is_pairs, first_is_mixed, first_is_output");
  return MO_STATUS_OK;
}

/* ---- Operations ---------------------------------------------------------------------------------------------------- */

typedef struct operation {
  const char *name;
  const char *text;    /* first argument, if it is a string */
  const json_t *first; /* NULL if there is none */
  const json_t *second;
  const json_t *third;
} operation;

static bool is_index(const json_t *value) { return json_is_integer(value) || json_is_boolean(value); }

static int64_t index_of(const json_t *value) {
  return json_is_integer(value) ? json_integer_value(value) : json_is_true(value);
}

static json_t *read_all(const mo_output *output, const operation *op) {
  json_t *list = json_array();
  for (int64_t i = 0; i < mo_output_length(output); ++i) {
    json_t *value = from_field(mo_output_at(output, i));
    if (strcmp(op->name, "items") == 0) value = json_pack("[s,o]", mo_output_key_at(output, i), value);
    json_array_append_new(list, value);
  }
  return answer(MO_STATUS_OK, list);
}

static json_t *read_tuple(const mo_output *output) {
  mo_field *tuple = NULL;
  const mo_status_t status = mo_output_to_tuple(output, &tuple);
  json_t *value = from_field(tuple);
  mo_field_release(tuple);
  return answer(status, value);
}

static json_t *read_item(replay *run, const mo_output *output, const operation *op) {
  mo_field *field = NULL;
  if (op->text != NULL) {
    const mo_status_t status = mo_output_item(output, op->text, &field);
    return answer(status, from_field(field));
  }
  if (!is_index(op->first)) {
    run->rule = 21; /* a key that is neither string nor integer does not compile */
    return NULL;
  }
  const mo_status_t status = mo_output_item_at(output, index_of(op->first), &field);
  return answer(status, from_field(field));
}

static bool slice_bound(replay *run, const json_t *value, int64_t unset, int64_t *bound) {
  *bound = unset;
  if (value == NULL || json_is_null(value)) return true;
  if (!is_index(value)) run->rule = 21;
  *bound = index_of(value);
  return is_index(value);
}

static json_t *read_slice(replay *run, const mo_output *output, const operation *op) {
  mo_slice slice;
  int64_t count = 0;
  if (!slice_bound(run, op->first, MO_SLICE_UNSET, &slice.start) ||
      !slice_bound(run, op->second, MO_SLICE_UNSET, &slice.stop) || !slice_bound(run, op->third, 1, &slice.step)) {
    return NULL;
  }
  const int64_t capacity = mo_output_length(output);
  mo_field **fields = calloc((size_t)capacity + 1, sizeof *fields);
  const mo_status_t status =
      fields == NULL ? MO_STATUS_OUT_OF_MEMORY : mo_output_slice(output, slice, fields, capacity, &count);
  json_t *list = json_array();
  for (int64_t i = 0; i < count; ++i) json_array_append_new(list, from_field(fields[i]));
  free(fields);
  return answer(status, list);
}

static json_t *read_get(replay *run, const mo_output *output, const operation *op) {
  if (op->text == NULL) {
    run->rule = 25; /* get takes a string */
    return NULL;
  }
  if (op->second != NULL && !mo_output_contains(output, op->text)) return answer(MO_STATUS_OK, json_deep_copy(op->second));
  return answer(MO_STATUS_OK, from_field(mo_output_get(output, op->text)));
}

/* Keys are strings, so nothing else is ever in an output (rule 26). */
static json_t *read_in(const mo_output *output, const operation *op) {
  return answer(MO_STATUS_OK, json_boolean(op->text != NULL && mo_output_contains(output, op->text)));
}

static json_t *read_attribute(const mo_output *output, const char *name) {
  mo_field *field = NULL;
  const mo_status_t status = mo_output_attribute(output, name, &field);
  return answer(status, from_field(field));
}

static json_t *read_copy(const mo_output *output, const operation *op) {
  mo_output *copy = NULL;
  const mo_status_t status = mo_output_copy(output, &copy);
  json_t *result = NULL;
  if (status != MO_STATUS_OK) result = answer(status, NULL);
  else if (strcmp(op->name, "copy_keys") == 0) result = answer(status, keys_of(copy, false));
  else result = read_attribute(copy, op->text);
  mo_output_destroy(copy);
  return result;
}

static json_t *write_value(replay *run, mo_output *output, const operation *op) {
  mo_field *field = NULL;
  mo_status_t status = op->second == NULL ? MO_STATUS_OK : to_field(run, op->second, &field);
  if (status == MO_STATUS_OK) {
    if (strcmp(op->name, "set_attr") == 0) status = mo_output_set_attribute(output, op->text, field);
    else if (strcmp(op->name, "set_item") == 0) status = mo_output_set_item(output, op->text, field);
    else status = mo_output_set_default(output, op->text, field);
  }
  mo_field_release(field);
  return answer(status, NULL);
}

static json_t *write_update(replay *run, mo_output *output, const operation *op) {
  mo_item *items = NULL;
  size_t count = 0;
  mo_status_t status = MO_STATUS_OK;
  if (json_is_object(op->first)) status = to_items(run, (json_t *)op->first, &items, &count);
  if (status == MO_STATUS_OK) status = mo_output_update(output, items, (int64_t)count);
  if (items != NULL) release_items(items, count);
  return answer(status, NULL);
}

static json_t *write_pop(mo_output *output, const operation *op) {
  mo_field *field = NULL;
  const mo_status_t status = mo_output_pop(output, op->text, &field);
  json_t *value = from_field(field);
  mo_field_release(field);
  return answer(status, value);
}

/* Operations whose first argument must be a name; a set_item with another key is rule 31's broken object. */
static bool needs_name(const char *name) {
  static const char *const names[] = {"attr", "set_attr", "set_item", "del", "pop", "setdefault", "copy_attr"};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    if (strcmp(names[i], name) == 0) return true;
  }
  return false;
}

/* The answer; NULL with run->rule or run->malformed set. */
static json_t *perform(replay *run, mo_output *output, const operation *op) {
  const char *name = op->name;
  if (needs_name(name) && op->text == NULL) {
    if (strcmp(name, "set_item") == 0 && op->first != NULL) run->rule = 31;
    else malformed(run, "an operation lacks the name it works on");
    return NULL;
  }
  if (strcmp(name, "keys") == 0 || strcmp(name, "iter") == 0) return answer(MO_STATUS_OK, keys_of(output, false));
  if (strcmp(name, "reversed") == 0) return answer(MO_STATUS_OK, keys_of(output, true));
  if (strcmp(name, "values") == 0 || strcmp(name, "items") == 0) return read_all(output, op);
  if (strcmp(name, "len") == 0) return answer(MO_STATUS_OK, json_integer(mo_output_length(output)));
  if (strcmp(name, "bool") == 0) return answer(MO_STATUS_OK, json_boolean(mo_output_length(output) > 0));
  if (strcmp(name, "to_tuple") == 0) return read_tuple(output);
  if (strcmp(name, "attr") == 0) return read_attribute(output, op->text);
  if (strcmp(name, "item") == 0) return read_item(run, output, op);
  if (strcmp(name, "slice") == 0) return read_slice(run, output, op);
  if (strcmp(name, "get") == 0) return read_get(run, output, op);
  if (strcmp(name, "in") == 0) return read_in(output, op);
  if (strcmp(name, "set_attr") == 0 || strcmp(name, "set_item") == 0) return write_value(run, output, op);
  if (strcmp(name, "setdefault") == 0) return write_value(run, output, op);
  if (strcmp(name, "del") == 0) return answer(mo_output_delete_item(output, op->text), NULL);
  if (strcmp(name, "pop") == 0) return write_pop(output, op);
  if (strcmp(name, "update") == 0) return write_update(run, output, op);
  if (strcmp(name, "copy_keys") == 0 || strcmp(name, "copy_attr") == 0) return read_copy(output, op);
  malformed(run, "an operation of unknown name");
  return NULL;
}

/* ---- Scripts ------------------------------------------------------------------------------------------------------- */

/* Frozen classes answer BLOCKED (assignment) or TYPE_ERROR (construction) where the original has one error for both. */
static bool same_answer(const mo_class *output_class, const json_t *expected, const json_t *got) {
  if (json_equal(expected, got)) return true;
  const char *error = json_string_value(json_object_get(expected, "error"));
  const char *got_error = json_string_value(json_object_get(got, "error"));
  return output_class->framework == MO_FRAMEWORK_FLAX && error != NULL && got_error != NULL &&
         strcmp(error, "FrozenInstanceError") == 0 &&
         (strcmp(got_error, "Exception") == 0 || strcmp(got_error, "TypeError") == 0);
}

static void print_difference(replay *run, const mo_class *output_class, const char *where, const json_t *expected,
                             const json_t *got) {
  char *expected_text = json_dumps(expected, JSON_ENCODE_ANY);
  char *got_text = json_dumps(got, JSON_ENCODE_ANY);
  fprintf(run->log, "%s: script %zu (%s), %s: expected %s, got %s\n", run->path, run->script, output_class->name, where,
          expected_text == NULL ? "?" : expected_text, got_text == NULL ? "?" : got_text);
  free(expected_text);
  free(got_text);
}

/* Takes `got`. */
static bool check_answer(replay *run, const mo_class *output_class, const char *where, const json_t *expected, json_t *got) {
  const bool same = same_answer(output_class, expected, got);
  if (!same) print_difference(run, output_class, where, expected, got);
  json_decref(got);
  return same;
}

static bool read_operation(replay *run, const json_t *entry, operation *op) {
  *op = (operation){.name = json_string_value(json_array_get(entry, 0)),
                    .first = json_array_get(entry, 1),
                    .second = json_array_get(entry, 2),
                    .third = json_array_get(entry, 3)};
  op->text = json_string_value(op->first);
  if (op->name == NULL) malformed(run, "an operation is not a list that begins with a name");
  return op->name != NULL;
}

static bool run_operations(replay *run, mo_output *output, const json_t *operations, const json_t *results) {
  bool same = true;
  for (size_t i = 0; i < json_array_size(operations) && !run->malformed && run->rule == 0; ++i) {
    operation op;
    char where[96];
    if (!read_operation(run, json_array_get(operations, i), &op)) return false;
    json_t *got = perform(run, output, &op);
    if (got == NULL) return false;
    snprintf(where, sizeof where, "operation %zu (%.40s)", i, op.name);
    same = check_answer(run, output->output_class, where, json_array_get(results, i + 1), got) && same;
  }
  return same;
}

/* True if every answer agrees. */
static bool run_script(replay *run, const json_t *script) {
  const mo_class *output_class = mo_class_find(json_string_value(json_object_get(script, "output_class")));
  const json_t *how = json_object_get(script, "construct"), *operations = json_object_get(script, "operations");
  const json_t *results = json_object_get(script, "results");
  mo_output *output = NULL;
  if (output_class == NULL) malformed(run, "output_class is not the name of a class");
  else if (!json_is_object(how)) malformed(run, "construct is not an object");
  else if (!json_is_array(operations) || !json_is_array(results)) malformed(run, "operations or results is not a list");
  if (run->malformed) return false;
  const json_t *expected = json_array_get(results, 0);
  const bool fails = json_object_get(expected, "error") != NULL;
  if (json_array_size(results) != (fails ? 1 : json_array_size(operations) + 1)) {
    malformed(run, "there is not one result per operation and one for the construction");
    return false;
  }
  const mo_status_t status = construct(run, output_class, how, &output);
  if (run->malformed) return false;
  json_t *keys = output == NULL ? NULL : keys_of(output, false);
  bool same = check_answer(run, output_class, "construction", expected, answer(status, keys));
  if (output != NULL && !fails) same = run_operations(run, output, operations, results) && same;
  mo_output_destroy(output);
  return same;
}

static void count_script(replay *run, const json_t *script, replay_counts *counts) {
  run->rule = 0;
  run->tensors = json_object();
  const bool same = run_script(run, script);
  release_fields(run->fields, run->field_count);
  run->fields = NULL;
  run->field_count = 0;
  json_decref(run->tensors);
  if (run->malformed) return;
  ++counts->scripts;
  if (run->rule != 0) {
    fprintf(run->log, "%s: script %zu has no meaning in C: rule %d\n", run->path, run->script, run->rule);
    ++counts->without_meaning;
  } else if (same) {
    ++counts->agree;
  } else {
    ++counts->differ;
  }
}

replay_result_t replay_file(const char *path, FILE *log, replay_counts *counts) {
  json_error_t error;
  replay run = {.log = log, .path = path};
  json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
  if (root == NULL) {
    fprintf(log, "%s: line %d: %s\n", path, error.line, error.text);
    return REPLAY_UNREADABLE;
  }
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CPU;
  const json_t *scripts = json_object_get(root, "scripts");
  if (!json_is_array(scripts)) malformed(&run, "the file has no list of scripts");
  else if (mo_context_create(&options, &run.context) != MO_STATUS_OK) malformed(&run, mo_last_error());
  for (size_t i = 0; i < json_array_size(scripts) && !run.malformed; ++i) {
    run.script = i;
    count_script(&run, json_array_get(scripts, i), counts);
  }
  mo_context_destroy(run.context);
  json_decref(root);
  return run.malformed ? REPLAY_MALFORMED : REPLAY_OK;
}
