/* host/output/mirror.h - host copies of tensor fields: finding, enqueueing, waiting, freeing.
 *
 * A mirror is one host copy of a whole tensor, of a slice of it, or of its top k. Its host memory and event are its own from
 * the first use on; after the output was written again the next read fills the same memory anew. Two numbers say where it
 * stands, each a generation of the source (0: none): `enqueued` once the copy is on a stream, `complete` once it was waited
 * for. Both change under the source's mutex or, for `complete`, after waiting; readers compare them without a lock.
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
  mo_event event;  /* behind the copy; NULL where the backend has none */
  _Atomic uint64_t enqueued;
  _Atomic uint64_t complete;
};

/* True when the host may read the tensor where it is: the device's memory is the host's, or it is a wrapped CPU tensor. */
bool mo_field_is_on_host(const mo_field *field);

/* Makes `stream` wait for what the field's content depends on: the ready event, and for a wrapped tensor whatever was put on
 * the context's stream so far. */
mo_status_t mo_field_order_after_writes(const mo_field *field, mo_stream stream);

/* The mirror of `view` (all of the tensor or a part) or of the top k, with its copy on a stream for the current generation. A
 * part of a tensor whose whole is here or on its way gives the mirror of the whole. The source's mutex is taken. */
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
