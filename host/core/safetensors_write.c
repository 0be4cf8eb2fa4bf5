/* host/core/safetensors_write.c - writes a safetensors file in one go.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/checked_math.h"
#include "host/core/error.h"
#include "host/core/file_writer.h"
#include "host/core/json.h"
#include "host/core/utf8.h"
#include "modelout/safetensors.h"

#define HEADER_BYTES_LIMIT 100000000
#define DATA_ALIGNMENT 8
#define METADATA_KEY "__metadata__"

typedef struct item {
  const char *name;
  const mo_tensor *tensor;
} item;

/* Widest elements first keeps every tensor aligned without gaps, which the format does not allow. */
static int compare_items(const void *left, const void *right) {
  const item *a = left, *b = right;
  const size_t a_bytes = mo_dtype_bytes(a->tensor->dtype), b_bytes = mo_dtype_bytes(b->tensor->dtype);
  if (a_bytes != b_bytes) return a_bytes > b_bytes ? -1 : 1;
  return strcmp(a->name, b->name);
}

static mo_status_t check_tensor(const char *name, const mo_tensor *tensor) {
  MO_CHECK(name != NULL, MO_STATUS_INVALID_ARGUMENT, "safetensors_write: a name is NULL");
  MO_CHECK(strcmp(name, METADATA_KEY) != 0, MO_STATUS_INVALID_ARGUMENT,
           "safetensors_write: \"%s\" is the format's own key, no tensor may have it", name);
  MO_CHECK(tensor->device.kind == MO_DEVICE_KIND_CPU, MO_STATUS_INVALID_ARGUMENT,
           "safetensors_write: tensor \"%s\" does not lie on the host", mo_name_show(name).text);
  mo_tensor again; /* the same checks as a new descriptor: dtype, rank, extents, overflow, data */
  const mo_status_t status =
      mo_tensor_init_strided(&again, tensor->data, tensor->dtype, tensor->device, tensor->rank, tensor->shape, tensor->strides);
  if (status != MO_STATUS_OK) {
    char reason[256];
    snprintf(reason, sizeof reason, "%s", mo_last_error());
    return mo_fail(status, "safetensors_write: tensor \"%s\": %s", mo_name_show(name).text, reason);
  }
  MO_CHECK(mo_tensor_is_contiguous(tensor), MO_STATUS_INVALID_ARGUMENT, "safetensors_write: tensor \"%s\" is not contiguous",
           mo_name_show(name).text);
  return MO_STATUS_OK;
}

static mo_status_t out_of_memory(void) {
  return mo_fail(MO_STATUS_OUT_OF_MEMORY, "safetensors_write: no memory for the header");
}

/* Takes `value`. */
static mo_status_t add(json_t *object, const char *key, json_t *value) {
  if (value == NULL) return out_of_memory();
  return json_object_set_new_nocheck(object, key, value) == 0 ? MO_STATUS_OK : out_of_memory();
}

/* jansson answers both to text that is none and to a lack of memory with NULL, so text is looked at before. */
static mo_status_t check_text(const char *text) {
  MO_CHECK(mo_utf8_is_valid(text), MO_STATUS_INVALID_ARGUMENT, "safetensors_write: \"%s\" is not valid UTF-8",
           mo_name_show(text).text);
  return MO_STATUS_OK;
}

static mo_status_t add_metadata(json_t *header, const char *const *keys, const char *const *values, int64_t count) {
  if (count == 0) return MO_STATUS_OK;
  json_t *metadata = json_object();
  MO_TRY(add(header, METADATA_KEY, metadata)); /* the header owns it from here on */
  for (int64_t i = 0; i < count; i++) {
    MO_CHECK(keys[i] != NULL && values[i] != NULL, MO_STATUS_INVALID_ARGUMENT,
             "safetensors_write: metadata entry %" PRId64 " has a NULL key or value", i);
    MO_CHECK(json_object_get(metadata, keys[i]) == NULL, MO_STATUS_INVALID_ARGUMENT,
             "safetensors_write: metadata key \"%s\" occurs twice", mo_name_show(keys[i]).text);
    MO_TRY(check_text(keys[i]));
    MO_CHECK(mo_utf8_is_valid(values[i]), MO_STATUS_INVALID_ARGUMENT,
             "safetensors_write: metadata \"%s\": value is not valid UTF-8", mo_name_show(keys[i]).text);
    MO_TRY(add(metadata, keys[i], json_string_nocheck(values[i])));
  }
  return MO_STATUS_OK;
}

static mo_status_t add_tensor(json_t *header, const item *entry, int64_t *offset) {
  int64_t end;
  MO_TRY(check_text(entry->name));
  MO_CHECK(json_object_get(header, entry->name) == NULL, MO_STATUS_INVALID_ARGUMENT,
           "safetensors_write: the name \"%s\" occurs twice", mo_name_show(entry->name).text);
  MO_CHECK(mo_checked_add(*offset, mo_tensor_bytes(entry->tensor), &end), MO_STATUS_INVALID_ARGUMENT,
           "safetensors_write: tensor \"%s\": the data overflow 64 bits", mo_name_show(entry->name).text);
  json_t *shape = json_array();
  for (int32_t i = 0; i < entry->tensor->rank; i++) {
    if (json_array_append_new(shape, json_integer(entry->tensor->shape[i])) != 0) {
      json_decref(shape);
      return out_of_memory();
    }
  }
  json_t *info = json_pack("{s:s, s:o, s:[I, I]}", "dtype", mo_dtype_safetensors_name(entry->tensor->dtype), "shape", shape,
                           "data_offsets", (json_int_t)*offset, (json_int_t)end);
  MO_TRY(add(header, entry->name, info));
  *offset = end;
  return MO_STATUS_OK;
}

/* The 8 bytes of length, the JSON text and its padding, in one block of *bytes. */
static mo_status_t make_header(const item *items, int64_t count, const char *const *metadata_keys,
                               const char *const *metadata_values, int64_t metadata_count, char **block, size_t *bytes) {
  mo_status_t status = MO_STATUS_OK;
  char *text = NULL;
  json_t *header = json_object();
  if (header == NULL) return out_of_memory();
  MO_TRY_GOTO(add_metadata(header, metadata_keys, metadata_values, metadata_count), status, done);
  int64_t offset = 0;
  for (int64_t i = 0; i < count; i++) MO_TRY_GOTO(add_tensor(header, &items[i], &offset), status, done);
  MO_TRY_GOTO(mo_json_write(header, JSON_COMPACT, &text), status, done);
  const size_t length = strlen(text);
  const size_t padded = mo_align_up(length, DATA_ALIGNMENT); /* the 8 bytes before it keep the multiple */
  if (padded > HEADER_BYTES_LIMIT) {
    status = mo_fail(MO_STATUS_INVALID_ARGUMENT, "safetensors_write: header of %zu bytes, the format allows %d", padded,
                     HEADER_BYTES_LIMIT);
    goto done;
  }
  *block = malloc(8 + padded);
  if (*block == NULL) {
    status = out_of_memory();
    goto done;
  }
  for (int i = 0; i < 8; i++) (*block)[i] = (char)(unsigned char)((uint64_t)padded >> (8 * i));
  memcpy(*block + 8, text, length);
  memset(*block + 8 + length, ' ', padded - length);
  *bytes = 8 + padded;
done:
  free(text);
  json_decref(header);
  return status;
}

static mo_status_t write_content(mo_file_writer *writer, const char *header, size_t header_bytes, const item *items,
                                 int64_t count) {
  MO_TRY(mo_file_writer_write(writer, header, header_bytes));
  for (int64_t i = 0; i < count; i++)
    MO_TRY(mo_file_writer_write(writer, items[i].tensor->data, (size_t)mo_tensor_bytes(items[i].tensor)));
  return MO_STATUS_OK;
}

static mo_status_t write_file(const char *path, const char *header, size_t header_bytes, const item *items, int64_t count) {
  bool cannot_link = false;
  mo_status_t status = MO_STATUS_OK;
  for (int attempt = 0; attempt == 0 || (attempt == 1 && cannot_link); attempt++) {
    mo_file_writer writer;
    MO_TRY(mo_file_writer_open(&writer, "safetensors_write", path, cannot_link));
    status = write_content(&writer, header, header_bytes, items, count);
    if (status == MO_STATUS_OK) status = mo_file_writer_finish(&writer, &cannot_link);
    else mo_file_writer_abandon(&writer);
  }
  return status;
}

mo_status_t mo_safetensors_write(const char *path, const char *const *names, const mo_tensor *tensors, int64_t count,
                                 const char *const *metadata_keys, const char *const *metadata_values, int64_t metadata_count) {
  MO_CHECK(path != NULL && path[0] != '\0', MO_STATUS_INVALID_ARGUMENT, "safetensors_write: path is %s",
           path ? "empty" : "NULL");
  MO_CHECK(count >= 0 && metadata_count >= 0, MO_STATUS_INVALID_ARGUMENT,
           "safetensors_write: %" PRId64 " tensors and %" PRId64 " metadata entries, neither may be negative", count,
           metadata_count);
  MO_CHECK(count == 0 || (names != NULL && tensors != NULL), MO_STATUS_INVALID_ARGUMENT,
           "safetensors_write: names or tensors is NULL");
  MO_CHECK(metadata_count == 0 || (metadata_keys != NULL && metadata_values != NULL), MO_STATUS_INVALID_ARGUMENT,
           "safetensors_write: metadata_keys or metadata_values is NULL");
  MO_CHECK(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, MO_STATUS_UNSUPPORTED,
           "safetensors_write: the format is little-endian, this machine is not");
  for (int64_t i = 0; i < count; i++) MO_TRY(check_tensor(names[i], &tensors[i]));

  mo_status_t status = MO_STATUS_OK;
  char *header = NULL;
  size_t header_bytes = 0;
  item *items = calloc((size_t)count + 1, sizeof *items);
  if (items == NULL) return out_of_memory();
  for (int64_t i = 0; i < count; i++) items[i] = (item){names[i], &tensors[i]};
  qsort(items, (size_t)count, sizeof *items, compare_items);
  MO_TRY_GOTO(make_header(items, count, metadata_keys, metadata_values, metadata_count, &header, &header_bytes), status, done);
  status = write_file(path, header, header_bytes, items, count);
done:
  free(header);
  free(items);
  return status;
}
