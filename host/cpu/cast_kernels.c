/* host/cpu/cast_kernels.c - elements in another dtype, a block at a time. Compiled once per instruction set.
 *
 * A block goes through float32, or between integers through int64, in a place that stays in the nearest cache: so there is one
 * loop per dtype and direction, not one per pair of dtypes.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/cast_kernels.h"

#include "host/cpu/simd_codes.h"

#define BLOCK 256

static int is_floating(mo_dtype_t dtype) {
  return dtype == MO_DTYPE_FLOAT32 || dtype == MO_DTYPE_FLOAT16 || dtype == MO_DTYPE_BFLOAT16 || dtype == MO_DTYPE_FLOAT8_E4M3;
}

/* ---- Elements with gaps ---- */

#define MOVE(type, to_step, from_step)                                                                                         \
  for (int64_t i = 0; i < count; ++i) ((type *)to)[i * (to_step)] = ((const type *)from)[i * (from_step)]

static void move_elements(void *restrict to, int64_t to_step, const void *restrict from, int64_t from_step, int64_t count,
                          size_t bytes) {
  if (bytes == 1) MOVE(uint8_t, to_step, from_step);
  else if (bytes == 2) MOVE(uint16_t, to_step, from_step);
  else if (bytes == 4) MOVE(uint32_t, to_step, from_step);
  else MOVE(uint64_t, to_step, from_step);
}

/* ---- Through float32 ---- */

#define WIDEN(type)                                                                                                            \
  for (int64_t i = 0; i < count; ++i) values[i] = (float)((const type *)source)[i]

static inline void load_vectors(float *restrict values, const void *restrict source, mo_dtype_t dtype, int64_t count) {
  for (int64_t i = 0; i < count; i += MO_VL) {
    const int n = count - i < MO_VL ? (int)(count - i) : MO_VL;
    const mo_vf v = mo_vf_load_stored(source, dtype, i, n);
    if (n == MO_VL) mo_vf_store(values + i, v);
    else mo_vf_store_partial(values + i, v, n);
  }
}

static void load_floats(float *restrict values, const void *restrict source, mo_dtype_t dtype, int64_t count) {
  if (dtype == MO_DTYPE_FLOAT16) load_vectors(values, source, MO_DTYPE_FLOAT16, count);
  else if (dtype == MO_DTYPE_BFLOAT16) load_vectors(values, source, MO_DTYPE_BFLOAT16, count);
  else if (dtype == MO_DTYPE_FLOAT8_E4M3) load_vectors(values, source, MO_DTYPE_FLOAT8_E4M3, count);
  else if (dtype == MO_DTYPE_INT8) load_vectors(values, source, MO_DTYPE_INT8, count);
  else if (dtype == MO_DTYPE_INT32) WIDEN(int32_t);
  else if (dtype == MO_DTYPE_INT64) WIDEN(int64_t);
  else if (dtype == MO_DTYPE_UINT8) WIDEN(uint8_t);
  else if (dtype == MO_DTYPE_BOOL) {
    for (int64_t i = 0; i < count; ++i) values[i] = ((const uint8_t *)source)[i] != 0 ? 1.0f : 0.0f;
  } else {
    memcpy(values, source, (size_t)count * sizeof *values);
  }
}

/* Towards zero, the nearest end of the type past it, NaN to 0: written out, because C leaves it open. */
#define SATURATE(type, lowest, largest, past)                                                                                  \
  for (int64_t i = 0; i < count; ++i) {                                                                                        \
    const float x = values[i];                                                                                                 \
    ((type *)destination)[i] = x >= (past) ? (largest) : x <= (float)(lowest) ? (lowest) : x == x ? (type)x : 0;               \
  }

static inline void store_vectors(void *restrict destination, mo_dtype_t dtype, const float *restrict values, int64_t count) {
  for (int64_t i = 0; i < count; i += MO_VL) {
    const int n = count - i < MO_VL ? (int)(count - i) : MO_VL;
    const mo_vf v = n == MO_VL ? mo_vf_load(values + i) : mo_vf_load_partial(values + i, n);
    if (dtype == MO_DTYPE_FLOAT8_E4M3) mo_vf_store_e4m3(destination, i, v, n);
    else mo_vf_store_any(destination, dtype, i, v, n);
  }
}

static void store_floats(void *restrict destination, mo_dtype_t dtype, const float *restrict values, int64_t count) {
  if (dtype == MO_DTYPE_FLOAT16) store_vectors(destination, MO_DTYPE_FLOAT16, values, count);
  else if (dtype == MO_DTYPE_BFLOAT16) store_vectors(destination, MO_DTYPE_BFLOAT16, values, count);
  else if (dtype == MO_DTYPE_FLOAT8_E4M3) store_vectors(destination, MO_DTYPE_FLOAT8_E4M3, values, count);
  else if (dtype == MO_DTYPE_INT8) SATURATE(int8_t, INT8_MIN, INT8_MAX, 0x1p7f)
  else if (dtype == MO_DTYPE_INT32) SATURATE(int32_t, INT32_MIN, INT32_MAX, 0x1p31f)
  else if (dtype == MO_DTYPE_INT64) SATURATE(int64_t, INT64_MIN, INT64_MAX, 0x1p63f)
  else if (dtype == MO_DTYPE_UINT8) SATURATE(uint8_t, 0, UINT8_MAX, 0x1p8f)
  else if (dtype == MO_DTYPE_BOOL) {
    for (int64_t i = 0; i < count; ++i) ((uint8_t *)destination)[i] = values[i] != 0.0f;
  } else {
    memcpy(destination, values, (size_t)count * sizeof *values);
  }
}

/* ---- Between integers ---- */

#define LOAD_INTEGERS(type)                                                                                                    \
  for (int64_t i = 0; i < count; ++i) values[i] = ((const type *)source)[i]

static void load_integers(int64_t *restrict values, const void *restrict source, mo_dtype_t dtype, int64_t count) {
  if (dtype == MO_DTYPE_INT8) LOAD_INTEGERS(int8_t);
  else if (dtype == MO_DTYPE_INT32) LOAD_INTEGERS(int32_t);
  else if (dtype == MO_DTYPE_UINT8) LOAD_INTEGERS(uint8_t);
  else if (dtype == MO_DTYPE_BOOL) {
    for (int64_t i = 0; i < count; ++i) values[i] = ((const uint8_t *)source)[i] != 0;
  } else {
    LOAD_INTEGERS(int64_t);
  }
}

/* The low bits. */
#define STORE_INTEGERS(type)                                                                                                   \
  for (int64_t i = 0; i < count; ++i) ((type *)destination)[i] = (type)values[i]

static void store_integers(void *restrict destination, mo_dtype_t dtype, const int64_t *restrict values, int64_t count) {
  if (dtype == MO_DTYPE_INT8 || dtype == MO_DTYPE_UINT8) STORE_INTEGERS(uint8_t);
  else if (dtype == MO_DTYPE_INT32) STORE_INTEGERS(uint32_t);
  else if (dtype == MO_DTYPE_BOOL) {
    for (int64_t i = 0; i < count; ++i) ((uint8_t *)destination)[i] = values[i] != 0;
  } else {
    STORE_INTEGERS(int64_t);
  }
}

/* ---- A block: contiguous on both sides ---- */

static void cast_block(const mo_cast_job *job, void *destination, const void *source, int64_t count) {
  const mo_dtype_t from = job->source_dtype, to = job->destination_dtype;
  if (from == to) {
    memcpy(destination, source, (size_t)count * mo_dtype_bytes(to));
  } else if (is_floating(from) || is_floating(to)) {
    float room[BLOCK];
    const float *values = source;
    if (to == MO_DTYPE_FLOAT32) {
      load_floats(destination, source, from, count);
      return;
    }
    if (from != MO_DTYPE_FLOAT32) {
      load_floats(room, source, from, count);
      values = room;
    }
    if (job->limit > 0.0f) {
      for (int64_t i = 0; i < count; ++i) /* NaN is neither */
        room[i] = values[i] > job->limit ? job->limit : values[i] < -job->limit ? -job->limit : values[i];
      values = room;
    }
    store_floats(destination, to, values, count);
  } else {
    int64_t room[BLOCK];
    const int64_t *values = source;
    if (to == MO_DTYPE_INT64) {
      load_integers(destination, source, from, count);
      return;
    }
    if (from != MO_DTYPE_INT64) {
      load_integers(room, source, from, count);
      values = room;
    }
    store_integers(destination, to, values, count);
  }
}

void MO_SIMD(mo_cast_run)(const mo_cast_job *job, void *destination, const void *source, int64_t count) {
  const size_t from_bytes = mo_dtype_bytes(job->source_dtype), to_bytes = mo_dtype_bytes(job->destination_dtype);
  int64_t from_room[BLOCK], to_room[BLOCK]; /* of any dtype: there are none wider */
  for (int64_t done = 0; done < count; done += BLOCK) {
    const int64_t n = count - done < BLOCK ? count - done : BLOCK;
    const void *from = (const char *)source + done * job->source_stride * (int64_t)from_bytes;
    void *to = (char *)destination + done * job->destination_stride * (int64_t)to_bytes;
    if (job->source_stride != 1) {
      move_elements(from_room, 1, from, job->source_stride, n, from_bytes);
      from = from_room;
    }
    if (job->destination_stride == 1) {
      cast_block(job, to, from, n);
    } else {
      cast_block(job, to_room, from, n);
      move_elements(to, job->destination_stride, to_room, 1, n, to_bytes);
    }
  }
}
