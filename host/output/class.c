/* host/output/class.c - the class table at run time: lookup, introspection, and the table as JSON.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/class.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/core/json.h"
#include "host/output/class_internal.h"
#include "modelout/output_classes.h"

/* ---- What the table says beyond the public structs -----------------------------------------------------------------
 * Kept in arrays parallel to the public ones: only the JSON form wants it. */

typedef struct mo_alternative_shape {
  mo_symbols shape;
  const char *when;
} mo_alternative_shape;

/* A run of tensors in one layer of a tuple of tuples. */
typedef struct mo_inner_group {
  int32_t count; /* 0 ends a list of groups */
  mo_symbols shape;
  const char *holds;
  bool required;
  const char *when;
} mo_inner_group;

typedef struct mo_class_field_details {
  const char *note;
  const mo_alternative_shape *alt_shapes; /* one, or NULL */
  mo_symbols per_layer_shape;
  const char *holds;
  const mo_inner_group *inner;
  const char *shape_source;
} mo_class_field_details;

typedef struct mo_class_details {
  bool is_abstract;
  const mo_class_field_details *fields;
  const char *note;
  mo_symbols methods;
  mo_symbols doc_order;
} mo_class_details;

/* ---- The tables ---------------------------------------------------------------------------------------------------- */

/* The vocabulary of classes.def. */
#define NONE .note = NULL
#define TYPE(annotation_, element_) .annotation = annotation_, .element = element_
#define SYMBOLS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SHAPE(...) .rank = (int32_t)(sizeof(SYMBOLS(__VA_ARGS__)) / sizeof(char *)) - 1, .shape = SYMBOLS(__VA_ARGS__)
#define NO_SHAPE .rank = -1
#define LENGTH(length_, stack_) .tuple_length = length_, .stack = stack_
#define WHEN(when_, text_) .when = when_, .when_text = text_
#define REQUIRED false
#define OPTIONAL true
#define CONCRETE false
#define ABSTRACT true

/* Every array ends with an empty entry: the base class has no fields, and C has no empty arrays. */
#define CLASS(name_, struct_, framework_, module_, abstract_, purpose_, ...)                                                   \
  static const mo_class_field mo_fields_of_##name_[] = {
#define FIELD(struct_, name_, kind_, optional_, type_, shape_, length_, when_, meaning_, ...)                                  \
  {.name = #name_,                                                                                                             \
   .kind = MO_CLASS_FIELD_##kind_,                                                                                             \
   .optional = optional_,                                                                                                      \
   type_,                                                                                                                      \
   .meaning = meaning_,                                                                                                        \
   shape_,                                                                                                                     \
   length_,                                                                                                                    \
   when_,                                                                                                                      \
   .struct_offset = offsetof(struct_, name_)},
/* clang-format off */
#define END(name_) {0}};
/* clang-format on */
#include "host/output/classes.def"
#include "host/output/further_classes.def"
#undef CLASS
#undef FIELD

#define CLASS(name_, struct_, framework_, module_, abstract_, purpose_, ...)                                                   \
  static const mo_class_field_details mo_field_details_of_##name_[] = {
#define FIELD(struct_, name_, kind_, optional_, type_, shape_, length_, when_, meaning_, ...) {__VA_ARGS__},
#include "host/output/classes.def"
#include "host/output/further_classes.def"
#undef CLASS
#undef FIELD
#undef END

#define FIELD(...)
#define END(name_)
#define CLASS(name_, struct_, framework_, module_, abstract_, purpose_, ...)                                                   \
  {.name = #name_,                                                                                                             \
   .framework = MO_FRAMEWORK_##framework_,                                                                                     \
   .module = module_,                                                                                                          \
   .purpose = purpose_,                                                                                                        \
   .field_count = (int32_t)(sizeof(mo_fields_of_##name_) / sizeof(mo_fields_of_##name_[0])) - 1,                               \
   .fields = mo_fields_of_##name_,                                                                                             \
   .struct_bytes = sizeof(struct_)},
static const mo_class mo_classes[] = {
#include "host/output/classes.def"
#include "host/output/further_classes.def"
};
#undef CLASS

#define CLASS(name_, struct_, framework_, module_, abstract_, purpose_, ...)                                                   \
  {.is_abstract = abstract_, .fields = mo_field_details_of_##name_, __VA_ARGS__},
static const mo_class_details mo_details[] = {
#include "host/output/classes.def"
#include "host/output/further_classes.def"
};
#undef CLASS
#undef FIELD
#undef END

enum { MO_CLASS_TOTAL = sizeof(mo_classes) / sizeof(mo_classes[0]) };

/* Counts the classes of the documented page. */
#define CLASS(...) +1
#define FIELD(...)
#define END(name_)
enum {
  MO_CLASS_DOCUMENTED = 0
#include "host/output/classes.def"
};
#undef CLASS
#undef FIELD
#undef END

/* ---- Lookup -------------------------------------------------------------------------------------------------------- */

static const char *const mo_framework_prefixes[] = {"", "", "TF", "Flax"};

const mo_class *mo_class_find(const char *name) {
  if (name == NULL) return NULL;
  for (int32_t i = 0; i < MO_CLASS_TOTAL; i++) {
    if (strcmp(mo_classes[i].name, name) == 0) return &mo_classes[i];
  }
  return NULL;
}

const mo_class *mo_class_find_in_framework(const char *pt_name, mo_framework_t framework) {
  if (pt_name == NULL || framework < MO_FRAMEWORK_BASE || framework > MO_FRAMEWORK_FLAX) return NULL;
  const char *prefix = mo_framework_prefixes[framework];
  const size_t prefix_length = strlen(prefix);
  for (int32_t i = 0; i < MO_CLASS_TOTAL; i++) {
    const mo_class *candidate = &mo_classes[i];
    if (candidate->framework == framework && strncmp(candidate->name, prefix, prefix_length) == 0 &&
        strcmp(candidate->name + prefix_length, pt_name) == 0) {
      return candidate;
    }
  }
  return NULL;
}

int32_t mo_class_count(void) { return MO_CLASS_TOTAL; }

const mo_class *mo_class_at(int32_t index) { return index >= 0 && index < MO_CLASS_TOTAL ? &mo_classes[index] : NULL; }

/* Position in the table; -1 for a class of somebody else's. */
static int32_t position_of(const mo_class *output_class) {
  const uintptr_t offset = (uintptr_t)output_class - (uintptr_t)mo_classes;
  return offset < sizeof mo_classes && offset % sizeof(mo_class) == 0 ? (int32_t)(offset / sizeof(mo_class)) : -1;
}

bool mo_class_is_documented(const mo_class *output_class) {
  const int32_t position = output_class == NULL ? -1 : position_of(output_class);
  return position >= 0 && position < MO_CLASS_DOCUMENTED;
}

int32_t mo_class_field_index(const mo_class *output_class, const char *name) {
  if (output_class == NULL || name == NULL) return -1;
  for (int32_t i = 0; i < output_class->field_count; i++) {
    if (output_class->fields[i].name == name) return i;
  }
  for (int32_t i = 0; i < output_class->field_count; i++) {
    if (strcmp(output_class->fields[i].name, name) == 0) return i;
  }
  return -1;
}

mo_symbols mo_class_alternative_shape(const mo_class *output_class, int32_t index) {
  const int32_t position = position_of(output_class);
  if (position < 0) return NULL;
  const mo_alternative_shape *alternative = mo_details[position].fields[index].alt_shapes;
  return alternative == NULL ? NULL : alternative->shape;
}

/* ---- Classes of somebody else's ------------------------------------------------------------------------------------ */

static bool has_symbols(mo_symbols symbols, int32_t count) {
  for (int32_t i = 0; i < count; i++) {
    if (symbols == NULL || symbols[i] == NULL) return false;
  }
  return true;
}

static mo_status_t check_field(const mo_class *output_class, int32_t index) {
  const mo_class_field *field = &output_class->fields[index];
  const char *class_name = output_class->name, *name = field->name;
  MO_CHECK(field->when != NULL, MO_STATUS_INVALID_ARGUMENT, "output: %s.%s has no condition (when)", class_name, name);
  MO_CHECK(mo_class_field_kind_name(field->kind) != NULL, MO_STATUS_INVALID_ARGUMENT, "output: %s.%s is of kind %d", class_name,
           name, (int)field->kind);
  MO_CHECK(field->rank >= -1 && field->rank <= MO_MAX_DIMS, MO_STATUS_INVALID_ARGUMENT, "output: %s.%s has rank %d", class_name,
           name, (int)field->rank);
  MO_CHECK(has_symbols(field->shape, field->rank) &&
               (field->observed_shape == NULL || has_symbols(field->observed_shape, field->rank)),
           MO_STATUS_INVALID_ARGUMENT, "output: %s.%s has fewer symbols in its shape than its rank, %d", class_name, name,
           (int)field->rank);
  MO_CHECK(field->struct_offset >= sizeof(mo_output) && field->struct_offset % _Alignof(mo_field *) == 0 &&
               output_class->struct_bytes >= sizeof(mo_field *) &&
               field->struct_offset <= output_class->struct_bytes - sizeof(mo_field *),
           MO_STATUS_INVALID_ARGUMENT, "output: %s.%s lies at byte %zu, no place for a member in a struct of %zu bytes",
           class_name, name, field->struct_offset, output_class->struct_bytes);
  MO_CHECK(mo_class_field_index(output_class, name) == index, MO_STATUS_INVALID_ARGUMENT, "output: %s has two fields '%s'",
           class_name, name);
  return MO_STATUS_OK;
}

mo_status_t mo_class_check(const mo_class *output_class) {
  MO_CHECK(output_class != NULL, MO_STATUS_INVALID_ARGUMENT, "output: the class is NULL");
  if (position_of(output_class) >= 0) return MO_STATUS_OK;
  MO_CHECK(output_class->name != NULL, MO_STATUS_INVALID_ARGUMENT, "output: the class has no name");
  MO_CHECK(mo_framework_name(output_class->framework) != NULL, MO_STATUS_INVALID_ARGUMENT, "output: %s is of framework %d",
           output_class->name, (int)output_class->framework);
  const int32_t count = output_class->field_count;
  MO_CHECK(count >= 0 && count <= MO_MAX_CLASS_FIELDS && (count > 0 || output_class->framework == MO_FRAMEWORK_BASE),
           MO_STATUS_INVALID_ARGUMENT, "output: %s has %d fields, there may be 1 to %d (0 in a class of the base framework)",
           output_class->name, (int)count, MO_MAX_CLASS_FIELDS);
  MO_CHECK(output_class->fields != NULL || count == 0, MO_STATUS_INVALID_ARGUMENT, "output: the fields of %s are NULL",
           output_class->name);
  MO_CHECK(output_class->struct_bytes >= sizeof(mo_output), MO_STATUS_INVALID_ARGUMENT,
           "output: the struct of %s has %zu bytes, it begins with an mo_output", output_class->name,
           output_class->struct_bytes);
  for (int32_t i = 0; i < count; i++) {
    MO_CHECK(output_class->fields[i].name != NULL, MO_STATUS_INVALID_ARGUMENT, "output: field %d of %s has no name", (int)i,
             output_class->name);
  }
  for (int32_t i = 0; i < count; i++) MO_TRY(check_field(output_class, i));
  return MO_STATUS_OK;
}

/* ---- Names --------------------------------------------------------------------------------------------------------- */

const char *mo_framework_name(mo_framework_t framework) {
  static const char *const names[] = {"base", "pt", "tf", "flax"};
  return framework >= MO_FRAMEWORK_BASE && framework <= MO_FRAMEWORK_FLAX ? names[framework] : NULL;
}

const char *mo_class_field_kind_name(mo_class_field_kind_t kind) {
  switch (kind) {
    case MO_CLASS_FIELD_TENSOR:
      return "tensor";
    case MO_CLASS_FIELD_TENSOR_TUPLE:
      return "tensor_tuple";
    case MO_CLASS_FIELD_CACHE:
      return "cache";
    case MO_CLASS_FIELD_ENCODER_DECODER_CACHE:
      return "encoder_decoder_cache";
    case MO_CLASS_FIELD_TENSOR_LIST:
      return "tensor_list";
    case MO_CLASS_FIELD_TENSOR_DICT:
      return "tensor_dict";
    case MO_CLASS_FIELD_TUPLE_OF_TENSOR_TUPLES:
      return "tuple_of_tensor_tuples";
  }
  return NULL;
}

/* ---- JSON ----------------------------------------------------------------------------------------------------------
 * Out of memory shows as a NULL value, which json_object_set_new refuses: every helper returns whether it worked. */

static bool put(json_t *object, const char *key, json_t *value) { return json_object_set_new(object, key, value) == 0; }

static json_t *text_or_null(const char *text) { return text == NULL ? json_null() : json_string(text); }

static bool put_text(json_t *object, const char *key, const char *text) {
  return text == NULL || put(object, key, json_string(text));
}

static json_t *list_of_symbols(mo_symbols symbols) {
  json_t *array = json_array();
  for (; array != NULL && *symbols != NULL; symbols++) {
    if (json_array_append_new(array, json_string(*symbols)) != 0) {
      json_decref(array);
      return NULL;
    }
  }
  return array;
}

static bool put_symbols(json_t *object, const char *key, mo_symbols symbols) {
  return symbols == NULL || put(object, key, list_of_symbols(symbols));
}

/* A list with one alternative. */
static bool put_alternative(json_t *object, const mo_alternative_shape *alternative) {
  if (alternative == NULL) return true;
  json_t *entry = json_object();
  const bool built =
      entry != NULL && put_symbols(entry, "shape", alternative->shape) && put_text(entry, "when", alternative->when);
  json_t *list = json_array();
  if (!built || list == NULL || json_array_append(list, entry) != 0) {
    json_decref(entry);
    json_decref(list);
    return false;
  }
  json_decref(entry);
  return put(object, "alt_shapes", list);
}

static bool append_inner(json_t *list, const mo_inner_group *group) {
  json_t *entry = json_object();
  const bool built = entry != NULL && put(entry, "count", json_integer(group->count)) &&
                     put_symbols(entry, "shape", group->shape) && put_text(entry, "holds", group->holds) &&
                     put(entry, "required", json_boolean(group->required)) && put_text(entry, "when", group->when);
  if (!built) {
    json_decref(entry);
    return false;
  }
  return json_array_append_new(list, entry) == 0;
}

/* The key stands for every tuple of tuples, null where the source says nothing of the members. */
static bool put_inner(json_t *object, const mo_inner_group *groups) {
  if (groups == NULL) return put(object, "inner", json_null());
  json_t *list = json_array();
  for (; list != NULL && groups->count != 0; groups++) {
    if (!append_inner(list, groups)) {
      json_decref(list);
      return false;
    }
  }
  return put(object, "inner", list);
}

static json_t *describe_field(const mo_class_field *field, const mo_class_field_details *details) {
  json_t *object = json_object();
  if (object == NULL) return NULL;
  const bool is_tensor = field->kind == MO_CLASS_FIELD_TENSOR;
  const bool built = put_text(object, "name", field->name) && put_text(object, "kind", mo_class_field_kind_name(field->kind)) &&
                     put(object, "optional", json_boolean(field->optional)) && put(object, "default", json_null()) &&
                     put_text(object, "annotation", field->annotation) &&
                     put(object, "element", text_or_null(field->element)) && put_text(object, "meaning", field->meaning) &&
                     put(object, "shape", field->rank < 0 ? json_null() : list_of_symbols(field->shape)) &&
                     put_symbols(object, "observed_shape", field->observed_shape) &&
                     put_symbols(object, "per_layer_shape", details->per_layer_shape) &&
                     put_text(object, "holds", details->holds) && put_alternative(object, details->alt_shapes) &&
                     put_text(object, "shape_source", details->shape_source) &&
                     (is_tensor || put(object, "tuple_length", text_or_null(field->tuple_length))) &&
                     put_text(object, "stack", field->stack) &&
                     (field->kind != MO_CLASS_FIELD_TUPLE_OF_TENSOR_TUPLES || put_inner(object, details->inner)) &&
                     put_text(object, "when", field->when) && put_text(object, "when_text", field->when_text) &&
                     put_text(object, "note", details->note);
  if (built) return object;
  json_decref(object);
  return NULL;
}

static json_t *describe_fields(int32_t index) {
  json_t *list = json_array();
  for (int32_t i = 0; list != NULL && i < mo_classes[index].field_count; i++) {
    if (json_array_append_new(list, describe_field(&mo_classes[index].fields[i], &mo_details[index].fields[i])) != 0) {
      json_decref(list);
      return NULL;
    }
  }
  return list;
}

static json_t *describe_class(int32_t index) {
  const mo_class *output_class = &mo_classes[index];
  const mo_class_details *details = &mo_details[index];
  json_t *object = json_object();
  if (object == NULL) return NULL;
  const bool built = put_text(object, "name", output_class->name) &&
                     put_text(object, "framework", mo_framework_name(output_class->framework)) &&
                     put_text(object, "module", output_class->module) &&
                     put(object, "abstract", json_boolean(details->is_abstract)) &&
                     (index < MO_CLASS_DOCUMENTED || put(object, "documented", json_false())) &&
                     put_text(object, "purpose", output_class->purpose) && put(object, "fields", describe_fields(index)) &&
                     put_symbols(object, "methods", details->methods) && put_symbols(object, "doc_order", details->doc_order) &&
                     put_text(object, "note", details->note);
  if (built) return object;
  json_decref(object);
  return NULL;
}

/* {"classes": [...]} of the chosen classes; index -1: all of the framework, framework negative: of every one. */
static json_t *describe_classes(int32_t index, int framework) {
  json_t *list = json_array();
  for (int32_t i = 0; list != NULL && i < MO_CLASS_TOTAL; i++) {
    const bool chosen = index >= 0 ? i == index : framework < 0 || (int)mo_classes[i].framework == framework;
    if (chosen && json_array_append_new(list, describe_class(i)) != 0) {
      json_decref(list);
      return NULL;
    }
  }
  json_t *root = json_object();
  if (root != NULL && put(root, "classes", list)) return root;
  if (root == NULL) json_decref(list);
  json_decref(root);
  return NULL;
}

mo_status_t mo_class_to_json(const mo_class *output_class, int framework, char **json) {
  MO_CHECK(json != NULL, MO_STATUS_INVALID_ARGUMENT, "class_to_json: json is NULL, it receives the text");
  const int32_t index = output_class == NULL ? -1 : position_of(output_class);
  MO_CHECK(output_class == NULL || index >= 0, MO_STATUS_INVALID_ARGUMENT,
           "class_to_json: the class is not one of the library's table");
  MO_CHECK(index >= 0 || framework < 0 || mo_framework_name((mo_framework_t)framework) != NULL, MO_STATUS_INVALID_ARGUMENT,
           "class_to_json: framework %d is not one of 0 to 3", framework);
  json_t *root = describe_classes(index, framework);
  const mo_status_t status = mo_json_write(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER, json);
  json_decref(root);
  return status;
}

void mo_free_text(char *text) { free(text); }
