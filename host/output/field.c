/* host/output/field.c - making fields by hand, looking into them, counting their references.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/core/checked_math.h"
#include "host/output/field_owner.h"
#include "host/output/output_internal.h"

/* ---- Looking ------------------------------------------------------------------------------------------------------- */

static bool has_items(const mo_field *field) {
  return field != NULL && (field->kind == MO_FIELD_TUPLE || field->kind == MO_FIELD_CACHE || field->kind == MO_FIELD_DICT);
}

mo_field_kind_t mo_field_kind(const mo_field *field) { return field == NULL ? (mo_field_kind_t)0 : field->kind; }

const mo_tensor *mo_field_tensor(const mo_field *field) {
  return field != NULL && field->kind == MO_FIELD_TENSOR ? &field->as.tensor.tensor : NULL;
}

int64_t mo_field_length(const mo_field *field) { return has_items(field) ? field->as.items.count : 0; }

mo_field *mo_field_item(const mo_field *field, int64_t index) {
  const int64_t count = mo_field_length(field);
  if (index < 0) index += count;
  return index >= 0 && index < count ? field->as.items.items[index] : NULL;
}

static mo_name_list keys_of(const mo_field *field) {
  return (mo_name_list){field->as.items.keys, sizeof *field->as.items.keys};
}

/* The position of a key among those there are; -1. */
static int64_t key_position(const mo_field *dict, const char *key) {
  if (dict->as.items.index.slots != NULL) return mo_name_index_find(&dict->as.items.index, keys_of(dict), key);
  for (int64_t i = 0; i < dict->as.items.count; i++) {
    if (strcmp(dict->as.items.keys[i], key) == 0) return i;
  }
  return -1;
}

mo_field *mo_field_item_by_key(const mo_field *field, const char *key) {
  if (field == NULL || field->kind != MO_FIELD_DICT || key == NULL) return NULL;
  const int64_t position = key_position(field, key);
  return position < 0 ? NULL : field->as.items.items[position];
}

const char *mo_field_key(const mo_field *field, int64_t index) {
  if (field == NULL || field->kind != MO_FIELD_DICT || index < 0 || index >= field->as.items.count) return NULL;
  return field->as.items.keys[index];
}

int64_t mo_field_integer(const mo_field *field) {
  return field != NULL && field->kind == MO_FIELD_INTEGER ? field->as.integer : 0;
}

double mo_field_real(const mo_field *field) { return field != NULL && field->kind == MO_FIELD_REAL ? field->as.real : 0.0; }

const char *mo_field_string(const mo_field *field) {
  return field != NULL && field->kind == MO_FIELD_STRING ? field->as.string : NULL;
}

/* ---- Making -------------------------------------------------------------------------------------------------------- */

/* One zero-filled allocation: the field and `extra_bytes` after it. The field holds the context. */
static mo_status_t allocate(mo_context_t *context, mo_field_kind_t kind, size_t extra_bytes, mo_field **field) {
  MO_CHECK(extra_bytes <= SIZE_MAX - sizeof(mo_field), MO_STATUS_OUT_OF_MEMORY, "field: %zu bytes of content are too many",
           extra_bytes);
  const size_t bytes = sizeof(mo_field) + extra_bytes;
  mo_field *made = mo_host_allocate(context, bytes);
  if (made == NULL) return MO_STATUS_OUT_OF_MEMORY;
  made->kind = kind;
  made->context = mo_context_retain(context);
  atomic_init(&made->references, 1);
  made->host_bytes = bytes;
  *field = made;
  return MO_STATUS_OK;
}

static mo_status_t check_call(const mo_context_t *context, mo_field **field, const char *op) {
  MO_CHECK(context != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: context is NULL", op);
  MO_CHECK(field != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: field is NULL, it receives the result", op);
  return MO_STATUS_OK;
}

/* A list of `count` entries (entries themselves may be NULL), and the bytes of its pointers. */
static mo_status_t check_items(const char *op, const void *items, int64_t count, size_t pointers_each, size_t *bytes) {
  MO_CHECK(count >= 0, MO_STATUS_INVALID_ARGUMENT, "%s: count %" PRId64 " is negative", op, count);
  MO_CHECK(items != NULL || count == 0, MO_STATUS_INVALID_ARGUMENT, "%s: the list is NULL, count is %" PRId64, op, count);
  int64_t total = 0;
  MO_CHECK(mo_checked_mul(count, (int64_t)(pointers_each * sizeof(void *)), &total), MO_STATUS_OUT_OF_MEMORY,
           "%s: %" PRId64 " entries are too many", op, count);
  *bytes = (size_t)total;
  return MO_STATUS_OK;
}

static mo_status_t check_wrapped(const mo_context_t *context, const mo_tensor *tensor) {
  const char *op = "field_create_tensor";
  MO_CHECK(tensor != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: tensor is NULL", op);
  mo_tensor checked;
  MO_TRY(mo_tensor_init_strided(&checked, tensor->data, tensor->dtype, tensor->device, tensor->rank, tensor->shape,
                                tensor->strides));
  const mo_device device = mo_context_device(context);
  const bool here = tensor->device.kind == device.kind && tensor->device.index == device.index;
  char tensor_name[32], device_name[32];
  MO_CHECK(here || tensor->device.kind == MO_DEVICE_KIND_CPU, MO_STATUS_INVALID_ARGUMENT,
           "%s: the tensor is on %s, it must be on %s or on the CPU", op,
           mo_device_name(tensor->device, tensor_name, sizeof tensor_name),
           mo_device_name(device, device_name, sizeof device_name));
  return MO_STATUS_OK;
}

/* The field and its source are one allocation. The source counts as written: whatever stands on the context's stream now is
 * what a read waits for. */
static mo_status_t make_tensor(mo_context_t *context, const mo_tensor *tensor, mo_release_function release, void *user_data,
                               mo_field **field) {
  mo_field *made = NULL;
  const size_t source_offset = mo_align_up(sizeof(mo_field), _Alignof(mo_source));
  MO_TRY(allocate(context, MO_FIELD_TENSOR, source_offset - sizeof(mo_field) + sizeof(mo_source), &made));
  mo_source *source = (mo_source *)((char *)made + source_offset);
  mo_status_t status = mo_source_init(source);
  if (status != MO_STATUS_OK) goto free_field;
  status = mo_source_mark_written(source, context, mo_context_stream(context));
  if (status != MO_STATUS_OK) {
    mo_source_destroy(source, context);
    goto free_field;
  }
  made->as.tensor.tensor = *tensor;
  made->as.tensor.source = source;
  made->as.tensor.release = release;
  made->as.tensor.user_data = user_data;
  *field = made;
  return MO_STATUS_OK;

free_field:
  mo_host_free(context, made, made->host_bytes);
  mo_context_release_reference(context);
  return status;
}

mo_status_t mo_field_create_tensor(mo_context_t *context, const mo_tensor *tensor, mo_release_function release, void *user_data,
                                   mo_field **field) {
  MO_TRY(check_call(context, field, "field_create_tensor"));
  mo_status_t status = check_wrapped(context, tensor);
  if (status == MO_STATUS_OK) status = make_tensor(context, tensor, release, user_data, field);
  return mo_context_note(context, status);
}

static int64_t count_values(const mo_field *field) { return field == NULL || field->depth == 0 ? 1 : field->value_count; }

void mo_field_measure(mo_field *field) {
  if (!has_items(field)) return;
  field->depth = 1;
  field->value_count = 1;
  for (int64_t i = 0; i < field->as.items.count; i++) {
    const mo_field *item = field->as.items.items[i];
    if (item != NULL && item->depth >= field->depth) field->depth = item->depth + 1;
    if (!mo_checked_add(field->value_count, count_values(item), &field->value_count)) field->value_count = INT64_MAX;
  }
}

/* Before a field is made of them. */
static mo_status_t check_depth(const char *op, mo_field *const *items, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    MO_CHECK(items[i] == NULL || items[i]->depth < MO_FIELD_DEPTH_LIMIT, MO_STATUS_INVALID_ARGUMENT,
             "%s: entry %" PRId64 " is nested %d deep, at most %d are allowed", op, i, MO_FIELD_DEPTH_LIMIT,
             MO_FIELD_DEPTH_LIMIT);
  }
  return MO_STATUS_OK;
}

static mo_status_t make_tuple(mo_context_t *context, mo_field *const *items, int64_t count, mo_field **field) {
  size_t bytes = 0;
  mo_field *made = NULL;
  MO_TRY(check_items("field_create_tuple", items, count, 1, &bytes));
  MO_TRY(check_depth("field_create_tuple", items, count));
  MO_TRY(allocate(context, MO_FIELD_TUPLE, bytes, &made));
  made->as.items.count = count;
  made->as.items.items = (mo_field **)(made + 1);
  for (int64_t i = 0; i < count; i++) made->as.items.items[i] = mo_field_retain(items[i]);
  mo_field_measure(made);
  *field = made;
  return MO_STATUS_OK;
}

mo_status_t mo_field_create_tuple(mo_context_t *context, mo_field *const *items, int64_t count, mo_field **field) {
  MO_TRY(check_call(context, field, "field_create_tuple"));
  return mo_context_note(context, make_tuple(context, items, count, field));
}

static mo_status_t check_layers(mo_field *const *tensors, int64_t layer_count, int32_t tensors_per_layer, size_t *bytes) {
  const char *op = "field_create_cache";
  size_t ignored = 0;
  int64_t total = 0;
  MO_CHECK(tensors_per_layer == 2 || tensors_per_layer == 4, MO_STATUS_INVALID_ARGUMENT,
           "%s: %d tensors per layer, there must be 2 or 4", op, (int)tensors_per_layer);
  MO_TRY(check_items(op, tensors, layer_count, 1, bytes));
  MO_CHECK(mo_checked_mul(layer_count, tensors_per_layer, &total), MO_STATUS_OUT_OF_MEMORY,
           "%s: %" PRId64 " layers are too many", op, layer_count);
  MO_TRY(check_items(op, tensors, total, 1, &ignored));
  for (int64_t i = 0; i < total; i++) {
    MO_CHECK(mo_field_kind(tensors[i]) == MO_FIELD_TENSOR, MO_STATUS_TYPE_ERROR,
             "%s: entry %" PRId64 " of layer %" PRId64 " is not a tensor", op, i % tensors_per_layer,
             i / tensors_per_layer);
  }
  return MO_STATUS_OK;
}

static mo_status_t make_cache(mo_context_t *context, mo_field *const *tensors, int64_t layer_count, int32_t tensors_per_layer,
                              mo_field **field) {
  size_t bytes = 0;
  mo_field *made = NULL;
  MO_TRY(check_layers(tensors, layer_count, tensors_per_layer, &bytes));
  MO_TRY(allocate(context, MO_FIELD_CACHE, bytes, &made));
  made->tensors_per_layer = tensors_per_layer;
  made->as.items.count = layer_count;
  made->as.items.items = (mo_field **)(made + 1);
  for (int64_t i = 0; i < layer_count; i++) {
    const mo_status_t status =
        make_tuple(context, tensors + i * tensors_per_layer, tensors_per_layer, &made->as.items.items[i]);
    if (status != MO_STATUS_OK) {
      mo_field_release(made);
      return status;
    }
  }
  mo_field_measure(made);
  *field = made;
  return MO_STATUS_OK;
}

mo_status_t mo_field_create_cache(mo_context_t *context, mo_field *const *tensors, int64_t layer_count,
                                  int32_t tensors_per_layer, mo_field **field) {
  MO_TRY(check_call(context, field, "field_create_cache"));
  return mo_context_note(context, make_cache(context, tensors, layer_count, tensors_per_layer, field));
}

static mo_status_t check_dict(const char *op, const char *const *keys, mo_field *const *values, int64_t count, size_t *bytes,
                              size_t *text_bytes) {
  MO_TRY(check_items(op, keys, count, 2, bytes));
  MO_CHECK(values != NULL || count == 0, MO_STATUS_INVALID_ARGUMENT, "%s: values is NULL, count is %" PRId64, op, count);
  MO_CHECK(count <= INT32_MAX / 4, MO_STATUS_OUT_OF_MEMORY, "%s: %" PRId64 " entries are too many", op, count);
  MO_TRY(check_depth(op, values, count));
  *text_bytes = 0;
  for (int64_t i = 0; i < count; i++) {
    MO_CHECK(keys[i] != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: key %" PRId64 " is NULL", op, i);
    *text_bytes += strlen(keys[i]) + 1;
  }
  MO_CHECK(*text_bytes <= SIZE_MAX / 4 - *bytes, MO_STATUS_OUT_OF_MEMORY, "%s: the keys are too long", op);
  return MO_STATUS_OK;
}

/* After the field: values, keys, the slots of their index, the keys' text. */
static mo_status_t make_dict(mo_context_t *context, const char *const *keys, mo_field *const *values, int64_t count,
                             mo_field **field) {
  const char *op = "field_create_dict";
  size_t bytes = 0, text_bytes = 0;
  mo_field *made = NULL;
  MO_TRY(check_dict(op, keys, values, count, &bytes, &text_bytes));
  const int64_t slot_count = mo_name_index_slots(count);
  MO_TRY(allocate(context, MO_FIELD_DICT, bytes + (size_t)slot_count * sizeof(mo_name_slot) + text_bytes, &made));
  made->as.items.items = (mo_field **)(made + 1);
  made->as.items.keys = (const char **)(made->as.items.items + count);
  mo_name_slot *slots = (mo_name_slot *)(made->as.items.keys + count);
  char *text = (char *)(slots + slot_count);
  if (slot_count > 0) mo_name_index_build(&made->as.items.index, slots, slot_count, keys_of(made), 0);
  for (int64_t i = 0; i < count; i++) {
    int64_t place = key_position(made, keys[i]);
    if (place < 0) {
      const size_t length = strlen(keys[i]) + 1;
      memcpy(text, keys[i], length);
      place = made->as.items.count++;
      made->as.items.keys[place] = text;
      text += length;
      if (slot_count > 0) mo_name_index_add(&made->as.items.index, keys[i], place);
    }
    mo_field *before = made->as.items.items[place];
    made->as.items.items[place] = mo_field_retain(values[i]);
    mo_field_release(before);
  }
  mo_field_measure(made);
  *field = made;
  return MO_STATUS_OK;
}

mo_status_t mo_field_create_dict(mo_context_t *context, const char *const *keys, mo_field *const *values, int64_t count,
                                 mo_field **field) {
  MO_TRY(check_call(context, field, "field_create_dict"));
  return mo_context_note(context, make_dict(context, keys, values, count, field));
}

mo_status_t mo_field_create_integer(mo_context_t *context, int64_t value, mo_field **field) {
  MO_TRY(check_call(context, field, "field_create_integer"));
  const mo_status_t status = allocate(context, MO_FIELD_INTEGER, 0, field);
  if (status == MO_STATUS_OK) (*field)->as.integer = value;
  return mo_context_note(context, status);
}

mo_status_t mo_field_create_real(mo_context_t *context, double value, mo_field **field) {
  MO_TRY(check_call(context, field, "field_create_real"));
  const mo_status_t status = allocate(context, MO_FIELD_REAL, 0, field);
  if (status == MO_STATUS_OK) (*field)->as.real = value;
  return mo_context_note(context, status);
}

mo_status_t mo_field_create_string(mo_context_t *context, const char *value, mo_field **field) {
  MO_TRY(check_call(context, field, "field_create_string"));
  MO_CHECK(value != NULL, MO_STATUS_INVALID_ARGUMENT, "field_create_string: value is NULL");
  const size_t length = strlen(value) + 1;
  const mo_status_t status = allocate(context, MO_FIELD_STRING, length, field);
  if (status == MO_STATUS_OK) (*field)->as.string = memcpy(*field + 1, value, length);
  return mo_context_note(context, status);
}

/* ---- Reference counting -------------------------------------------------------------------------------------------- */

mo_field *mo_field_retain(mo_field *field) {
  if (field == NULL) return NULL;
  if (field->block != NULL) {
    mo_output_block_retain(field->block);
  } else {
    atomic_fetch_add_explicit(&field->references, 1, memory_order_relaxed);
  }
  return field;
}

static void destroy(mo_field *field) {
  mo_context_t *context = field->context;
  if (field->kind == MO_FIELD_TENSOR) {
    mo_field_free_mirrors(field);
    mo_source_destroy(field->as.tensor.source, context);
    if (field->as.tensor.release != NULL) field->as.tensor.release(field->as.tensor.user_data);
  }
  for (int64_t i = 0; i < mo_field_length(field); i++) mo_field_release(field->as.items.items[i]);
  if (field->owner_release != NULL) field->owner_release(field->owner);
  mo_host_free(context, field, field->host_bytes);
  mo_context_release_reference(context);
}

void mo_field_release(mo_field *field) {
  if (field == NULL) return;
  if (field->block != NULL) {
    mo_output_block_release(field->block);
  } else if (atomic_fetch_sub_explicit(&field->references, 1, memory_order_acq_rel) == 1) {
    destroy(field);
  }
}

/* ---- Owners -------------------------------------------------------------------------------------------------------- */

void mo_field_set_owner(mo_field *field, void *owner, mo_release_function release) {
  field->owner = owner;
  field->owner_release = release;
}

void *mo_field_owner(const mo_field *field, mo_release_function release) {
  return field != NULL && field->owner_release == release ? field->owner : NULL;
}
