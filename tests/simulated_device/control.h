/* tests/simulated_device/control.h - what tests ask of the simulated device beyond the CUDA interface.
 *
 * Environment: MODELOUT_SIMULATED_SEED chooses the schedule, MODELOUT_SIMULATED_MEMORY the bytes of device memory.
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
