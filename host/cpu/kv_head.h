/* host/cpu/kv_head.h - how one head of one token is stored in a cache and read from it. For the cache update and for decode
 * attention, which must store the same bits.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_KV_HEAD_H
#define MO_CPU_KV_HEAD_H

#include <string.h>

#include "host/core/kv_quantise.h"
#include "host/cpu/kv_place.h"
#include "host/cpu/rotary.h"

static inline void mo_kv_quantise(const float *values, int64_t size, int64_t groups, mo_dtype_t dtype, void *stored,
                                  float *scales) {
  const int64_t width = groups == 0 ? 0 : size / groups;
  for (int64_t g = 0; g < groups; g++) {
    float largest = 0.0f;
    for (int64_t i = 0; i < width; i++) largest = fmaxf(largest, fabsf(values[g * width + i]));
    const float scale = largest / (dtype == MO_DTYPE_INT8 ? MO_KV_INT8_LARGEST : MO_KV_E4M3_LARGEST);
    scales[g] = scale;
    for (int64_t i = g * width; i < (g + 1) * width; i++) {
      const float quotient = mo_kv_quotient(values[i], scale);
      if (dtype == MO_DTYPE_INT8) ((int8_t *)stored)[i] = mo_kv_to_int8(quotient);
      else ((uint8_t *)stored)[i] = mo_kv_to_e4m3(quotient);
    }
  }
}

static inline void mo_kv_dequantise(const void *stored, const float *scales, int64_t size, int64_t groups, mo_dtype_t dtype,
                                    float *values) {
  const int64_t width = groups == 0 ? 0 : size / groups;
  for (int64_t i = 0; i < groups * width; i++) {
    const float quotient =
        dtype == MO_DTYPE_INT8 ? (float)((const int8_t *)stored)[i] : mo_kv_from_e4m3(((const uint8_t *)stored)[i]);
    values[i] = quotient * scales[i / width];
  }
}

/* One head to its slot: turned if `rotary` is given, quantised if `scale` is. `wide`: room for its floats. */
static inline mo_status_t mo_kv_write_head(const mo_tensor *source, const mo_tensor *stored, const mo_tensor *scale,
                                           const mo_rotary *rotary, int64_t position, const char *from, mo_kv_place to,
                                           int64_t head, float *wide) {
  const int64_t size = source->shape[3];
  char *destination = mo_kv_address(stored, to.block, head, to.slot);
  if (rotary == NULL && scale == NULL) {
    memcpy(destination, from, (size_t)size * mo_dtype_bytes(source->dtype));
    return MO_STATUS_OK;
  }
  MO_TRY(mo_dtype_convert(wide, MO_DTYPE_FLOAT32, from, source->dtype, size));
  if (rotary != NULL) {
    const int64_t pairs = rotary->cosine->shape[1];
    mo_rotary_turn(wide, wide, (const float *)rotary->cosine->data + position * pairs,
                   (const float *)rotary->sine->data + position * pairs, pairs, rotary->pairing);
  }
  if (scale == NULL) return mo_dtype_convert(destination, stored->dtype, wide, MO_DTYPE_FLOAT32, size);
  mo_kv_quantise(wide, size, scale->shape[3], stored->dtype, destination,
                 (float *)mo_kv_address(scale, to.block, head, to.slot));
  return MO_STATUS_OK;
}

#endif
