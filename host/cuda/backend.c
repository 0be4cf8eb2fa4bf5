/* host/cuda/backend.c - the CUDA backend's table: device, memory, streams, events, copies, and the module's one exported
 * symbol.
 *
 * Device memory comes from a stream-ordered pool of our own (device.c). Streams made here do not synchronise with the default
 * stream. Events carry no timing. Nothing here waits for the device except the functions that say so by their names, and every
 * function leaves the calling thread's current card as it found it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "host/cuda/cuda_ops.h"

#define MO_TRY_CUDA(call, what) MO_TRY(mo_cuda_status((call), (what)))

/* ---- Device ---- */

static mo_status_t cuda_open(int32_t device_index, void **result) {
  mo_cuda_state *state = calloc(1, sizeof *state);
  MO_CHECK(state != NULL, MO_STATUS_OUT_OF_MEMORY, "cuda: no host memory for a context");
  const mo_status_t status = mo_cuda_device_open(device_index, state);
  if (status != MO_STATUS_OK) {
    free(state);
    return status;
  }
  *result = state;
  return MO_STATUS_OK;
}

static void cuda_close(void *state_pointer) {
  mo_cuda_state *state = state_pointer;
  {
    MO_CUDA_ENTER_QUIETLY(state);
    mo_cuda_linear_plans_destroy(state->linear_plans);
    mo_cuda_device_close(state);
  }
  free(state);
}

/* ---- Memory ---- */

static mo_status_t out_of_memory(size_t bytes) {
  size_t free_bytes = 0, total_bytes = 0;
  if (cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess) {
    (void)cudaGetLastError();
    return mo_fail(MO_STATUS_OUT_OF_MEMORY, "cuda: %zu bytes asked for, how many are free is not known", bytes);
  }
  return mo_fail(MO_STATUS_OUT_OF_MEMORY, "cuda: %zu bytes asked for, %zu of %zu are free", bytes, free_bytes, total_bytes);
}

static mo_status_t cuda_allocate(void *state, size_t bytes, mo_stream stream, void **memory) {
  MO_CUDA_ENTER(state);
  const cudaError_t error = cudaMallocFromPoolAsync(memory, bytes, ((mo_cuda_state *)state)->pool, (cudaStream_t)stream);
  if (error == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    return out_of_memory(bytes);
  }
  return mo_cuda_status(error, "cudaMallocFromPoolAsync");
}

static void cuda_release(void *state, void *memory, size_t bytes, mo_stream stream) {
  (void)bytes;
  MO_CUDA_ENTER_QUIETLY(state);
  /* A block whose ordered release is refused goes back at once: cudaFree waits for all work on the card. */
  if (mo_cuda_status(cudaFreeAsync(memory, (cudaStream_t)stream), "cudaFreeAsync") == MO_STATUS_OK) return;
  (void)mo_cuda_status(cudaFree(memory), "cudaFree");
}

/* What streams have freed goes back to the driver; what they are still to free stays for the next call. */
static void cuda_trim(void *state) {
  MO_CUDA_ENTER_QUIETLY(state);
  (void)mo_cuda_status(cudaMemPoolTrimTo(((mo_cuda_state *)state)->pool, 0), "cudaMemPoolTrimTo");
}

static mo_status_t cuda_allocate_pinned(void *state, size_t bytes, void **memory) {
  MO_CUDA_ENTER(state);
  const cudaError_t error = cudaHostAlloc(memory, bytes, cudaHostAllocPortable);
  if (error == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    return mo_fail(MO_STATUS_OUT_OF_MEMORY, "cuda: %zu bytes of pinned host memory asked for, there are not as many", bytes);
  }
  return mo_cuda_status(error, "cudaHostAlloc");
}

static void cuda_release_pinned(void *state, void *memory, size_t bytes) {
  (void)bytes;
  MO_CUDA_ENTER_QUIETLY(state);
  (void)mo_cuda_status(cudaFreeHost(memory), "cudaFreeHost");
}

static mo_status_t cuda_copy(void *state, void *destination, const void *source, size_t bytes, mo_copy_direction_t direction,
                             mo_stream stream) {
  if (bytes == 0) return MO_STATUS_OK;
  const enum cudaMemcpyKind kind = direction == MO_COPY_TO_DEVICE ? cudaMemcpyHostToDevice
                                   : direction == MO_COPY_TO_HOST ? cudaMemcpyDeviceToHost
                                                                  : cudaMemcpyDeviceToDevice;
  MO_CUDA_ENTER(state);
  return mo_cuda_status(cudaMemcpyAsync(destination, source, bytes, kind, (cudaStream_t)stream), "cudaMemcpyAsync");
}

/* ---- Streams and events ---- */

static mo_status_t cuda_stream_create(void *state, mo_stream *stream) {
  cudaStream_t created;
  MO_CUDA_ENTER(state);
  MO_TRY_CUDA(cudaStreamCreateWithFlags(&created, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  *stream = (mo_stream)created;
  return MO_STATUS_OK;
}

static void cuda_stream_destroy(void *state, mo_stream stream) {
  MO_CUDA_ENTER_QUIETLY(state);
  (void)mo_cuda_status(cudaStreamDestroy((cudaStream_t)stream), "cudaStreamDestroy");
}

static mo_status_t cuda_stream_synchronize(void *state, mo_stream stream) {
  MO_CUDA_ENTER(state);
  return mo_cuda_status(cudaStreamSynchronize((cudaStream_t)stream), "cudaStreamSynchronize");
}

static mo_status_t cuda_stream_wait_event(void *state, mo_stream stream, mo_event event) {
  MO_CUDA_ENTER(state);
  return mo_cuda_status(cudaStreamWaitEvent((cudaStream_t)stream, (cudaEvent_t)event, 0), "cudaStreamWaitEvent");
}

static mo_status_t cuda_event_create(void *state, mo_event *event) {
  cudaEvent_t created;
  MO_CUDA_ENTER(state);
  MO_TRY_CUDA(cudaEventCreateWithFlags(&created, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  *event = (mo_event)created;
  return MO_STATUS_OK;
}

static void cuda_event_destroy(void *state, mo_event event) {
  MO_CUDA_ENTER_QUIETLY(state);
  (void)mo_cuda_status(cudaEventDestroy((cudaEvent_t)event), "cudaEventDestroy");
}

static mo_status_t cuda_event_record(void *state, mo_event event, mo_stream stream) {
  MO_CUDA_ENTER(state);
  return mo_cuda_status(cudaEventRecord((cudaEvent_t)event, (cudaStream_t)stream), "cudaEventRecord");
}

static mo_status_t cuda_event_synchronize(void *state, mo_event event) {
  MO_CUDA_ENTER(state);
  return mo_cuda_status(cudaEventSynchronize((cudaEvent_t)event), "cudaEventSynchronize");
}

static bool cuda_event_is_complete(void *state, mo_event event) {
  MO_CUDA_ENTER_QUIETLY(state);
  const cudaError_t error = cudaEventQuery((cudaEvent_t)event);
  if (error != cudaSuccess && error != cudaErrorNotReady) (void)cudaGetLastError();
  return error == cudaSuccess;
}

bool mo_cuda_stream_is_capturing(void *state, mo_stream stream) {
  enum cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  MO_CUDA_ENTER_QUIETLY(state);
  /* A call that follows tells of an error better than this answer could. */
  (void)mo_cuda_status(cudaStreamIsCapturing((cudaStream_t)stream, &capture), "cudaStreamIsCapturing");
  return capture != cudaStreamCaptureStatusNone;
}

/* ---- The table ---- */

static const mo_backend cuda_backend = {
    .abi_version = MO_BACKEND_ABI_VERSION,
    .struct_size = sizeof(mo_backend),
    .name = "cuda",
    .kind = MO_DEVICE_KIND_CUDA,
    .memory_is_host = false,
    .open = cuda_open,
    .close = cuda_close,
    .allocate = cuda_allocate,
    .release = cuda_release,
    .trim = cuda_trim,
    .allocate_pinned = cuda_allocate_pinned,
    .release_pinned = cuda_release_pinned,
    .copy = cuda_copy,
    .copy_view_to_host = mo_cuda_copy_view_to_host,
    .stream_create = cuda_stream_create,
    .stream_destroy = cuda_stream_destroy,
    .stream_synchronize = cuda_stream_synchronize,
    .stream_wait_event = cuda_stream_wait_event,
    .event_create = cuda_event_create,
    .event_destroy = cuda_event_destroy,
    .event_record = cuda_event_record,
    .event_synchronize = cuda_event_synchronize,
    .event_is_complete = cuda_event_is_complete,
    .stream_is_capturing = mo_cuda_stream_is_capturing,
    .graph_begin = mo_cuda_graph_begin,
    .graph_end = mo_cuda_graph_end,
    .graph_launch = mo_cuda_graph_launch,
    .graph_destroy = mo_cuda_graph_destroy,
#ifndef MO_NO_RANGES
    .range_is_heard = mo_cuda_range_is_heard,
    .range_push = mo_cuda_range_push,
    .range_pop = mo_cuda_range_pop,
#endif
    MO_BACKEND_OPS(mo_cuda),
};

MO_API const mo_backend *mo_backend_module(uint32_t abi_version, char *reason, size_t reason_bytes);

const mo_backend *mo_backend_module(uint32_t abi_version, char *reason, size_t reason_bytes) {
  if (abi_version != MO_BACKEND_ABI_VERSION) {
    snprintf(reason, reason_bytes, "the CUDA module has backend ABI %d, the library %u", MO_BACKEND_ABI_VERSION,
             (unsigned)abi_version);
    return NULL;
  }
  mo_cuda_device_absence(reason, reason_bytes);
  if (reason[0] != '\0') return NULL;
  return &cuda_backend;
}
