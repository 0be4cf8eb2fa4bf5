/* host/cpu/kv_head_kernels.h - one head of one token on its way into a cache and out of it: what host/cpu/kv_update.c and
 * host/cpu/decode_attention.c hand to the kernels.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_KV_HEAD_KERNELS_H
#define MO_CPU_KV_HEAD_KERNELS_H

#include "host/cpu/isa.h"
#include "modelout/rotary.h"

typedef struct mo_kv_head_job {
  int64_t size;
  int64_t groups; /* of a quantised cache; 0: stored as it is */
  int64_t pairs;  /* that are turned; 0: none */
  mo_rotary_pairing_t pairing;
  mo_dtype_t source_dtype, stored_dtype; /* source: what goes in or comes out, a floating one */
} mo_kv_head_job;

/* Turned by the angles whose `pairs` cosines and sines these are, quantised by the rule of host/rules/kv_quantise.h, stored.
 * `wide`: room for `size` floats. */
MO_CPU_DECLARE(void, mo_kv_store_head,
               (const mo_kv_head_job *job, const void *source, const float *cosine, const float *sine, void *stored,
                float *scales, float *wide));
/* A quantised head times its scales. */
MO_CPU_DECLARE(void, mo_kv_load_head, (const mo_kv_head_job *job, const void *stored, const float *scales, void *destination));

#endif
