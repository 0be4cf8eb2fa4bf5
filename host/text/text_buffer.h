/* host/text/text_buffer.h - growing arrays for the tokenizer: bytes and ids.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TEXT_TEXT_BUFFER_H
#define MO_TEXT_TEXT_BUFFER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

/* Room for `needed` items of `item_bytes` in *items, at least doubling. OUT_OF_MEMORY leaves everything as it was. */
static inline mo_status_t mo_array_reserve(void **items, size_t *capacity, size_t needed, size_t item_bytes) {
  if (needed <= *capacity) return MO_STATUS_OK;
  size_t larger = *capacity > SIZE_MAX / 2 ? SIZE_MAX : *capacity * 2;
  if (larger < needed) larger = needed;
  if (larger < 64) larger = 64;
  void *moved = larger > SIZE_MAX / item_bytes ? NULL : realloc(*items, larger * item_bytes);
  MO_CHECK(moved != NULL, MO_STATUS_OUT_OF_MEMORY, "tokenizer: no memory for %zu items of %zu bytes", larger, item_bytes);
  *items = moved;
  *capacity = larger;
  return MO_STATUS_OK;
}

typedef struct mo_text_buffer {
  char *data;
  size_t bytes, capacity;
} mo_text_buffer;

static inline mo_status_t mo_text_append(mo_text_buffer *buffer, const char *text, size_t bytes) {
  void *data = buffer->data;
  MO_TRY(mo_array_reserve(&data, &buffer->capacity, buffer->bytes + bytes, 1));
  buffer->data = data;
  if (bytes > 0) memcpy(buffer->data + buffer->bytes, text, bytes);
  buffer->bytes += bytes;
  return MO_STATUS_OK;
}

typedef struct mo_id_buffer {
  int32_t *ids;
  size_t count, capacity;
} mo_id_buffer;

static inline mo_status_t mo_ids_append(mo_id_buffer *buffer, int32_t id) {
  if (buffer->count == buffer->capacity) {
    void *ids = buffer->ids;
    MO_TRY(mo_array_reserve(&ids, &buffer->capacity, buffer->count + 1, sizeof *buffer->ids));
    buffer->ids = ids;
  }
  buffer->ids[buffer->count++] = id;
  return MO_STATUS_OK;
}

#endif
