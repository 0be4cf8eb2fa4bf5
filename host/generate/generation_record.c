/* host/generate/generation_record.c - steps of a generation that all do the same: recorded once, launched from then on.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/generate/generation.h"

/* The second decode step is the first that may: the one before it has allocated whatever it needs. From min_new_tokens on end
 * tokens may be chosen, which is other work. */
static bool may_record(const mo_generation *g, int64_t step) {
  const mo_backend *backend = mo_context_backend(g->context);
  return g->by_lengths && backend->graph_begin != NULL && step >= 2 && step >= g->settings.min_new_tokens &&
         !mo_context_stream_is_capturing(g->context, mo_context_stream(g->context));
}

/* Records one step. A device that cannot record goes on without; what is really wrong the plain step will say. */
static void record(mo_generation *g, int64_t step, mo_generation_work work, void *state) {
  const mo_backend *backend = mo_context_backend(g->context);
  void *device = mo_context_backend_state(g->context);
  const mo_stream stream = mo_context_stream(g->context);
  const int64_t uncounted = g->uncounted;
  g->record_tried = true;
  if (backend->graph_begin(device, stream) != MO_STATUS_OK) return;
  const mo_status_t status = work(g, step, state);
  if (backend->graph_end(device, stream, status == MO_STATUS_OK ? &g->graph : NULL) != MO_STATUS_OK) g->graph = NULL;
  g->uncounted = uncounted; /* recorded, not run */
}

mo_status_t mo_generation_do(mo_generation *g, int64_t step, mo_generation_work work, void *state) {
  const mo_backend *backend = mo_context_backend(g->context);
  MO_TRY(mo_generation_reserve(g, step));
  MO_TRY(mo_generation_edits_prepare(g, step));
  if (!g->record_tried && may_record(g, step)) record(g, step, work, state);
  if (g->graph == NULL) {
    MO_TRY(work(g, step, state));
  } else {
    g->uncounted++;
    MO_TRY(backend->graph_launch(mo_context_backend_state(g->context), g->graph, mo_context_stream(g->context)));
  }
  return mo_generation_keep(g, step);
}
