/* host/ops/check.c - the checks that front doors share.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/ops/check.h"

#include <inttypes.h>

#include <string.h>

mo_status_t mo_check_params(const char *op, const mo_context_t *context, const char *init, const void *given, size_t first_size,
                            size_t known_size, void *taken) {
  MO_CHECK(context != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: the context is NULL", op);
  MO_CHECK(given != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: the parameters are NULL", op);
  return mo_struct_take(op, init, given, first_size, known_size, taken);
}

static bool tensor_is_valid(const mo_tensor *tensor) {
  mo_tensor copy;
  return mo_tensor_init_strided(&copy, tensor->data, tensor->dtype, tensor->device, tensor->rank, tensor->shape,
                                tensor->strides) == MO_STATUS_OK;
}

mo_status_t mo_check_tensor(const char *op, const char *name, const mo_context_t *context, const mo_tensor *tensor,
                            uint32_t dtypes, int32_t rank_min, int32_t rank_max) {
  MO_CHECK(tensor != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: %s is NULL", op, name);
  const size_t element = mo_dtype_bytes(tensor->dtype);
  MO_CHECK(element != 0, MO_STATUS_INVALID_ARGUMENT, "%s: %s has no dtype", op, name);
  MO_CHECK((dtypes & MO_DTYPE_BIT(tensor->dtype)) != 0, MO_STATUS_INVALID_ARGUMENT,
           "%s: %s has dtype %s, which is not allowed there", op, name, mo_dtype_name(tensor->dtype));
  MO_CHECK(tensor->rank >= rank_min && tensor->rank <= rank_max, MO_STATUS_INVALID_ARGUMENT, "%s: %s has rank %d, not %d..%d",
           op, name, (int)tensor->rank, (int)rank_min, (int)rank_max);
  if (!tensor_is_valid(tensor)) {
    char reason[256];
    strncpy(reason, mo_last_error(), sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    return mo_fail(MO_STATUS_INVALID_ARGUMENT, "%s: %s is not a valid tensor (%s)", op, name, reason);
  }
  MO_CHECK((uintptr_t)tensor->data % element == 0, MO_STATUS_INVALID_ARGUMENT, "%s: %s is not aligned to its %zu-byte elements",
           op, name, element);
  const mo_device device = mo_context_device(context);
  char found[32], expected[32];
  MO_CHECK(tensor->device.kind == device.kind && tensor->device.index == device.index, MO_STATUS_INVALID_ARGUMENT,
           "%s: %s is on %s, the context on %s", op, name, mo_device_name(tensor->device, found, sizeof found),
           mo_device_name(device, expected, sizeof expected));
  return MO_STATUS_OK;
}

mo_status_t mo_check_shape(const char *op, const char *name, const mo_tensor *tensor, int32_t rank, const int64_t *shape) {
  MO_CHECK(tensor->rank == rank, MO_STATUS_INVALID_ARGUMENT, "%s: %s has rank %d, not %d", op, name, (int)tensor->rank,
           (int)rank);
  for (int32_t i = 0; i < rank; ++i) {
    MO_CHECK(tensor->shape[i] == shape[i], MO_STATUS_INVALID_ARGUMENT, "%s: %s has extent %lld in dimension %d, not %lld", op,
             name, (long long)tensor->shape[i], (int)i, (long long)shape[i]);
  }
  return MO_STATUS_OK;
}

mo_status_t mo_check_broadcast(const char *op, const char *name, const mo_tensor *tensor, int32_t rank, const int64_t *shape) {
  MO_CHECK(tensor->rank == rank, MO_STATUS_INVALID_ARGUMENT, "%s: %s has rank %d, not %d", op, name, (int)tensor->rank,
           (int)rank);
  for (int32_t i = 0; i < rank; ++i) {
    MO_CHECK(tensor->shape[i] == shape[i] || tensor->shape[i] == 1, MO_STATUS_INVALID_ARGUMENT,
             "%s: %s has extent %lld in dimension %d, neither %lld nor 1", op, name, (long long)tensor->shape[i], (int)i,
             (long long)shape[i]);
  }
  return MO_STATUS_OK;
}

mo_status_t mo_check_last_stride(const char *op, const char *name, const mo_tensor *tensor) {
  const int32_t last = tensor->rank - 1;
  MO_CHECK(last < 0 || tensor->shape[last] <= 1 || tensor->strides[last] == 1, MO_STATUS_INVALID_ARGUMENT,
           "%s: %s has stride %lld in its last dimension, not 1", op, name, (long long)tensor->strides[last]);
  return MO_STATUS_OK;
}

/* Dimensions of extent above 1, sorted by falling stride. Returns their number. */
static int sort_dimensions(const mo_tensor *tensor, int64_t *extents, int64_t *strides) {
  int count = 0;
  for (int32_t i = 0; i < tensor->rank; ++i) {
    if (tensor->shape[i] <= 1) continue;
    int position = count++;
    for (; position > 0 && strides[position - 1] < tensor->strides[i]; --position) {
      strides[position] = strides[position - 1];
      extents[position] = extents[position - 1];
    }
    strides[position] = tensor->strides[i];
    extents[position] = tensor->shape[i];
  }
  return count;
}

mo_status_t mo_check_destination(const char *op, const char *name, const mo_tensor *tensor) {
  int64_t extents[MO_MAX_DIMS], strides[MO_MAX_DIMS];
  if (mo_tensor_count(tensor) == 0) return MO_STATUS_OK;
  const int count = sort_dimensions(tensor, extents, strides);
  int64_t reach = 0; /* last offset of the dimensions with smaller strides */
  for (int i = count - 1; i >= 0; --i) {
    MO_CHECK(strides[i] > reach, MO_STATUS_INVALID_ARGUMENT, "%s: %s has two elements at one address (stride %lld)", op, name,
             (long long)strides[i]);
    reach += (extents[i] - 1) * strides[i];
  }
  return MO_STATUS_OK;
}

void mo_tensor_byte_range(const mo_tensor *tensor, uintptr_t *begin, uintptr_t *end) {
  int64_t reach = 0;
  for (int32_t i = 0; i < tensor->rank; ++i) reach += (tensor->shape[i] - 1) * tensor->strides[i];
  *begin = (uintptr_t)tensor->data;
  *end = *begin + (uintptr_t)(reach + 1) * mo_dtype_bytes(tensor->dtype);
}

static bool same_view(const mo_tensor *a, const mo_tensor *b) {
  if (a->data != b->data || a->dtype != b->dtype || a->rank != b->rank) return false;
  for (int32_t i = 0; i < a->rank; ++i) {
    if (a->shape[i] != b->shape[i] || (a->shape[i] > 1 && a->strides[i] != b->strides[i])) return false;
  }
  return true;
}

/* Two views of one matrix with a common row stride whose columns lie apart: within one period of the largest stride both of
 * them share, the bytes each touches form an interval, and the intervals are disjoint. */
static bool interleaved_apart(const mo_tensor *a, const mo_tensor *b) {
  int64_t period = 0; /* in bytes: the smallest stride that the row structure of both is a multiple of */
  const mo_tensor *tensors[2] = {a, b};
  int64_t inner[2] = {0, 0};
  for (int t = 0; t < 2; ++t) {
    const int64_t element = (int64_t)mo_dtype_bytes(tensors[t]->dtype);
    int64_t extents[MO_MAX_DIMS], strides[MO_MAX_DIMS];
    const int count = sort_dimensions(tensors[t], extents, strides);
    /* Everything from the smallest stride upwards that stays dense belongs to the row; the first gap starts the rows. */
    int64_t reach = element;
    int i = count - 1;
    for (; i >= 0; --i) {
      if (strides[i] * element > reach) break;
      reach = strides[i] * element * (extents[i] - 1) + reach;
    }
    inner[t] = reach;
    if (i < 0) return false; /* no gaps: ranges that meet overlap */
    const int64_t row = strides[i] * element;
    for (int j = i; j >= 0; --j) {
      if (strides[j] * element % row != 0) return false;
    }
    if (period != 0 && row != period) return false;
    period = row;
  }
  const int64_t difference = (int64_t)((uintptr_t)b->data - (uintptr_t)a->data);
  const int64_t phase = ((difference % period) + period) % period; /* where b's row begins within a's */
  return phase >= inner[0] && phase + inner[1] <= period;
}

mo_status_t mo_check_no_overlap(const char *op, const char *destination_name, const mo_tensor *destination, const char *name,
                                const mo_tensor *tensor, bool exact_ok) {
  if (destination == NULL || tensor == NULL) return MO_STATUS_OK;
  if (mo_tensor_count(destination) == 0 || mo_tensor_count(tensor) == 0) return MO_STATUS_OK;
  uintptr_t begin_a, end_a, begin_b, end_b;
  mo_tensor_byte_range(destination, &begin_a, &end_a);
  mo_tensor_byte_range(tensor, &begin_b, &end_b);
  if (end_a <= begin_b || end_b <= begin_a) return MO_STATUS_OK;
  if (exact_ok && same_view(destination, tensor)) return MO_STATUS_OK;
  if (interleaved_apart(destination, tensor)) return MO_STATUS_OK;
  return mo_fail(MO_STATUS_INVALID_ARGUMENT, "%s: %s overlaps %s", op, destination_name, name);
}

mo_status_t mo_check_index_list(const char *op, const char *name, mo_index_list list, int64_t length, int32_t *resolved) {
  MO_CHECK(list.count >= 0, MO_STATUS_INVALID_ARGUMENT, "%s: %s has count %d, below 0", op, name, (int)list.count);
  MO_CHECK(list.count == 0 || list.indices != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: %s has count %d and no indices", op, name,
           (int)list.count);
  for (int32_t i = 0; i < list.count; ++i) {
    const int64_t index = list.indices[i] < 0 ? list.indices[i] + length : list.indices[i];
    MO_CHECK(index >= 0 && index < length, MO_STATUS_INVALID_ARGUMENT, "%s: %s names %d of %lld", op, name,
             (int)list.indices[i], (long long)length);
    for (int32_t j = 0; j < i; ++j) {
      const int64_t other = list.indices[j] < 0 ? list.indices[j] + length : list.indices[j];
      MO_CHECK(other != index, MO_STATUS_INVALID_ARGUMENT, "%s: %s names %lld twice", op, name, (long long)index);
    }
    if (resolved != NULL) resolved[i] = (int32_t)index;
  }
  return MO_STATUS_OK;
}

mo_status_t mo_unsupported_op(const char *op, const mo_context_t *context) {
  return mo_fail(MO_STATUS_UNSUPPORTED, "%s: the %s backend does not have this op", op, mo_context_backend_name(context));
}

mo_status_t mo_check_rotary(const char *op, const mo_context_t *context, const mo_rotary *rotary, int64_t head_size) {
  const mo_tensor *cosine = rotary->cosine, *sine = rotary->sine;
  const uint32_t dtypes = MO_DTYPE_BIT(MO_DTYPE_FLOAT32);
  MO_TRY(mo_check_tensor(op, "cosine", context, cosine, dtypes, 2, 2));
  MO_TRY(mo_check_tensor(op, "sine", context, sine, dtypes, 2, 2));
  MO_TRY(mo_check_shape(op, "sine", sine, 2, cosine->shape));
  MO_CHECK(mo_tensor_is_contiguous(cosine) && mo_tensor_is_contiguous(sine), MO_STATUS_INVALID_ARGUMENT,
           "%s: the tables of cosines and sines must be contiguous", op);
  MO_CHECK(rotary->pairing == MO_ROTARY_HALVES || rotary->pairing == MO_ROTARY_INTERLEAVED, MO_STATUS_INVALID_ARGUMENT,
           "%s: pairing %d is unknown", op, (int)rotary->pairing);
  MO_CHECK(cosine->shape[1] <= head_size / 2, MO_STATUS_INVALID_ARGUMENT,
           "%s: the tables turn %" PRId64 " pairs of elements, a head has %" PRId64 " elements", op, cosine->shape[1],
           head_size);
  return MO_STATUS_OK;
}
