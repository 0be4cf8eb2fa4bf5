/* host/core/dtype.c - element types: sizes, names, conversion on the host.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/dtype.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "host/core/error.h"
#include "host/rules/float16.h"
#include "host/rules/kv_quantise.h"

typedef struct dtype_info {
  mo_dtype_t dtype;
  const char *name;
  const char *safetensors_name;
  size_t bytes;
} dtype_info;

static const dtype_info dtype_table[] = {
#define MO_DTYPE_ROW(name, value, text, safetensors, bytes) {MO_DTYPE_##name, text, safetensors, bytes},
    MO_DTYPE_MAP(MO_DTYPE_ROW)
#undef MO_DTYPE_ROW
};

enum { dtype_table_length = sizeof dtype_table / sizeof dtype_table[0] };

/* The list numbers the types from 1 without gaps (checked by tests/core/dtype_test.cc). */
static const dtype_info *find_dtype(mo_dtype_t dtype) {
  const int index = (int)dtype - 1;
  return index >= 0 && index < dtype_table_length ? &dtype_table[index] : NULL;
}

size_t mo_dtype_bytes(mo_dtype_t dtype) {
  const dtype_info *info = find_dtype(dtype);
  return info != NULL ? info->bytes : 0;
}

const char *mo_dtype_name(mo_dtype_t dtype) {
  const dtype_info *info = find_dtype(dtype);
  return info != NULL ? info->name : "none";
}

const char *mo_dtype_safetensors_name(mo_dtype_t dtype) {
  const dtype_info *info = find_dtype(dtype);
  return info != NULL ? info->safetensors_name : NULL;
}

mo_dtype_t mo_dtype_from_name(const char *name) {
  if (name == NULL) return MO_DTYPE_NONE;
  for (int i = 0; i < dtype_table_length; i++) {
    if (strcmp(name, dtype_table[i].name) == 0 || strcmp(name, dtype_table[i].safetensors_name) == 0)
      return dtype_table[i].dtype;
  }
  if (strcmp(name, "f32") == 0) return MO_DTYPE_FLOAT32;
  if (strcmp(name, "f16") == 0) return MO_DTYPE_FLOAT16;
  if (strcmp(name, "bf16") == 0) return MO_DTYPE_BFLOAT16;
  return MO_DTYPE_NONE;
}

bool mo_dtype_is_float(mo_dtype_t dtype) {
  return dtype == MO_DTYPE_FLOAT32 || dtype == MO_DTYPE_FLOAT16 || dtype == MO_DTYPE_BFLOAT16;
}

static float load_as_float(const void *source, mo_dtype_t dtype, int64_t i) {
  switch (dtype) {
    case MO_DTYPE_FLOAT32:
      return ((const float *)source)[i];
    case MO_DTYPE_FLOAT16:
      return mo_float_from_f16(((const uint16_t *)source)[i]);
    case MO_DTYPE_BFLOAT16:
      return mo_float_from_bf16(((const uint16_t *)source)[i]);
    case MO_DTYPE_FLOAT8_E4M3:
      return mo_kv_from_e4m3(((const uint8_t *)source)[i]);
    case MO_DTYPE_INT8:
      return (float)((const int8_t *)source)[i];
    case MO_DTYPE_INT32:
      return (float)((const int32_t *)source)[i];
    case MO_DTYPE_INT64:
      return (float)((const int64_t *)source)[i];
    case MO_DTYPE_UINT8:
      return (float)((const uint8_t *)source)[i];
    case MO_DTYPE_BOOL:
      return ((const uint8_t *)source)[i] != 0 ? 1.0f : 0.0f;
    case MO_DTYPE_NONE:
      break;
  }
  return NAN;
}

static int64_t load_as_integer(const void *source, mo_dtype_t dtype, int64_t i) {
  switch (dtype) {
    case MO_DTYPE_INT8:
      return ((const int8_t *)source)[i];
    case MO_DTYPE_INT32:
      return ((const int32_t *)source)[i];
    case MO_DTYPE_INT64:
      return ((const int64_t *)source)[i];
    case MO_DTYPE_UINT8:
      return ((const uint8_t *)source)[i];
    case MO_DTYPE_BOOL:
      return ((const uint8_t *)source)[i] != 0;
    default:
      return 0;
  }
}

static void store_float(void *destination, mo_dtype_t dtype, int64_t i, float value) {
  switch (dtype) {
    case MO_DTYPE_FLOAT32:
      ((float *)destination)[i] = value;
      break;
    case MO_DTYPE_FLOAT16:
      ((uint16_t *)destination)[i] = mo_f16_from_float(value);
      break;
    case MO_DTYPE_BFLOAT16:
      ((uint16_t *)destination)[i] = mo_bf16_from_float(value);
      break;
    case MO_DTYPE_FLOAT8_E4M3:
      ((uint8_t *)destination)[i] = mo_cast_to_e4m3(value);
      break;
    default:
      break;
  }
}

static bool integer_fits(mo_dtype_t dtype, int64_t value) {
  switch (dtype) {
    case MO_DTYPE_INT8:
      return value >= INT8_MIN && value <= INT8_MAX;
    case MO_DTYPE_INT32:
      return value >= INT32_MIN && value <= INT32_MAX;
    case MO_DTYPE_UINT8:
      return value >= 0 && value <= UINT8_MAX;
    default:
      return true;
  }
}

static void store_integer(void *destination, mo_dtype_t dtype, int64_t i, int64_t value) {
  switch (dtype) {
    case MO_DTYPE_INT8:
      ((int8_t *)destination)[i] = (int8_t)value;
      break;
    case MO_DTYPE_INT32:
      ((int32_t *)destination)[i] = (int32_t)value;
      break;
    case MO_DTYPE_INT64:
      ((int64_t *)destination)[i] = value;
      break;
    case MO_DTYPE_UINT8:
      ((uint8_t *)destination)[i] = (uint8_t)value;
      break;
    case MO_DTYPE_BOOL:
      ((uint8_t *)destination)[i] = value != 0;
      break;
    default:
      break;
  }
}

mo_status_t mo_dtype_convert(void *destination, mo_dtype_t destination_dtype, const void *source, mo_dtype_t source_dtype,
                             int64_t count) {
  MO_CHECK(find_dtype(destination_dtype) != NULL && find_dtype(source_dtype) != NULL, MO_STATUS_INVALID_ARGUMENT,
           "dtype convert: %d to %d, unknown dtype", (int)source_dtype, (int)destination_dtype);
  MO_CHECK(count >= 0, MO_STATUS_INVALID_ARGUMENT, "dtype convert: count %" PRId64 " is negative", count);
  MO_CHECK(count == 0 || (destination != NULL && source != NULL), MO_STATUS_INVALID_ARGUMENT, "dtype convert: NULL memory");
  if (count == 0) return MO_STATUS_OK;
  if (destination_dtype == source_dtype) {
    memcpy(destination, source, (size_t)count * mo_dtype_bytes(source_dtype));
    return MO_STATUS_OK;
  }
  const bool to_float = mo_dtype_is_float(destination_dtype) || destination_dtype == MO_DTYPE_FLOAT8_E4M3;
  const bool from_float = mo_dtype_is_float(source_dtype) || source_dtype == MO_DTYPE_FLOAT8_E4M3;
  MO_CHECK(to_float || !from_float, MO_STATUS_UNSUPPORTED, "dtype convert: %s to %s, floating point to integer is not done",
           mo_dtype_name(source_dtype), mo_dtype_name(destination_dtype));
  if (to_float) {
    for (int64_t i = 0; i < count; i++) store_float(destination, destination_dtype, i, load_as_float(source, source_dtype, i));
    return MO_STATUS_OK;
  }
  for (int64_t i = 0; i < count; i++) {
    const int64_t value = load_as_integer(source, source_dtype, i);
    MO_CHECK(integer_fits(destination_dtype, value), MO_STATUS_VALUE_ERROR,
             "dtype convert: value %" PRId64 " at %" PRId64 " does not fit %s", value, i, mo_dtype_name(destination_dtype));
  }
  for (int64_t i = 0; i < count; i++) {
    store_integer(destination, destination_dtype, i, load_as_integer(source, source_dtype, i));
  }
  return MO_STATUS_OK;
}
