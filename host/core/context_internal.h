/* host/core/context_internal.h - what the library itself needs of a context beyond the public header.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_CONTEXT_INTERNAL_H
#define MO_CORE_CONTEXT_INTERNAL_H

#include "host/core/backend.h"
#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A context lives until the caller has destroyed it and the last object made with it is gone. Thread-safe. */
mo_context_t *mo_context_retain(mo_context_t *context);
void mo_context_release_reference(mo_context_t *context);

/* Notes a failure for mo_context_error() (the sentence is the calling thread's) and returns `status`. Public functions that
 * take a context end with it: return mo_context_note(context, status). OK changes nothing. */
mo_status_t mo_context_note(mo_context_t *context, mo_status_t status);

/* Who takes the notes of this context (host/core/log.h writes them). */
mo_log_sink mo_context_log_sink(const mo_context_t *context);

/* Whether a profiler listens to the public calls of this context (host/core/range.h). */
bool mo_context_has_ranges(const mo_context_t *context);

/* Host memory for objects, from the context's host allocator (context NULL: malloc). Aligned to 64 bytes. mo_host_free needs
 * the size. Zero-filled. NULL when out of memory, with the thread's sentence set. */
void *mo_host_allocate(mo_context_t *context, size_t bytes);
void mo_host_free(mo_context_t *context, void *memory, size_t bytes);

/* Copies host memory of the library's own to the device on the context's stream, without waiting for it however much it is
 * (host/core/upload.h); `host` has been read when the call returns. A failed call may have copied a part. */
mo_status_t mo_context_upload(mo_context_t *context, void *device, const void *host, size_t bytes);

/* The stream on which device-to-host copies of fields run. NULL on backends without streams. Made at first use. */
mo_status_t mo_context_copy_stream(mo_context_t *context, mo_stream *stream);

/* True while work put on `stream` is recorded into a graph instead of run. */
bool mo_context_stream_is_capturing(const mo_context_t *context, mo_stream stream);

/* WRONG_STATE while the context's stream is captured: `what` names who needs memory, in a sentence that says how to have it
 * before. Memory that is allocated in a capture belongs to the graph. */
mo_status_t mo_context_check_not_captured(const mo_context_t *context, const char *what, size_t bytes);

/* Events from the context's pool (creating one costs microseconds on a GPU). Backends without events: *event is NULL. */
mo_status_t mo_context_acquire_event(mo_context_t *context, mo_event *event);

/* Adds to the counters of mo_context_get_counters. Thread-safe. */
void mo_context_count_host_copy(mo_context_t *context, uint64_t bytes);

#ifdef __cplusplus
}
#endif

#endif
