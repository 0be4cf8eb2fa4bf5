/* host/cpu/rotary.h - the turn of one head, for the rotary embedding and for the update of caches.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_ROTARY_H
#define MO_CPU_ROTARY_H

#include "host/cpu/cpu_ops.h"
#include "host/cpu/strided.h"
#include "host/rules/broadcast.h"

/* What position_ids, (B|1, T), say of token `token` of row `row`. */
static inline int64_t mo_position_id(const mo_tensor *ids, int64_t row, int64_t token) {
  return mo_read_index(ids->data, ids->dtype, row * mo_broadcast_stride(ids, 0) + token * ids->strides[1]);
}

/* The turning elements of one head. The destination may be the source. */
static inline void mo_rotary_turn(float *destination, const float *source, const float *cosine, const float *sine,
                                  int64_t pairs, mo_rotary_pairing_t pairing) {
  if (pairing == MO_ROTARY_INTERLEAVED) {
    for (int64_t i = 0; i < pairs; i++) {
      const float x = source[2 * i], y = source[2 * i + 1];
      destination[2 * i] = x * cosine[i] - y * sine[i];
      destination[2 * i + 1] = y * cosine[i] + x * sine[i];
    }
    return;
  }
#pragma omp simd
  for (int64_t i = 0; i < pairs; i++) {
    const float x = source[i], y = source[pairs + i];
    destination[i] = x * cosine[i] - y * sine[i];
    destination[pairs + i] = y * cosine[i] + x * sine[i];
  }
}

#endif
