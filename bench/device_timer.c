/* bench/device_timer.c - device time with the CUDA runtime.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "bench/device_timer.h"

#include <cuda_runtime_api.h>
#include <stdio.h>

#define TRY(call)                                                                                                              \
  do {                                                                                                                         \
    const cudaError_t try_error = (call);                                                                                      \
    if (try_error != cudaSuccess) return error_of(try_error, #call);                                                           \
  } while (0)

static const char *error_of(cudaError_t error, const char *call) {
  static char text[512]; /* the benchmarks have one thread, and end with the first error */
  (void)cudaGetLastError();
  snprintf(text, sizeof text, "%s: %s", call, cudaGetErrorString(error));
  return text;
}

/* Twice the cache, written before each replay: nothing of the last one is left in it. */
static struct {
  cudaEvent_t start, stop;
  void *memory;
  size_t bytes;
} flush;

static const char *describe(int device, bench_device *description) {
  struct cudaDeviceProp properties;
  int driver = 0, runtime = 0;
  TRY(cudaSetDevice(device));
  TRY(cudaGetDeviceProperties(&properties, device));
  TRY(cudaDriverGetVersion(&driver));
  TRY(cudaRuntimeGetVersion(&runtime));
  snprintf(description->name, sizeof description->name, "%s", properties.name);
  description->multiprocessor_count = properties.multiProcessorCount;
  description->driver = driver;
  description->runtime = runtime;
  description->cache_bytes = (size_t)properties.l2CacheSize;
  if (flush.memory == NULL) {
    flush.bytes = 2 * description->cache_bytes;
    TRY(cudaMalloc(&flush.memory, flush.bytes));
    TRY(cudaEventCreateWithFlags(&flush.start, cudaEventDefault));
    TRY(cudaEventCreateWithFlags(&flush.stop, cudaEventDefault));
  }
  return NULL;
}

static const char *begin_capture(void *stream) {
  TRY(cudaStreamBeginCapture((cudaStream_t)stream, cudaStreamCaptureModeThreadLocal));
  return NULL;
}

static const char *end_capture(void *stream, void **graph) {
  cudaGraph_t captured;
  cudaGraphExec_t executable = NULL;
  TRY(cudaStreamEndCapture((cudaStream_t)stream, &captured));
  const cudaError_t error = cudaGraphInstantiate(&executable, captured, 0);
  (void)cudaGraphDestroy(captured);
  TRY(error);
  *graph = executable;
  return NULL;
}

static const char *elapsed(double *seconds) {
  float milliseconds = 0;
  TRY(cudaEventSynchronize(flush.stop));
  TRY(cudaEventElapsedTime(&milliseconds, flush.start, flush.stop));
  *seconds = (double)milliseconds * 1e-3;
  return NULL;
}

static const char *replay(void *graph, void *stream, double *seconds) {
  TRY(cudaMemsetAsync(flush.memory, 0, flush.bytes, (cudaStream_t)stream));
  TRY(cudaEventRecord(flush.start, (cudaStream_t)stream));
  TRY(cudaGraphLaunch((cudaGraphExec_t)graph, (cudaStream_t)stream));
  TRY(cudaEventRecord(flush.stop, (cudaStream_t)stream));
  return elapsed(seconds);
}

static void graph_destroy(void *graph) { (void)cudaGraphExecDestroy((cudaGraphExec_t)graph); }

static const char *timed_copy(void *destination, const void *source, size_t bytes, enum cudaMemcpyKind kind,
                              cudaStream_t stream, double *seconds) {
  TRY(cudaMemsetAsync(flush.memory, 0, flush.bytes, stream));
  TRY(cudaEventRecord(flush.start, stream));
  TRY(cudaMemcpyAsync(destination, source, bytes, kind, stream));
  TRY(cudaEventRecord(flush.stop, stream));
  return elapsed(seconds);
}

static const char *copy_on_device(void *destination, const void *source, size_t bytes, void *stream, double *seconds) {
  return timed_copy(destination, source, bytes, cudaMemcpyDeviceToDevice, (cudaStream_t)stream, seconds);
}

static const char *copy_to_pinned(const void *source, size_t bytes, void *stream, double *seconds) {
  void *pinned = NULL;
  TRY(cudaHostAlloc(&pinned, bytes, cudaHostAllocPortable));
  /* The first copy also maps the pages. */
  const char *problem = timed_copy(pinned, source, bytes, cudaMemcpyDeviceToHost, (cudaStream_t)stream, seconds);
  if (problem == NULL) problem = timed_copy(pinned, source, bytes, cudaMemcpyDeviceToHost, (cudaStream_t)stream, seconds);
  (void)cudaFreeHost(pinned);
  return problem;
}

const bench_timer *bench_cuda_timer(void) {
  static const bench_timer timer = {
      .struct_size = sizeof timer,
      .describe = describe,
      .begin_capture = begin_capture,
      .end_capture = end_capture,
      .replay = replay,
      .graph_destroy = graph_destroy,
      .copy_on_device = copy_on_device,
      .copy_to_pinned = copy_to_pinned,
  };
  return &timer;
}
