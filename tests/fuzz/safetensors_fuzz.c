/* tests/fuzz/safetensors_fuzz.c - fuzz target: whatever the bytes, opening gives a status, and an accepted file is readable.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "modelout/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mo_safetensors_t *file = NULL;
  if (mo_safetensors_open_memory(data, size, &file) != MO_STATUS_OK) {
    if (mo_last_error()[0] == '\0') abort(); /* a failure without a sentence */
    return 0;
  }
  unsigned sum = 0;
  int64_t covered = 0;
  bool all_known = true;
  for (int64_t i = 0; i < mo_safetensors_count(file); ++i) {
    mo_tensor tensor;
    if (mo_safetensors_tensor(file, mo_safetensors_name(file, i), &tensor) != MO_STATUS_OK) {
      all_known = false;
      continue;
    }
    const int64_t bytes = mo_tensor_bytes(&tensor);
    for (int64_t byte = 0; byte < bytes; ++byte) sum += ((const uint8_t *)tensor.data)[byte];
    covered += bytes;
  }
  uint64_t header_bytes = 0;
  for (int i = 7; i >= 0; --i) header_bytes = header_bytes << 8 | data[i];
  if (all_known && (uint64_t)covered != size - 8 - header_bytes) abort(); /* the tensors must cover the data exactly */
  if (sum == 0xFFFFFFFFu) abort();                                        /* keeps the reads */
  if (mo_safetensors_metadata(file, "format") != NULL && strlen(mo_safetensors_metadata(file, "format")) > size) abort();
  mo_safetensors_close(file);
  return 0;
}
