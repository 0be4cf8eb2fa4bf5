/* host/cli/run_report.c - what an output holds, as JSON: each field with its shape, type and place, or why it is absent.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "host/cli/run.h"

json_t *run_json_shape(int32_t rank, const int64_t *shape) {
  json_t *list = json_array();
  for (int32_t i = 0; i < rank; i++) json_array_append_new(list, json_integer(shape[i]));
  return list;
}

json_t *run_json_real(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *describe_tensor(const mo_tensor *tensor) {
  char device[32];
  json_t *object = json_object();
  json_object_set_new(object, "kind", json_string("tensor"));
  json_object_set_new(object, "shape", run_json_shape(tensor->rank, tensor->shape));
  json_object_set_new(object, "dtype", json_string(mo_dtype_name(tensor->dtype)));
  json_object_set_new(object, "device", json_string(mo_device_name(tensor->device, device, sizeof device)));
  json_object_set_new(object, "bytes", json_integer(mo_tensor_bytes(tensor)));
  return object;
}

static json_t *describe_field(const mo_field *field) {
  static const char *const kinds[] = {"none", "tensor", "tuple", "cache", "dict", "integer", "real", "string"};
  const mo_field_kind_t kind = mo_field_kind(field);
  if (field == NULL) return json_null();
  if (kind == MO_FIELD_TENSOR) return describe_tensor(mo_field_tensor(field));
  json_t *object = json_object();
  json_object_set_new(object, "kind", json_string(kinds[kind]));
  switch (kind) {
    case MO_FIELD_INTEGER:
      json_object_set_new(object, "value", json_integer(mo_field_integer(field)));
      break;
    case MO_FIELD_REAL:
      json_object_set_new(object, "value", run_json_real(mo_field_real(field)));
      break;
    case MO_FIELD_STRING:
      json_object_set_new(object, "value", json_string(mo_field_string(field)));
      break;
    default: {
      json_t *entries = json_array();
      json_t *keys = json_array();
      for (int64_t i = 0; i < mo_field_length(field); i++) {
        json_array_append_new(entries, describe_field(mo_field_item(field, i)));
        if (kind == MO_FIELD_DICT) json_array_append_new(keys, json_string(mo_field_key(field, i)));
      }
      json_object_set_new(object, "entries", entries);
      if (kind == MO_FIELD_DICT) json_object_set(object, "keys", keys);
      json_decref(keys);
    }
  }
  return object;
}

static void add_present(json_t *fields, const char *name, const mo_field *field) {
  json_t *entry = json_object();
  json_t *description = describe_field(field);
  json_object_set_new(entry, "name", json_string(name));
  json_object_set_new(entry, "present", json_true());
  if (json_is_null(description)) {
    json_object_set_new(entry, "kind", json_string("none"));
  } else {
    json_object_update(entry, description);
  }
  json_decref(description);
  json_array_append_new(fields, entry);
}

static void add_absent(json_t *fields, const mo_output *output, const mo_class_field *field) {
  json_t *entry = json_object();
  json_object_set_new(entry, "name", json_string(field->name));
  json_object_set_new(entry, "present", json_false());
  json_object_set_new(entry, "reason", json_string(mo_absence_text(mo_output_absence(output, field->name))));
  json_object_set_new(entry, "when", field->when != NULL ? json_string(field->when) : json_null());
  json_array_append_new(fields, entry);
}

void run_report_fields(json_t *report, const mo_output *output) {
  json_t *fields = json_array();
  const mo_class *output_class = output->output_class;
  for (int32_t i = 0; i < output_class->field_count; i++) {
    const mo_class_field *field = &output_class->fields[i];
    if (mo_output_contains(output, field->name)) {
      add_present(fields, field->name, mo_output_get(output, field->name));
    } else {
      add_absent(fields, output, field);
    }
  }
  for (int64_t i = 0; i < mo_output_length(output); i++) { /* keys beyond the class: ad-hoc outputs */
    const char *key = mo_output_key_at(output, i);
    if (mo_class_field_index(output_class, key) < 0) add_present(fields, key, mo_output_get(output, key));
  }
  json_object_set_new(report, "fields", fields);
}
