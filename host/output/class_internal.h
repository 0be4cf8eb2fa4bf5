/* host/output/class_internal.h - what the library itself reads of the class table beyond modelout/class.h.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CLASS_INTERNAL_H
#define MO_CLASS_INTERNAL_H

#include <string.h>

#include "modelout/class.h"

typedef const char *const *mo_symbols; /* NULL-terminated */

#define MO_MAX_CLASS_FIELDS 64 /* outputs have a bit for each */

/* A class need not be of the table: INVALID_ARGUMENT names what is wrong with a description that cannot be worked with (fields
 * past the struct, a shape without its symbols and so on). Any function that reads a class given by a caller calls this first.
 */
mo_status_t mo_class_check(const mo_class *output_class);

/* The other shape a field may have (one token, several variables), NULL if it has one shape only, as those of classes outside
 * of the table. */
mo_symbols mo_class_alternative_shape(const mo_class *output_class, int32_t index);

/* Whether a tuple of hidden states begins with the output of the embedding layer, of models with and without one. */
static inline bool mo_class_counts_embedding(const mo_class_field *field, bool no_embedding_layer) {
  const char *length = field->tuple_length;
  if (length == NULL || strstr(length, "if embedding layer") != NULL) return !no_embedding_layer;
  return strstr(length, "+ 1") != NULL; /* TensorFlow, Flax and wav2vec: always */
}

/* Whether the field has an entry for each new token of a generation. */
static inline bool mo_class_is_per_token(const mo_class_field *field) {
  return field->tuple_length != NULL && strcmp(field->tuple_length, "generated_length") == 0;
}

#endif
