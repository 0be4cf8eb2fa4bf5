/* host/output/mirror.h - host copies of tensor fields: finding, enqueueing, waiting, freeing.
 *
 * A mirror is one host copy of a whole tensor, of a slice of it, or of its top k. It keeps its host memory and its event; after
 * the output was written again the next read fills the same memory. Two numbers, compared with the generation G of the source
 * (output_internal.h), give its state:
 *
 *   out of date   enqueued != G: holds nothing, or the content of an older generation
 *     read        -> under way. Under the source's mutex the copy is put on a stream, after `ready`, and `event` is recorded
 *                 after it. A failure leaves it out of date
 *   under way     enqueued == G, complete != G: the stream may still write the host memory
 *     wait        -> complete. The reader waits for `event` without the mutex. A failure leaves it under way, and the next
 *                 reader waits again
 *   complete      enqueued == complete == G: a read is a pointer
 *
 *   mark_written  advances G: every mirror is out of date at once, without being touched
 *   reuse         an out of date mirror of a part may be given to another part of about its size: both numbers become 0
 *   free          with the field; a mirror under way is waited for first
 *
 * A backend without events waits as part of the enqueueing, so `under way` does not occur. `enqueued` changes under the mutex
 * alone, `complete` also after waiting; readers compare both without a lock.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_OUTPUT_MIRROR_H
#define MO_OUTPUT_MIRROR_H

#include "host/output/output_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

struct mo_mirror {
  mo_mirror *next;
  mo_tensor view;  /* of the device: what is mirrored; of a top k: the whole tensor */
  int64_t top_k;   /* 0: a copy of `view` */
  void *host;      /* pinned; of a top k: the indices, then the values */
  size_t capacity; /* bytes of `host` */
  void *device;    /* of a top k under way: the device block it is taken in */
  mo_event event;  /* recorded after the copy; NULL where the backend has none */
  _Atomic uint64_t enqueued;
  _Atomic uint64_t complete;
};

/* True when the host may read the tensor where it is: the device's memory is the host's, or it is a wrapped CPU tensor. */
bool mo_field_is_on_host(const mo_field *field);

/* Makes `stream` wait for what the field's content depends on: the ready event, and for a wrapped tensor whatever was put on
 * the context's stream so far. */
mo_status_t mo_field_order_after_writes(const mo_field *field, mo_stream stream);

/* The mirror of `view` (all of the tensor or a part) or of the top k, with its copy on a stream for the current generation. A
 * part of a tensor whose whole has a mirror under way or complete gives that mirror. The source's mutex is taken. */
mo_status_t mo_mirror_of_view(mo_field *field, const mo_tensor *view, mo_mirror **mirror);
mo_status_t mo_mirror_of_top_k(mo_field *field, int64_t k, mo_mirror **mirror);

/* Waits for the copy of `generation`, unless it is complete. No lock is held while waiting. */
mo_status_t mo_mirror_wait(mo_field *field, mo_mirror *mirror, uint64_t generation);

/* A current mirror of the whole tensor, NULL if there is none. `finished`: only one that needs no waiting. No lock, never
 * blocks. */
mo_mirror *mo_mirror_current_whole(mo_field *field, uint64_t generation, bool finished);

/* A mirror that has `view` or is about to (mo_mirror_wait), without enqueueing anything; NULL if there is none. */
mo_mirror *mo_mirror_find(mo_field *field, const mo_tensor *view, uint64_t generation);

/* Counts a copy of `bytes` for the field and its context. */
void mo_field_count_copy(mo_field *field, uint64_t bytes);

/* True if the two descriptors name the same elements. */
bool mo_tensor_is_same_view(const mo_tensor *a, const mo_tensor *b);

/* The k largest with the backend's op: bytes of the indices followed by the values. */
size_t mo_top_k_bytes(const mo_tensor *tensor, int64_t k, size_t *index_bytes);

/* Enqueues the top k of `input` on the context's stream into `block`, laid out as above. One at a time in the process, as the
 * op uses its context's scratch memory. */
mo_status_t mo_top_k_enqueue(mo_context_t *context, const mo_tensor *input, int64_t k, void *block, mo_device device);

static inline uint64_t mo_source_generation(const mo_source *source) {
  return atomic_load_explicit(&source->generation, memory_order_acquire);
}

#ifdef __cplusplus
}
#endif
#endif
