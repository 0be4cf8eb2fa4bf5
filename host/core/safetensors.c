/* host/core/safetensors.c - the strict reader of the safetensors format, over a mapped file or memory of the caller.
 *
 * Everything is checked when the file is opened, so that a tensor handed out later cannot point outside the data. The parsed
 * header stays alive as the store of the names and the metadata; tensors are found by binary search over the sorted names.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/core/checked_math.h"
#include "host/core/error.h"

#define HEADER_LENGTH_BYTES 8
#define HEADER_BYTES_LIMIT 100000000 /* the format's own limit */
#define METADATA_KEY "__metadata__"

/* Bits, because the format has elements below a byte. MO_DTYPE_NONE: legal, but nothing here can compute with it. */
typedef struct storage_type {
  const char *name;
  int32_t bits;
  mo_dtype_t dtype;
} storage_type;

static const storage_type storage_types[] = {
    {"BOOL", 8, MO_DTYPE_BOOL},           {"U8", 8, MO_DTYPE_UINT8},     {"I8", 8, MO_DTYPE_INT8},
    {"F8_E4M3", 8, MO_DTYPE_FLOAT8_E4M3}, {"F16", 16, MO_DTYPE_FLOAT16}, {"BF16", 16, MO_DTYPE_BFLOAT16},
    {"I32", 32, MO_DTYPE_INT32},          {"F32", 32, MO_DTYPE_FLOAT32}, {"I64", 64, MO_DTYPE_INT64},
    {"F8_E5M2", 8, MO_DTYPE_NONE},        {"F8_E8M0", 8, MO_DTYPE_NONE}, {"I16", 16, MO_DTYPE_NONE},
    {"U16", 16, MO_DTYPE_NONE},           {"U32", 32, MO_DTYPE_NONE},    {"F64", 64, MO_DTYPE_NONE},
    {"U64", 64, MO_DTYPE_NONE},           {"C64", 64, MO_DTYPE_NONE},    {"F4", 4, MO_DTYPE_NONE},
    {"F6_E2M3", 6, MO_DTYPE_NONE},        {"F6_E3M2", 6, MO_DTYPE_NONE},
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
  const unsigned char *bytes; /* the whole file */
  size_t size;
  bool mapped;
  const unsigned char *data; /* what the offsets count from */
  json_t *header;
  tensor_entry *entries;  /* in the order of the data */
  tensor_entry **by_name; /* sorted */
  size_t count;
  char label[128]; /* how error sentences call the file */
};

/* ---- Names in sentences: short, and without bytes that upset a terminal ---- */

typedef struct quoted {
  char text[88];
} quoted;

static quoted quote(const char *name) {
  quoted result;
  const size_t limit = sizeof result.text - 4;
  size_t length = 0;
  while (name[length] != '\0' && length < limit) {
    const unsigned char byte = (unsigned char)name[length];
    result.text[length] = byte < 0x20 || byte == 0x7F ? '?' : (char)byte;
    ++length;
  }
  if (name[length] != '\0') {
    while (length > 0 && ((unsigned char)name[length] & 0xC0) == 0x80) --length; /* do not cut a UTF-8 sequence */
    memcpy(result.text + length, "...", 3);
    length += 3;
  }
  result.text[length] = '\0';
  return result;
}

static void set_label(mo_safetensors_t *file, const char *path) {
  const size_t length = strlen(path);
  const size_t limit = sizeof file->label - 1;
  if (length <= limit) {
    memcpy(file->label, path, length + 1);
    return;
  }
  memcpy(file->label, "...", 3); /* the end of a long path says more than its beginning */
  memcpy(file->label + 3, path + length - (limit - 3), limit - 3 + 1);
}

#define BAD_TENSOR(file, name, rule, ...)                                                                                      \
  mo_fail(MO_STATUS_BAD_FILE, "safetensors: %s: tensor \"%s\": " rule, (file)->label, quote(name).text, __VA_ARGS__)

/* ---- The header ---- */

static const storage_type *find_storage_type(const char *name) {
  for (size_t i = 0; i < sizeof storage_types / sizeof storage_types[0]; ++i)
    if (strcmp(storage_types[i].name, name) == 0) return &storage_types[i];
  return NULL;
}

static mo_status_t parse_shape(const mo_safetensors_t *file, const json_t *shape, tensor_entry *entry, int64_t *bytes) {
  if (!json_is_array(shape))
    return BAD_TENSOR(file, entry->name, "shape is %s, must be an array", shape ? "no array" : "missing");
  entry->rank = json_array_size(shape);
  int64_t count = 1; /* elements */
  int64_t bound = 1; /* the same with 1 for 0: strides of an empty tensor must not overflow either */
  for (size_t i = 0; i < entry->rank; ++i) {
    const json_t *extent = json_array_get(shape, i);
    if (!json_is_integer(extent)) return BAD_TENSOR(file, entry->name, "shape[%zu] is no integer", i);
    const json_int_t value = json_integer_value(extent);
    if (value < 0) return BAD_TENSOR(file, entry->name, "shape[%zu] is %lld, must not be negative", i, (long long)value);
    if (!mo_checked_mul(bound, value > 0 ? value : 1, &bound))
      return BAD_TENSOR(file, entry->name, "the product of the shape overflows 64 bits at shape[%zu] = %lld", i,
                        (long long)value);
    count *= value;
    if (i < MO_MAX_DIMS) entry->shape[i] = value;
  }
  int64_t bits;
  if (!mo_checked_mul(bound, entry->type->bits, &bits))
    return BAD_TENSOR(file, entry->name, "%lld elements of %s overflow 64 bits", (long long)bound, entry->type->name);
  bits = count * entry->type->bits;
  if (bits % 8 != 0)
    return BAD_TENSOR(file, entry->name, "%lld elements of %s do not fill whole bytes", (long long)count, entry->type->name);
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
  const int64_t limit = (int64_t)(file->size - (size_t)(file->data - file->bytes));
  if (entry->begin < 0 || entry->end < entry->begin)
    return BAD_TENSOR(file, entry->name, "data_offsets [%lld, %lld] are no range, need 0 <= begin <= end",
                      (long long)entry->begin, (long long)entry->end);
  if (entry->end > limit)
    return BAD_TENSOR(file, entry->name, "data_offsets end at %lld, but the file holds %lld bytes of data",
                      (long long)entry->end, (long long)limit);
  return MO_STATUS_OK;
}

static mo_status_t parse_tensor(const mo_safetensors_t *file, const char *name, const json_t *value, tensor_entry *entry) {
  entry->name = name;
  if (!json_is_object(value)) return BAD_TENSOR(file, name, "its entry is %s, must be an object", "something else");
  const json_t *dtype = json_object_get(value, "dtype");
  if (!json_is_string(dtype)) return BAD_TENSOR(file, name, "dtype is %s, must be a string", dtype ? "no string" : "missing");
  entry->type = find_storage_type(json_string_value(dtype));
  if (entry->type == NULL)
    return BAD_TENSOR(file, name, "dtype \"%s\" is not one of the format", quote(json_string_value(dtype)).text);
  int64_t bytes = 0;
  MO_TRY(parse_shape(file, json_object_get(value, "shape"), entry, &bytes));
  MO_TRY(parse_offsets(file, json_object_get(value, "data_offsets"), entry));
  if (bytes != entry->end - entry->begin)
    return BAD_TENSOR(file, name, "shape and dtype need %lld bytes, data_offsets give %lld", (long long)bytes,
                      (long long)(entry->end - entry->begin));
  return MO_STATUS_OK;
}

static mo_status_t check_metadata(const mo_safetensors_t *file, json_t *metadata) {
  MO_CHECK(json_is_object(metadata), MO_STATUS_BAD_FILE, "safetensors: %s: \"" METADATA_KEY "\" must be an object of strings",
           file->label);
  const char *key;
  json_t *value;
  json_object_foreach(metadata, key, value) {
    MO_CHECK(json_is_string(value), MO_STATUS_BAD_FILE, "safetensors: %s: \"" METADATA_KEY "\": \"%s\" must be a string",
             file->label, quote(key).text);
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
  const int64_t data_bytes = (int64_t)(file->size - (size_t)(file->data - file->bytes));
  int64_t expected = 0;
  for (size_t i = 0; i < file->count; ++i) {
    const tensor_entry *entry = &file->entries[i];
    if (entry->begin < expected)
      return BAD_TENSOR(file, entry->name, "begins at %lld inside tensor \"%s\", which ends at %lld", (long long)entry->begin,
                        quote(file->entries[i - 1].name).text, (long long)expected);
    if (entry->begin > expected)
      return BAD_TENSOR(file, entry->name, "begins at %lld, leaving a hole after %lld", (long long)entry->begin,
                        (long long)expected);
    expected = entry->end;
  }
  MO_CHECK(expected == data_bytes, MO_STATUS_BAD_FILE, "safetensors: %s: %lld bytes follow the last tensor, none may",
           file->label, (long long)(data_bytes - expected));
  return MO_STATUS_OK;
}

static mo_status_t parse_header(mo_safetensors_t *file) {
  MO_CHECK(file->size >= HEADER_LENGTH_BYTES, MO_STATUS_BAD_FILE,
           "safetensors: %s: %zu bytes, the header length alone takes %d", file->label, file->size, HEADER_LENGTH_BYTES);
  uint64_t length = 0;
  for (int i = 0; i < HEADER_LENGTH_BYTES; ++i) length |= (uint64_t)file->bytes[i] << (8 * i);
  MO_CHECK(length <= HEADER_BYTES_LIMIT, MO_STATUS_BAD_FILE, "safetensors: %s: header of %llu bytes, at most %d are allowed",
           file->label, (unsigned long long)length, HEADER_BYTES_LIMIT);
  MO_CHECK(length <= file->size - HEADER_LENGTH_BYTES, MO_STATUS_BAD_FILE,
           "safetensors: %s: header of %llu bytes, but only %zu follow", file->label, (unsigned long long)length,
           file->size - HEADER_LENGTH_BYTES);
  const char *text = (const char *)file->bytes + HEADER_LENGTH_BYTES;
  MO_CHECK(length > 0 && text[0] == '{', MO_STATUS_BAD_FILE, "safetensors: %s: the header does not begin with '{'",
           file->label);
  file->data = file->bytes + HEADER_LENGTH_BYTES + length;

  json_error_t error;
  file->header = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &error);
  if (file->header == NULL) {
    if (json_error_code(&error) == json_error_out_of_memory)
      return mo_fail(MO_STATUS_OUT_OF_MEMORY, "safetensors: %s: no memory for a header of %llu bytes", file->label,
                     (unsigned long long)length);
    return mo_fail(MO_STATUS_BAD_FILE, "safetensors: %s: header is not valid JSON: %s (byte %d)", file->label,
                   quote(error.text).text, error.position);
  }
  const size_t capacity = json_object_size(file->header);
  file->entries = calloc(capacity + 1, sizeof *file->entries);
  file->by_name = calloc(capacity + 1, sizeof *file->by_name);
  MO_CHECK(file->entries != NULL && file->by_name != NULL, MO_STATUS_OUT_OF_MEMORY,
           "safetensors: %s: no memory for %zu tensors", file->label, capacity);
  const char *key;
  json_t *value;
  json_object_foreach(file->header, key, value) {
    if (strcmp(key, METADATA_KEY) == 0) {
      MO_TRY(check_metadata(file, value));
    } else {
      file->entries[file->count].position = file->count;
      MO_TRY(parse_tensor(file, key, value, &file->entries[file->count]));
      ++file->count;
    }
  }
  qsort(file->entries, file->count, sizeof *file->entries, compare_position);
  for (size_t i = 0; i < file->count; ++i) file->by_name[i] = &file->entries[i];
  qsort(file->by_name, file->count, sizeof *file->by_name, compare_name);
  return check_layout(file);
}

/* ---- Opening and closing ---- */

static mo_status_t create(const char *label, mo_safetensors_t **file) {
  MO_CHECK(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, MO_STATUS_UNSUPPORTED,
           "safetensors: %s: the data are little-endian, this machine is not", label);
  *file = calloc(1, sizeof **file);
  MO_CHECK(*file != NULL, MO_STATUS_OUT_OF_MEMORY, "safetensors: %s: no memory for the reader", label);
  set_label(*file, label);
  return MO_STATUS_OK;
}

static mo_status_t io_error(const mo_safetensors_t *file, const char *action, int number) {
  char text[128];
  return mo_fail(MO_STATUS_IO_ERROR, "safetensors: %s: cannot be %s: %s", file->label, action,
                 strerror_r(number, text, sizeof text));
}

/* An empty file stays unmapped (mmap refuses 0 bytes) and is then found too short. */
static mo_status_t map_file(mo_safetensors_t *file, const char *path) {
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* opening a pipe without a writer must not hang */
  if (descriptor < 0) return io_error(file, "opened", errno);
  mo_status_t status = MO_STATUS_OK;
  struct stat info;
  if (fstat(descriptor, &info) != 0) {
    status = io_error(file, "examined", errno);
  } else if (S_ISDIR(info.st_mode)) {
    status = io_error(file, "read", EISDIR);
  } else if (!S_ISREG(info.st_mode)) {
    status = mo_fail(MO_STATUS_IO_ERROR, "safetensors: %s: is not a regular file", file->label);
  } else if (info.st_size > 0) {
    void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (bytes == MAP_FAILED) {
      status = io_error(file, "mapped", errno);
    } else {
      file->bytes = bytes;
      file->size = (size_t)info.st_size;
      file->mapped = true;
    }
  }
  close(descriptor);
  return status;
}

mo_status_t mo_safetensors_open(const char *path, mo_safetensors_t **file) {
  MO_CHECK(path != NULL && file != NULL, MO_STATUS_INVALID_ARGUMENT, "safetensors_open: path and file must not be NULL");
  mo_safetensors_t *opened = NULL;
  MO_TRY(create(path, &opened));
  mo_status_t status;
  MO_TRY_GOTO(map_file(opened, path), status, failed);
  MO_TRY_GOTO(parse_header(opened), status, failed);
  *file = opened;
  return MO_STATUS_OK;
failed:
  mo_safetensors_close(opened);
  return status;
}

mo_status_t mo_safetensors_open_memory(const void *data, size_t bytes, mo_safetensors_t **file) {
  MO_CHECK(file != NULL, MO_STATUS_INVALID_ARGUMENT, "safetensors_open_memory: file must not be NULL");
  MO_CHECK(data != NULL || bytes == 0, MO_STATUS_INVALID_ARGUMENT, "safetensors_open_memory: data is NULL with %zu bytes",
           bytes);
  MO_CHECK(bytes <= INT64_MAX, MO_STATUS_INVALID_ARGUMENT, "safetensors_open_memory: %zu bytes, at most %lld", bytes,
           (long long)INT64_MAX);
  mo_safetensors_t *opened = NULL;
  MO_TRY(create("memory", &opened));
  opened->bytes = data;
  opened->size = bytes;
  const mo_status_t status = parse_header(opened);
  if (status != MO_STATUS_OK) {
    mo_safetensors_close(opened);
    return status;
  }
  *file = opened;
  return MO_STATUS_OK;
}

void mo_safetensors_close(mo_safetensors_t *file) {
  if (file == NULL) return;
  json_decref(file->header);
  free(file->by_name);
  free(file->entries);
  if (file->mapped) munmap((void *)file->bytes, file->size);
  free(file);
}

/* ---- Asking ---- */

int64_t mo_safetensors_count(const mo_safetensors_t *file) { return file == NULL ? 0 : (int64_t)file->count; }

const char *mo_safetensors_name(const mo_safetensors_t *file, int64_t index) {
  return index < 0 || index >= mo_safetensors_count(file) ? NULL : file->entries[index].name;
}

mo_status_t mo_safetensors_tensor(const mo_safetensors_t *file, const char *name, mo_tensor *tensor) {
  MO_CHECK(file != NULL && name != NULL && tensor != NULL, MO_STATUS_INVALID_ARGUMENT,
           "safetensors_tensor: file, name and tensor must not be NULL");
  const tensor_entry key = {.name = name};
  const tensor_entry *key_pointer = &key;
  tensor_entry *const *found =
      file->count == 0 ? NULL : bsearch(&key_pointer, file->by_name, file->count, sizeof *file->by_name, compare_name);
  MO_CHECK(found != NULL, MO_STATUS_KEY_ERROR, "safetensors: %s: there is no tensor \"%s\"", file->label, quote(name).text);
  const tensor_entry *entry = *found;
  MO_CHECK(entry->type->dtype != MO_DTYPE_NONE, MO_STATUS_UNSUPPORTED,
           "safetensors: %s: tensor \"%s\": dtype %s is not supported", file->label, quote(name).text, entry->type->name);
  MO_CHECK(entry->rank <= MO_MAX_DIMS, MO_STATUS_UNSUPPORTED, "safetensors: %s: tensor \"%s\": rank %zu is over %d",
           file->label, quote(name).text, entry->rank, MO_MAX_DIMS);
  return mo_tensor_init(tensor, (void *)(file->data + entry->begin), entry->type->dtype, (mo_device){MO_DEVICE_KIND_CPU, 0},
                        (int32_t)entry->rank, entry->shape);
}

const char *mo_safetensors_metadata(const mo_safetensors_t *file, const char *key) {
  if (file == NULL || key == NULL) return NULL;
  return json_string_value(json_object_get(json_object_get(file->header, METADATA_KEY), key));
}
