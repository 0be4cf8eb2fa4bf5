/* host/cpu/kv_head.h - how one head of one token is stored in a cache. For the cache update and for decode attention, which
 * must store the same bits.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_KV_HEAD_H
#define MO_CPU_KV_HEAD_H

#include <string.h>

#include "host/cpu/kv_head_kernels.h"
#include "host/cpu/kv_place.h"

/* One head to its slot: turned if `rotary` is given, quantised if `scale` is. `wide`: room for its floats. */
static inline void mo_kv_write_head(const mo_tensor *source, const mo_tensor *stored, const mo_tensor *scale,
                                    const mo_rotary *rotary, int64_t position, const char *from, mo_kv_place to, int64_t head,
                                    float *wide) {
  if (source->shape[3] == 0) return;
  char *destination = mo_kv_address(stored, to.block, head, to.slot);
  mo_kv_head_job job = {.size = source->shape[3], .source_dtype = source->dtype, .stored_dtype = stored->dtype};
  const float *cosine = NULL, *sine = NULL;
  float *scales = NULL;
  if (rotary == NULL && scale == NULL) {
    memcpy(destination, from, (size_t)job.size * mo_dtype_bytes(source->dtype));
    return;
  }
  if (rotary != NULL && rotary->cosine->shape[1] > 0) {
    job.pairs = rotary->cosine->shape[1];
    job.pairing = rotary->pairing;
    cosine = (const float *)rotary->cosine->data + position * job.pairs;
    sine = (const float *)rotary->sine->data + position * job.pairs;
  }
  if (scale != NULL) {
    job.groups = scale->shape[3];
    scales = (float *)(void *)mo_kv_address(scale, to.block, head, to.slot);
  }
  MO_CPU_SELECT(mo_kv_store_head)(&job, from, cosine, sine, destination, scales, wide);
}

#endif
