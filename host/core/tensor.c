/* host/core/tensor.c - tensor descriptors and slices.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/core/checked_math.h"
#include "host/core/error.h"

const char *mo_device_name(mo_device device, char *text, size_t text_bytes) {
  if (text == NULL || text_bytes == 0) return "";
  switch (device.kind) {
    case MO_DEVICE_KIND_CPU:
      snprintf(text, text_bytes, "cpu");
      break;
    case MO_DEVICE_KIND_CUDA:
      snprintf(text, text_bytes, "cuda:%d", (int)device.index);
      break;
    case MO_DEVICE_KIND_CUSTOM:
      snprintf(text, text_bytes, "custom:%d", (int)device.index);
      break;
    default:
      snprintf(text, text_bytes, "unknown");
      break;
  }
  return text;
}

mo_status_t mo_tensor_init_strided(mo_tensor *tensor, void *data, mo_dtype_t dtype, mo_device device, int32_t rank,
                                   const int64_t *shape, const int64_t *strides) {
  MO_CHECK(tensor != NULL, MO_STATUS_INVALID_ARGUMENT, "tensor: descriptor is NULL");
  MO_CHECK(mo_dtype_bytes(dtype) != 0, MO_STATUS_INVALID_ARGUMENT, "tensor: dtype %d is unknown", (int)dtype);
  MO_CHECK(rank >= 0 && rank <= MO_MAX_DIMS, MO_STATUS_INVALID_ARGUMENT, "tensor: rank %d is outside 0..%d", (int)rank,
           MO_MAX_DIMS);
  MO_CHECK(rank == 0 || shape != NULL, MO_STATUS_INVALID_ARGUMENT, "tensor: shape is NULL");
  mo_tensor result = {.data = data, .dtype = dtype, .device = device, .rank = rank};
  int64_t bytes = (int64_t)mo_dtype_bytes(dtype);
  bool empty = false;
  for (int32_t i = 0; i < rank; i++) {
    MO_CHECK(shape[i] >= 0, MO_STATUS_INVALID_ARGUMENT, "tensor: extent %" PRId64 " of dimension %d is negative", shape[i],
             (int)i);
    empty = empty || shape[i] == 0;
    result.shape[i] = shape[i];
  }
  for (int32_t i = rank - 1; i >= 0; i--) {
    MO_CHECK(empty || mo_checked_mul(bytes, shape[i], &bytes), MO_STATUS_INVALID_ARGUMENT, "tensor: more than 2^63 bytes");
  }
  int64_t stride = 1;
  int64_t reach = 0; /* the last element's offset */
  for (int32_t i = rank - 1; i >= 0; i--) {
    result.strides[i] = strides != NULL ? strides[i] : stride;
    MO_CHECK(result.strides[i] >= 0, MO_STATUS_INVALID_ARGUMENT, "tensor: stride %" PRId64 " of dimension %d is negative",
             result.strides[i], (int)i);
    int64_t step;
    MO_CHECK(empty || (mo_checked_mul(shape[i] - 1, result.strides[i], &step) && mo_checked_add(reach, step, &reach)),
             MO_STATUS_INVALID_ARGUMENT, "tensor: strides reach past 2^63 elements");
    if (!empty) stride *= shape[i];
  }
  MO_CHECK(empty || (mo_checked_add(reach, 1, &reach) && mo_checked_mul(reach, (int64_t)mo_dtype_bytes(dtype), &reach)),
           MO_STATUS_INVALID_ARGUMENT, "tensor: strides reach past 2^63 bytes");
  MO_CHECK(empty || data != NULL, MO_STATUS_INVALID_ARGUMENT, "tensor: data is NULL");
  *tensor = result;
  return MO_STATUS_OK;
}

mo_status_t mo_tensor_init(mo_tensor *tensor, void *data, mo_dtype_t dtype, mo_device device, int32_t rank,
                           const int64_t *shape) {
  return mo_tensor_init_strided(tensor, data, dtype, device, rank, shape, NULL);
}

mo_tensor mo_tensor_cpu(void *data, mo_dtype_t dtype, int32_t rank, const int64_t *shape) {
  mo_tensor tensor;
  const mo_device cpu = {.kind = MO_DEVICE_KIND_CPU};
  if (mo_tensor_init(&tensor, data, dtype, cpu, rank, shape) != MO_STATUS_OK) memset(&tensor, 0, sizeof tensor);
  return tensor;
}

int64_t mo_tensor_count(const mo_tensor *tensor) {
  int64_t count = 1;
  if (tensor == NULL) return 0;
  /* Beside an extent of 0 the others may be of any size, so their product is not formed. */
  for (int32_t i = 0; i < tensor->rank; i++) {
    if (tensor->shape[i] == 0) return 0;
  }
  for (int32_t i = 0; i < tensor->rank; i++) count *= tensor->shape[i];
  return count;
}

int64_t mo_tensor_bytes(const mo_tensor *tensor) {
  return tensor == NULL ? 0 : mo_tensor_count(tensor) * (int64_t)mo_dtype_bytes(tensor->dtype);
}

bool mo_tensor_is_contiguous(const mo_tensor *tensor) {
  int64_t stride = 1;
  bool contiguous = true;
  if (tensor == NULL) return false;
  if (mo_tensor_count(tensor) == 0) return true;
  for (int32_t i = tensor->rank - 1; i >= 0; i--) {
    if (tensor->shape[i] != 1 && tensor->strides[i] != stride) contiguous = false;
    stride *= tensor->shape[i];
  }
  return contiguous;
}

mo_status_t mo_slice_resolve(mo_slice slice, int64_t length, int64_t *first, int64_t *step, int64_t *count) {
  MO_CHECK(first != NULL && step != NULL && count != NULL, MO_STATUS_INVALID_ARGUMENT, "slice: a destination is NULL");
  MO_CHECK(slice.step != 0, MO_STATUS_VALUE_ERROR, "slice: step is 0");
  MO_CHECK(length >= 0, MO_STATUS_INVALID_ARGUMENT, "slice: length %" PRId64 " is negative", length);
  const bool forward = slice.step > 0;
  /* Bounds as Python clamps them: 0..length going up, -1..length-1 going down. */
  const int64_t low = forward ? 0 : -1;
  const int64_t high = forward ? length : length - 1;
  int64_t bounds[2] = {slice.start, slice.stop};
  for (int i = 0; i < 2; i++) {
    if (bounds[i] == MO_SLICE_UNSET) {
      bounds[i] = (i == 0) == forward ? low : high;
      continue;
    }
    if (bounds[i] < 0) bounds[i] += length;
    if (bounds[i] < low) bounds[i] = low;
    if (bounds[i] > high) bounds[i] = high;
  }
  const int64_t span = forward ? bounds[1] - bounds[0] : bounds[0] - bounds[1];
  /* In unsigned arithmetic a step of INT64_MIN + 1 has a magnitude too; UNSET itself (INT64_MIN) does as well. */
  const uint64_t stride = forward ? (uint64_t)slice.step : (uint64_t)0 - (uint64_t)slice.step;
  *first = bounds[0];
  *step = slice.step;
  *count = span > 0 ? (int64_t)(((uint64_t)span - 1) / stride + 1) : 0;
  return MO_STATUS_OK;
}

mo_status_t mo_tensor_slice(const mo_tensor *tensor, const mo_slice *slices, int32_t slice_count, mo_tensor *view) {
  MO_CHECK(tensor != NULL && view != NULL, MO_STATUS_INVALID_ARGUMENT, "tensor slice: a descriptor is NULL");
  MO_CHECK(slice_count >= 0 && slice_count <= tensor->rank, MO_STATUS_INVALID_ARGUMENT,
           "tensor slice: %d slices of %d dimensions", (int)slice_count, (int)tensor->rank);
  MO_CHECK(slice_count == 0 || slices != NULL, MO_STATUS_INVALID_ARGUMENT, "tensor slice: slices is NULL");
  mo_tensor result = *tensor;
  int64_t offset = 0;
  for (int32_t i = 0; i < slice_count; i++) {
    MO_CHECK(slices[i].step >= 1, MO_STATUS_INVALID_ARGUMENT, "tensor slice: step %" PRId64 " of dimension %d is below 1",
             slices[i].step, (int)i);
    int64_t first, step, count;
    MO_TRY(mo_slice_resolve(slices[i], tensor->shape[i], &first, &step, &count));
    result.shape[i] = count;
    if (count > 0) offset += first * tensor->strides[i];
    /* With one element left the stride means nothing, and a huge step times the stride could overflow. */
    result.strides[i] = count > 1 ? step * tensor->strides[i] : tensor->strides[i];
  }
  if (result.data != NULL && mo_tensor_count(&result) > 0) {
    result.data = (char *)result.data + offset * (int64_t)mo_dtype_bytes(tensor->dtype);
  }
  *view = result;
  return MO_STATUS_OK;
}
