/* bench/device_timer.h - device time for the benchmarks: graphs replayed between events, a flushed cache, plain copies.
 *
 * The benchmarks do not link CUDA. bench/device_timer.c is a shared object beside the library, opened when --device=cuda is
 * asked for; in the programs of the simulated device it is linked in. A function that can fail returns NULL, or the error's
 * text.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_BENCH_DEVICE_TIMER_H
#define MO_BENCH_DEVICE_TIMER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bench_device {
  char name[256];
  int32_t multiprocessor_count;
  int32_t driver, runtime; /* CUDA versions, 1000 * major + 10 * minor */
  size_t cache_bytes;      /* L2 */
} bench_device;

typedef struct bench_timer {
  size_t struct_size;
  const char *(*describe)(int device, bench_device *description);
  /* What the caller puts on `stream` (a cudaStream_t) in between becomes *graph. */
  const char *(*begin_capture)(void *stream);
  const char *(*end_capture)(void *stream, void **graph);
  /* One replay with the cache full of something else; waits for it. */
  const char *(*replay)(void *graph, void *stream, double *seconds);
  void (*graph_destroy)(void *graph);
  /* One copy of device memory onto the device, or to pinned host memory, between events; waits for it. */
  const char *(*copy_on_device)(void *destination, const void *source, size_t bytes, void *stream, double *seconds);
  const char *(*copy_to_pinned)(const void *source, size_t bytes, void *stream, double *seconds);
} bench_timer;

#define BENCH_TIMER_LIBRARY "libmodelout_bench_timer.so"
#define BENCH_TIMER_SYMBOL "bench_cuda_timer"
__attribute__((visibility("default"))) const bench_timer *bench_cuda_timer(void);

#ifdef __cplusplus
}
#endif
#endif
