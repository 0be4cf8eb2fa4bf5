/* host/model/generate.c - greedy search and sampling, and the public function of generation.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/generate.h"

#include <inttypes.h>
#include <string.h>

#include "host/core/range.h"
#include "host/model/generation.h"
#include "modelout/sampling.h"

/* ---- A step -------------------------------------------------------------------------------------------------------------- */

/* Chooses the next ids, and counts positions and lengths on. */
static mo_status_t choose(mo_generation *g, int64_t step, const mo_tensor *logits) {
  const mo_generation_options *options = g->options;
  mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
  mo_tensor scores;
  if (g->settings.keeps_scores) {
    MO_TRY(mo_generation_step_scores(g, &scores));
    params.scores = &scores;
  }
  params.tokens = &g->next;
  params.logits = logits;
  params.temperature = options->temperature;
  params.top_k = options->top_k;
  params.top_p = options->top_p;
  params.min_p = options->min_p;
  params.seed = options->seed;
  params.step_counts = &g->step_counts;
  params.finished = &g->finished;
  if (g->settings.end_token_count > 0) {
    params.end_tokens = &g->end_tokens;
    if (step < g->settings.min_new_tokens) params.suppressed_tokens = &g->end_tokens;
  }
  params.pad_token = g->settings.pad_token;
  params.lengths = &g->lengths;
  params.positions = &g->next_positions;
  return mo_sample(g->context, &params);
}

static mo_status_t run_and_choose(mo_generation *g, int64_t step) {
  mo_tensor logits;
  MO_TRY(mo_generation_run(g, step, &logits));
  MO_TRY(mo_generation_keep(g));
  return choose(g, step, &logits);
}

/* Steps that all do the same can be recorded: nothing is kept of them, and nothing depends on their number. */
static bool may_record(const mo_generation *g) {
  const mo_backend *backend = mo_context_backend(g->context);
  const mo_generation_settings *settings = &g->settings;
  return g->by_lengths && backend->graph_begin != NULL && !settings->keeps_scores && !settings->keeps_logits &&
         !settings->keeps_hidden_states && settings->min_new_tokens == 0 &&
         !mo_context_stream_is_capturing(g->context, mo_context_stream(g->context));
}

/* Records one step. The second decode step is the first that may: the one before it has allocated whatever it needs. A device
 * that cannot record goes on without; what is really wrong the plain step will say. */
static void record(mo_generation *g) {
  const mo_backend *backend = mo_context_backend(g->context);
  void *state = mo_context_backend_state(g->context);
  const mo_stream stream = mo_context_stream(g->context);
  const int64_t uncounted = g->uncounted;
  g->record_tried = true;
  if (backend->graph_begin(state, stream) != MO_STATUS_OK) return;
  const mo_status_t status = run_and_choose(g, 2);
  if (backend->graph_end(state, stream, status == MO_STATUS_OK ? &g->graph : NULL) != MO_STATUS_OK) g->graph = NULL;
  g->uncounted = uncounted; /* recorded, not run */
}

static mo_status_t do_step(mo_generation *g, int64_t step) {
  const mo_backend *backend = mo_context_backend(g->context);
  if (step >= 2 && !g->record_tried && may_record(g)) record(g);
  if (g->graph == NULL) return run_and_choose(g, step);
  g->uncounted++;
  return backend->graph_launch(mo_context_backend_state(g->context), g->graph, mo_context_stream(g->context));
}

/* ---- The loop ------------------------------------------------------------------------------------------------------------ */

/* The chosen ids cross to the host: the one copy of a step, and the one wait. */
static mo_status_t fetch(mo_generation *g) {
  mo_field *field = NULL;
  MO_TRY(mo_field_create_tensor(g->context, &g->next, NULL, NULL, &field));
  const mo_status_t status = mo_field_read_into(field, NULL, 0, g->chosen, (size_t)g->rows * sizeof(int64_t));
  mo_field_release(field);
  return status;
}

/* Writes the step's ids down; false when every row has finished. */
static bool take_chosen(mo_generation *g, int64_t step) {
  bool any_open = false;
  const int64_t place = g->prompt_length + step;
  for (int64_t row = 0; row < g->rows; row++) {
    g->tokens[row * g->total_length + place] = g->chosen[row];
    g->ended[row] |= mo_generation_is_end(g, g->chosen[row]);
    any_open |= !g->ended[row];
  }
  return any_open;
}

static mo_status_t search(mo_generation *g, mo_output **output) {
  int64_t steps = 0;
  for (bool open = true; open && steps < g->settings.max_new_tokens; steps++) {
    MO_TRY(do_step(g, steps));
    MO_TRY(fetch(g));
    open = take_chosen(g, steps);
    if (g->options->callback != NULL) open &= g->options->callback(g->options->user_data, steps, g->chosen, g->batch_size);
  }
  const int64_t length = g->prompt_length + steps;
  for (int64_t row = 1; row < g->rows; row++) /* rows move together, to be one block */
    memmove(g->tokens + row * length, g->tokens + row * g->total_length, (size_t)length * sizeof(int64_t));
  mo_field *sequences = NULL;
  MO_TRY(mo_generation_field(g, g->tokens, MO_DTYPE_INT64, 2, (int64_t[]){g->rows, length}, &sequences));
  return mo_generation_output(g, sequences, NULL, NULL, output);
}

mo_status_t mo_generate(mo_model_t *model, const mo_model_inputs *inputs, const mo_generation_options *options,
                        mo_output **output) {
  MO_RANGE(model != NULL ? model->context : NULL, "mo_generate", inputs, inputs->input_ids, inputs->attention_mask);
  const mo_generation_options defaults = MO_GENERATION_OPTIONS_INIT;
  MO_CHECK(model != NULL && output != NULL, MO_STATUS_INVALID_ARGUMENT, "generate: NULL model or result");
  mo_generation g = {.model = model, .context = model->context, .options = options != NULL ? options : &defaults};
  mo_status_t status = mo_generation_begin(&g, inputs);
  if (status == MO_STATUS_OK) status = g.settings.beams > 1 ? mo_beam_search(&g, output) : search(&g, output);
  mo_generation_end(&g);
  return mo_context_note(model->context, status);
}
