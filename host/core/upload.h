/* host/core/upload.h - copies of the library's own host memory to the device, of any size, that do not wait for the stream.
 *
 * A copy of more than 64 KiB from ordinary (pageable) memory may wait until the stream has come to it. So what is larger goes
 * through pinned memory in pieces: each is copied there by the processor and sent from there, and its slot is free again when
 * an event says that it was read. Only who sends more than all slots hold at once waits, for the first of its own pieces.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_UPLOAD_H
#define MO_CORE_UPLOAD_H

#include "host/core/context_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MO_UPLOAD_PIECE_BYTES ((size_t)64 << 10)
#define MO_UPLOAD_PIECES 32 /* 2 MiB: the block table of 64 rows of 128k tokens in pages of 16 */

typedef struct mo_upload_slots {
  char *memory; /* pinned, made at first use */
  mo_event read[MO_UPLOAD_PIECES];
  int32_t next;
} mo_upload_slots;

/* Enqueues the copy on the context's stream; `host` has been read when the call returns. A failed call may have copied a part.
 */
mo_status_t mo_upload(mo_context_t *context, mo_upload_slots *slots, void *device, const void *host, size_t bytes);

/* Waits for the copies under way and gives everything back. */
void mo_upload_slots_release(mo_context_t *context, mo_upload_slots *slots);

#ifdef __cplusplus
}
#endif
#endif
