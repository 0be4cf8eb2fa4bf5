/* host/cuda/device.h - the cards: which one a call works on, what they can do, and the memory pool that contexts of one card
 * share.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CUDA_DEVICE_H
#define MO_CUDA_DEVICE_H

#include <cuda_runtime_api.h>

#include "host/core/backend.h"

/* Per context. */
typedef struct mo_cuda_state {
  int32_t device_index;
  int32_t multiprocessor_count;
  size_t shared_bytes_limit;                 /* per block, opt-in: 99, 163 or 227 KiB */
  cudaMemPool_t pool;                        /* of the card, ours alone */
  struct mo_cuda_linear_plans *linear_plans; /* host/cuda/linear.c; NULL until the first weight is packed or multiplied */
  char name[256];
} mo_cuda_state;

/* What a function of the backend remembers of its caller's card. */
typedef struct mo_cuda_scope {
  int previous; /* the caller's card; negative: it is current already */
} mo_cuda_scope;

/* Makes the context's card the calling thread's current one until the block ends, and then the caller's again: another library
 * in this process counts on the card it has chosen. Every function of the backend begins with one of these two. */
#define MO_CUDA_ENTER(state)                                                                                                   \
  mo_cuda_scope scope_of_card __attribute__((cleanup(mo_cuda_leave))) = {.previous = -1};                                      \
  MO_TRY(mo_cuda_enter((state), &scope_of_card))

/* The same in functions that have no status. A card that cannot be entered fails in the calls that follow. */
#define MO_CUDA_ENTER_QUIETLY(state)                                                                                           \
  mo_cuda_scope scope_of_card __attribute__((cleanup(mo_cuda_leave))) = {.previous = -1};                                      \
  (void)mo_cuda_enter((state), &scope_of_card)

mo_status_t mo_cuda_enter(const mo_cuda_state *state, mo_cuda_scope *scope);
void mo_cuda_leave(mo_cuda_scope *scope);

/* What there is to know of the card, and its pool. UNSUPPORTED: the card is too old, or this build has no code for it. */
mo_status_t mo_cuda_device_open(int32_t device_index, mo_cuda_state *state);

/* Gives up the context's share in the pool; the last one of a card returns the pool's memory to the driver. */
void mo_cuda_device_close(mo_cuda_state *state);

/* Why this process has no card to offer, in one sentence; "" if it has one. Names the driver that is needed. */
void mo_cuda_device_absence(char *reason, size_t reason_bytes);

#endif
