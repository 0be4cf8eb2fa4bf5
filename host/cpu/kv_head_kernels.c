/* host/cpu/kv_head_kernels.c - one head of one token into a cache and out of it. Compiled once per instruction set.
 *
 * The quantised bits are those of host/rules/kv_quantise.h on every instruction set: the same maximum, the same division, the
 * same rounding.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/kv_head_kernels.h"

#include "host/cpu/kv_dequantise.h"
#include "host/cpu/rotary.h"

static inline int lanes(int64_t left) { return left < MO_VL ? (int)left : MO_VL; }

/* Any float dtype to any other. */
static void convert(const void *source, mo_dtype_t from, void *destination, mo_dtype_t to, int64_t size) {
  for (int64_t i = 0; i < size; i += MO_VL) {
    const int n = lanes(size - i);
    mo_vf_store_any(destination, to, i, mo_vf_load_any(source, from, i, n), n);
  }
}

/* The largest magnitude; NaN does not count. */
static float largest_of(const float *values, int64_t count) {
  mo_vf largest = mo_vf_zero();
  for (int64_t i = 0; i < count; i += MO_VL) {
    const int n = lanes(count - i);
    largest = mo_vf_max(mo_vf_abs(mo_vf_load_any(values, MO_DTYPE_FLOAT32, i, n)), largest);
  }
  return mo_vf_hmax(largest);
}

/* A quotient is NaN or of a magnitude that is hardly above the largest code: the scale is the largest magnitude's part. */
static void quantise_int8(const float *values, int64_t count, mo_vf scale, int8_t *stored) {
  const mo_vf largest = mo_vf_set1(MO_KV_INT8_LARGEST), smallest = mo_vf_set1(-MO_KV_INT8_LARGEST);
  for (int64_t i = 0; i < count; i += MO_VL) {
    const int n = lanes(count - i);
    const mo_vf quotient = mo_vf_div(mo_vf_load_any(values, MO_DTYPE_FLOAT32, i, n), scale);
    const mo_vf number = mo_vf_select_lt(mo_vf_abs(quotient), mo_vf_set1(INFINITY), quotient, mo_vf_zero());
    mo_vf_store_int8(stored, i, mo_vf_max(smallest, mo_vf_min(largest, number)), n);
  }
}

static void quantise_e4m3(const float *values, int64_t count, mo_vf scale, uint8_t *stored) {
  const mo_vf largest = mo_vf_set1(MO_KV_E4M3_LARGEST), smallest = mo_vf_set1(-MO_KV_E4M3_LARGEST);
  for (int64_t i = 0; i < count; i += MO_VL) {
    const int n = lanes(count - i);
    const mo_vf quotient = mo_vf_div(mo_vf_load_any(values, MO_DTYPE_FLOAT32, i, n), scale);
    mo_vf_store_e4m3(stored, i, mo_vf_max(smallest, mo_vf_min(largest, quotient)), n); /* NaN stays as second operand */
  }
}

static void quantise(const mo_kv_head_job *job, const float *values, void *stored, float *scales) {
  const int64_t width = job->size / job->groups;
  for (int64_t group = 0; group < job->groups; ++group) {
    const float *part = values + group * width;
    char *to = (char *)stored + group * width;
    const int is_int8 = job->stored_dtype == MO_DTYPE_INT8;
    scales[group] = largest_of(part, width) / (is_int8 ? MO_KV_INT8_LARGEST : MO_KV_E4M3_LARGEST);
    if (scales[group] == 0.0f) memset(to, 0, (size_t)width);
    else if (is_int8) quantise_int8(part, width, mo_vf_set1(scales[group]), (int8_t *)to);
    else quantise_e4m3(part, width, mo_vf_set1(scales[group]), (uint8_t *)to);
  }
}

void MO_SIMD(mo_kv_store_head)(const mo_kv_head_job *job, const void *source, const float *cosine, const float *sine,
                               void *stored, float *scales, float *wide) {
  const float *values = source;
  if (job->pairs == 0 && job->groups == 0) {
    convert(source, job->source_dtype, stored, job->stored_dtype, job->size);
    return;
  }
  if (job->pairs > 0 || job->source_dtype != MO_DTYPE_FLOAT32) {
    convert(source, job->source_dtype, wide, MO_DTYPE_FLOAT32, job->size);
    values = wide;
  }
  if (job->pairs > 0) mo_rotary_turn(wide, wide, cosine, sine, job->pairs, job->pairing);
  if (job->groups > 0) quantise(job, values, stored, scales);
  else convert(values, MO_DTYPE_FLOAT32, stored, job->stored_dtype, job->size);
}

void MO_SIMD(mo_kv_load_head)(const mo_kv_head_job *job, const void *stored, const float *scales, void *destination) {
  if (job->groups == 0) return; /* a head of no elements */
  mo_dequantise_head(destination, job->source_dtype, 0, stored, scales, job->groups, job->size / job->groups,
                     job->stored_dtype == MO_DTYPE_INT8);
}
