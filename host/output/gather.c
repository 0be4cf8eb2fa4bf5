/* host/output/gather.c - a strided host tensor into contiguous memory.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/output/gather.h"

#include <string.h>

#include "host/core/error.h"

static mo_status_t move_run(char *to, mo_dtype_t to_dtype, const char *from, mo_dtype_t from_dtype, int64_t count) {
  if (to_dtype != from_dtype) return mo_dtype_convert(to, to_dtype, from, from_dtype, count);
  memcpy(to, from, (size_t)count * mo_dtype_bytes(to_dtype));
  return MO_STATUS_OK;
}

mo_status_t mo_gather(const mo_tensor *source, void *destination, mo_dtype_t dtype) {
  const int64_t from_bytes = (int64_t)mo_dtype_bytes(source->dtype);
  const int64_t to_bytes = (int64_t)mo_dtype_bytes(dtype);
  const int64_t count = mo_tensor_count(source);
  if (count == 0) return MO_STATUS_OK;
  /* The inner dimensions that lie without gaps move as one run. */
  int64_t run = 1;
  int32_t outer = source->rank;
  while (outer > 0 && (source->strides[outer - 1] == run || source->shape[outer - 1] == 1)) run *= source->shape[--outer];
  int64_t position[MO_MAX_DIMS] = {0};
  const char *from = source->data;
  char *to = destination;
  for (int64_t done = 0; done < count; done += run, to += run * to_bytes) {
    MO_TRY(move_run(to, dtype, from, source->dtype, run));
    for (int32_t i = outer - 1; i >= 0; i--) {
      from += source->strides[i] * from_bytes;
      if (++position[i] < source->shape[i]) break;
      from -= source->shape[i] * source->strides[i] * from_bytes;
      position[i] = 0;
    }
  }
  return MO_STATUS_OK;
}
