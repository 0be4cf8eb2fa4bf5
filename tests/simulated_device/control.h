/* tests/simulated_device/control.h - what tests ask of the simulated device beyond the CUDA interface.
 *
 * Environment: MODELOUT_SIMULATED_SEED chooses the schedule, MODELOUT_SIMULATED_MEMORY the bytes of device memory,
 * MODELOUT_SIMULATED_ROUGH (to anything) arithmetic as rough as a card's.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATED_DEVICE_CONTROL_H
#define SIMULATED_DEVICE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuda_runtime_api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The order in which the threads of a block, the blocks of a grid and free-running streams go on from here. */
void simulated_set_seed(uint64_t seed);

/* Bytes of device memory; allocations beyond it fail. */
void simulated_set_memory(size_t bytes);

/* The n-th call from now on (1: the next) of an interface function that can fail returns `error`; 0 switches it off. A failing
 * launch or copy does nothing else. */
void simulated_fail_call(int64_t n, cudaError_t error);

/* Calls of such functions so far. */
int64_t simulated_call_count(void);

/* Calls so far of the function of that name; "launch" for kernels. */
int64_t simulated_call_count_of(const char *name);

/* The names of all calls while recording, one per line, since the last taking. Good until the next. */
void simulated_record_calls(bool record);
const char *simulated_take_calls(void);

/* Which call simulated_fail_call has made to fail ("" if its turn has not come). Cleared by the call; good until the next. */
const char *simulated_take_failed_call(void);

/* Calls so far that wait for the device, copy, or allocate where the device waits; and those that allocate or free in stream
 * order. A run of an op makes none of the former, and of the latter only where its scratch memory grows. */
int64_t simulated_waiting_call_count(void);
int64_t simulated_allocation_call_count(void);

/* What the cards are. */
typedef struct simulated_card {
  int major, minor;              /* compute capability (8.0) */
  int multiprocessor_count;      /* 4 */
  size_t shared_bytes_per_block; /* at most, opt-in (227 KiB, or what MODELOUT_SIMULATED_SHARED says in KiB) */
  bool has_code;                 /* the kernels were compiled for it (true) */
} simulated_card;

/* From here on all cards are like this one; NULL: as at the start. */
void simulated_set_card(const simulated_card *card);

/* The CUDA version of the driver (that of the runtime, which 0 sets again). */
void simulated_set_driver_version(int version);

/* From here on cuBLASLt has an algorithm for no product at all (from the start with MODELOUT_SIMULATED_REFUSE_PRODUCTS). */
void simulated_refuse_products(bool refuse);

/* Whether matrix instructions cut off what they add and ex2 is approximate, as on a card (arithmetic.h). */
void simulated_set_rough(bool rough);

/* Bytes that were copied to the device from pageable memory in copies of more than 64 KiB, for which a call may wait. */
uint64_t simulated_pageable_copy_bytes(void);

/* How many cards there are (1). They share memory and schedule; streams and events belong to the one that was current. */
void simulated_set_device_count(int count);

/* From here on every call gives `error`, as after a kernel that lost the context, until simulated_reset. */
void simulated_break_device(cudaError_t error);

/* Allocations, streams and events that are alive (0 when everything was given back). */
int64_t simulated_live_objects(void);

/* What the simulation found wrong last ("" if nothing): a stuck block, a divergent collective, damaged red zones, a free of
 * memory that work still uses. Cleared by the call; the pointer is good until the next call. The error is also returned as a
 * sticky cudaErrorLaunchFailure. */
const char *simulated_take_report(void);

/* Clears a sticky error, as a new process would. */
void simulated_reset(void);

/* Bytes copied from device to host, and kernels launched, so far. */
uint64_t simulated_copied_to_host_bytes(void);
uint64_t simulated_launch_count(void);

/* Launches of graphs so far. */
uint64_t simulated_graph_launch_count(void);

/* A profiler for NVTX: while none is attached, domains are not made. As with a real one, who asked before has its answer. */
void simulated_attach_profiler(bool attach);

/* The ranges since the last call, one line per event: the domain, two spaces per open range, and "+ MESSAGE" or "-". Good until
 * the next call. */
const char *simulated_take_ranges(void);

#ifdef __cplusplus
}
#endif
#endif
