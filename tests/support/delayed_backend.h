/* tests/support/delayed_backend.h - a test device with memory of its own on which everything happens as late as the rules
 * allow.
 *
 * Device memory is mapped twice: the address handed out may not be touched (a read or write of the host faults), the backend
 * itself works through the other one. Fresh device and pinned memory is filled with MO_DELAYED_POISON. Copies, waits, events
 * and top-k are queued on their stream and run only when somebody waits for an event or a stream that needs them, or when the
 * test lets the device make progress; a missing wait therefore shows poison.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TEST_DELAYED_BACKEND_H
#define MO_TEST_DELAYED_BACKEND_H

#include "host/core/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MO_DELAYED_POISON 0xFF /* NaN in every floating dtype */

extern const mo_backend mo_delayed_backend;

typedef struct mo_delayed_counters {
  uint64_t copies_to_host; /* enqueued */
  uint64_t bytes_to_host;
  uint64_t copies_to_device;
  uint64_t pending;      /* work that is queued and has not run */
  uint64_t device_bytes; /* held now */
  uint64_t pinned_bytes;
  uint64_t events; /* alive */
  uint64_t streams;
  uint64_t calls; /* of functions that can fail, as counted by mo_delayed_fail_after */
} mo_delayed_counters;

/* `context` must have been created with mo_delayed_backend. */
mo_delayed_counters mo_delayed_get_counters(const mo_context_t *context);

/* The call after the next `count` calls that can fail fails with `status`, once. Negative: none. */
void mo_delayed_fail_after(mo_context_t *context, int64_t count, mo_status_t status);

/* True while an injected failure has not happened yet. */
bool mo_delayed_failure_is_pending(mo_context_t *context);

/* Runs everything that is queued: the device catches up. */
void mo_delayed_progress(mo_context_t *context);

/* True if the address lies in device memory of this context. */
bool mo_delayed_is_device_memory(const mo_context_t *context, const void *address);

/* The backend's own view of device memory, for a test that plays a kernel: NULL if it is none. Contents are what ran so far. */
void *mo_delayed_alias(const mo_context_t *context, const void *device);

/* Queues a "kernel" that writes `bytes` bytes of `value` at `device`. The test's way of writing late. */
mo_status_t mo_delayed_enqueue_fill(mo_context_t *context, void *device, const void *content, size_t bytes, mo_stream stream);

/* Contexts of this backend that are open, in the whole process. */
int64_t mo_delayed_open_count(void);

#ifdef __cplusplus
}
#endif
#endif
