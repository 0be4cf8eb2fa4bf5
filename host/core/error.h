/* host/core/error.h - statuses with a sentence, and the macros that pass them on.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_ERROR_H
#define MO_CORE_ERROR_H

#include "modelout/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Stores the sentence (a format and its arguments) and gives `status`. Sentence form: "op: value, rule" ("attention: 12 query
 * heads are not a multiple of 5 key/value heads"), no final full stop, at most 511 bytes; control characters of its arguments
 * become "?". A macro, so that the compiler sees which status comes back and knows that a caller of MO_TRY does not go on. */
#define mo_fail(status, ...) mo_after_error((mo_set_error(__VA_ARGS__), 0), (status))
static inline mo_status_t mo_after_error(int stored, mo_status_t status) {
  (void)stored;
  return status;
}

/* Returns the status of a failing call. */
#define MO_TRY(call)                                                                                                           \
  do {                                                                                                                         \
    const mo_status_t mo_try_status = (call);                                                                                  \
    if (mo_try_status != MO_STATUS_OK) return mo_try_status;                                                                   \
  } while (0)

/* Jumps to `label` with `status` set. For functions with something to clean up. */
#define MO_TRY_GOTO(call, status, label)                                                                                       \
  do {                                                                                                                         \
    (status) = (call);                                                                                                         \
    if ((status) != MO_STATUS_OK) goto label;                                                                                  \
  } while (0)

/* One check per line at the top of a front door: MO_CHECK(rank == 2, MO_STATUS_INVALID_ARGUMENT, "op: rank %d is not 2", rank).
 */
#define MO_CHECK(condition, ...)                                                                                               \
  do {                                                                                                                         \
    if (!(condition)) return mo_fail(__VA_ARGS__);                                                                             \
  } while (0)

#ifdef __cplusplus
}
#endif

#endif
