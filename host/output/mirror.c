/* host/output/mirror.c - host copies of tensor fields: when they are enqueued, what they wait for, when they are kept.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/output/mirror.h"

#include <string.h>

#include "host/core/checked_math.h"

/* ---- What can be told without a lock ---- */

bool mo_field_is_on_host(const mo_field *field) {
  return field->as.tensor.tensor.device.kind == MO_DEVICE_KIND_CPU || mo_context_backend(field->context)->memory_is_host;
}

bool mo_tensor_is_same_view(const mo_tensor *a, const mo_tensor *b) {
  if (a->data != b->data || a->rank != b->rank) return false;
  for (int32_t i = 0; i < a->rank; i++) {
    if (a->shape[i] != b->shape[i] || (a->strides[i] != b->strides[i] && a->shape[i] > 1)) return false;
  }
  return true;
}

mo_mirror *mo_mirror_current_whole(mo_field *field, uint64_t generation, bool finished) {
  mo_mirror *mirror = atomic_load_explicit(&field->as.tensor.whole, memory_order_acquire);
  if (mirror == NULL) return NULL;
  if (atomic_load_explicit(&mirror->complete, memory_order_acquire) == generation) return mirror;
  if (atomic_load_explicit(&mirror->enqueued, memory_order_acquire) != generation) return NULL;
  if (!finished) return mirror;
  const mo_backend *backend = mo_context_backend(field->context);
  if (mirror->event == NULL || backend->event_is_complete == NULL) return NULL;
  if (!backend->event_is_complete(mo_context_backend_state(field->context), mirror->event)) return NULL;
  atomic_store_explicit(&mirror->complete, generation, memory_order_release);
  return mirror;
}

void mo_field_count_copy(mo_field *field, uint64_t bytes) {
  atomic_fetch_add_explicit(&field->as.tensor.host_copies, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&field->as.tensor.host_copy_bytes, bytes, memory_order_relaxed);
  mo_context_count_host_copy(field->context, bytes);
}

/* ---- Order ---- */

mo_status_t mo_field_order_after_writes(const mo_field *field, mo_stream stream) {
  mo_context_t *context = field->context;
  const mo_backend *backend = mo_context_backend(context);
  void *state = mo_context_backend_state(context);
  if (backend->stream_wait_event == NULL) return MO_STATUS_OK;
  const mo_event ready = field->as.tensor.source->ready;
  if (ready != NULL) MO_TRY(backend->stream_wait_event(state, stream, ready));
  if (field->block != NULL || stream == mo_context_stream(context)) return MO_STATUS_OK;
  /* Nobody need mark a wrapped tensor as written: its writer is whatever the context has been given so far. */
  mo_event now;
  MO_TRY(mo_context_acquire_event(context, &now));
  mo_status_t status = backend->event_record(state, now, mo_context_stream(context));
  if (status == MO_STATUS_OK) status = backend->stream_wait_event(state, stream, now);
  mo_context_return_event(context, now);
  return status;
}

/* Waits for everything on a stream and ignores failures: before memory that a copy may still write is released. */
static void drain(mo_context_t *context, mo_stream stream) {
  const mo_backend *backend = mo_context_backend(context);
  if (backend->stream_synchronize != NULL) (void)backend->stream_synchronize(mo_context_backend_state(context), stream);
}

/* ---- The list, under the source's mutex ---- */

static mo_mirror *find_mirror(const mo_field *field, const mo_tensor *view, int64_t top_k) {
  for (mo_mirror *mirror = field->as.tensor.mirrors; mirror != NULL; mirror = mirror->next) {
    if (mirror->top_k == top_k && mo_tensor_is_same_view(&mirror->view, view)) return mirror;
  }
  return NULL;
}

/* A mirror of a part, left from an earlier generation, whose memory is large enough and at most twice as large: without this a
 * loop that reads another slice in every step would collect mirrors. */
static mo_mirror *find_outdated(const mo_field *field, size_t bytes, uint64_t generation) {
  const mo_mirror *whole = atomic_load_explicit(&field->as.tensor.whole, memory_order_relaxed);
  for (mo_mirror *mirror = field->as.tensor.mirrors; mirror != NULL; mirror = mirror->next) {
    if (mirror == whole || mirror->capacity < bytes || mirror->capacity / 2 > bytes) continue;
    if (atomic_load_explicit(&mirror->enqueued, memory_order_relaxed) != generation) return mirror;
  }
  return NULL;
}

static void free_mirror(mo_context_t *context, mo_mirror *mirror) {
  mo_context_release(context, mirror->device);
  mo_context_release_pinned(context, mirror->host);
  mo_context_return_event(context, mirror->event);
  mo_host_free(context, mirror, sizeof *mirror);
}

static mo_status_t make_mirror(mo_context_t *context, size_t bytes, mo_mirror **mirror) {
  mo_mirror *made = mo_host_allocate(context, sizeof *made);
  if (made == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_status_t status = mo_context_allocate_pinned(context, bytes, &made->host);
  if (status == MO_STATUS_OK) status = mo_context_acquire_event(context, &made->event);
  if (status != MO_STATUS_OK) {
    free_mirror(context, made);
    return status;
  }
  made->capacity = bytes;
  *mirror = made;
  return MO_STATUS_OK;
}

/* The mirror to fill: the one of this view or top k, an outdated one made over, or a new one, which joins the list. */
static mo_status_t obtain_mirror(mo_field *field, const mo_tensor *view, int64_t top_k, size_t bytes, uint64_t generation,
                                 mo_mirror **mirror) {
  *mirror = find_mirror(field, view, top_k);
  if (*mirror != NULL) return MO_STATUS_OK;
  const bool is_whole = top_k == 0 && mo_tensor_is_same_view(view, &field->as.tensor.tensor);
  mo_mirror *made = is_whole ? NULL : find_outdated(field, bytes, generation);
  if (made == NULL) {
    MO_TRY(make_mirror(field->context, bytes, &made));
    made->next = field->as.tensor.mirrors;
    field->as.tensor.mirrors = made;
  }
  made->view = *view;
  made->top_k = top_k;
  atomic_store_explicit(&made->enqueued, 0, memory_order_relaxed);
  atomic_store_explicit(&made->complete, 0, memory_order_relaxed);
  if (is_whole) atomic_store_explicit(&field->as.tensor.whole, made, memory_order_release);
  *mirror = made;
  return MO_STATUS_OK;
}

/* After the copy was put on `stream`: records the event after it, or waits at once where there are no events. */
static mo_status_t finish_enqueue(mo_field *field, mo_mirror *mirror, mo_stream stream, uint64_t bytes, uint64_t generation) {
  mo_context_t *context = field->context;
  const mo_backend *backend = mo_context_backend(context);
  void *state = mo_context_backend_state(context);
  mo_field_count_copy(field, bytes);
  mo_status_t status = MO_STATUS_OK;
  if (mirror->event != NULL) status = backend->event_record(state, mirror->event, stream);
  else if (backend->stream_synchronize != NULL) status = backend->stream_synchronize(state, stream);
  if (status != MO_STATUS_OK) {
    drain(context, stream);
    return status;
  }
  atomic_store_explicit(&mirror->enqueued, generation, memory_order_release);
  if (mirror->event == NULL) atomic_store_explicit(&mirror->complete, generation, memory_order_release);
  return MO_STATUS_OK;
}

static mo_status_t enqueue_view(mo_field *field, mo_mirror *mirror, uint64_t generation) {
  mo_context_t *context = field->context;
  const mo_backend *backend = mo_context_backend(context);
  void *state = mo_context_backend_state(context);
  mo_stream stream;
  MO_TRY(mo_context_copy_stream(context, &stream));
  MO_TRY(mo_field_order_after_writes(field, stream));
  const size_t bytes = (size_t)mo_tensor_bytes(&mirror->view);
  if (mo_tensor_is_contiguous(&mirror->view)) {
    MO_TRY(backend->copy(state, mirror->host, mirror->view.data, bytes, MO_COPY_TO_HOST, stream));
  } else {
    MO_CHECK(backend->copy_view_to_host != NULL, MO_STATUS_UNSUPPORTED, "field_read: %s cannot copy strided views",
             backend->name);
    MO_TRY(backend->copy_view_to_host(context, mirror->host, &mirror->view, stream));
  }
  return finish_enqueue(field, mirror, stream, bytes, generation);
}

mo_status_t mo_mirror_of_view(mo_field *field, const mo_tensor *view, mo_mirror **mirror) {
  mo_source *source = field->as.tensor.source;
  const uint64_t generation = mo_source_generation(source);
  *mirror = mo_mirror_current_whole(field, generation, false);
  if (*mirror != NULL) return MO_STATUS_OK;
  mo_mirror *obtained = NULL;
  pthread_mutex_lock(&source->mutex);
  mo_status_t status = MO_STATUS_OK;
  obtained = mo_mirror_current_whole(field, generation, false);
  if (obtained == NULL) {
    status = obtain_mirror(field, view, 0, (size_t)mo_tensor_bytes(view), generation, &obtained);
    if (status == MO_STATUS_OK && atomic_load_explicit(&obtained->enqueued, memory_order_relaxed) != generation) {
      status = enqueue_view(field, obtained, generation);
    }
  }
  pthread_mutex_unlock(&source->mutex);
  if (status == MO_STATUS_OK) *mirror = obtained;
  return status;
}

mo_mirror *mo_mirror_find(mo_field *field, const mo_tensor *view, uint64_t generation) {
  mo_mirror *mirror = mo_mirror_current_whole(field, generation, false);
  if (mirror != NULL) return mirror;
  mo_source *source = field->as.tensor.source;
  pthread_mutex_lock(&source->mutex);
  mirror = find_mirror(field, view, 0);
  pthread_mutex_unlock(&source->mutex);
  return mirror != NULL && atomic_load_explicit(&mirror->enqueued, memory_order_acquire) == generation ? mirror : NULL;
}

/* ---- Waiting and freeing ---- */

/* The device block of a top k is of no use after the copy. */
static void release_device_block(mo_field *field, mo_mirror *mirror) {
  mo_source *source = field->as.tensor.source;
  pthread_mutex_lock(&source->mutex);
  void *device = mirror->device;
  mirror->device = NULL;
  pthread_mutex_unlock(&source->mutex);
  mo_context_release(field->context, device);
}

mo_status_t mo_mirror_wait(mo_field *field, mo_mirror *mirror, uint64_t generation) {
  if (atomic_load_explicit(&mirror->complete, memory_order_acquire) == generation) return MO_STATUS_OK;
  /* Without an event the work was complete when the mirror was filled: a newer generation than the reader's is there. */
  if (mirror->event == NULL) return MO_STATUS_OK;
  const mo_backend *backend = mo_context_backend(field->context);
  MO_TRY(backend->event_synchronize(mo_context_backend_state(field->context), mirror->event));
  if (mirror->top_k > 0) release_device_block(field, mirror);
  atomic_store_explicit(&mirror->complete, generation, memory_order_release);
  return MO_STATUS_OK;
}

void mo_field_free_mirrors(mo_field *field) {
  mo_context_t *context = field->context;
  const mo_backend *backend = mo_context_backend(context);
  mo_mirror *mirror = field->as.tensor.mirrors;
  field->as.tensor.mirrors = NULL;
  atomic_store_explicit(&field->as.tensor.whole, NULL, memory_order_relaxed);
  while (mirror != NULL) {
    mo_mirror *next = mirror->next;
    const uint64_t enqueued = atomic_load_explicit(&mirror->enqueued, memory_order_relaxed);
    const uint64_t complete = atomic_load_explicit(&mirror->complete, memory_order_acquire);
    /* A copy nobody waited for still reads the device memory and writes the pinned memory. */
    if (enqueued != complete && mirror->event != NULL) {
      (void)backend->event_synchronize(mo_context_backend_state(context), mirror->event);
    }
    free_mirror(context, mirror);
    mirror = next;
  }
}

/* ---- Top k ---- */

static pthread_mutex_t top_k_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Indices first: the values after them are aligned to their element, and one copy takes both without a gap. */
size_t mo_top_k_bytes(const mo_tensor *tensor, int64_t k, size_t *index_bytes) {
  size_t rows = 1;
  for (int32_t i = 0; i + 1 < tensor->rank; i++) rows *= (size_t)tensor->shape[i];
  *index_bytes = rows * (size_t)k * sizeof(int64_t);
  return *index_bytes + rows * (size_t)k * mo_dtype_bytes(tensor->dtype);
}

mo_status_t mo_top_k_enqueue(mo_context_t *context, const mo_tensor *input, int64_t k, void *block, mo_device device) {
  const mo_backend *backend = mo_context_backend(context);
  int64_t shape[MO_MAX_DIMS];
  size_t index_bytes;
  mo_tensor values, indices;
  MO_CHECK(backend->topk != NULL, MO_STATUS_UNSUPPORTED, "field_read_top_k: %s has no top-k", backend->name);
  (void)mo_top_k_bytes(input, k, &index_bytes);
  memcpy(shape, input->shape, sizeof shape);
  shape[input->rank - 1] = k;
  MO_TRY(mo_tensor_init(&indices, block, MO_DTYPE_INT64, device, input->rank, shape));
  MO_TRY(mo_tensor_init(&values, (char *)block + index_bytes, input->dtype, device, input->rank, shape));
  const mo_topk_params params = {.struct_size = sizeof params, .values = &values, .indices = &indices, .input = input};
  pthread_mutex_lock(&top_k_mutex);
  const mo_status_t status = backend->topk(context, &params);
  pthread_mutex_unlock(&top_k_mutex);
  return status;
}

/* Puts a wrapped CPU tensor on the device, so that the device can take its top k. The copy is waited for: it reads the caller's
 * memory. */
static mo_status_t upload(mo_context_t *context, const mo_tensor *tensor, void *device) {
  const mo_backend *backend = mo_context_backend(context);
  MO_CHECK(mo_tensor_is_contiguous(tensor), MO_STATUS_UNSUPPORTED,
           "field_read_top_k: a strided CPU tensor on a context of another device");
  MO_TRY(mo_context_copy_to_device(context, device, tensor->data, (size_t)mo_tensor_bytes(tensor)));
  return backend->stream_synchronize == NULL
             ? MO_STATUS_OK
             : backend->stream_synchronize(mo_context_backend_state(context), mo_context_stream(context));
}

/* On the host already: the backend's op writes straight into the mirror. */
static mo_status_t top_k_in_place(mo_field *field, mo_mirror *mirror, int64_t k, uint64_t generation) {
  mo_context_t *context = field->context;
  MO_TRY(mo_field_order_after_writes(field, mo_context_stream(context)));
  MO_TRY(mo_top_k_enqueue(context, &mirror->view, k, mirror->host, mo_context_device(context)));
  drain(context, mo_context_stream(context));
  atomic_store_explicit(&mirror->enqueued, generation, memory_order_relaxed);
  atomic_store_explicit(&mirror->complete, generation, memory_order_release);
  return MO_STATUS_OK;
}

/* On the context's stream, where the op runs: the block is given back when the copy was waited for. */
static mo_status_t top_k_on_device(mo_field *field, mo_mirror *mirror, int64_t k, uint64_t generation) {
  mo_context_t *context = field->context;
  const mo_backend *backend = mo_context_backend(context);
  const mo_stream stream = mo_context_stream(context);
  mo_tensor input = mirror->view;
  const bool is_foreign = input.device.kind == MO_DEVICE_KIND_CPU;
  size_t index_bytes;
  const size_t bytes = mo_top_k_bytes(&input, k, &index_bytes);
  const size_t block_bytes = mo_align_up(bytes, 256) + (is_foreign ? (size_t)mo_tensor_bytes(&input) : 0);
  if (mirror->device != NULL) { /* left by a read whose waiting failed; of another size, perhaps */
    drain(context, stream);
    mo_context_release(context, mirror->device);
    mirror->device = NULL;
  }
  MO_TRY(mo_context_allocate(context, block_bytes, &mirror->device));
  MO_TRY(mo_field_order_after_writes(field, stream));
  if (is_foreign) {
    input.data = (char *)mirror->device + mo_align_up(bytes, 256);
    input.device = mo_context_device(context);
    MO_TRY(upload(context, &mirror->view, input.data));
  }
  MO_TRY(mo_top_k_enqueue(context, &input, k, mirror->device, input.device));
  MO_TRY(backend->copy(mo_context_backend_state(context), mirror->host, mirror->device, bytes, MO_COPY_TO_HOST, stream));
  return finish_enqueue(field, mirror, stream, bytes, generation);
}

mo_status_t mo_mirror_of_top_k(mo_field *field, int64_t k, mo_mirror **mirror) {
  mo_source *source = field->as.tensor.source;
  const mo_tensor *tensor = &field->as.tensor.tensor;
  const uint64_t generation = mo_source_generation(source);
  size_t index_bytes;
  const size_t bytes = mo_top_k_bytes(tensor, k, &index_bytes);
  mo_mirror *obtained;
  pthread_mutex_lock(&source->mutex);
  mo_status_t status = obtain_mirror(field, tensor, k, bytes, generation, &obtained);
  if (status == MO_STATUS_OK && atomic_load_explicit(&obtained->enqueued, memory_order_relaxed) != generation) {
    const bool in_place = mo_context_backend(field->context)->memory_is_host;
    status = (in_place ? top_k_in_place : top_k_on_device)(field, obtained, k, generation);
  }
  /* A failing call may have left work on the stream that uses the block. */
  void *abandoned = NULL;
  if (status != MO_STATUS_OK && obtained != NULL && obtained->device != NULL) {
    drain(field->context, mo_context_stream(field->context));
    abandoned = obtained->device;
    obtained->device = NULL;
  }
  pthread_mutex_unlock(&source->mutex);
  mo_context_release(field->context, abandoned);
  if (status == MO_STATUS_OK) *mirror = obtained;
  return status;
}
