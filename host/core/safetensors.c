/* host/core/safetensors.c - the strict reader of the safetensors format, over a file or memory of the caller.
 *
 * Everything is checked when the file is opened, so that a tensor handed out later cannot point outside the data. The parsed
 * header stays alive as the store of the names and the metadata; tensors are found by binary search over the sorted names. The
 * header is read, not mapped; the file is mapped when the first tensor is handed out, and never if tensors are only read.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/core/checked_math.h"
#include "host/core/error.h"
#include "host/core/file.h"
#include "host/core/json.h"

#define HEADER_LENGTH_BYTES 8
#define HEADER_BYTES_LIMIT 100000000 /* the format's own limit */
#define BEGINNING_BYTES ((size_t)64) /* enough for the header's length, and to know a Git LFS pointer */
#define CAST_BYTES ((size_t)4096)    /* on the stack, for elements that are cast as they are read */
#define METADATA_KEY "__metadata__"

/* How the elements of a type become those of its dtype. */
typedef enum cast_kind { CAST_NONE, CAST_DOUBLE, CAST_E5M2 } cast_kind;

/* Bits, because the format has elements below a byte. MO_DTYPE_NONE: legal, but nothing here can compute with it. */
typedef struct storage_type {
  const char *name;
  int32_t bits;
  mo_dtype_t dtype;
  cast_kind cast;
} storage_type;

static const storage_type storage_types[] = {
    {"BOOL", 8, MO_DTYPE_BOOL, CAST_NONE},       {"U8", 8, MO_DTYPE_UINT8, CAST_NONE},
    {"I8", 8, MO_DTYPE_INT8, CAST_NONE},         {"F8_E4M3", 8, MO_DTYPE_FLOAT8_E4M3, CAST_NONE},
    {"F16", 16, MO_DTYPE_FLOAT16, CAST_NONE},    {"BF16", 16, MO_DTYPE_BFLOAT16, CAST_NONE},
    {"I32", 32, MO_DTYPE_INT32, CAST_NONE},      {"F32", 32, MO_DTYPE_FLOAT32, CAST_NONE},
    {"I64", 64, MO_DTYPE_INT64, CAST_NONE},      {"F64", 64, MO_DTYPE_FLOAT32, CAST_DOUBLE},
    {"F8_E5M2", 8, MO_DTYPE_FLOAT16, CAST_E5M2}, {"F8_E8M0", 8, MO_DTYPE_NONE, CAST_NONE},
    {"I16", 16, MO_DTYPE_NONE, CAST_NONE},       {"U16", 16, MO_DTYPE_NONE, CAST_NONE},
    {"U32", 32, MO_DTYPE_NONE, CAST_NONE},       {"U64", 64, MO_DTYPE_NONE, CAST_NONE},
    {"C64", 64, MO_DTYPE_NONE, CAST_NONE},       {"F4", 4, MO_DTYPE_NONE, CAST_NONE},
    {"F6_E2M3", 6, MO_DTYPE_NONE, CAST_NONE},    {"F6_E3M2", 6, MO_DTYPE_NONE, CAST_NONE},
};

typedef struct tensor_entry {
  const char *name; /* of the parsed header */
  size_t position;  /* in the header */
  const storage_type *type;
  int64_t begin, end; /* bytes, from the start of the data */
  size_t rank;        /* may be over MO_MAX_DIMS; the shape is then not kept */
  int64_t shape[MO_MAX_DIMS];
} tensor_entry;

struct mo_safetensors {
  mo_shown label;     /* how error sentences call the file */
  int descriptor;     /* -1: memory of the caller */
  size_t size;        /* of the whole file */
  size_t data_offset; /* of what the tensors' offsets count from */
  /* The whole file: memory of the caller, or the mapping, NULL before the first tensor is handed out. */
  _Atomic(const unsigned char *) bytes;
  json_t *header;
  tensor_entry *entries;  /* in the order of the data */
  tensor_entry **by_name; /* sorted */
  size_t count;
};

#define BAD_TENSOR(file, name, rule, ...)                                                                                      \
  mo_fail(MO_STATUS_BAD_FILE, "safetensors: %s: tensor \"%s\": " rule, (file)->label.text, mo_name_show(name).text, __VA_ARGS__)

/* ---- The header ---- */

static const storage_type *find_storage_type(const char *name) {
  for (size_t i = 0; i < sizeof storage_types / sizeof storage_types[0]; i++)
    if (strcmp(storage_types[i].name, name) == 0) return &storage_types[i];
  return NULL;
}

static mo_status_t parse_shape(const mo_safetensors_t *file, const json_t *shape, tensor_entry *entry, int64_t *bytes) {
  if (!json_is_array(shape))
    return BAD_TENSOR(file, entry->name, "shape is %s, must be an array", shape ? "no array" : "missing");
  entry->rank = json_array_size(shape);
  int64_t count = 1; /* elements */
  int64_t bound = 1; /* the same with 1 for 0: strides of an empty tensor must not overflow either */
  for (size_t i = 0; i < entry->rank; i++) {
    const json_t *extent = json_array_get(shape, i);
    if (!json_is_integer(extent)) return BAD_TENSOR(file, entry->name, "shape[%zu] is no integer", i);
    const int64_t value = json_integer_value(extent);
    if (value < 0) return BAD_TENSOR(file, entry->name, "shape[%zu] is %" PRId64 ", must not be negative", i, value);
    if (!mo_checked_mul(bound, value > 0 ? value : 1, &bound))
      return BAD_TENSOR(file, entry->name, "the product of the shape overflows 64 bits at shape[%zu] = %" PRId64, i, value);
    count *= value;
    if (i < MO_MAX_DIMS) entry->shape[i] = value;
  }
  int64_t bits;
  if (!mo_checked_mul(bound, entry->type->bits, &bits))
    return BAD_TENSOR(file, entry->name, "%" PRId64 " elements of %s overflow 64 bits", bound, entry->type->name);
  bits = count * entry->type->bits;
  if (bits % 8 != 0)
    return BAD_TENSOR(file, entry->name, "%" PRId64 " elements of %s do not fill whole bytes", count, entry->type->name);
  *bytes = bits / 8;
  return MO_STATUS_OK;
}

static mo_status_t parse_offsets(const mo_safetensors_t *file, const json_t *offsets, tensor_entry *entry) {
  if (!json_is_array(offsets) || json_array_size(offsets) != 2)
    return BAD_TENSOR(file, entry->name, "data_offsets is %s, must be an array of 2 integers",
                      offsets ? "something else" : "missing");
  const json_t *begin = json_array_get(offsets, 0);
  const json_t *end = json_array_get(offsets, 1);
  if (!json_is_integer(begin) || !json_is_integer(end))
    return BAD_TENSOR(file, entry->name, "data_offsets[%d] is no integer", json_is_integer(begin) ? 1 : 0);
  entry->begin = json_integer_value(begin);
  entry->end = json_integer_value(end);
  const int64_t limit = (int64_t)(file->size - file->data_offset);
  if (entry->begin < 0 || entry->end < entry->begin)
    return BAD_TENSOR(file, entry->name, "data_offsets [%" PRId64 ", %" PRId64 "] are no range, need 0 <= begin <= end",
                      entry->begin, entry->end);
  if (entry->end > limit)
    return BAD_TENSOR(file, entry->name, "data_offsets end at %" PRId64 ", but the file holds %" PRId64 " bytes of data",
                      entry->end, limit);
  return MO_STATUS_OK;
}

static mo_status_t parse_tensor(const mo_safetensors_t *file, const char *name, const json_t *value, tensor_entry *entry) {
  entry->name = name;
  if (!json_is_object(value)) return BAD_TENSOR(file, name, "its entry is %s, must be an object", "something else");
  const json_t *dtype = json_object_get(value, "dtype");
  if (!json_is_string(dtype)) return BAD_TENSOR(file, name, "dtype is %s, must be a string", dtype ? "no string" : "missing");
  entry->type = find_storage_type(json_string_value(dtype));
  if (entry->type == NULL)
    return BAD_TENSOR(file, name, "dtype \"%s\" is not one of the format", mo_name_show(json_string_value(dtype)).text);
  int64_t bytes = 0;
  MO_TRY(parse_shape(file, json_object_get(value, "shape"), entry, &bytes));
  MO_TRY(parse_offsets(file, json_object_get(value, "data_offsets"), entry));
  if (bytes != entry->end - entry->begin)
    return BAD_TENSOR(file, name, "shape and dtype need %" PRId64 " bytes, data_offsets give %" PRId64, bytes,
                      entry->end - entry->begin);
  return MO_STATUS_OK;
}

static mo_status_t check_metadata(const mo_safetensors_t *file, json_t *metadata) {
  MO_CHECK(json_is_object(metadata), MO_STATUS_BAD_FILE, "safetensors: %s: \"" METADATA_KEY "\" must be an object of strings",
           file->label.text);
  const char *key;
  json_t *value;
  json_object_foreach(metadata, key, value) {
    MO_CHECK(json_is_string(value), MO_STATUS_BAD_FILE, "safetensors: %s: \"" METADATA_KEY "\": \"%s\" must be a string",
             file->label.text, mo_name_show(key).text);
  }
  return MO_STATUS_OK;
}

static int compare_position(const void *left, const void *right) {
  const tensor_entry *a = left, *b = right;
  if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
  if (a->end != b->end) return a->end < b->end ? -1 : 1;
  return a->position < b->position ? -1 : 1; /* empty tensors at one place keep the header's order */
}

static int compare_name(const void *left, const void *right) {
  const tensor_entry *const *a = left, *const *b = right;
  return strcmp((*a)->name, (*b)->name);
}

/* Sorted by position the tensors must follow one another exactly, from the first byte of the data to the last. */
static mo_status_t check_layout(const mo_safetensors_t *file) {
  const int64_t data_bytes = (int64_t)(file->size - file->data_offset);
  int64_t expected = 0;
  for (size_t i = 0; i < file->count; i++) {
    const tensor_entry *entry = &file->entries[i];
    if (entry->begin < expected)
      return BAD_TENSOR(file, entry->name, "begins at %" PRId64 " inside tensor \"%s\", which ends at %" PRId64, entry->begin,
                        mo_name_show(file->entries[i - 1].name).text, expected);
    if (entry->begin > expected)
      return BAD_TENSOR(file, entry->name, "begins at %" PRId64 ", leaving a hole after %" PRId64, entry->begin, expected);
    expected = entry->end;
  }
  MO_CHECK(expected == data_bytes, MO_STATUS_BAD_FILE, "safetensors: %s: %" PRId64 " bytes follow the last tensor, none may",
           file->label.text, data_bytes - expected);
  return MO_STATUS_OK;
}

/* `beginning`: the first bytes of the file, at least 8 or all of them. */
static mo_status_t find_header(mo_safetensors_t *file, const unsigned char *beginning, size_t *header_bytes) {
  MO_CHECK(file->size >= HEADER_LENGTH_BYTES, MO_STATUS_BAD_FILE,
           "safetensors: %s: %zu bytes, the header length alone takes %d", file->label.text, file->size, HEADER_LENGTH_BYTES);
  uint64_t length = 0;
  for (int i = 0; i < HEADER_LENGTH_BYTES; i++) length |= (uint64_t)beginning[i] << (8 * i);
  MO_CHECK(length <= HEADER_BYTES_LIMIT, MO_STATUS_BAD_FILE,
           "safetensors: %s: header of %" PRIu64 " bytes, at most %d are allowed", file->label.text, length,
           HEADER_BYTES_LIMIT);
  MO_CHECK(length <= file->size - HEADER_LENGTH_BYTES, MO_STATUS_BAD_FILE,
           "safetensors: %s: header of %" PRIu64 " bytes, but only %zu follow", file->label.text, length,
           file->size - HEADER_LENGTH_BYTES);
  file->data_offset = HEADER_LENGTH_BYTES + (size_t)length;
  *header_bytes = (size_t)length;
  return MO_STATUS_OK;
}

static mo_status_t parse_header(mo_safetensors_t *file, const char *text, size_t bytes) {
  char source[sizeof(mo_shown) + 32];
  MO_CHECK(bytes > 0 && text[0] == '{', MO_STATUS_BAD_FILE, "safetensors: %s: the header does not begin with '{'",
           file->label.text);
  snprintf(source, sizeof source, "safetensors: %s: header", file->label.text);
  MO_TRY(mo_json_read_object(source, text, bytes, MO_JSON_STRICT, &file->header));
  const size_t capacity = json_object_size(file->header);
  file->entries = calloc(capacity + 1, sizeof *file->entries);
  file->by_name = calloc(capacity + 1, sizeof *file->by_name);
  MO_CHECK(file->entries != NULL && file->by_name != NULL, MO_STATUS_OUT_OF_MEMORY,
           "safetensors: %s: no memory for %zu tensors", file->label.text, capacity);
  const char *key;
  json_t *value;
  json_object_foreach(file->header, key, value) {
    if (strcmp(key, METADATA_KEY) == 0) {
      MO_TRY(check_metadata(file, value));
    } else {
      file->entries[file->count].position = file->count;
      MO_TRY(parse_tensor(file, key, value, &file->entries[file->count]));
      file->count++;
    }
  }
  qsort(file->entries, file->count, sizeof *file->entries, compare_position);
  for (size_t i = 0; i < file->count; i++) file->by_name[i] = &file->entries[i];
  qsort(file->by_name, file->count, sizeof *file->by_name, compare_name);
  return check_layout(file);
}

/* ---- Opening and closing ---- */

static mo_status_t create(const char *label, mo_safetensors_t **file) {
  MO_CHECK(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, MO_STATUS_UNSUPPORTED,
           "safetensors: %s: the data are little-endian, this machine is not", mo_path_show(label).text);
  *file = calloc(1, sizeof **file);
  MO_CHECK(*file != NULL, MO_STATUS_OUT_OF_MEMORY, "safetensors: %s: no memory for the reader", mo_path_show(label).text);
  (*file)->label = mo_path_show(label);
  (*file)->descriptor = -1;
  return MO_STATUS_OK;
}

static mo_status_t read_header(mo_safetensors_t *file, const char *path) {
  unsigned char beginning[BEGINNING_BYTES];
  int64_t size;
  size_t bytes;
  MO_TRY(mo_file_open(path, &file->descriptor, &size));
  file->size = (size_t)size;
  const size_t first = file->size < BEGINNING_BYTES ? file->size : BEGINNING_BYTES;
  MO_TRY(mo_file_read_at(file->descriptor, path, 0, beginning, first));
  MO_TRY(mo_file_check_pointer(path, beginning, first));
  MO_TRY(find_header(file, beginning, &bytes));
  char *text = malloc(bytes + 1);
  MO_CHECK(text != NULL, MO_STATUS_OUT_OF_MEMORY, "safetensors: %s: no memory for a header of %zu bytes", file->label.text,
           bytes);
  mo_status_t status = mo_file_read_at(file->descriptor, path, HEADER_LENGTH_BYTES, text, bytes);
  if (status == MO_STATUS_OK) status = parse_header(file, text, bytes);
  free(text);
  return status;
}

mo_status_t mo_safetensors_open(const char *path, mo_safetensors_t **file) {
  MO_CHECK(path != NULL && file != NULL, MO_STATUS_INVALID_ARGUMENT, "safetensors_open: path and file must not be NULL");
  mo_safetensors_t *opened = NULL;
  MO_TRY(create(path, &opened));
  const mo_status_t status = read_header(opened, path);
  if (status != MO_STATUS_OK) {
    mo_safetensors_close(opened);
    return status;
  }
  *file = opened;
  return MO_STATUS_OK;
}

mo_status_t mo_safetensors_open_memory(const void *data, size_t bytes, mo_safetensors_t **file) {
  MO_CHECK(file != NULL, MO_STATUS_INVALID_ARGUMENT, "safetensors_open_memory: file must not be NULL");
  MO_CHECK(data != NULL || bytes == 0, MO_STATUS_INVALID_ARGUMENT, "safetensors_open_memory: data is NULL with %zu bytes",
           bytes);
  MO_CHECK(bytes <= INT64_MAX, MO_STATUS_INVALID_ARGUMENT, "safetensors_open_memory: %zu bytes, at most %" PRId64, bytes,
           INT64_MAX);
  mo_safetensors_t *opened = NULL;
  size_t header_bytes;
  mo_status_t status;
  MO_TRY(create("memory", &opened));
  opened->bytes = data;
  opened->size = bytes;
  MO_TRY_GOTO(find_header(opened, data, &header_bytes), status, failed);
  MO_TRY_GOTO(parse_header(opened, (const char *)data + HEADER_LENGTH_BYTES, header_bytes), status, failed);
  *file = opened;
  return MO_STATUS_OK;
failed:
  mo_safetensors_close(opened);
  return status;
}

void mo_safetensors_close(mo_safetensors_t *file) {
  if (file == NULL) return;
  json_decref(file->header);
  free(file->by_name);
  free(file->entries);
  if (file->descriptor >= 0) {
    if (file->bytes != NULL) munmap((void *)file->bytes, file->size);
    close(file->descriptor);
  }
  free(file);
}

/* ---- Asking ---- */

int64_t mo_safetensors_count(const mo_safetensors_t *file) { return file == NULL ? 0 : (int64_t)file->count; }

const char *mo_safetensors_name(const mo_safetensors_t *file, int64_t index) {
  return index < 0 || index >= mo_safetensors_count(file) ? NULL : file->entries[index].name;
}

static mo_status_t find(const mo_safetensors_t *file, const char *name, const tensor_entry **entry) {
  const tensor_entry key = {.name = name};
  const tensor_entry *key_pointer = &key;
  tensor_entry *const *found =
      file->count == 0 ? NULL : bsearch(&key_pointer, file->by_name, file->count, sizeof *file->by_name, compare_name);
  MO_CHECK(found != NULL, MO_STATUS_KEY_ERROR, "safetensors: %s: there is no tensor \"%s\"", file->label.text,
           mo_name_show(name).text);
  *entry = *found;
  return MO_STATUS_OK;
}

static mo_status_t describe(const mo_safetensors_t *file, const tensor_entry *entry, const void *data, mo_tensor *tensor) {
  MO_CHECK(entry->type->dtype != MO_DTYPE_NONE, MO_STATUS_UNSUPPORTED,
           "safetensors: %s: tensor \"%s\": dtype %s is not supported", file->label.text, mo_name_show(entry->name).text,
           entry->type->name);
  MO_CHECK(entry->rank <= MO_MAX_DIMS, MO_STATUS_UNSUPPORTED, "safetensors: %s: tensor \"%s\": rank %zu is over %d",
           file->label.text, mo_name_show(entry->name).text, entry->rank, MO_MAX_DIMS);
  /* A tensor is not initialised without data, so the place holder is the file itself. */
  MO_TRY(mo_tensor_init(tensor, (void *)(data != NULL ? data : file), entry->type->dtype, (mo_device){MO_DEVICE_KIND_CPU, 0},
                        (int32_t)entry->rank, entry->shape));
  tensor->data = (void *)data;
  return MO_STATUS_OK;
}

mo_status_t mo_safetensors_describe(const mo_safetensors_t *file, const char *name, mo_tensor *tensor) {
  const tensor_entry *entry;
  MO_CHECK(file != NULL && name != NULL && tensor != NULL, MO_STATUS_INVALID_ARGUMENT,
           "safetensors_describe: file, name and tensor must not be NULL");
  MO_TRY(find(file, name, &entry));
  return describe(file, entry, NULL, tensor);
}

/* Several threads may ask at once: one mapping wins, the others go. */
static mo_status_t map_file(mo_safetensors_t *file, const unsigned char **bytes) {
  struct stat info;
  *bytes = file->bytes;
  if (*bytes != NULL) return MO_STATUS_OK;
  MO_CHECK(fstat(file->descriptor, &info) == 0 && (uint64_t)info.st_size >= file->size, MO_STATUS_IO_ERROR,
           "safetensors: %s: is shorter than when it was opened", file->label.text);
  void *mapping = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, file->descriptor, 0);
  if (mapping == MAP_FAILED) {
    char reason[128];
    const int number = errno;
    return mo_fail(MO_STATUS_IO_ERROR, "safetensors: %s: cannot be mapped: %s", file->label.text,
                   strerror_r(number, reason, sizeof reason));
  }
  const unsigned char *expected = NULL;
  if (atomic_compare_exchange_strong(&file->bytes, &expected, mapping)) {
    *bytes = mapping;
  } else {
    munmap(mapping, file->size);
    *bytes = expected;
  }
  return MO_STATUS_OK;
}

mo_status_t mo_safetensors_tensor(const mo_safetensors_t *file, const char *name, mo_tensor *tensor) {
  const tensor_entry *entry;
  const unsigned char *bytes;
  MO_CHECK(file != NULL && name != NULL && tensor != NULL, MO_STATUS_INVALID_ARGUMENT,
           "safetensors_tensor: file, name and tensor must not be NULL");
  MO_TRY(find(file, name, &entry));
  MO_CHECK(entry->type->cast == CAST_NONE, MO_STATUS_UNSUPPORTED,
           "safetensors: %s: tensor \"%s\": dtype %s is not supported in the file itself, mo_safetensors_read casts it to %s",
           file->label.text, mo_name_show(name).text, entry->type->name, mo_dtype_name(entry->type->dtype));
  MO_TRY(map_file((mo_safetensors_t *)file, &bytes)); /* the one thing that changes in an open file */
  return describe(file, entry, bytes + file->data_offset + entry->begin, tensor);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------------- */

static mo_status_t read_bytes(const mo_safetensors_t *file, int64_t offset, void *memory, size_t bytes) {
  const int64_t place = (int64_t)file->data_offset + offset;
  if (file->descriptor >= 0) return mo_file_read_at(file->descriptor, file->label.text, place, memory, bytes);
  const unsigned char *data = file->bytes;
  memcpy(memory, data + place, bytes);
  return MO_STATUS_OK;
}

/* Elements without a dtype of their own, cast piece by piece. */
static mo_status_t read_cast(const mo_safetensors_t *file, const tensor_entry *entry, int64_t first, int64_t count,
                             void *memory) {
  double buffer[CAST_BYTES / sizeof(double)];
  const int64_t size = entry->type->bits / 8;
  const int64_t chunk = (int64_t)sizeof buffer / size;
  for (int64_t done = 0; done < count; done += chunk) {
    const int64_t now = count - done < chunk ? count - done : chunk;
    MO_TRY(read_bytes(file, entry->begin + (first + done) * size, buffer, (size_t)(now * size)));
    for (int64_t i = 0; i < now; i++) {
      if (entry->type->cast == CAST_DOUBLE) {
        ((float *)memory)[done + i] = (float)buffer[i];
      } else { /* float8_e5m2 is the upper half of a float16 */
        ((uint16_t *)memory)[done + i] = (uint16_t)(((const uint8_t *)buffer)[i] << 8);
      }
    }
  }
  return MO_STATUS_OK;
}

mo_status_t mo_safetensors_read(const mo_safetensors_t *file, const char *name, int64_t first, int64_t count, void *memory) {
  const tensor_entry *entry;
  mo_tensor tensor;
  MO_CHECK(file != NULL && name != NULL, MO_STATUS_INVALID_ARGUMENT, "safetensors_read: file and name must not be NULL");
  MO_TRY(find(file, name, &entry));
  MO_TRY(describe(file, entry, NULL, &tensor));
  const int64_t total = mo_tensor_count(&tensor);
  MO_CHECK(first >= 0 && count >= 0 && first <= total && count <= total - first, MO_STATUS_INVALID_ARGUMENT,
           "safetensors_read: %" PRId64 " elements from element %" PRId64 " on of tensor \"%s\", which has %" PRId64, count,
           first, mo_name_show(name).text, total);
  MO_CHECK(memory != NULL || count == 0, MO_STATUS_INVALID_ARGUMENT, "safetensors_read: memory is NULL");
  if (count == 0) return MO_STATUS_OK;
  if (entry->type->cast != CAST_NONE) return read_cast(file, entry, first, count, memory);
  const int64_t size = entry->type->bits / 8;
  return read_bytes(file, entry->begin + first * size, memory, (size_t)(count * size));
}

const char *mo_safetensors_metadata(const mo_safetensors_t *file, const char *key) {
  if (file == NULL || key == NULL) return NULL;
  return json_string_value(json_object_get(json_object_get(file->header, METADATA_KEY), key));
}
