/* host/generate/generate.c - greedy search and sampling, and the public function of generation.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/generate.h"

#include <inttypes.h>
#include <string.h>

#include "host/core/range.h"
#include "host/core/struct_size.h"
#include "host/generate/generation.h"
#include "modelout/sampling.h"

/* ---- A step -------------------------------------------------------------------------------------------------------------- */

/* Runs the model, chooses the next ids, and counts positions and lengths on. */
static mo_status_t run_and_choose(mo_generation *g, int64_t step, void *state) {
  const mo_generation_settings *settings = &g->settings;
  mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
  mo_tensor scores = g->score_buffer, logits;
  (void)state;
  MO_TRY(mo_generation_run(g, step, &logits));
  if (settings->keeps_scores) {
    MO_TRY(mo_generation_scores(g, step, &scores));
    params.scores = &scores;
  }
  if (settings->edits_scores) {
    MO_TRY(mo_generation_edit(g, &logits, &scores));
    logits = scores;
  }
  params.tokens = &g->next;
  params.logits = &logits;
  params.temperature = settings->temperature;
  params.top_k = settings->top_k;
  params.top_p = settings->top_p;
  params.min_p = settings->min_p;
  params.seed = g->options->seed;
  params.marks_no_choice = true;
  params.step_counts = &g->step_counts;
  params.finished = &g->finished;
  if (settings->ids.end_token_count > 0) {
    params.end_tokens = &g->end_tokens;
    if (!settings->edits_scores && step < settings->min_new_tokens) params.suppressed_tokens = &g->end_tokens;
  }
  params.pad_token = settings->ids.pad_token;
  params.lengths = &g->lengths;
  params.positions = &g->next_positions;
  return mo_sample(g->context, &params);
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

/* Writes the step's ids down; *open: some row goes on. Then those that have ended go on with padding, which must be an id. */
static mo_status_t take_chosen(mo_generation *g, int64_t step, bool *open) {
  const int64_t place = g->prompt_length + step, pad = g->settings.ids.pad_token;
  bool any_ended = false;
  *open = false;
  for (int64_t row = 0; row < g->rows; row++) {
    if (!g->ended[row] && g->chosen[row] == -1) return mo_generation_no_choice(g, row / g->settings.copies, step);
    g->tokens[row * g->columns + place] = g->chosen[row];
    g->ended[row] |= mo_generation_is_end(g, g->chosen[row]);
    any_ended |= g->ended[row];
    *open |= !g->ended[row];
  }
  const bool pads = any_ended && *open && step + 1 < g->settings.max_new_tokens;
  MO_CHECK(!pads || (pad >= 0 && pad < mo_token_config(g->model)->embedding.vocab_size), MO_STATUS_INVALID_ARGUMENT,
           "%s: a row has ended before the others, and pad_token_id %" PRId64 " is outside the vocabulary of %" PRId64,
           g->model->architecture.name, pad, mo_token_config(g->model)->embedding.vocab_size);
  return MO_STATUS_OK;
}

/* Padding from the last step to the greatest length. */
static mo_status_t fill_up(mo_generation *g, int64_t steps) {
  while (g->columns < g->total_length) MO_TRY(mo_generation_reserve(g, g->columns - g->prompt_length));
  for (int64_t row = 0; row < g->rows; row++)
    for (int64_t i = g->prompt_length + steps; i < g->total_length; i++)
      g->tokens[row * g->columns + i] = g->settings.ids.pad_token;
  return MO_STATUS_OK;
}

static mo_status_t search(mo_generation *g, mo_output **output) {
  int64_t steps = 0;
  for (bool open = true; open && steps < g->settings.max_new_tokens; steps++) {
    MO_TRY(mo_generation_do(g, steps, run_and_choose, NULL));
    MO_TRY(fetch(g));
    MO_TRY(take_chosen(g, steps, &open));
    if (g->options->callback != NULL) open &= g->options->callback(g->options->user_data, steps, g->chosen, g->rows);
  }
  if (g->settings.fills_length) MO_TRY(fill_up(g, steps));
  const int64_t length = g->settings.fills_length ? g->total_length : g->prompt_length + steps;
  for (int64_t row = 1; row < g->rows; row++) /* rows move together, to be one block */
    memmove(g->tokens + row * length, g->tokens + row * g->columns, (size_t)length * sizeof(int64_t));
  mo_field *sequences = NULL;
  MO_TRY(mo_generation_field(g, g->tokens, MO_DTYPE_INT64, 2, (int64_t[]){g->rows, length}, &sequences));
  return mo_generation_output(g, sequences, NULL, NULL, output);
}

/* What a caller of any version gave, as this one knows it. */
typedef struct taken_call {
  mo_model_inputs inputs;
  mo_generation_options options;
  mo_request request; /* options.request, if there is one */
} taken_call;

static mo_status_t take_call(const mo_model_t *model, const mo_model_inputs *inputs, const mo_generation_options *options,
                             taken_call *taken) {
  const char *op = model->architecture.name;
  MO_TRY(MO_TAKE(op, MO_MODEL_INPUTS_INIT, inputs, MO_SIZE_TO(mo_model_inputs, encoder_outputs), &taken->inputs));
  if (options == NULL) return MO_STATUS_OK;
  MO_TRY(MO_TAKE(op, MO_GENERATION_OPTIONS_INIT, options, MO_SIZE_TO(mo_generation_options, user_data), &taken->options));
  if (taken->options.request == NULL) return MO_STATUS_OK;
  MO_TRY(MO_TAKE(op, MO_REQUEST_INIT, taken->options.request, MO_SIZE_TO(mo_request, attention_dtype), &taken->request));
  taken->options.request = &taken->request;
  return MO_STATUS_OK;
}

mo_status_t mo_generate(mo_model_t *model, const mo_model_inputs *inputs, const mo_generation_options *options,
                        mo_output **output) {
  MO_RANGE(model != NULL ? model->context : NULL, "mo_generate", inputs, inputs->input_ids, inputs->attention_mask);
  taken_call taken = {.inputs = MO_MODEL_INPUTS_INIT, .options = MO_GENERATION_OPTIONS_INIT, .request = MO_REQUEST_INIT};
  MO_CHECK(model != NULL && output != NULL, MO_STATUS_INVALID_ARGUMENT, "generate: NULL model or result");
  mo_generation g = {.model = model, .context = model->context, .options = &taken.options};
  mo_status_t status = take_call(model, inputs, options, &taken);
  if (status != MO_STATUS_OK) return mo_context_note(model->context, status);
  status = mo_generation_begin(&g, &taken.inputs);
  if (status == MO_STATUS_OK) status = g.settings.beams > 1 ? mo_beam_search(&g, output) : search(&g, output);
  mo_generation_end(&g);
  return mo_context_note(model->context, status);
}
