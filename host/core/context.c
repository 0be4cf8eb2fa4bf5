/* host/core/context.c - contexts: life, memory, scratch, events, the error of its own.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/checked_math.h"
#include "host/core/context_internal.h"
#include "host/core/image.h"
#include "host/core/log.h"
#include "host/core/module.h"
#include "host/core/parallel.h"
#include "host/core/pool.h"
#include "host/core/range.h"
#include "host/core/struct_size.h"
#include "host/core/upload.h"

#define MO_DEFAULT_CACHED_BYTES ((size_t)1 << 30)
#define MO_SCRATCH_GRANULARITY ((size_t)64 << 10)
#define MO_HOST_ALIGNMENT ((size_t)64)
#define MO_MAX_POOLED_EVENTS 64

struct mo_context {
  _Atomic int64_t references;
  mo_context_options options;
  const mo_backend *backend;
  void *backend_state;
  mo_device device;
  mo_stream stream;
  bool owns_stream;
  mo_stream copy_stream;
  int32_t thread_count;
  bool has_ranges;
  char reason[320];

  mo_pool device_pool;
  mo_pool pinned_pool;
  void *scratch;
  size_t scratch_bytes;
  mo_upload_slots upload_slots;

  pthread_mutex_t mutex; /* the members below */
  mo_event events[MO_MAX_POOLED_EVENTS];
  int32_t event_count;
  mo_status_t error_status;
  char error_text[512];

  _Atomic uint64_t host_copies;
  _Atomic uint64_t host_copy_bytes;
};

/* ---- Host memory ---- */

static void *allocate_host(const mo_allocator *allocator, size_t bytes) {
  void *memory = NULL;
  if (allocator != NULL && allocator->allocate != NULL) {
    memory = allocator->allocate(allocator->user_data, bytes, NULL);
  } else if (bytes <= SIZE_MAX - MO_HOST_ALIGNMENT) {
    memory = aligned_alloc(MO_HOST_ALIGNMENT, mo_align_up(bytes + 1, MO_HOST_ALIGNMENT));
  }
  if (memory == NULL) {
    mo_fail(MO_STATUS_OUT_OF_MEMORY, "host memory: %zu bytes could not be allocated", bytes);
    return NULL;
  }
  return memset(memory, 0, bytes);
}

static void free_host(const mo_allocator *allocator, void *memory, size_t bytes) {
  if (memory == NULL) return;
  if (allocator != NULL && allocator->allocate != NULL) allocator->release(allocator->user_data, memory, bytes, NULL);
  else free(memory);
}

void *mo_host_allocate(mo_context_t *context, size_t bytes) {
  return allocate_host(context != NULL ? &context->options.host_allocator : NULL, bytes);
}

void mo_host_free(mo_context_t *context, void *memory, size_t bytes) {
  free_host(context != NULL ? &context->options.host_allocator : NULL, memory, bytes);
}

/* ---- Device and pinned memory: the caller's allocator or the backend's, behind a pool ---- */

mo_status_t mo_context_allocate_on(mo_context_t *context, size_t bytes, mo_stream stream, void **memory) {
  const mo_allocator *allocator = &context->options.device_allocator;
  if (allocator->allocate == NULL) return context->backend->allocate(context->backend_state, bytes, stream, memory);
  *memory = allocator->allocate(allocator->user_data, bytes, stream);
  MO_CHECK(*memory != NULL, MO_STATUS_OUT_OF_MEMORY, "device memory: the caller's allocator has no %zu bytes", bytes);
  return MO_STATUS_OK;
}

void mo_context_release_on(mo_context_t *context, void *memory, size_t bytes, mo_stream stream) {
  const mo_allocator *allocator = &context->options.device_allocator;
  if (allocator->allocate == NULL) context->backend->release(context->backend_state, memory, bytes, stream);
  else allocator->release(allocator->user_data, memory, bytes, stream);
}

static mo_status_t allocate_device(mo_context_t *context, size_t bytes, void **memory) {
  MO_TRY(mo_context_check_not_captured(context, "device memory", bytes));
  return mo_context_allocate_on(context, bytes, context->stream, memory);
}

static void release_device(mo_context_t *context, void *memory, size_t bytes) {
  mo_context_release_on(context, memory, bytes, context->stream);
}

/* A release in the order of a stream that is captured would become part of the graph. */
static bool keeps_device_memory(mo_context_t *context) { return mo_context_stream_is_capturing(context, context->stream); }

static mo_status_t allocate_pinned(mo_context_t *context, size_t bytes, void **memory) {
  const mo_allocator *allocator = &context->options.pinned_allocator;
  if (allocator->allocate == NULL) return context->backend->allocate_pinned(context->backend_state, bytes, memory);
  *memory = allocator->allocate(allocator->user_data, bytes, NULL);
  MO_CHECK(*memory != NULL, MO_STATUS_OUT_OF_MEMORY, "pinned memory: the caller's allocator has no %zu bytes", bytes);
  return MO_STATUS_OK;
}

static void release_pinned(mo_context_t *context, void *memory, size_t bytes) {
  const mo_allocator *allocator = &context->options.pinned_allocator;
  if (allocator->allocate == NULL) context->backend->release_pinned(context->backend_state, memory, bytes);
  else allocator->release(allocator->user_data, memory, bytes, NULL);
}

/* ---- Life ---- */

static mo_status_t check_allocator(const char *name, const mo_allocator *allocator) {
  MO_CHECK((allocator->allocate == NULL) == (allocator->release == NULL), MO_STATUS_INVALID_ARGUMENT,
           "context: %s has only one of allocate and release", name);
  return MO_STATUS_OK;
}

static mo_status_t check_options(const mo_context_options *options) {
  MO_CHECK(options->device_index >= 0, MO_STATUS_INVALID_ARGUMENT, "context: device index %d is negative",
           (int)options->device_index);
  MO_CHECK(options->thread_count >= 0, MO_STATUS_INVALID_ARGUMENT, "context: thread count %d is negative",
           (int)options->thread_count);
  MO_CHECK(!options->own_stream || options->stream == NULL, MO_STATUS_INVALID_ARGUMENT,
           "context: own_stream and a stream were given, it is one of them");
  MO_TRY(check_allocator("device_allocator", &options->device_allocator));
  MO_TRY(check_allocator("pinned_allocator", &options->pinned_allocator));
  return check_allocator("host_allocator", &options->host_allocator);
}

static void free_context(mo_context_t *context) {
  const mo_backend *backend = context->backend;
  void *state = context->backend_state;
#ifndef MO_NO_RANGES
  if (context->has_ranges) mo_range_unlisten();
#endif
  if (context->scratch != NULL) mo_pool_give(&context->device_pool, context->scratch);
  mo_upload_slots_release(context, &context->upload_slots);
  for (int32_t i = 0; i < context->event_count; ++i) backend->event_destroy(state, context->events[i]);
  mo_pool_destroy(&context->device_pool);
  mo_pool_destroy(&context->pinned_pool);
  if (context->copy_stream != NULL) backend->stream_destroy(state, context->copy_stream);
  if (context->owns_stream) backend->stream_destroy(state, context->stream);
  backend->close(state);
  pthread_mutex_destroy(&context->mutex);
  const mo_allocator host_allocator = context->options.host_allocator;
  free_host(&host_allocator, context, sizeof *context);
}

mo_status_t mo_context_create(const mo_context_options *given, mo_context_t **result) {
  mo_context_options taken = MO_CONTEXT_OPTIONS_INIT;
  const mo_context_options *options = &taken;
  MO_CHECK(result != NULL, MO_STATUS_INVALID_ARGUMENT, "context: the destination is NULL");
  if (given == NULL) taken.own_stream = true;
  else MO_TRY(MO_TAKE("context", MO_CONTEXT_OPTIONS_INIT, given, MO_SIZE_TO(mo_context_options, backend), &taken));
  MO_TRY(check_options(options));
  mo_context_t *context = allocate_host(&options->host_allocator, sizeof *context);
  if (context == NULL) return MO_STATUS_OUT_OF_MEMORY;
  context->options = *options;
  atomic_init(&context->references, 1);
  context->stream = options->stream;
  context->thread_count = mo_parallel_thread_count(options->thread_count);
  const size_t limit = options->cached_bytes_limit != 0 ? options->cached_bytes_limit : MO_DEFAULT_CACHED_BYTES;

  mo_image_pin();
  mo_status_t status =
      mo_backend_choose(options, &context->backend, &context->backend_state, context->reason, sizeof context->reason);
  if (status != MO_STATUS_OK) goto no_backend;
  context->device = (mo_device){.kind = context->backend->kind, .index = options->device_index};
  if (pthread_mutex_init(&context->mutex, NULL) != 0) {
    status = mo_fail(MO_STATUS_OUT_OF_MEMORY, "context: a mutex could not be made");
    goto no_mutex;
  }
  MO_TRY_GOTO(mo_pool_init(&context->device_pool, allocate_device, release_device, context, limit), status, no_device_pool);
  context->device_pool.keeps_all = keeps_device_memory;
  MO_TRY_GOTO(mo_pool_init(&context->pinned_pool, allocate_pinned, release_pinned, context, limit), status, no_pinned_pool);
  if (options->own_stream && context->backend->stream_create != NULL) {
    MO_TRY_GOTO(context->backend->stream_create(context->backend_state, &context->stream), status, no_stream);
    context->owns_stream = true;
  }
#ifndef MO_NO_RANGES
  context->has_ranges = mo_range_listen(context->backend, context->backend_state);
#endif
  if (options->device == MO_DEVICE_CHOICE_AUTO && options->backend == NULL)
    mo_log(context, MO_LOG_LEVEL_INFO, "%s", context->reason);
  *result = context;
  return MO_STATUS_OK;

no_stream:
  mo_pool_destroy(&context->pinned_pool);
no_pinned_pool:
  mo_pool_destroy(&context->device_pool);
no_device_pool:
  pthread_mutex_destroy(&context->mutex);
no_mutex:
  context->backend->close(context->backend_state);
no_backend:
  free_host(&options->host_allocator, context, sizeof *context);
  return status;
}

mo_context_t *mo_context_retain(mo_context_t *context) {
  atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
  return context;
}

void mo_context_release_reference(mo_context_t *context) {
  if (context == NULL) return;
  if (atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) == 1) free_context(context);
}

void mo_context_destroy(mo_context_t *context) { mo_context_release_reference(context); }

/* ---- Questions ---- */

mo_device mo_context_device(const mo_context_t *context) { return context != NULL ? context->device : (mo_device){0}; }
const char *mo_context_backend_name(const mo_context_t *context) { return context != NULL ? context->backend->name : ""; }
const char *mo_context_choice_reason(const mo_context_t *context) { return context != NULL ? context->reason : ""; }
mo_stream mo_context_stream(const mo_context_t *context) { return context != NULL ? context->stream : NULL; }
int32_t mo_context_thread_count(const mo_context_t *context) { return context != NULL ? context->thread_count : 0; }
void *mo_context_backend_state(const mo_context_t *context) { return context->backend_state; }
const mo_backend *mo_context_backend(const mo_context_t *context) { return context->backend; }
bool mo_context_has_ranges(const mo_context_t *context) { return context->has_ranges; }
mo_log_sink mo_context_log_sink(const mo_context_t *context) { return context->options.log; }

const char *mo_context_cpu_features(const mo_context_t *context) {
  return context != NULL && context->backend->features != NULL ? context->backend->features(context->backend_state) : "";
}

mo_context_counters mo_context_get_counters(const mo_context_t *context) {
  mo_context_t *writable = (mo_context_t *)context; /* only the pools' locks are touched */
  mo_context_counters counters = {0};
  if (context == NULL) return counters;
  pthread_mutex_lock(&writable->device_pool.mutex);
  counters.device_allocations = context->device_pool.allocation_count;
  counters.device_bytes = context->device_pool.held_bytes;
  counters.device_bytes_peak = context->device_pool.held_bytes_peak;
  pthread_mutex_unlock(&writable->device_pool.mutex);
  pthread_mutex_lock(&writable->pinned_pool.mutex);
  counters.pinned_bytes = context->pinned_pool.held_bytes;
  pthread_mutex_unlock(&writable->pinned_pool.mutex);
  counters.scratch_bytes = context->scratch_bytes;
  counters.host_copies = atomic_load_explicit(&context->host_copies, memory_order_relaxed);
  counters.host_copy_bytes = atomic_load_explicit(&context->host_copy_bytes, memory_order_relaxed);
  return counters;
}

void mo_context_count_host_copy(mo_context_t *context, uint64_t bytes) {
  atomic_fetch_add_explicit(&context->host_copies, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&context->host_copy_bytes, bytes, memory_order_relaxed);
}

/* ---- Errors ---- */

mo_status_t mo_context_note(mo_context_t *context, mo_status_t status) {
  if (status == MO_STATUS_OK || context == NULL) return status;
  pthread_mutex_lock(&context->mutex);
  context->error_status = status;
  snprintf(context->error_text, sizeof context->error_text, "%s", mo_last_error());
  pthread_mutex_unlock(&context->mutex);
  return status;
}

mo_status_t mo_context_error(const mo_context_t *context, char *text, size_t text_bytes) {
  mo_context_t *writable = (mo_context_t *)context;
  if (text != NULL && text_bytes > 0) text[0] = '\0';
  if (context == NULL) return MO_STATUS_OK;
  pthread_mutex_lock(&writable->mutex);
  const mo_status_t status = context->error_status;
  if (text != NULL && text_bytes > 0) snprintf(text, text_bytes, "%s", context->error_text);
  pthread_mutex_unlock(&writable->mutex);
  return status;
}

/* ---- Memory, copies, waiting ---- */

mo_status_t mo_context_allocate(mo_context_t *context, size_t bytes, void **memory) {
  MO_CHECK(context != NULL && memory != NULL, MO_STATUS_INVALID_ARGUMENT, "context allocate: an argument is NULL");
  return mo_context_note(context, mo_pool_take(&context->device_pool, bytes > 0 ? bytes : 1, memory));
}

void mo_context_release(mo_context_t *context, void *memory) {
  if (context != NULL) mo_pool_give(&context->device_pool, memory);
}

mo_status_t mo_context_allocate_pinned(mo_context_t *context, size_t bytes, void **memory) {
  MO_CHECK(context != NULL && memory != NULL, MO_STATUS_INVALID_ARGUMENT, "context allocate pinned: an argument is NULL");
  return mo_context_note(context, mo_pool_take(&context->pinned_pool, bytes > 0 ? bytes : 1, memory));
}

void mo_context_release_pinned(mo_context_t *context, void *memory) {
  if (context != NULL) mo_pool_give(&context->pinned_pool, memory);
}

void mo_context_trim(mo_context_t *context) {
  if (context == NULL) return;
  mo_pool_trim(&context->device_pool);
  mo_pool_trim(&context->pinned_pool);
  if (context->backend->trim != NULL && context->options.device_allocator.allocate == NULL)
    context->backend->trim(context->backend_state);
}

mo_status_t mo_context_scratch(mo_context_t *context, size_t bytes, void **memory) {
  if (bytes > context->scratch_bytes || context->scratch == NULL) {
    const size_t wanted = mo_align_up(bytes > 0 ? bytes : 1, MO_SCRATCH_GRANULARITY);
    /* Work that was recorded before refers to the old block, which other work may get next. */
    MO_TRY(mo_context_check_not_captured(context, "scratch memory", wanted));
    /* The old block goes first, so that the two never stand side by side. */
    mo_pool_give(&context->device_pool, context->scratch);
    context->scratch = NULL;
    context->scratch_bytes = 0;
    MO_TRY(mo_pool_take(&context->device_pool, wanted, &context->scratch));
    context->scratch_bytes = wanted;
  }
  *memory = context->scratch;
  return MO_STATUS_OK;
}

mo_status_t mo_context_reserve(mo_context_t *context, size_t bytes) {
  void *memory;
  MO_CHECK(context != NULL, MO_STATUS_INVALID_ARGUMENT, "context reserve: the context is NULL");
  return mo_context_note(context, mo_context_scratch(context, bytes, &memory));
}

mo_status_t mo_context_copy_to_device(mo_context_t *context, void *device, const void *host, size_t bytes) {
  MO_RANGE_NAMED(context, "mo_context_copy_to_device");
  MO_CHECK(context != NULL && ((device != NULL && host != NULL) || bytes == 0), MO_STATUS_INVALID_ARGUMENT,
           "context copy: an argument is NULL");
  return mo_context_note(
      context, context->backend->copy(context->backend_state, device, host, bytes, MO_COPY_TO_DEVICE, context->stream));
}

mo_status_t mo_context_upload(mo_context_t *context, void *device, const void *host, size_t bytes) {
  return mo_upload(context, &context->upload_slots, device, host, bytes);
}

mo_status_t mo_context_copy_to_host(mo_context_t *context, void *host, const void *device, size_t bytes) {
  MO_RANGE_NAMED(context, "mo_context_copy_to_host");
  MO_CHECK(context != NULL && ((device != NULL && host != NULL) || bytes == 0), MO_STATUS_INVALID_ARGUMENT,
           "context copy: an argument is NULL");
  return mo_context_note(context,
                         context->backend->copy(context->backend_state, host, device, bytes, MO_COPY_TO_HOST, context->stream));
}

mo_status_t mo_context_copy_on_device(mo_context_t *context, void *to, const void *from, size_t bytes) {
  MO_RANGE_NAMED(context, "mo_context_copy_on_device");
  MO_CHECK(context != NULL && ((to != NULL && from != NULL) || bytes == 0), MO_STATUS_INVALID_ARGUMENT,
           "context copy: an argument is NULL");
  return mo_context_note(context,
                         context->backend->copy(context->backend_state, to, from, bytes, MO_COPY_ON_DEVICE, context->stream));
}

mo_status_t mo_context_synchronize(mo_context_t *context) {
  MO_RANGE_NAMED(context, "mo_context_synchronize");
  MO_CHECK(context != NULL, MO_STATUS_INVALID_ARGUMENT, "context synchronize: the context is NULL");
  if (context->backend->stream_synchronize == NULL) return MO_STATUS_OK;
  return mo_context_note(context, context->backend->stream_synchronize(context->backend_state, context->stream));
}

/* ---- Streams and events for the lazy reads ---- */

mo_status_t mo_context_copy_stream(mo_context_t *context, mo_stream *stream) {
  mo_status_t status = MO_STATUS_OK;
  pthread_mutex_lock(&context->mutex);
  if (context->copy_stream == NULL && context->backend->stream_create != NULL) {
    status = context->backend->stream_create(context->backend_state, &context->copy_stream);
  }
  *stream = context->copy_stream;
  pthread_mutex_unlock(&context->mutex);
  return status;
}

bool mo_context_is_capturing(const mo_context_t *context) {
  return context != NULL && mo_context_stream_is_capturing(context, context->stream);
}

bool mo_context_memory_is_host(const mo_context_t *context) { return context != NULL && context->backend->memory_is_host; }

bool mo_context_stream_is_capturing(const mo_context_t *context, mo_stream stream) {
  return context->backend->stream_is_capturing != NULL && context->backend->stream_is_capturing(context->backend_state, stream);
}

mo_status_t mo_context_check_not_captured(const mo_context_t *context, const char *what, size_t bytes) {
  MO_CHECK(!mo_context_stream_is_capturing(context, context->stream), MO_STATUS_WRONG_STATE,
           "context: %zu bytes of %s are needed while the stream is captured into a graph; reserve them before "
           "(mo_context_reserve, mo_cache_reserve) or run once without capture",
           bytes, what);
  return MO_STATUS_OK;
}

mo_status_t mo_context_acquire_event(mo_context_t *context, mo_event *event) {
  *event = NULL;
  if (context->backend->event_create == NULL) return MO_STATUS_OK;
  pthread_mutex_lock(&context->mutex);
  if (context->event_count > 0) *event = context->events[--context->event_count];
  pthread_mutex_unlock(&context->mutex);
  return *event != NULL ? MO_STATUS_OK : context->backend->event_create(context->backend_state, event);
}

mo_status_t mo_context_record_event(mo_context_t *context, mo_event *event) {
  MO_CHECK(context != NULL && event != NULL, MO_STATUS_INVALID_ARGUMENT, "context record event: NULL context or event");
  mo_status_t status = *event == NULL ? mo_context_acquire_event(context, event) : MO_STATUS_OK;
  if (status == MO_STATUS_OK && *event != NULL)
    status = context->backend->event_record(context->backend_state, *event, context->stream);
  return mo_context_note(context, status);
}

mo_status_t mo_context_wait_event(mo_context_t *context, mo_event event) {
  MO_CHECK(context != NULL, MO_STATUS_INVALID_ARGUMENT, "context wait event: the context is NULL");
  if (event == NULL) return MO_STATUS_OK;
  return mo_context_note(context, context->backend->event_synchronize(context->backend_state, event));
}

void mo_context_return_event(mo_context_t *context, mo_event event) {
  if (context == NULL || event == NULL) return;
  pthread_mutex_lock(&context->mutex);
  const bool keep = context->event_count < MO_MAX_POOLED_EVENTS;
  if (keep) context->events[context->event_count++] = event;
  pthread_mutex_unlock(&context->mutex);
  if (!keep) context->backend->event_destroy(context->backend_state, event);
}
