/* tests/support/delayed_backend.c - the test device: one lock, queues of work, twice mapped memory.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/delayed_backend.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/cpu/cpu_ops.h"

typedef struct range {
  char *device; /* PROT_NONE */
  char *alias;  /* the same pages, readable and writable */
  size_t bytes;
  struct range *next;
} range;

typedef struct delayed_event {
  uint64_t recorded;  /* ticket of the last record; 0: never */
  uint64_t completed; /* highest ticket that has run */
  struct delayed_stream *stream;
} delayed_event;

typedef enum work_kind { WORK_COPY, WORK_COPY_VIEW, WORK_FILL, WORK_RECORD, WORK_WAIT, WORK_TOP_K } work_kind;

typedef struct work {
  work_kind kind;
  void *destination;
  const void *source;
  size_t bytes;
  mo_tensor tensors[3]; /* a view; of top k: values, indices, input */
  delayed_event *event;
  uint64_t ticket;
  struct delayed_stream *stream; /* of a wait: where the event was recorded */
  struct work *next;
} work;

typedef struct delayed_stream {
  work *first;
  work **last;
  struct delayed_stream *next;
} delayed_stream;

typedef struct delayed_device {
  pthread_mutex_t mutex;
  range *ranges;
  delayed_stream *streams;
  uint64_t next_ticket;
  int64_t fail_after; /* negative: never */
  mo_status_t fail_status;
  mo_delayed_counters counters;
  mo_context_t *cpu; /* on which ops run; its scratch memory is the host's */
} delayed_device;

static _Atomic int64_t open_count;

static delayed_device *device_of(const mo_context_t *context) { return mo_context_backend_state(context); }

/* Counts a call that can fail, and makes it fail if its turn has come. */
static mo_status_t may_fail(delayed_device *device, const char *what) {
  ++device->counters.calls;
  if (device->fail_after < 0 || device->fail_after-- > 0) return MO_STATUS_OK;
  return mo_fail(device->fail_status, "delayed device: injected failure of %s", what);
}

/* ---- Memory ---- */

static range *find_range(const delayed_device *device, const void *address) {
  const char *at = address;
  for (range *r = device->ranges; r != NULL; r = r->next) {
    if (at >= r->device && at < r->device + r->bytes) return r;
  }
  return NULL;
}

/* Device addresses become usable, host addresses stay. */
static void *usable(const delayed_device *device, const void *address) {
  const range *r = find_range(device, address);
  return r == NULL ? (void *)address : r->alias + ((const char *)address - r->device);
}

static size_t whole_pages(size_t bytes) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return (bytes + page) / page * page;
}

static bool map_twice(range *r) {
  const int file = memfd_create("delayed-device", MFD_CLOEXEC);
  if (file < 0) return false;
  bool mapped = false;
  if (ftruncate(file, (off_t)r->bytes) == 0) {
    r->device = mmap(NULL, r->bytes, PROT_NONE, MAP_SHARED, file, 0);
    r->alias = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    mapped = r->device != MAP_FAILED && r->alias != MAP_FAILED;
    if (!mapped && r->device != MAP_FAILED) munmap(r->device, r->bytes);
    if (!mapped && r->alias != MAP_FAILED) munmap(r->alias, r->bytes);
  }
  close(file);
  return mapped;
}

static mo_status_t delayed_allocate(void *state, size_t bytes, mo_stream unused, void **memory) {
  (void)unused;
  delayed_device *device = state;
  pthread_mutex_lock(&device->mutex);
  mo_status_t status = may_fail(device, "allocate");
  range *r = status == MO_STATUS_OK && bytes < SIZE_MAX / 2 ? calloc(1, sizeof *r) : NULL;
  if (r != NULL) {
    r->bytes = whole_pages(bytes);
    if (map_twice(r)) {
      memset(r->alias, MO_DELAYED_POISON, r->bytes);
      r->next = device->ranges;
      device->ranges = r;
      device->counters.device_bytes += r->bytes;
      *memory = r->device;
    } else {
      free(r);
      r = NULL;
    }
  }
  if (status == MO_STATUS_OK && r == NULL) status = mo_fail(MO_STATUS_OUT_OF_MEMORY, "delayed device: no %zu bytes", bytes);
  pthread_mutex_unlock(&device->mutex);
  return status;
}

static void run_all(delayed_device *device);

static void delayed_release(void *state, void *memory, size_t bytes, mo_stream unused) {
  (void)bytes, (void)unused;
  delayed_device *device = state;
  pthread_mutex_lock(&device->mutex);
  run_all(device); /* stream-ordered: queued work may still use it */
  for (range **at = &device->ranges; *at != NULL; at = &(*at)->next) {
    range *r = *at;
    if (r->device != memory) continue;
    *at = r->next;
    device->counters.device_bytes -= r->bytes;
    munmap(r->device, r->bytes);
    munmap(r->alias, r->bytes);
    free(r);
    break;
  }
  pthread_mutex_unlock(&device->mutex);
}

static mo_status_t delayed_allocate_pinned(void *state, size_t bytes, void **memory) {
  delayed_device *device = state;
  pthread_mutex_lock(&device->mutex);
  mo_status_t status = may_fail(device, "allocate_pinned");
  if (status == MO_STATUS_OK) {
    *memory = aligned_alloc(256, (bytes + 256) / 256 * 256);
    if (*memory == NULL) status = mo_fail(MO_STATUS_OUT_OF_MEMORY, "delayed device: no %zu pinned bytes", bytes);
    else memset(*memory, MO_DELAYED_POISON, bytes);
  }
  if (status == MO_STATUS_OK) device->counters.pinned_bytes += bytes;
  pthread_mutex_unlock(&device->mutex);
  return status;
}

static void delayed_release_pinned(void *state, void *memory, size_t bytes) {
  delayed_device *device = state;
  pthread_mutex_lock(&device->mutex);
  device->counters.pinned_bytes -= bytes;
  pthread_mutex_unlock(&device->mutex);
  free(memory); /* no draining here: a copy that is still queued writes into freed memory, which a sanitizer sees */
}

/* ---- Running work, under the lock ---- */

static void copy_view(const delayed_device *device, char *to, const mo_tensor *view) {
  const size_t element = mo_dtype_bytes(view->dtype);
  const char *base = usable(device, view->data);
  int64_t position[MO_MAX_DIMS] = {0};
  for (int64_t n = mo_tensor_count(view); n > 0; --n, to += element) {
    int64_t offset = 0;
    for (int32_t i = 0; i < view->rank; ++i) offset += position[i] * view->strides[i];
    memcpy(to, base + offset * (int64_t)element, element);
    for (int32_t i = view->rank - 1; i >= 0 && ++position[i] == view->shape[i]; --i) position[i] = 0;
  }
}

static void run_top_k(const delayed_device *device, const mo_tensor *given) {
  mo_tensor tensors[3];
  for (int i = 0; i < 3; ++i) {
    tensors[i] = given[i];
    tensors[i].data = usable(device, given[i].data);
    tensors[i].device = (mo_device){.kind = MO_DEVICE_KIND_CPU};
  }
  const mo_topk_params params = {
      .struct_size = sizeof params, .values = &tensors[0], .indices = &tensors[1], .input = &tensors[2]};
  (void)mo_cpu_topk(device->cpu, &params); /* a failure shows as poison */
}

static void run_until_complete(delayed_device *device, delayed_stream *stream, const delayed_event *until, uint64_t ticket);

static void run_one(delayed_device *device, delayed_stream *stream) {
  work *item = stream->first;
  stream->first = item->next;
  if (stream->first == NULL) stream->last = &stream->first;
  --device->counters.pending;
  switch (item->kind) {
    case WORK_COPY:
      memcpy(usable(device, item->destination), usable(device, item->source), item->bytes);
      break;
    case WORK_COPY_VIEW:
      copy_view(device, item->destination, &item->tensors[0]);
      break;
    case WORK_FILL:
      memcpy(usable(device, item->destination), item->source, item->bytes);
      free((void *)item->source);
      break;
    case WORK_RECORD:
      if (item->event->completed < item->ticket) item->event->completed = item->ticket;
      break;
    case WORK_WAIT:
      run_until_complete(device, item->stream, item->event, item->ticket);
      break;
    case WORK_TOP_K:
      run_top_k(device, item->tensors);
      break;
  }
  free(item);
}

static void run_until_complete(delayed_device *device, delayed_stream *stream, const delayed_event *until, uint64_t ticket) {
  while (until->completed < ticket && stream->first != NULL) run_one(device, stream);
}

static void run_all(delayed_device *device) {
  for (delayed_stream *s = device->streams; s != NULL; s = s->next) {
    while (s->first != NULL) run_one(device, s);
  }
}

static mo_status_t enqueue(delayed_device *device, mo_stream onto, work item) {
  delayed_stream *s = onto;
  if (s == NULL) return mo_fail(MO_STATUS_DEVICE_ERROR, "delayed device: there is no default stream");
  work *queued = malloc(sizeof *queued);
  if (queued == NULL) return mo_fail(MO_STATUS_OUT_OF_MEMORY, "delayed device: no memory for the queue");
  *queued = item;
  queued->next = NULL;
  *s->last = queued;
  s->last = &queued->next;
  ++device->counters.pending;
  return MO_STATUS_OK;
}

/* ---- The table's functions ---- */

static mo_status_t delayed_copy(void *state, void *destination, const void *source, size_t bytes, mo_copy_direction_t direction,
                                mo_stream onto) {
  delayed_device *device = state;
  pthread_mutex_lock(&device->mutex);
  mo_status_t status = may_fail(device, "copy");
  const bool from_device = find_range(device, source) != NULL, to_device = find_range(device, destination) != NULL;
  if (status == MO_STATUS_OK && bytes > 0 &&
      (from_device == (direction == MO_COPY_TO_DEVICE) || to_device == (direction == MO_COPY_TO_HOST))) {
    status = mo_fail(MO_STATUS_DEVICE_ERROR, "delayed device: a copy whose direction does not fit its addresses");
  }
  if (status == MO_STATUS_OK) {
    status = enqueue(device, onto, (work){.kind = WORK_COPY, .destination = destination, .source = source, .bytes = bytes});
  }
  if (status == MO_STATUS_OK && direction == MO_COPY_TO_HOST) {
    ++device->counters.copies_to_host;
    device->counters.bytes_to_host += bytes;
  }
  if (status == MO_STATUS_OK && direction == MO_COPY_TO_DEVICE) ++device->counters.copies_to_device;
  pthread_mutex_unlock(&device->mutex);
  return status;
}

static mo_status_t delayed_copy_view(mo_context_t *context, void *destination, const mo_tensor *view, mo_stream onto) {
  delayed_device *device = mo_context_backend_state(context);
  pthread_mutex_lock(&device->mutex);
  mo_status_t status = may_fail(device, "copy_view_to_host");
  if (status == MO_STATUS_OK) {
    status = enqueue(device, onto, (work){.kind = WORK_COPY_VIEW, .destination = destination, .tensors = {*view}});
  }
  if (status == MO_STATUS_OK) {
    ++device->counters.copies_to_host;
    device->counters.bytes_to_host += (uint64_t)mo_tensor_bytes(view);
  }
  pthread_mutex_unlock(&device->mutex);
  return status;
}

static mo_status_t delayed_stream_create(void *state, mo_stream *made) {
  delayed_device *device = state;
  pthread_mutex_lock(&device->mutex);
  mo_status_t status = may_fail(device, "stream_create");
  delayed_stream *s = status == MO_STATUS_OK ? calloc(1, sizeof *s) : NULL;
  if (s != NULL) {
    s->last = &s->first;
    s->next = device->streams;
    device->streams = s;
    ++device->counters.streams;
    *made = s;
  } else if (status == MO_STATUS_OK) {
    status = mo_fail(MO_STATUS_OUT_OF_MEMORY, "delayed device: no memory for a stream");
  }
  pthread_mutex_unlock(&device->mutex);
  return status;
}

static void delayed_stream_destroy(void *state, mo_stream gone) {
  delayed_device *device = state;
  pthread_mutex_lock(&device->mutex);
  run_all(device);
  for (delayed_stream **at = &device->streams; *at != NULL; at = &(*at)->next) {
    if (*at != gone) continue;
    *at = (*at)->next;
    free(gone);
    --device->counters.streams;
    break;
  }
  pthread_mutex_unlock(&device->mutex);
}

static mo_status_t delayed_stream_synchronize(void *state, mo_stream waited) {
  delayed_device *device = state;
  delayed_stream *s = waited;
  pthread_mutex_lock(&device->mutex);
  const mo_status_t status = may_fail(device, "stream_synchronize");
  while (status == MO_STATUS_OK && s->first != NULL) run_one(device, s);
  pthread_mutex_unlock(&device->mutex);
  return status;
}

static mo_status_t delayed_stream_wait_event(void *state, mo_stream waiting, mo_event awaited) {
  delayed_device *device = state;
  delayed_event *e = awaited;
  pthread_mutex_lock(&device->mutex);
  mo_status_t status = may_fail(device, "stream_wait_event");
  /* What the event stands for is settled now: a later record does not matter to this wait. */
  if (status == MO_STATUS_OK && e->recorded > e->completed) {
    status = enqueue(device, waiting, (work){.kind = WORK_WAIT, .event = e, .ticket = e->recorded, .stream = e->stream});
  }
  pthread_mutex_unlock(&device->mutex);
  return status;
}

static mo_status_t delayed_event_create(void *state, mo_event *made) {
  delayed_device *device = state;
  pthread_mutex_lock(&device->mutex);
  mo_status_t status = may_fail(device, "event_create");
  delayed_event *e = status == MO_STATUS_OK ? calloc(1, sizeof *e) : NULL;
  if (e != NULL) ++device->counters.events, *made = e;
  else if (status == MO_STATUS_OK) status = mo_fail(MO_STATUS_OUT_OF_MEMORY, "delayed device: no memory for an event");
  pthread_mutex_unlock(&device->mutex);
  return status;
}

static void delayed_event_destroy(void *state, mo_event gone) {
  delayed_device *device = state;
  pthread_mutex_lock(&device->mutex);
  run_all(device); /* queued waits and records name it */
  free(gone);
  --device->counters.events;
  pthread_mutex_unlock(&device->mutex);
}

static mo_status_t delayed_event_record(void *state, mo_event recorded, mo_stream onto) {
  delayed_device *device = state;
  delayed_event *e = recorded;
  pthread_mutex_lock(&device->mutex);
  mo_status_t status = may_fail(device, "event_record");
  if (status == MO_STATUS_OK) {
    const uint64_t ticket = ++device->next_ticket;
    status = enqueue(device, onto, (work){.kind = WORK_RECORD, .event = e, .ticket = ticket});
    if (status == MO_STATUS_OK) e->recorded = ticket, e->stream = onto;
  }
  pthread_mutex_unlock(&device->mutex);
  return status;
}

static mo_status_t delayed_event_synchronize(void *state, mo_event awaited) {
  delayed_device *device = state;
  delayed_event *e = awaited;
  pthread_mutex_lock(&device->mutex);
  const mo_status_t status = may_fail(device, "event_synchronize");
  if (status == MO_STATUS_OK && e->stream != NULL) run_until_complete(device, e->stream, e, e->recorded);
  pthread_mutex_unlock(&device->mutex);
  return status;
}

static bool delayed_event_is_complete(void *state, mo_event asked) {
  delayed_device *device = state;
  const delayed_event *e = asked;
  pthread_mutex_lock(&device->mutex);
  const bool complete = e->completed >= e->recorded;
  pthread_mutex_unlock(&device->mutex);
  return complete;
}

static mo_status_t delayed_topk(mo_context_t *context, const mo_topk_params *params) {
  delayed_device *device = device_of(context);
  pthread_mutex_lock(&device->mutex);
  mo_status_t status = may_fail(device, "topk");
  if (status == MO_STATUS_OK) {
    status = enqueue(device, mo_context_stream(context),
                     (work){.kind = WORK_TOP_K, .tensors = {*params->values, *params->indices, *params->input}});
  }
  pthread_mutex_unlock(&device->mutex);
  return status;
}

/* ---- The other ops: at once, on the inner CPU context, after what stands before them on the stream ---- */

#define MAX_OP_TENSORS 12

/* Replaces the tensor pointers at `offsets` of an op's parameters by CPU tensors over the usable addresses. */
static void translate(const delayed_device *device, void *params, const size_t *offsets, size_t count, mo_tensor *tensors) {
  for (size_t i = 0; i < count; ++i) {
    const mo_tensor **slot = (const mo_tensor **)(void *)((char *)params + offsets[i]);
    if (*slot == NULL) continue;
    tensors[i] = **slot;
    tensors[i].data = usable(device, tensors[i].data);
    tensors[i].device = (mo_device){.kind = MO_DEVICE_KIND_CPU};
    *slot = &tensors[i];
  }
}

#define AT(member) offsetof(PARAMS, member)
#define DELAYED_OP(op, params_type, ...)                                                                                       \
  static mo_status_t delayed_##op(mo_context_t *context, const params_type *given) {                                           \
    static const size_t offsets[] = {__VA_ARGS__};                                                                             \
    _Static_assert(sizeof offsets / sizeof offsets[0] <= MAX_OP_TENSORS, "MAX_OP_TENSORS");                                    \
    mo_tensor tensors[MAX_OP_TENSORS];                                                                                         \
    params_type params = *given;                                                                                               \
    delayed_device *device = device_of(context);                                                                               \
    delayed_stream *stream = mo_context_stream(context);                                                                       \
    pthread_mutex_lock(&device->mutex);                                                                                        \
    mo_status_t status = may_fail(device, #op);                                                                                \
    while (status == MO_STATUS_OK && stream->first != NULL) run_one(device, stream);                                           \
    translate(device, &params, offsets, sizeof offsets / sizeof offsets[0], tensors);                                          \
    if (status == MO_STATUS_OK) status = mo_cpu_##op(device->cpu, &params);                                                    \
    pthread_mutex_unlock(&device->mutex);                                                                                      \
    return status;                                                                                                             \
  }

#define PARAMS mo_attention_params
DELAYED_OP(attention, mo_attention_params, AT(output), AT(weights), AT(log_sum_exp), AT(query), AT(key), AT(value), AT(mask),
           AT(bias), AT(key_lengths))
#undef PARAMS
#define PARAMS mo_softmax_params
DELAYED_OP(softmax, mo_softmax_params, AT(output), AT(input), AT(mask), AT(bias))
#undef PARAMS
#define PARAMS mo_norm_params
DELAYED_OP(layer_norm, mo_norm_params, AT(output), AT(sum), AT(input), AT(residual), AT(input_bias), AT(weight), AT(bias))
DELAYED_OP(rms_norm, mo_norm_params, AT(output), AT(sum), AT(input), AT(residual), AT(input_bias), AT(weight), AT(bias))
#undef PARAMS
#define PARAMS mo_embedding_params
DELAYED_OP(embedding, mo_embedding_params, AT(output), AT(ids), AT(embeds), AT(word), AT(position), AT(type), AT(position_ids),
           AT(token_type_ids), AT(norm_weight), AT(norm_bias))
#undef PARAMS
#define PARAMS mo_linear_params
DELAYED_OP(linear, mo_linear_params, AT(output), AT(input), AT(weight), AT(bias), AT(residual))
#undef PARAMS
#define PARAMS mo_pooling_params
DELAYED_OP(pooling, mo_pooling_params, AT(output), AT(input), AT(mask), AT(weight), AT(bias))
#undef PARAMS
#define PARAMS mo_cross_entropy_params
DELAYED_OP(cross_entropy, mo_cross_entropy_params, AT(loss), AT(log_sum_exp), AT(logits), AT(labels))
#undef PARAMS
#define PARAMS mo_elementwise_loss_params
DELAYED_OP(bce_with_logits_loss, mo_elementwise_loss_params, AT(loss), AT(logits), AT(labels))
DELAYED_OP(mse_loss, mo_elementwise_loss_params, AT(loss), AT(logits), AT(labels))
#undef PARAMS
#define PARAMS mo_span_loss_params
DELAYED_OP(span_loss, mo_span_loss_params, AT(loss), AT(start_logits), AT(end_logits), AT(start_positions), AT(end_positions))
#undef PARAMS

static mo_status_t delayed_open(int32_t device_index, void **state) {
  MO_CHECK(device_index == 0, MO_STATUS_NO_DEVICE, "delayed device: index %d, there is only 0", (int)device_index);
  delayed_device *opened = calloc(1, sizeof *opened);
  MO_CHECK(opened != NULL, MO_STATUS_OUT_OF_MEMORY, "delayed device: no memory");
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CPU;
  options.thread_count = 1;
  const mo_status_t status = mo_context_create(&options, &opened->cpu);
  if (status != MO_STATUS_OK) {
    free(opened);
    return status;
  }
  pthread_mutex_init(&opened->mutex, NULL);
  opened->fail_after = -1;
  atomic_fetch_add(&open_count, 1);
  *state = opened;
  return MO_STATUS_OK;
}

static void delayed_close(void *state) {
  delayed_device *device = state;
  mo_context_destroy(device->cpu);
  pthread_mutex_destroy(&device->mutex);
  free(device);
  atomic_fetch_sub(&open_count, 1);
}

const mo_backend mo_delayed_backend = {
    .abi_version = MO_BACKEND_ABI_VERSION,
    .struct_size = sizeof(mo_backend),
    .name = "delayed",
    .kind = MO_DEVICE_KIND_CUSTOM,
    .memory_is_host = false,
    .open = delayed_open,
    .close = delayed_close,
    .allocate = delayed_allocate,
    .release = delayed_release,
    .allocate_pinned = delayed_allocate_pinned,
    .release_pinned = delayed_release_pinned,
    .copy = delayed_copy,
    .copy_view_to_host = delayed_copy_view,
    .stream_create = delayed_stream_create,
    .stream_destroy = delayed_stream_destroy,
    .stream_synchronize = delayed_stream_synchronize,
    .stream_wait_event = delayed_stream_wait_event,
    .event_create = delayed_event_create,
    .event_destroy = delayed_event_destroy,
    .event_record = delayed_event_record,
    .event_synchronize = delayed_event_synchronize,
    .event_is_complete = delayed_event_is_complete,
    .attention = delayed_attention,
    .softmax = delayed_softmax,
    .layer_norm = delayed_layer_norm,
    .rms_norm = delayed_rms_norm,
    .embedding = delayed_embedding,
    .linear = delayed_linear, /* without packed weights: they are the CPU backend's own */
    .pooling = delayed_pooling,
    .cross_entropy = delayed_cross_entropy,
    .bce_with_logits_loss = delayed_bce_with_logits_loss,
    .mse_loss = delayed_mse_loss,
    .span_loss = delayed_span_loss,
    .topk = delayed_topk,
};

/* ---- For tests ---- */

mo_delayed_counters mo_delayed_get_counters(const mo_context_t *context) {
  delayed_device *device = device_of(context);
  pthread_mutex_lock(&device->mutex);
  const mo_delayed_counters counters = device->counters;
  pthread_mutex_unlock(&device->mutex);
  return counters;
}

void mo_delayed_fail_after(mo_context_t *context, int64_t count, mo_status_t status) {
  delayed_device *device = device_of(context);
  pthread_mutex_lock(&device->mutex);
  device->fail_after = count;
  device->fail_status = status;
  pthread_mutex_unlock(&device->mutex);
}

bool mo_delayed_failure_is_pending(mo_context_t *context) {
  delayed_device *device = device_of(context);
  pthread_mutex_lock(&device->mutex);
  const bool pending = device->fail_after >= 0;
  pthread_mutex_unlock(&device->mutex);
  return pending;
}

void mo_delayed_progress(mo_context_t *context) {
  delayed_device *device = device_of(context);
  pthread_mutex_lock(&device->mutex);
  run_all(device);
  pthread_mutex_unlock(&device->mutex);
}

bool mo_delayed_is_device_memory(const mo_context_t *context, const void *address) {
  delayed_device *device = device_of(context);
  pthread_mutex_lock(&device->mutex);
  const bool inside = find_range(device, address) != NULL;
  pthread_mutex_unlock(&device->mutex);
  return inside;
}

void *mo_delayed_alias(const mo_context_t *context, const void *address) {
  delayed_device *device = device_of(context);
  pthread_mutex_lock(&device->mutex);
  void *alias = find_range(device, address) != NULL ? usable(device, address) : NULL;
  pthread_mutex_unlock(&device->mutex);
  return alias;
}

mo_status_t mo_delayed_enqueue_fill(mo_context_t *context, void *memory, const void *content, size_t bytes, mo_stream onto) {
  delayed_device *device = device_of(context);
  void *copy = malloc(bytes + 1);
  MO_CHECK(copy != NULL, MO_STATUS_OUT_OF_MEMORY, "delayed device: no memory for %zu bytes", bytes);
  memcpy(copy, content, bytes);
  pthread_mutex_lock(&device->mutex);
  const mo_status_t status =
      enqueue(device, onto, (work){.kind = WORK_FILL, .destination = memory, .source = copy, .bytes = bytes});
  pthread_mutex_unlock(&device->mutex);
  if (status != MO_STATUS_OK) free(copy);
  return status;
}

int64_t mo_delayed_open_count(void) { return atomic_load(&open_count); }
