/* host/call/input_check.c - checks of inputs, and their values as the host reads them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/call/input_check.h"

#include <inttypes.h>
#include <string.h>

#include "host/call/tensor_rows.h"
#include "host/ops/check.h"

/* ---- Values -------------------------------------------------------------------------------------------------------------- */

int64_t mo_read_integer(const mo_tensor *tensor, int64_t offset) {
  const char *address = (const char *)tensor->data + offset * (int64_t)mo_dtype_bytes(tensor->dtype);
  int64_t wide;
  int32_t narrow;
  switch (tensor->dtype) {
    case MO_DTYPE_INT64:
      memcpy(&wide, address, sizeof wide);
      return wide;
    case MO_DTYPE_INT32:
      memcpy(&narrow, address, sizeof narrow);
      return narrow;
    case MO_DTYPE_INT8:
      return *(const int8_t *)address;
    default:
      return *(const uint8_t *)address;
  }
}

/* Of a floating tensor, as float32. */
static mo_status_t read_float(const mo_tensor *tensor, int64_t offset, float *value) {
  const size_t bytes = mo_dtype_bytes(tensor->dtype);
  uint64_t aligned = 0;
  memcpy(&aligned, (const char *)tensor->data + offset * (int64_t)bytes, bytes);
  return mo_dtype_convert(value, MO_DTYPE_FLOAT32, &aligned, tensor->dtype, 1);
}

bool mo_mask_shows(const mo_tensor *mask, int64_t offset) {
  float value = 0.0f;
  if (!mo_dtype_is_float(mask->dtype)) return mo_read_integer(mask, offset) != 0;
  return read_float(mask, offset, &value) == MO_STATUS_OK && value != 0.0f;
}

mo_status_t mo_check_values(const mo_model_t *model, const char *name, const mo_tensor *tensor, int64_t low, int64_t high,
                            bool allow_ignored, int64_t *ignored_count, const char *rule) {
  if (!mo_model_can_read(model, tensor)) return MO_STATUS_OK;
  const int64_t rows = mo_row_count(tensor), length = mo_row_length(tensor), stride = mo_row_stride(tensor);
  for (int64_t row = 0; row < rows; row++) {
    const int64_t start = mo_row_offset(tensor, row);
    for (int64_t i = 0; i < length; i++) {
      const int64_t value = mo_read_integer(tensor, start + i * stride);
      if (allow_ignored && value == MO_IGNORED_LABEL) {
        (*ignored_count)++;
        continue;
      }
      MO_CHECK(value >= low && value < high, MO_STATUS_INVALID_ARGUMENT,
               "%s: %s holds %" PRId64 " (row %" PRId64 ", position %" PRId64 "), outside %s range %" PRId64 "..%" PRId64,
               model->architecture.name, name, value, row, i, rule, low, high - 1);
    }
  }
  return MO_STATUS_OK;
}

/* ---- Checks -------------------------------------------------------------------------------------------------------------- */

mo_status_t mo_check_input(const mo_model_t *model, const char *name, const mo_tensor *tensor, uint32_t dtypes, int32_t rank,
                           const int64_t *shape) {
  const char *op = model->architecture.name;
  const mo_device device = mo_context_device(model->context);
  const bool there = tensor->device.kind == device.kind && tensor->device.index == device.index;
  char text[32];
  MO_CHECK(there || tensor->device.kind == MO_DEVICE_KIND_CPU, MO_STATUS_INVALID_ARGUMENT,
           "%s: %s lies on %s, neither on the CPU nor on the context's device", op, name,
           mo_device_name(tensor->device, text, sizeof text));
  MO_CHECK(tensor->dtype > MO_DTYPE_NONE && tensor->dtype <= MO_DTYPE_BOOL && (dtypes & MO_DTYPE_BIT(tensor->dtype)) != 0,
           MO_STATUS_INVALID_ARGUMENT, "%s: %s has dtype %s, which it cannot have", op, name, mo_dtype_name(tensor->dtype));
  MO_CHECK(tensor->rank == rank, MO_STATUS_INVALID_ARGUMENT, "%s: %s has %d dimensions, not %d", op, name, (int)tensor->rank,
           (int)rank);
  for (int32_t i = 0; i < rank; i++) {
    MO_CHECK(tensor->shape[i] == shape[i], MO_STATUS_INVALID_ARGUMENT,
             "%s: dimension %d of %s is %" PRId64 ", not %" PRId64 " as the other inputs say", op, (int)i, name,
             tensor->shape[i], shape[i]);
    MO_CHECK(tensor->strides[i] >= 0, MO_STATUS_INVALID_ARGUMENT, "%s: stride %d of %s is %" PRId64 ", below 0", op, (int)i,
             name, tensor->strides[i]);
  }
  MO_CHECK(tensor->data != NULL || mo_tensor_count(tensor) == 0, MO_STATUS_INVALID_ARGUMENT, "%s: %s has no data", op, name);
  return MO_STATUS_OK;
}

static mo_status_t read_mask(const mo_model_t *model, const char *name, const mo_tensor *mask, bool *hides) {
  const bool floating = mo_dtype_is_float(mask->dtype);
  const int64_t rows = mo_row_count(mask), length = mo_row_length(mask), stride = mo_row_stride(mask);
  *hides = false;
  for (int64_t row = 0; row < rows; row++) {
    const int64_t start = mo_row_offset(mask, row);
    for (int64_t i = 0; i < length; i++) {
      const int64_t offset = start + i * stride;
      if (!floating) {
        *hides |= mo_read_integer(mask, offset) == 0;
        continue;
      }
      float value;
      MO_TRY(read_float(mask, offset, &value));
      MO_CHECK(value == 0.0f || value == 1.0f, MO_STATUS_INVALID_ARGUMENT,
               "%s: %s holds %g (row %" PRId64 ", position %" PRId64 "), a floating mask has only 0 and 1",
               model->architecture.name, name, (double)value, row, i);
      *hides |= value == 0.0f;
    }
  }
  return MO_STATUS_OK;
}

mo_status_t mo_check_mask(const mo_model_t *model, const char *name, const mo_tensor *mask, bool *hides) {
  *hides = true;
  if (mo_model_can_read(model, mask)) return read_mask(model, name, mask, hides);
  MO_CHECK(!mo_dtype_is_float(mask->dtype), MO_STATUS_UNSUPPORTED,
           "%s: a floating %s on the device, where only integer and bool masks are taken", model->architecture.name, name);
  return MO_STATUS_OK;
}
