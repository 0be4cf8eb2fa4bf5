/* host/core/upload.c - copies to the device through slots of pinned memory, taken in turn.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/upload.h"

#include <string.h>

#include "host/core/error.h"

/* Until the copy that used the slot before has read it. */
static mo_status_t wait_for_slot(mo_context_t *context, mo_upload_slots *slots, int32_t slot) {
  const mo_backend *backend = mo_context_backend(context);
  if (slots->read[slot] == NULL) return mo_context_acquire_event(context, &slots->read[slot]);
  return backend->event_synchronize(mo_context_backend_state(context), slots->read[slot]);
}

static mo_status_t send_piece(mo_context_t *context, mo_upload_slots *slots, char *device, const char *host, size_t bytes) {
  const mo_backend *backend = mo_context_backend(context);
  void *state = mo_context_backend_state(context);
  const mo_stream stream = mo_context_stream(context);
  const int32_t slot = slots->next;
  char *pinned = slots->memory + (size_t)slot * MO_UPLOAD_PIECE_BYTES;
  MO_TRY(wait_for_slot(context, slots, slot));
  memcpy(pinned, host, bytes);
  MO_TRY(backend->copy(state, device, pinned, bytes, MO_COPY_TO_DEVICE, stream));
  slots->next = (slot + 1) % MO_UPLOAD_PIECES;
  const mo_status_t status = backend->event_record(state, slots->read[slot], stream);
  if (status == MO_STATUS_OK) return status;
  /* Nothing would tell when the slot has been read. */
  if (backend->stream_synchronize != NULL) (void)backend->stream_synchronize(state, stream);
  return status;
}

mo_status_t mo_upload(mo_context_t *context, mo_upload_slots *slots, void *device, const void *host, size_t bytes) {
  const mo_backend *backend = mo_context_backend(context);
  if (bytes <= MO_UPLOAD_PIECE_BYTES || backend->memory_is_host || backend->event_create == NULL)
    return mo_context_copy_to_device(context, device, host, bytes);
  if (slots->memory == NULL) {
    void *memory = NULL;
    MO_TRY(mo_context_allocate_pinned(context, MO_UPLOAD_PIECES * MO_UPLOAD_PIECE_BYTES, &memory));
    slots->memory = memory;
  }
  for (size_t done = 0; done < bytes; done += MO_UPLOAD_PIECE_BYTES) {
    const size_t left = bytes - done, piece = left < MO_UPLOAD_PIECE_BYTES ? left : MO_UPLOAD_PIECE_BYTES;
    MO_TRY(send_piece(context, slots, (char *)device + done, (const char *)host + done, piece));
  }
  return MO_STATUS_OK;
}

void mo_upload_slots_release(mo_context_t *context, mo_upload_slots *slots) {
  const mo_backend *backend = mo_context_backend(context);
  for (int32_t i = 0; i < MO_UPLOAD_PIECES; ++i) {
    if (slots->read[i] == NULL) continue;
    (void)backend->event_synchronize(mo_context_backend_state(context), slots->read[i]);
    mo_context_return_event(context, slots->read[i]);
  }
  mo_context_release_pinned(context, slots->memory);
  *slots = (mo_upload_slots){.memory = NULL};
}
