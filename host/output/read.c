/* host/output/read.c - reading fields on the host, and marking what they show as written.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/core/checked_math.h"
#include "host/core/range.h"
#include "host/output/gather.h"
#include "host/output/mirror.h"
#include "host/output/visited.h"

/* ---- Sources ---- */

mo_status_t mo_source_init(mo_source *source) {
  atomic_init(&source->generation, 0);
  source->ready = NULL;
  MO_CHECK(pthread_mutex_init(&source->mutex, NULL) == 0, MO_STATUS_OUT_OF_MEMORY, "output: a mutex could not be made");
  return MO_STATUS_OK;
}

void mo_source_destroy(mo_source *source, mo_context_t *context) {
  mo_context_return_event(context, source->ready);
  source->ready = NULL;
  pthread_mutex_destroy(&source->mutex);
}

mo_status_t mo_source_mark_written(mo_source *source, mo_context_t *context, mo_stream stream) {
  const mo_backend *backend = mo_context_backend(context);
  mo_event event = source->ready;
  if (event == NULL) MO_TRY(mo_context_acquire_event(context, &event));
  if (event != NULL) {
    const mo_status_t status = backend->event_record(mo_context_backend_state(context), event, stream);
    if (status != MO_STATUS_OK) {
      if (source->ready == NULL) mo_context_return_event(context, event);
      return status;
    }
  }
  source->ready = event;
  atomic_fetch_add_explicit(&source->generation, 1, memory_order_release);
  return MO_STATUS_OK;
}

typedef mo_status_t (*mo_source_function)(mo_source *source, mo_context_t *context, mo_stream stream);

static mo_status_t check_visited(const mo_visited *visited) {
  return visited->failed ? mo_fail(MO_STATUS_OUT_OF_MEMORY, "output: no memory to walk over the fields") : MO_STATUS_OK;
}

/* Calls `function` once for each source of a field made by hand. */
static mo_status_t for_each_source(const mo_field *field, mo_stream stream, mo_source_function function, mo_visited *visited) {
  if (mo_field_kind(field) == MO_FIELD_TENSOR) {
    mo_source *source = field->as.tensor.source;
    return mo_visited_add(visited, source) ? function(source, field->context, stream) : check_visited(visited);
  }
  if (mo_field_length(field) == 0 || !mo_visited_add(visited, field)) return check_visited(visited);
  for (int64_t i = 0; i < mo_field_length(field); i++) {
    MO_TRY(for_each_source(field->as.items.items[i], stream, function, visited));
  }
  return MO_STATUS_OK;
}

static mo_status_t for_each_output_source(const mo_output *output, mo_stream stream, mo_source_function function) {
  const struct mo_output_state *state = output->state;
  if (state->block != NULL) return function(&state->block->source, state->context, stream);
  mo_visited visited = {.count = 0};
  mo_status_t status = MO_STATUS_OK;
  for (int32_t i = 0; i < state->entry_count && status == MO_STATUS_OK; i++) {
    status = for_each_source(state->entries[i].field, stream, function, &visited);
  }
  mo_visited_release(&visited);
  return status;
}

mo_status_t mo_output_mark_written(mo_output *output, mo_stream stream) {
  MO_RANGE_NAMED(output != NULL ? output->state->context : NULL, "mo_output_mark_written");
  MO_CHECK(output != NULL, MO_STATUS_INVALID_ARGUMENT, "output_mark_written: the output is NULL");
  if (mo_context_stream_is_capturing(output->state->context, stream)) {
    return mo_context_note(output->state->context,
                           mo_fail(MO_STATUS_WRONG_STATE,
                                   "output_mark_written: the stream is being captured, nothing is written before a launch"));
  }
  const mo_status_t status = for_each_output_source(output, stream, mo_source_mark_written);
  if (status == MO_STATUS_OK && output->state->block == NULL) output->state->generation++;
  return mo_context_note(output->state->context, status);
}

static mo_status_t synchronize_source(mo_source *source, mo_context_t *context, mo_stream stream) {
  (void)stream;
  if (source->ready == NULL) return MO_STATUS_OK;
  return mo_context_backend(context)->event_synchronize(mo_context_backend_state(context), source->ready);
}

mo_status_t mo_output_synchronize(mo_output *output) {
  MO_RANGE_NAMED(output != NULL ? output->state->context : NULL, "mo_output_synchronize");
  MO_CHECK(output != NULL, MO_STATUS_INVALID_ARGUMENT, "output_synchronize: the output is NULL");
  return mo_context_note(output->state->context, for_each_output_source(output, NULL, synchronize_source));
}

/* ---- Views ---- */

static mo_status_t check_readable(const char *op, const mo_field *field, uint64_t *generation) {
  MO_CHECK(field != NULL, MO_STATUS_TYPE_ERROR, "%s: the field is None, only tensors are read", op);
  MO_CHECK(field->kind == MO_FIELD_TENSOR, MO_STATUS_TYPE_ERROR, "%s: the field is no tensor (kind %d)", op, (int)field->kind);
  *generation = mo_source_generation(field->as.tensor.source);
  MO_CHECK(*generation != 0, MO_STATUS_WRONG_STATE, "%s: nothing was written yet (mo_output_mark_written)", op);
  return MO_STATUS_OK;
}

static void fill_view(mo_host_view *view, const mo_tensor *tensor, uint64_t generation) {
  view->data = tensor->data;
  view->dtype = tensor->dtype;
  view->rank = tensor->rank;
  memcpy(view->shape, tensor->shape, sizeof view->shape);
  memcpy(view->strides, tensor->strides, sizeof view->strides);
  view->generation = generation;
}

static mo_tensor contiguous_like(const mo_tensor *tensor, void *data) {
  mo_tensor result = *tensor;
  int64_t stride = 1;
  result.data = data;
  result.device = (mo_device){.kind = MO_DEVICE_KIND_CPU};
  if (mo_tensor_count(tensor) == 0) return result; /* any strides; the other extents may be of any size */
  for (int32_t i = tensor->rank - 1; i >= 0; i--) {
    result.strides[i] = stride;
    stride *= tensor->shape[i];
  }
  return result;
}

/* Where a read is a pointer to memory that the device may still write: waits for the device. */
static mo_status_t wait_on_host(const mo_field *field) {
  mo_context_t *context = field->context;
  const mo_backend *backend = mo_context_backend(context);
  if (field->as.tensor.tensor.device.kind == MO_DEVICE_KIND_CPU && !backend->memory_is_host) return MO_STATUS_OK;
  if (field->as.tensor.source->ready != NULL) {
    MO_TRY(backend->event_synchronize(mo_context_backend_state(context), field->as.tensor.source->ready));
  }
  if (field->block != NULL || backend->stream_synchronize == NULL) return MO_STATUS_OK;
  return backend->stream_synchronize(mo_context_backend_state(context), mo_context_stream(context));
}

/* What a mirror holds for `view`: itself, or the same slices of the whole. */
static mo_status_t tensor_of_mirror(const mo_field *field, const mo_mirror *mirror, const mo_tensor *view,
                                    const mo_slice *slices, int32_t slice_count, mo_tensor *host) {
  if (mo_tensor_is_same_view(&mirror->view, view)) {
    *host = contiguous_like(view, mirror->host);
    return MO_STATUS_OK;
  }
  const mo_tensor whole = contiguous_like(&field->as.tensor.tensor, mirror->host);
  return mo_tensor_slice(&whole, slices, slice_count, host);
}

/* The part as a tensor the host can read; enqueues, waits and keeps. */
static mo_status_t read_part(const char *op, mo_field *field, const mo_slice *slices, int32_t slice_count, mo_tensor *host,
                             uint64_t *generation) {
  mo_tensor view;
  mo_mirror *mirror;
  MO_TRY(check_readable(op, field, generation));
  MO_TRY(mo_tensor_slice(&field->as.tensor.tensor, slices, slice_count, &view));
  if (mo_field_is_on_host(field)) {
    *host = view;
    return wait_on_host(field);
  }
  if (mo_tensor_count(&view) == 0) {
    *host = contiguous_like(&view, NULL);
    return MO_STATUS_OK;
  }
  MO_TRY(mo_mirror_of_view(field, &view, &mirror));
  MO_TRY(mo_mirror_wait(field, mirror, *generation));
  return tensor_of_mirror(field, mirror, &view, slices, slice_count, host);
}

static mo_status_t note(const mo_field *field, mo_status_t status) {
  return field == NULL ? status : mo_context_note(field->context, status);
}

static mo_status_t read_slice(mo_field *field, const mo_slice *slices, int32_t slice_count, mo_host_view *view) {
  MO_CHECK(view != NULL, MO_STATUS_INVALID_ARGUMENT, "field_read: the view is NULL");
  mo_tensor host;
  uint64_t generation = 0;
  const mo_status_t status = read_part("field_read", field, slices, slice_count, &host, &generation);
  if (status == MO_STATUS_OK) fill_view(view, &host, generation);
  return note(field, status);
}

mo_status_t mo_field_read_slice(mo_field *field, const mo_slice *slices, int32_t slice_count, mo_host_view *view) {
  MO_RANGE_OF(field != NULL ? field->context : NULL, "mo_field_read_slice", "field", mo_field_tensor(field));
  return read_slice(field, slices, slice_count, view);
}

mo_status_t mo_field_read(mo_field *field, mo_host_view *view) {
  MO_RANGE_OF(field != NULL ? field->context : NULL, "mo_field_read", "field", mo_field_tensor(field));
  return read_slice(field, NULL, 0, view);
}

/* ---- Into memory of the caller ---- */

/* Copies a view into `destination` (pinned unless the view is contiguous) on the copy stream and waits. Keeps nothing. */
static mo_status_t copy_once(mo_field *field, const mo_tensor *view, void *destination) {
  mo_context_t *context = field->context;
  const mo_backend *backend = mo_context_backend(context);
  void *state = mo_context_backend_state(context);
  const size_t bytes = (size_t)mo_tensor_bytes(view);
  mo_stream stream;
  mo_event event;
  MO_TRY(mo_context_copy_stream(context, &stream));
  MO_TRY(mo_context_acquire_event(context, &event));
  mo_status_t status = mo_field_order_after_writes(field, stream);
  if (status != MO_STATUS_OK) goto done;
  if (mo_tensor_is_contiguous(view)) status = backend->copy(state, destination, view->data, bytes, MO_COPY_TO_HOST, stream);
  else if (backend->copy_view_to_host != NULL) status = backend->copy_view_to_host(context, destination, view, stream);
  else status = mo_fail(MO_STATUS_UNSUPPORTED, "field_read_into: %s cannot copy strided views", backend->name);
  if (status != MO_STATUS_OK) goto done;
  mo_field_count_copy(field, bytes);
  if (event != NULL) {
    status = backend->event_record(state, event, stream);
    if (status == MO_STATUS_OK) status = backend->event_synchronize(state, event);
  }
  /* Without an event, or after a failure, the copy may still be under way, and the destination belongs to the caller. */
  if ((event == NULL || status != MO_STATUS_OK) && backend->stream_synchronize != NULL) {
    const mo_status_t waited = backend->stream_synchronize(state, stream);
    if (status == MO_STATUS_OK) status = waited;
  }
done:
  mo_context_return_event(context, event);
  return status;
}

/* Through a pinned block: the bytes are copied as they are stored, and the host converts and arranges them. */
static mo_status_t copy_staged(mo_field *field, const mo_tensor *view, void *destination, mo_dtype_t dtype) {
  void *staging;
  MO_TRY(mo_context_allocate_pinned(field->context, (size_t)mo_tensor_bytes(view), &staging));
  mo_status_t status = copy_once(field, view, staging);
  if (status == MO_STATUS_OK) {
    const mo_tensor host = contiguous_like(view, staging);
    status = mo_gather(&host, destination, dtype);
  }
  mo_context_release_pinned(field->context, staging);
  return status;
}

static mo_status_t read_converted(mo_field *field, const mo_slice *slices, int32_t slice_count, const mo_tensor *view,
                                  uint64_t generation, void *destination, mo_dtype_t dtype) {
  if (mo_tensor_count(view) == 0) return MO_STATUS_OK;
  if (mo_field_is_on_host(field)) {
    MO_TRY(wait_on_host(field));
    return mo_gather(view, destination, dtype);
  }
  mo_mirror *mirror = mo_mirror_find(field, view, generation);
  if (mirror != NULL) {
    mo_tensor host;
    MO_TRY(mo_mirror_wait(field, mirror, generation));
    MO_TRY(tensor_of_mirror(field, mirror, view, slices, slice_count, &host));
    return mo_gather(&host, destination, dtype);
  }
  if (dtype == view->dtype && mo_tensor_is_contiguous(view)) return copy_once(field, view, destination);
  return copy_staged(field, view, destination, dtype);
}

static mo_status_t read_into(mo_field *field, const mo_slice *slices, int32_t slice_count, void *destination, size_t bytes) {
  const char *op = "field_read_into";
  uint64_t generation = 0;
  mo_tensor view;
  MO_TRY(check_readable(op, field, &generation));
  MO_TRY(mo_tensor_slice(&field->as.tensor.tensor, slices, slice_count, &view));
  const size_t needed = (size_t)mo_tensor_bytes(&view);
  MO_CHECK(bytes >= needed, MO_STATUS_WORKSPACE_TOO_SMALL, "%s: the destination has %zu bytes, the part %zu", op, bytes,
           needed);
  MO_CHECK(bytes == needed, MO_STATUS_INVALID_ARGUMENT, "%s: the destination has %zu bytes, the part only %zu", op, bytes,
           needed);
  MO_CHECK(destination != NULL || bytes == 0, MO_STATUS_INVALID_ARGUMENT, "%s: the destination is NULL", op);
  return read_converted(field, slices, slice_count, &view, generation, destination, view.dtype);
}

mo_status_t mo_field_read_into(mo_field *field, const mo_slice *slices, int32_t slice_count, void *destination, size_t bytes) {
  MO_RANGE_OF(field != NULL ? field->context : NULL, "mo_field_read_into", "field", mo_field_tensor(field));
  return note(field, read_into(field, slices, slice_count, destination, bytes));
}

static mo_status_t read_float32(mo_field *field, const mo_slice *slices, int32_t slice_count, float *destination,
                                int64_t count) {
  const char *op = "field_read_float32";
  uint64_t generation = 0;
  mo_tensor view;
  MO_TRY(check_readable(op, field, &generation));
  MO_TRY(mo_tensor_slice(&field->as.tensor.tensor, slices, slice_count, &view));
  const int64_t needed = mo_tensor_count(&view);
  MO_CHECK(count >= needed, MO_STATUS_WORKSPACE_TOO_SMALL, "%s: the destination has %" PRId64 " elements, the part %" PRId64,
           op, count, needed);
  MO_CHECK(count == needed, MO_STATUS_INVALID_ARGUMENT, "%s: the destination has %" PRId64 " elements, the part only %" PRId64,
           op, count, needed);
  MO_CHECK(destination != NULL || count == 0, MO_STATUS_INVALID_ARGUMENT, "%s: the destination is NULL", op);
  return read_converted(field, slices, slice_count, &view, generation, destination, MO_DTYPE_FLOAT32);
}

mo_status_t mo_field_read_float32(mo_field *field, const mo_slice *slices, int32_t slice_count, float *destination,
                                  int64_t count) {
  MO_RANGE_OF(field != NULL ? field->context : NULL, "mo_field_read_float32", "field", mo_field_tensor(field));
  return note(field, read_float32(field, slices, slice_count, destination, count));
}

/* ---- Top k ---- */

static mo_status_t read_top_k(mo_field *field, int64_t k, mo_host_view *values, mo_host_view *indices) {
  const char *op = "field_read_top_k";
  uint64_t generation = 0;
  mo_mirror *mirror = NULL;
  MO_TRY(check_readable(op, field, &generation));
  const mo_tensor *tensor = &field->as.tensor.tensor;
  MO_CHECK(tensor->rank > 0, MO_STATUS_INVALID_ARGUMENT, "%s: the field is a scalar", op);
  MO_CHECK(mo_dtype_is_float(tensor->dtype), MO_STATUS_INVALID_ARGUMENT,
           "%s: dtype %s, it must be float32, float16 or bfloat16", op, mo_dtype_name(tensor->dtype));
  const int64_t last = tensor->shape[tensor->rank - 1];
  MO_CHECK(k >= 1 && k <= last, MO_STATUS_INVALID_ARGUMENT, "%s: k %" PRId64 " is outside 1..%" PRId64, op, k, last);
  mo_tensor shape = *tensor;
  shape.shape[tensor->rank - 1] = k;
  size_t index_bytes = 0;
  if (mo_tensor_count(&shape) > 0) {
    (void)mo_top_k_bytes(tensor, k, &index_bytes);
    MO_TRY(mo_mirror_of_top_k(field, k, &mirror));
    MO_TRY(mo_mirror_wait(field, mirror, generation));
  }
  char *host = mirror != NULL ? mirror->host : NULL;
  mo_tensor part = contiguous_like(&shape, host != NULL ? host + index_bytes : NULL);
  fill_view(values, &part, generation);
  part.data = host;
  part.dtype = MO_DTYPE_INT64;
  fill_view(indices, &part, generation);
  return MO_STATUS_OK;
}

mo_status_t mo_field_read_top_k(mo_field *field, int64_t k, mo_host_view *values, mo_host_view *indices) {
  MO_RANGE_OF(field != NULL ? field->context : NULL, "mo_field_read_top_k", "field", mo_field_tensor(field));
  MO_CHECK(values != NULL && indices != NULL, MO_STATUS_INVALID_ARGUMENT, "field_read_top_k: a view is NULL");
  return note(field, read_top_k(field, k, values, indices));
}

/* ---- Ahead of time, and afterwards ---- */

static mo_status_t prefetch(mo_field *field, mo_visited *visited) {
  if (field == NULL) return MO_STATUS_OK;
  if (field->kind == MO_FIELD_TENSOR) {
    uint64_t generation = 0;
    mo_mirror *mirror;
    MO_TRY(check_readable("field_prefetch", field, &generation));
    const mo_tensor *tensor = &field->as.tensor.tensor;
    if (mo_field_is_on_host(field) || mo_tensor_count(tensor) == 0) return MO_STATUS_OK;
    return mo_mirror_of_view(field, tensor, &mirror);
  }
  if (mo_field_length(field) == 0 || !mo_visited_add(visited, field)) return check_visited(visited);
  for (int64_t i = 0; i < mo_field_length(field); i++) MO_TRY(prefetch(field->as.items.items[i], visited));
  return MO_STATUS_OK;
}

mo_status_t mo_field_prefetch(mo_field *field) {
  MO_RANGE_OF(field != NULL ? field->context : NULL, "mo_field_prefetch", "field", mo_field_tensor(field));
  MO_CHECK(field != NULL, MO_STATUS_TYPE_ERROR, "field_prefetch: the field is None");
  mo_visited visited = {.count = 0};
  const mo_status_t status = prefetch(field, &visited);
  mo_visited_release(&visited);
  return note(field, status);
}

static bool is_ready_on_host(const mo_field *field) {
  const mo_backend *backend = mo_context_backend(field->context);
  const mo_event ready = field->as.tensor.source->ready;
  if (!backend->memory_is_host || ready == NULL || backend->event_is_complete == NULL) return true;
  return backend->event_is_complete(mo_context_backend_state(field->context), ready);
}

static bool is_ready(mo_field *field, mo_visited *visited) {
  if (field == NULL) return true;
  if (field->kind == MO_FIELD_TENSOR) {
    const uint64_t generation = mo_source_generation(field->as.tensor.source);
    if (generation == 0) return false;
    if (mo_field_is_on_host(field)) return is_ready_on_host(field);
    return mo_tensor_count(&field->as.tensor.tensor) == 0 || mo_mirror_current_whole(field, generation, true) != NULL;
  }
  if (mo_field_length(field) == 0 || !mo_visited_add(visited, field)) return !visited->failed;
  for (int64_t i = 0; i < mo_field_length(field); i++) {
    if (!is_ready(field->as.items.items[i], visited)) return false;
  }
  return true;
}

bool mo_field_is_ready(mo_field *field) {
  mo_visited visited = {.count = 0};
  const bool ready = is_ready(field, &visited);
  mo_visited_release(&visited);
  return ready;
}

mo_status_t mo_field_check_view(const mo_field *field, const mo_host_view *view) {
  const char *op = "field_check_view";
  MO_CHECK(view != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: the view is NULL", op);
  MO_CHECK(mo_field_kind(field) == MO_FIELD_TENSOR, MO_STATUS_TYPE_ERROR, "%s: the field is no tensor", op);
  const uint64_t generation = mo_source_generation(field->as.tensor.source);
  MO_CHECK(view->generation == generation, MO_STATUS_STALE_VIEW,
           "%s: the view shows generation %" PRIu64 ", the output is at %" PRIu64, op, view->generation, generation);
  return MO_STATUS_OK;
}

static void add_counters(const mo_field *field, mo_visited *visited, mo_field_counters *sum) {
  if (field == NULL || !mo_visited_add(visited, field)) return;
  if (field->kind == MO_FIELD_TENSOR) {
    sum->host_copies += atomic_load_explicit(&field->as.tensor.host_copies, memory_order_relaxed);
    sum->host_copy_bytes += atomic_load_explicit(&field->as.tensor.host_copy_bytes, memory_order_relaxed);
  }
  for (int64_t i = 0; i < mo_field_length(field); i++) add_counters(field->as.items.items[i], visited, sum);
}

mo_field_counters mo_field_get_counters(const mo_field *field) {
  mo_field_counters sum = {0};
  mo_visited visited = {.count = 0};
  add_counters(field, &visited, &sum);
  mo_visited_release(&visited);
  return sum;
}
