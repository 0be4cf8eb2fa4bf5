/* host/images/image_input.c - pixel_values checked and placed.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/images/image_input.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "host/call/tensor_rows.h"

static mo_status_t check_finite(const mo_call *call, const char *name, const mo_tensor *pixels) {
  const int64_t rows = mo_row_count(pixels), length = mo_row_length(pixels), stride = mo_row_stride(pixels);
  const size_t element = mo_dtype_bytes(pixels->dtype);
  if (!mo_model_can_read(call->model, pixels)) return MO_STATUS_OK;
  for (int64_t row = 0; row < rows; row++) {
    const int64_t start = mo_row_offset(pixels, row);
    for (int64_t i = 0; i < length; i++) {
      char aligned[8];
      float value;
      memcpy(aligned, (const char *)pixels->data + (size_t)(start + i * stride) * element, element);
      MO_TRY(mo_dtype_convert(&value, MO_DTYPE_FLOAT32, aligned, pixels->dtype, 1));
      MO_CHECK(isfinite(value), MO_STATUS_INVALID_ARGUMENT, "%s: %s holds %g in row %" PRId64, call->model->architecture.name,
               name, (double)value, row);
    }
  }
  return MO_STATUS_OK;
}

mo_status_t mo_check_pixels(mo_call *call, const char *name, int64_t channels, int64_t height, int64_t width,
                            int32_t *placement) {
  const char *op = call->model->architecture.name;
  const mo_tensor *pixels = mo_call_tensor(call, name);
  MO_CHECK(pixels != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: %s is not given", op, name);
  MO_CHECK(pixels->rank == 4, MO_STATUS_INVALID_ARGUMENT,
           "%s: pixel_values have rank %d, (batch, channels, height, width) is 4", op, (int)pixels->rank);
  MO_CHECK(pixels->shape[1] == channels, MO_STATUS_INVALID_ARGUMENT,
           "%s: pixel_values have %" PRId64 " channels, the model was made for %" PRId64 " (num_channels)", op,
           pixels->shape[1], channels);
  MO_CHECK((height == 0 || pixels->shape[2] == height) && (width == 0 || pixels->shape[3] == width), MO_STATUS_INVALID_ARGUMENT,
           "%s: pictures of %" PRId64 " x %" PRId64 " pixels, the model was made for %" PRId64 " x %" PRId64 " (image_size)",
           op, pixels->shape[2], pixels->shape[3], height, width);
  MO_TRY(mo_check_input(call->model, name, pixels, MO_DTYPES_FLOAT, 4, pixels->shape));
  MO_TRY(check_finite(call, name, pixels));
  call->example_count = call->batch_size = pixels->shape[0];
  call->choice_count = 1;
  *placement = mo_call_place(call, pixels, call->model->dtype, MO_DTYPE_BIT(call->model->dtype), 4, pixels->shape);
  return MO_STATUS_OK;
}
