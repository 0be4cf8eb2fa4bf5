/* host/core/struct_size.c - takes a struct of an older or newer caller.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/struct_size.h"

#include <string.h>

#include "host/core/error.h"

/* No struct of any version will be as large: a size past it was never set, and bytes behind it may belong to nobody. */
#define STRUCT_SIZE_LIMIT ((size_t)16 << 10)

mo_status_t mo_struct_take_bytes(const char *op, const char *init, const void *given, size_t given_size, size_t first_size,
                                 size_t known_size, void *taken) {
  MO_CHECK(given_size >= first_size && given_size <= STRUCT_SIZE_LIMIT, MO_STATUS_INVALID_ARGUMENT,
           "%s: struct_size %zu, no version of the struct has that; set it with %s", op, given_size, init);
  for (size_t i = known_size; i < given_size; i++) {
    MO_CHECK(((const unsigned char *)given)[i] == 0, MO_STATUS_INVALID_ARGUMENT,
             "%s: struct_size %zu, and something is set behind the %zu bytes this version of the library knows (%s)", op,
             given_size, known_size, init);
  }
  memcpy(taken, given, given_size < known_size ? given_size : known_size);
  return MO_STATUS_OK;
}

mo_status_t mo_struct_take(const char *op, const char *init, const void *given, size_t first_size, size_t known_size,
                           void *taken) {
  size_t given_size;
  MO_CHECK(given != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: NULL in place of the struct that %s begins", op, init);
  memcpy(&given_size, given, sizeof given_size);
  MO_TRY(mo_struct_take_bytes(op, init, given, given_size, first_size, known_size, taken));
  memcpy(taken, &known_size, sizeof known_size);
  return MO_STATUS_OK;
}
