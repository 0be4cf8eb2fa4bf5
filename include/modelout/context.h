/* modelout/context.h - a context: one device, one stream, the memory functions, and the scratch memory of the ops.
 *
 * THREADS. Ops on one context are issued by one thread at a time (as with a cuBLAS handle); several contexts may be used at
 * once from several threads. Reading outputs (modelout/output.h) is safe from any number of threads.
 *
 * On the CPU an op shares its work between the calling thread and threads of the library's own. These are made when an op first
 * wants them, serve all contexts of the process and stay until it ends; they block all signals. Between two ops they watch for
 * the next one for at most a tenth of a millisecond and then sleep; while other programs want the same processors they sleep
 * at once. An op never waits for a thread that the system has not given a processor yet, and where the system gives no
 * thread (a limit of processes or of address space) the calling thread does the work alone. Results do not depend on any of
 * this. The library uses no OpenMP and changes no setting of the program's own.
 *
 * FORK. A forked child may go on using contexts, models and outputs on the CPU; threads are made anew. No other thread
 * may be inside a call on one of these objects at the moment of the fork, as with every lock. A CUDA context cannot be used in
 * the child.
 *
 * MEMORY. A context keeps a scratch arena for the temporaries of its ops. It grows on demand, so the first call of a shape
 * may allocate; a repeated call does not. mo_context_reserve() makes it large enough beforehand. Blocks freed by outputs are
 * kept for the next output (at most options.cached_bytes_limit). On a CUDA device the memory comes from a stream-ordered pool
 * of the library's own, one per card; the card's default pool is left alone.
 *
 * CUDA GRAPHS. While the context's stream is captured nothing is allocated: a call that needs memory answers WRONG_STATE and
 * names the bytes. One run of the same shapes before the capture makes everything there is to make (memory, cuBLASLt), or
 * mo_context_reserve() the scratch arena alone. Memory released meanwhile is kept until the capture is over.
 *
 * OTHER LIBRARIES IN THE PROCESS. Every call leaves the calling thread's current CUDA device, the default stream's settings and
 * the runtime's last error as it found them.
 *
 * NOTES. The library prints nothing. What a caller may want to know of a call that succeeds reaches options.log: tensors of a
 * checkpoint that the model does not use, the CPU taken for want of a CUDA device.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_CONTEXT_H
#define MODELOUT_CONTEXT_H

#include "modelout/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_context mo_context_t;

/* A device stream as the device's own API knows it; the CPU has none. CUDA: the cudaStream_t, where
 *   - NULL and cudaStreamLegacy are the default stream, as in CUDA's own functions (and PyTorch's current_stream().cuda_stream
 * is 0 where nothing else was chosen): it waits for all streams that were not made non-blocking, and they for it. It cannot be
 *     captured into a graph;
 *   - cudaStreamPerThread is a stream of the calling thread: each thread that calls with it means its own. A context on it is
 *     for one thread, which also reads and destroys its outputs. */
typedef void *mo_stream;

/* A point in a stream that others can wait for. CUDA: a cudaEvent_t. */
typedef void *mo_event;

typedef enum mo_device_choice_t {
  MO_DEVICE_CHOICE_AUTO = 0, /* a CUDA device if the module, a driver and a card are there, else the CPU */
  MO_DEVICE_CHOICE_CPU = 1,
  MO_DEVICE_CHOICE_CUDA = 2, /* NO_DEVICE if there is none */
} mo_device_choice_t;

/* Memory functions of the caller. `allocate` returns NULL when it has no memory; the address must be a multiple of 256.
 * `stream` is the context's stream: a stream-ordered allocator may use it, any other ignores it. Both may be called from any
 * thread that uses the context or destroys one of its outputs. */
typedef struct mo_allocator {
  void *(*allocate)(void *user_data, size_t bytes, mo_stream stream);
  void (*release)(void *user_data, void *memory, size_t bytes, mo_stream stream);
  void *user_data;
} mo_allocator;

typedef enum mo_log_level_t {
  MO_LOG_LEVEL_INFO = 1,    /* a choice the library made */
  MO_LOG_LEVEL_WARNING = 2, /* something is not as one may expect, and results may differ for it */
} mo_log_level_t;

/* Takes the notes of a context. `text`: one line without its end, of printable text (control characters of names from files
 * show as ?), at most 1023 bytes, valid during the call. Called by the thread that makes the noted call, so from several at
 * once where several use the context, and while that call runs: the function must not call the library with the same context,
 * nor destroy one. The calling thread's mo_last_error() stays as it is. */
typedef struct mo_log_sink {
  void (*write)(void *user_data, mo_log_level_t level, const char *text); /* NULL: notes go nowhere */
  void *user_data; /* valid as long as the context and everything made with it */
} mo_log_sink;

struct mo_backend; /* modelout/backend.h, for authors of backends */

typedef struct mo_context_options {
  size_t struct_size;
  mo_device_choice_t device;
  int32_t device_index;             /* which card */
  int32_t thread_count;             /* CPU threads of the ops, see below */
  mo_stream stream;                 /* the stream all ops of this context are put on; NULL: the default stream */
  mo_allocator device_allocator;    /* unset (allocate == NULL): the backend's own */
  mo_allocator pinned_allocator;    /* for the host mirrors of fields */
  mo_allocator host_allocator;      /* for descriptors and objects */
  size_t cached_bytes_limit;        /* device memory kept for reuse; 0: 1 GiB; SIZE_MAX: unlimited */
  const struct mo_backend *backend; /* a backend of the caller's own instead of `device`; NULL otherwise */
  mo_log_sink log;                  /* who is told what a call noted; a struct_size that ends before here is welcome */
  bool own_stream;                  /* the library makes a non-blocking stream for this context; `stream` must be NULL. Work
                                       on other streams is ordered against it by events only */
} mo_context_options;

/* thread_count counts the calling thread. 0: the number in the environment variable MODELOUT_NUM_THREADS, else in
 * OMP_NUM_THREADS, else as many as the process has processors (its affinity mask, or the quota of its control group if that is
 * less). More than 64 and more than twice the processors of the machine become the larger of the two: mo_context_thread_count()
 * says what is used. */

#define MO_CONTEXT_OPTIONS_INIT MO_STRUCT_INIT(mo_context_options)

/* options NULL: all defaults, and a stream of its own. Allocates; may open the CUDA module. NO_DEVICE, OUT_OF_MEMORY,
 * INVALID_ARGUMENT, DEVICE_ERROR. */
MO_API mo_status_t mo_context_create(const mo_context_options *options, mo_context_t **context);

/* NULL is fine. Outputs and fields hold the context alive, so the order of destruction does not matter; after this call the
 * caller may no longer use `context` itself. */
MO_API void mo_context_destroy(mo_context_t *context);

/* Questions to a context. NULL is fine: it has device kind 0, names "", no stream, 0 threads, counters of 0 and no error.
 *
 * Which device ops of this context run on. */
MO_API mo_device mo_context_device(const mo_context_t *context);

/* "cpu", "cuda" or the custom backend's name. Static for the life of the context. */
MO_API const char *mo_context_backend_name(const mo_context_t *context);

/* One sentence: which backend was chosen and why ("cpu: libmodelout_cuda.so was not found"). Lives as long as the context. */
MO_API const char *mo_context_choice_reason(const mo_context_t *context);

/* The stream ops are put on. */
MO_API mo_stream mo_context_stream(const mo_context_t *context);

/* CPU threads the ops of this context use, the calling one among them; fewer take part while the system gives no more. */
MO_API int32_t mo_context_thread_count(const mo_context_t *context);

/* The instruction set the CPU backend chose at run time ("avx512", "avx2", "generic"); "" on other backends. */
MO_API const char *mo_context_cpu_features(const mo_context_t *context);

/* Blocks until everything put on the context's stream has finished. */
MO_API mo_status_t mo_context_synchronize(mo_context_t *context);

/* Makes the scratch arena at least `bytes` large. OUT_OF_MEMORY. */
MO_API mo_status_t mo_context_reserve(mo_context_t *context, size_t bytes);

/* Status and sentence of the last failing call made with this context, from whichever thread; OK and "" if none failed. The
 * text is copied into `text` (may be NULL). */
MO_API mo_status_t mo_context_error(const mo_context_t *context, char *text, size_t text_bytes);

/* Counters of a context since it was created. Anyone can see from them that an unread field cost nothing. */
typedef struct mo_context_counters {
  uint64_t device_allocations; /* calls of the device allocator (a block reused from the cache is not counted) */
  uint64_t device_bytes;       /* device memory held now, cached blocks included */
  uint64_t device_bytes_peak;
  uint64_t scratch_bytes;   /* of it, the scratch arena */
  uint64_t pinned_bytes;    /* pinned host memory held now */
  uint64_t host_copies;     /* device-to-host copies enqueued by reads of fields */
  uint64_t host_copy_bytes; /* their bytes */
} mo_context_counters;

MO_API mo_context_counters mo_context_get_counters(const mo_context_t *context);

/* Gives all cached device and pinned blocks back to their allocators, and the memory pool's free memory to the driver. Does
 * nothing to device memory while the stream is captured. */
MO_API void mo_context_trim(mo_context_t *context);

/* ADVANCED: memory and copies on the context's device, for callers without a device API at hand (tests, tools, models). */

/* Device memory, aligned to 256 bytes. bytes 0 gives a non-NULL address. OUT_OF_MEMORY names bytes asked and free, if known. */
MO_API mo_status_t mo_context_allocate(mo_context_t *context, size_t bytes, void **memory);

/* NULL is fine. Stream-ordered: memory may still be in use by work already on the context's stream. */
MO_API void mo_context_release(mo_context_t *context, void *memory);

/* Copies between host and device on the context's stream. Asynchronous where the device can; synchronise before touching the
 * host side. On the CPU a memcpy. */
MO_API mo_status_t mo_context_copy_to_device(mo_context_t *context, void *device, const void *host, size_t bytes);
MO_API mo_status_t mo_context_copy_to_host(mo_context_t *context, void *host, const void *device, size_t bytes);

/* The same from device memory to device memory. */
MO_API mo_status_t mo_context_copy_on_device(mo_context_t *context, void *to, const void *from, size_t bytes);

/* Whether device memory is ordinary host memory (the CPU): pointers to it can be read and written here, and copies between host
 * and device are not needed. */
MO_API bool mo_context_memory_is_host(const mo_context_t *context);

/* Pinned host memory, which copies from and to the device do not wait for; a released block is kept for reuse. Release NULL is
 * fine. OUT_OF_MEMORY. */
MO_API mo_status_t mo_context_allocate_pinned(mo_context_t *context, size_t bytes, void **memory);
MO_API void mo_context_release_pinned(mo_context_t *context, void *memory);

/* Whether work put on the context's stream is recorded into a graph instead of run. */
MO_API bool mo_context_is_capturing(const mo_context_t *context);

/* Records an event on the context's stream: what was put there before is finished when it is reached. *event NULL: one is made
 * first, which mo_context_return_event gives back. Without streams (the CPU) it stays NULL. */
MO_API mo_status_t mo_context_record_event(mo_context_t *context, mo_event *event);

/* The host waits until an event is reached. NULL is fine. */
MO_API mo_status_t mo_context_wait_event(mo_context_t *context, mo_event event);
MO_API void mo_context_return_event(mo_context_t *context, mo_event event);

#ifdef __cplusplus
}
#endif
#endif
