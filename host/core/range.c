/* host/core/range.c - named ranges around public calls: who listens, and the message.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/range.h"

#ifndef MO_NO_RANGES

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

atomic_int mo_range_listeners;

bool mo_range_listen(const mo_backend *backend, void *backend_state) {
  const char *wanted = getenv("MODELOUT_NVTX");
  if (wanted != NULL && strcmp(wanted, "0") == 0) return false;
  if (backend->range_push == NULL || backend->range_pop == NULL) return false;
  if (backend->range_is_heard != NULL && !backend->range_is_heard(backend_state)) return false;
  atomic_fetch_add_explicit(&mo_range_listeners, 1, memory_order_relaxed);
  return true;
}

void mo_range_unlisten(void) { atomic_fetch_sub_explicit(&mo_range_listeners, 1, memory_order_relaxed); }

/* ---- The message ---- */

/* Ends in the middle of a tensor rather than past the array. */
typedef struct range_message {
  char text[512];
  size_t length;
} range_message;

static void append(range_message *message, const char *format, ...) MO_PRINTF_FORMAT(2, 3);

static void append(range_message *message, const char *format, ...) {
  const size_t room = sizeof message->text - message->length;
  va_list arguments;
  va_start(arguments, format);
  const int written = vsnprintf(message->text + message->length, room, format, arguments);
  va_end(arguments);
  if (written > 0) message->length += (size_t)written < room ? (size_t)written : room - 1;
}

/* The range is open before the front door has checked anything: a descriptor may hold any rank and any dtype. */
static void append_tensor(range_message *message, const mo_tensor *tensor) {
  if (tensor->rank < 0 || tensor->rank > MO_MAX_DIMS) {
    append(message, " of rank %d", (int)tensor->rank);
  } else {
    append(message, " (");
    for (int32_t i = 0; i < tensor->rank; i++) append(message, i > 0 ? ", %" PRId64 : "%" PRId64, tensor->shape[i]);
    append(message, ")");
  }
  append(message, " %s", mo_dtype_name(tensor->dtype));
}

/* Of "params->layers->key" or "given ? params->layers->key : NULL" the name at the end, of "a.b" both. */
static void append_name(range_message *message, const char *start, const char *end) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
  for (const char *arrow = start; arrow + 1 < end; arrow++) {
    if (arrow[0] == '-' && arrow[1] == '>') start = arrow + 2;
  }
  start += strspn(start, " ");
  append(message, "%.*s", (int)strspn(start, letters), start);
}

mo_range mo_range_open(mo_context_t *context, const char *name, const char *tensor_names, const mo_tensor *const *tensors,
                       int32_t tensor_count) {
  if (context == NULL || !mo_context_has_ranges(context)) return (mo_range){NULL};
  range_message text = {.length = 0};
  append(&text, "%s", name);
  const char *separator = ": ";
  for (int32_t i = 0; i < tensor_count; i++) {
    const char *end = tensor_names + strcspn(tensor_names, ",");
    if (tensors[i] != NULL) {
      append(&text, "%s", separator);
      append_name(&text, tensor_names, end);
      append_tensor(&text, tensors[i]);
      separator = ", ";
    }
    tensor_names = *end == ',' ? end + 1 : end;
  }
  mo_context_backend(context)->range_push(mo_context_backend_state(context), text.text);
  return (mo_range){context};
}

void mo_range_pop(mo_context_t *context) { mo_context_backend(context)->range_pop(mo_context_backend_state(context)); }

#endif
