/* modelout/status.h - what every call returns, and the sentence that explains a failure.
 *
 * Every function that can fail returns an mo_status_t; 0 (MO_STATUS_OK) is success. Nothing in the library prints, exits,
 * aborts or throws. A failing call leaves a sentence for the calling thread that names the operation, the value it got and
 * the rule the value breaks; it stays until the next failing call of that thread. A failed call changes nothing: no
 * destination is written, no object altered, nothing leaked (where a header promises less, it says so).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_STATUS_H
#define MODELOUT_STATUS_H

#include "modelout/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The one list of statuses: X(NAME, value, "text"). */
#define MO_STATUS_MAP(X)                                                                                                       \
  X(OK, 0, "success")                                                                                                          \
  X(INVALID_ARGUMENT, 1, "an argument breaks a documented rule")                                                               \
  X(UNSUPPORTED, 2, "valid, but this build or device does not support it")                                                     \
  X(NO_DEVICE, 3, "no such device, or no driver for it")                                                                       \
  X(WRONG_STATE, 4, "the object is not in a state that allows this call")                                                      \
  X(OUT_OF_MEMORY, 5, "memory could not be allocated")                                                                         \
  X(WORKSPACE_TOO_SMALL, 6, "the memory handed in is smaller than the size query said")                                        \
  X(DEVICE_ERROR, 7, "the device reported an error")                                                                           \
  X(BAD_FILE, 8, "a file's content breaks its format")                                                                         \
  X(IO_ERROR, 9, "a file could not be opened, read or written")                                                                \
  X(STALE_VIEW, 10, "the buffer was rewritten after this view was taken")                                                      \
  X(KEY_ERROR, 11, "no such key (Python: KeyError)")                                                                           \
  X(INDEX_ERROR, 12, "position out of range (Python: IndexError)")                                                             \
  X(ATTRIBUTE_ERROR, 13, "no such attribute (Python: AttributeError)")                                                         \
  X(TYPE_ERROR, 14, "a value of the wrong kind (Python: TypeError)")                                                           \
  X(VALUE_ERROR, 15, "a value that cannot be used here (Python: ValueError)")                                                  \
  X(BLOCKED, 16, "an operation that ModelOutput forbids (Python: Exception)")                                                  \
  X(INTERNAL, 17, "a defect of the library; please report it")

typedef enum mo_status_t {
#define MO_STATUS_ENTRY(name, value, text) MO_STATUS_##name = value,
  MO_STATUS_MAP(MO_STATUS_ENTRY)
#undef MO_STATUS_ENTRY
} mo_status_t;

/* "INVALID_ARGUMENT"; "UNKNOWN" for a number that is no status. Static storage. */
MO_API const char *mo_status_name(mo_status_t status);

/* The text of the list above. Static storage. */
MO_API const char *mo_status_text(mo_status_t status);

/* The sentence of the calling thread's last failing call, "" if none failed yet. Valid until that thread's next failing
 * call. Never NULL. */
MO_API const char *mo_last_error(void);

/* FOR AUTHORS OF BACKENDS (modelout/backend.h): stores the sentence of a failure for the calling thread, as mo_last_error()
 * gives it. "op: value, rule", no final full stop, at most 1023 bytes. */
MO_API void mo_set_error(const char *format, ...) MO_PRINTF_FORMAT(1, 2);

#ifdef __cplusplus
}
#endif
#endif
