/* host/generate/beam_search.c - beam search: of the continuations of all beams of an input the likeliest go on.
 *
 * The device makes log probabilities (mo_sample with log_softmax) and takes the best few of each row, which is part of the
 * step's recorded work; those cross to the host, which keeps the books, and sends back the ids of the next step and, where
 * beams have changed their places, which row of the cache each goes on from. Per input and step the best (1 + end tokens) *
 * beams continuations are looked at, at least 2 * beams, so that enough are left when some end. Of the best `beams` of them
 * those that end become finished sequences, with their log probability / length^length_penalty; the best that do not end are
 * the next beams, and the cache follows them.
 *
 * The rules, -1e9 as the score of what must not be chosen, and float32 for all of it: Transformers' _beam_search (4.51).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "host/generate/generation.h"
#include "modelout/sampling.h"
#include "modelout/topk.h"

#define NEVER (-1.0e9f)

/* A sequence on its way, or finished. */
typedef struct beam {
  float score;
  bool finished;
  int64_t length;   /* new tokens */
  int64_t *tokens;  /* the new ones */
  int32_t *sources; /* the row each token was chosen in */
} beam;

/* A continuation of a running beam. */
typedef struct continuation {
  float score; /* sum of log probabilities */
  int64_t source, token;
  bool ends;
} continuation;

typedef struct beam_state {
  mo_generation *g;
  int64_t beams, kept;      /* per input: beams, and continuations looked at */
  beam *running, *next;     /* (rows) */
  beam *finished, *best;    /* (rows); `best` is where the next `finished` are built */
  continuation *candidates; /* (beams * kept), sorted by score */
  int64_t *reorder;         /* (rows) */
  int64_t *ids;             /* (rows, kept), and behind it, as the device has them, */
  float *values;            /* (rows, kept) */
  bool all_end;             /* every continuation of this step ends */
  int64_t steps;            /* that there is room for in each beam */
  void *beam_memory;
  size_t beam_bytes;
  void *memory;
  size_t bytes;
} beam_state;

/* ---- Memory -------------------------------------------------------------------------------------------------------------- */

static beam *carve_beams(const beam_state *s, int64_t steps, mo_arena *arena) {
  const size_t rows = (size_t)s->g->rows, room = (size_t)steps;
  beam *beams = mo_arena_carve(arena, rows * sizeof *beams);
  int64_t *tokens = mo_arena_carve(arena, rows * room * sizeof *tokens);
  int32_t *sources = mo_arena_carve(arena, rows * room * sizeof *sources);
  for (size_t i = 0; beams != NULL && sources != NULL && i < rows; i++)
    beams[i] = (beam){.score = NEVER, .tokens = tokens + i * room, .sources = sources + i * room};
  return beams;
}

static void carve_all_beams(beam_state *s, int64_t steps, mo_arena *arena) {
  s->running = carve_beams(s, steps, arena);
  s->next = carve_beams(s, steps, arena);
  s->finished = carve_beams(s, steps, arena);
  s->best = carve_beams(s, steps, arena);
}

static void carve(beam_state *s, mo_arena *arena) {
  const size_t rows = (size_t)s->g->rows, kept = (size_t)s->kept;
  s->candidates = mo_arena_carve(arena, (size_t)s->beams * kept * sizeof *s->candidates);
  s->reorder = mo_arena_carve(arena, rows * sizeof *s->reorder);
  s->ids = mo_arena_carve(arena, rows * kept * (sizeof *s->ids + sizeof *s->values));
  s->values = s->ids != NULL ? (float *)(s->ids + rows * kept) : NULL;
}

static void assign(beam *to, const beam *from) {
  to->score = from->score;
  to->finished = from->finished;
  to->length = from->length;
  memcpy(to->tokens, from->tokens, (size_t)from->length * sizeof *to->tokens);
  memcpy(to->sources, from->sources, (size_t)from->length * sizeof *to->sources);
}

/* Beams get as much room as the generation's history has; what they hold moves along. */
static mo_status_t reserve(beam_state *s) {
  mo_generation *g = s->g;
  const int64_t steps = g->columns - g->prompt_length;
  if (steps <= s->steps) return MO_STATUS_OK;
  const beam_state before = *s;
  mo_arena measure = {.base = NULL};
  carve_all_beams(s, steps, &measure);
  void *memory = mo_host_allocate(g->context, measure.used);
  if (memory == NULL) {
    *s = before;
    return MO_STATUS_OUT_OF_MEMORY;
  }
  mo_arena arena = {.base = memory, .capacity = measure.used};
  carve_all_beams(s, steps, &arena);
  for (int64_t row = 0; before.steps > 0 && row < g->rows; row++) {
    assign(&s->running[row], &before.running[row]);
    assign(&s->finished[row], &before.finished[row]);
  }
  if (before.beam_memory != NULL) mo_host_free(g->context, before.beam_memory, before.beam_bytes);
  s->steps = steps;
  s->beam_memory = memory;
  s->beam_bytes = measure.used;
  return MO_STATUS_OK;
}

/* `from` and one token more. */
static void extend(beam *to, const beam *from, const continuation *c, int64_t row) {
  assign(to, from);
  to->tokens[to->length] = c->token;
  to->sources[to->length++] = (int32_t)row;
}

/* ---- A step on the device ------------------------------------------------------------------------------------------------ */

/* Runs the model; log probabilities, and the best few of each row. */
static mo_status_t run_and_score(mo_generation *g, int64_t step, void *state) {
  mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
  mo_topk_params best = MO_TOPK_PARAMS_INIT;
  mo_tensor logits, scores;
  (void)state;
  MO_TRY(mo_generation_run(g, step, &logits));
  MO_TRY(mo_generation_scores(g, step, &scores));
  params.tokens = &g->next;
  params.scores = &scores;
  params.log_softmax = true;
  params.logits = &logits;
  params.lengths = &g->lengths;
  params.positions = &g->next_positions;
  if (!g->settings.edits_scores && g->settings.ids.end_token_count > 0 && step < g->settings.min_new_tokens)
    params.suppressed_tokens = &g->end_tokens;
  MO_TRY(mo_sample(g->context, &params));
  if (g->settings.edits_scores) MO_TRY(mo_generation_edit(g, &scores, &scores));
  best.input = &scores;
  best.values = &g->best_values;
  best.indices = &g->best_ids;
  return mo_topk(g->context, &best);
}

/* The candidates cross to the host: the one copy of a step, and the one wait. */
static mo_status_t fetch(beam_state *s) {
  mo_generation *g = s->g;
  mo_field *field = NULL;
  MO_TRY(mo_field_create_tensor(g->context, &g->best, NULL, NULL, &field));
  const mo_status_t status = mo_field_read_into(field, NULL, 0, s->ids, (size_t)mo_tensor_bytes(&g->best));
  mo_field_release(field);
  return status;
}

/* ---- The books ----------------------------------------------------------------------------------------------------------- */

/* Larger first; equal ones in order of beam and id, as they lie in the original's flat tensor. */
static bool stands_before(const continuation *a, const continuation *b) {
  if (a->score != b->score) return a->score > b->score;
  return a->source != b->source ? a->source < b->source : a->token < b->token;
}

/* The best continuations of an input, best first. */
static void collect(beam_state *s, int64_t input, int64_t step) {
  const mo_generation *g = s->g;
  int64_t count = 0;
  for (int64_t b = 0; b < s->beams; b++) {
    const int64_t row = input * s->beams + b;
    for (int64_t i = 0; i < s->kept; i++) {
      const int64_t token = s->ids[row * s->kept + i];
      const continuation c = {.score = s->values[row * s->kept + i] + s->running[row].score,
                              .source = b,
                              .token = token,
                              .ends = mo_generation_is_end(g, token) || step + 1 >= g->settings.max_new_tokens};
      int64_t place = count < s->kept ? count++ : s->kept;
      for (; place > 0 && stands_before(&c, &s->candidates[place - 1]); place--) {
        if (place < s->kept) s->candidates[place] = s->candidates[place - 1];
      }
      if (place < s->kept) s->candidates[place] = c;
    }
  }
}

/* The best that do not end become the input's running beams. */
static void go_on(beam_state *s, int64_t input) {
  const int64_t first = input * s->beams;
  int64_t made = 0;
  for (int pass = 0; pass < 2; pass++) { /* those that end stand behind all others */
    for (int64_t i = 0; i < s->kept && made < s->beams; i++) {
      const continuation *c = &s->candidates[i];
      if (c->ends != (pass == 1)) continue;
      extend(&s->next[first + made], &s->running[first + c->source], c, first + c->source);
      s->next[first + made].score = c->score + (c->ends ? NEVER : 0.0f);
      s->reorder[first + made++] = first + c->source;
    }
  }
}

/* Which of the finished, old and new, are the input's best. */
static void finish(beam_state *s, int64_t input, int64_t step) {
  const mo_generation *g = s->g;
  const int64_t first = input * s->beams;
  const bool stop_early = g->settings.early_stopping == MO_EARLY_STOPPING_TRUE;
  bool full = true;
  for (int64_t b = 0; b < s->beams; b++) full &= s->finished[first + b].finished;
  if (stop_early && full) return;
  const float penalty = powf((float)(step + 1), g->settings.length_penalty);
  int64_t old = 0, candidate = 0;
  for (int64_t b = 0; b < s->beams; b++) {
    while (candidate < s->beams && !s->candidates[candidate].ends) candidate++;
    const continuation *c = candidate < s->beams ? &s->candidates[candidate] : NULL;
    if (c != NULL && c->score / penalty > s->finished[first + old].score) {
      extend(&s->best[first + b], &s->running[first + c->source], c, first + c->source);
      s->best[first + b].score = c->score / penalty;
      s->best[first + b].finished = true;
      candidate++;
    } else {
      assign(&s->best[first + b], &s->finished[first + old++]);
    }
  }
}

/* Whether another step can change the result. `length`: new tokens so far. */
static bool may_improve(const beam_state *s, int64_t length) {
  const mo_generation *g = s->g;
  const mo_early_stopping_t stopping = g->settings.early_stopping;
  const float power = g->settings.length_penalty;
  const bool longest = stopping == MO_EARLY_STOPPING_NEVER && power > 0.0f;
  const float divisor = powf((float)(longest ? g->settings.max_new_tokens : length), power);
  bool improves = false, all_finished = true;
  for (int64_t input = 0; input < g->batch_size; input++) {
    const int64_t first = input * s->beams;
    const float worst = s->finished[first + s->beams - 1].score; /* best first */
    for (int64_t b = 0; b < s->beams; b++) {
      const bool finished = s->finished[first + b].finished;
      improves |= s->running[first].score / divisor > (finished ? worst : NEVER);
      all_finished &= finished;
    }
  }
  return improves && !(all_finished && stopping == MO_EARLY_STOPPING_TRUE) && !s->all_end;
}

static void swap(beam **a, beam **b) {
  beam *kept = *a;
  *a = *b;
  *b = kept;
}

/* The cache goes with the beams. That of the encoder's keys and values is the same for all beams of an input, which is where
 * they stay. */
static mo_status_t follow(beam_state *s) {
  mo_generation *g = s->g;
  bool stays = true;
  for (int64_t row = 0; row < g->rows; row++) stays &= s->reorder[row] == row;
  MO_TRY(mo_generation_count(g)); /* which tokens there are to move */
  return stays ? MO_STATUS_OK : mo_cache_reorder(mo_cache_self(g->cache), s->reorder, g->rows);
}

/* Whether some beam of the input has a continuation at all. */
static bool has_choice(const beam_state *s, int64_t input) {
  for (int64_t b = 0; b < s->beams; b++)
    if (s->values[(input * s->beams + b) * s->kept] > -INFINITY) return true;
  return false;
}

/* What the rules for scores look at. */
static void note_tokens(const beam_state *s, int64_t step) {
  mo_generation *g = s->g;
  for (int64_t row = 0; row < g->rows; row++)
    memcpy(g->tokens + row * g->columns + g->prompt_length, s->running[row].tokens, (size_t)(step + 1) * sizeof *g->tokens);
}

static mo_status_t advance(beam_state *s, int64_t step) {
  mo_generation *g = s->g;
  s->all_end = true;
  for (int64_t input = 0; input < g->batch_size; input++) {
    if (!has_choice(s, input)) return mo_generation_no_choice(g, input, step);
    collect(s, input, step);
    for (int64_t i = 0; i < s->kept; i++) s->all_end &= s->candidates[i].ends;
    go_on(s, input);
    /* An input that takes no more keeps what it has. */
    for (int64_t b = 0; b < s->beams; b++) assign(&s->best[input * s->beams + b], &s->finished[input * s->beams + b]);
    finish(s, input, step);
  }
  swap(&s->running, &s->next);
  swap(&s->finished, &s->best);
  if (g->settings.edits_scores) note_tokens(s, step);
  MO_TRY(follow(s));
  for (int64_t row = 0; row < g->rows; row++) g->chosen[row] = s->running[row].tokens[step];
  MO_TRY(mo_context_copy_to_device(g->context, g->next.data, g->chosen, (size_t)g->rows * sizeof *g->chosen));
  return mo_context_synchronize(g->context); /* `chosen` is written again */
}

/* ---- The result ---------------------------------------------------------------------------------------------------------- */

typedef struct beam_result {
  int64_t *tokens;
  int32_t *indices;
  float *scores;
} beam_result;

static void carve_result(const mo_generation *g, int64_t longest, mo_arena *arena, beam_result *result) {
  const size_t count = (size_t)(g->batch_size * g->settings.returned);
  result->tokens = mo_arena_carve(arena, count * (size_t)(g->prompt_length + longest) * sizeof *result->tokens);
  result->indices = mo_arena_carve(arena, count * (size_t)longest * sizeof *result->indices);
  result->scores = mo_arena_carve(arena, count * sizeof *result->scores);
}

static void fill_result(const beam_state *s, int64_t longest, const beam_result *result) {
  const mo_generation *g = s->g;
  const int64_t returned = g->settings.returned, prompt = g->prompt_length;
  /* What the original fills up with: 0 as padding counts as none. */
  const int64_t filler = g->settings.fills_length               ? g->settings.ids.pad_token
                         : g->settings.ids.end_token_count == 0 ? -1
                         : g->settings.ids.pad_token != 0       ? g->settings.ids.pad_token
                                                                : g->settings.ids.end_tokens[0];
  for (int64_t i = 0; i < g->batch_size * returned; i++) {
    const int64_t row = i / returned * s->beams + i % returned;
    const beam *sequence = &s->finished[row];
    memcpy(result->tokens + i * (prompt + longest), g->prompts + row * prompt, (size_t)prompt * sizeof *result->tokens);
    for (int64_t j = 0; j < longest; j++) {
      const bool there = j < sequence->length;
      result->tokens[i * (prompt + longest) + prompt + j] = there ? sequence->tokens[j] : filler;
      result->indices[i * longest + j] = there ? sequence->sources[j] : -1;
    }
    result->scores[i] = sequence->score;
  }
}

static mo_status_t make_fields(const beam_state *s, int64_t longest, const beam_result *result, mo_field **fields) {
  mo_generation *g = s->g;
  const int64_t count = g->batch_size * g->settings.returned;
  MO_TRY(mo_generation_field(g, result->tokens, MO_DTYPE_INT64, 2, (int64_t[]){count, g->prompt_length + longest}, &fields[0]));
  if (mo_class_field_index(g->settings.output_class, "beam_indices") >= 0)
    MO_TRY(mo_generation_field(g, result->indices, MO_DTYPE_INT32, 2, (int64_t[]){count, longest}, &fields[1]));
  if (!g->settings.keeps_sequences_scores) return MO_STATUS_OK;
  return mo_generation_field(g, result->scores, MO_DTYPE_FLOAT32, 1, &count, &fields[2]);
}

static mo_status_t show(const beam_state *s, mo_output **output) {
  mo_generation *g = s->g;
  int64_t longest = g->settings.fills_length ? g->settings.max_new_tokens : 0;
  for (int64_t i = 0; i < g->batch_size * g->settings.returned; i++) {
    const int64_t length = s->finished[i / g->settings.returned * s->beams + i % g->settings.returned].length;
    if (length > longest) longest = length;
  }
  beam_result result;
  mo_field *fields[3] = {NULL, NULL, NULL};
  mo_arena measure = {.base = NULL};
  carve_result(g, longest, &measure, &result);
  void *memory = mo_host_allocate(g->context, measure.used);
  if (memory == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_arena arena = {.base = memory, .capacity = measure.used};
  carve_result(g, longest, &arena, &result);
  fill_result(s, longest, &result);
  const mo_status_t status = make_fields(s, longest, &result, fields);
  mo_host_free(g->context, memory, measure.used);
  if (status == MO_STATUS_OK) return mo_generation_output(g, fields[0], fields[2], fields[1], output);
  for (int i = 0; i < 3; i++) mo_field_release(fields[i]);
  return status;
}

static mo_status_t search(beam_state *s, mo_output **output) {
  mo_generation *g = s->g;
  MO_TRY(reserve(s));
  for (int64_t row = 0; row < g->rows; row++) s->running[row].score = row % s->beams == 0 ? 0.0f : NEVER; /* all the same */
  bool open = true;
  for (int64_t step = 0; open && step < g->settings.max_new_tokens; step++) {
    MO_TRY(mo_generation_do(g, step, run_and_score, NULL));
    MO_TRY(fetch(s));
    MO_TRY(reserve(s));
    MO_TRY(advance(s, step));
    open = may_improve(s, step + 1);
  }
  return show(s, output);
}

mo_status_t mo_beam_search(mo_generation *g, mo_output **output) {
  beam_state s = {.g = g, .beams = g->settings.beams, .kept = g->settings.candidates};
  mo_arena measure = {.base = NULL};
  carve(&s, &measure);
  s.bytes = measure.used;
  s.memory = mo_host_allocate(g->context, s.bytes);
  if (s.memory == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_arena arena = {.base = s.memory, .capacity = s.bytes};
  carve(&s, &arena);
  const mo_status_t status = search(&s, output);
  mo_host_free(g->context, s.memory, s.bytes);
  if (s.beam_memory != NULL) mo_host_free(g->context, s.beam_memory, s.beam_bytes);
  return status;
}
