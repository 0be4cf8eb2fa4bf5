/* tests/model/tokenizer_shim.c - the tokenizer as a C program uses it: size the buffer with a first call, then fill it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "modelout/tokenizer.h"

mo_status_t mo_test_encode(const mo_tokenizer_t *tokenizer, const char *text, const char *pair, bool no_special_tokens,
                           int32_t max_length, int32_t **ids, int32_t **token_type_ids, int64_t *count);

mo_status_t mo_test_encode(const mo_tokenizer_t *tokenizer, const char *text, const char *pair, bool no_special_tokens,
                           int32_t max_length, int32_t **ids, int32_t **token_type_ids, int64_t *count) {
  mo_encode_options options = MO_ENCODE_OPTIONS_INIT;
  options.pair = pair;
  options.no_special_tokens = no_special_tokens;
  options.max_length = max_length;
  mo_status_t status = mo_tokenizer_encode(tokenizer, text, &options, NULL, NULL, 0, count);
  if (status != MO_STATUS_OK) return status;
  const size_t bytes = (size_t)*count * sizeof **ids;
  *ids = malloc(bytes + 1);
  *token_type_ids = malloc(bytes + 1);
  int64_t again = -1;
  status = *ids == NULL || *token_type_ids == NULL
               ? MO_STATUS_OUT_OF_MEMORY
               : mo_tokenizer_encode(tokenizer, text, &options, *ids, *token_type_ids, *count, &again);
  if (status == MO_STATUS_OK && again != *count) status = MO_STATUS_INTERNAL;
  if (status == MO_STATUS_OK) return status;
  free(*ids);
  free(*token_type_ids);
  *ids = *token_type_ids = NULL;
  return status;
}
